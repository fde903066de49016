//! Queues: put one by one and many at once, taken by one and by many, with and without claims.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use tokio::task::JoinSet;
use zk_client::Client;
use zk_recipes::queue::{SimpleQueue, WorkQueue};

use super::order::{Order, SESSION_TIMEOUT, all, close};
use crate::Failure;

/// Items put at once.
const MANY: usize = 100;
static ITEM: [u8; 100] = [b'x'; 100];

fn items(count: usize) -> Vec<Bytes> {
    vec![Bytes::from_static(&ITEM); count]
}

pub(super) async fn put(order: &Order) -> Result<(), Failure> {
    let turn = |queue: SimpleQueue, _| async move {
        queue.put(Bytes::from_static(&ITEM)).await?;
        Ok(())
    };
    order.repeat(|zk, _| SimpleQueue::new(zk, order.path.as_str()), turn).await
}

/// Each item in a node of its own, or all of them in one.
pub(super) async fn put_many(order: &Order) -> Result<(), Failure> {
    let clients = order.connect(SESSION_TIMEOUT).await?;
    let queue = WorkQueue::new(first(&clients)?, order.path.as_str());
    let (meter, mut put) = (order.begin()?, 0);
    while Instant::now() < meter.begun + order.time {
        match order.row.as_str() {
            "queue-put-multi" => queue.put_together(&items(MANY)).await?,
            _ => queue.put_many(items(MANY)).await?,
        }
        put += MANY;
    }
    meter.end(put, "")?;
    close(clients).await;
    Ok(())
}

/// Taken at most once, until nothing is left.
pub(super) async fn take(order: &Order) -> Result<(), Failure> {
    let clients = order.connect(SESSION_TIMEOUT).await?;
    SimpleQueue::new(first(&clients)?, order.path.as_str()).put_many(items(order.count)).await?;
    let meter = order.begin()?;
    let mut tasks = JoinSet::new();
    for zk in &clients {
        let queue = SimpleQueue::new(zk, order.path.as_str());
        tasks.spawn(async move {
            let mut taken = 0;
            while queue.try_take().await?.is_some() {
                taken += 1;
            }
            Ok(taken)
        });
    }
    meter.end(all(tasks).await?, "")?;
    close(clients).await;
    Ok(())
}

/// Claimed, and acknowledged one by one.
pub(super) async fn work(order: &Order) -> Result<(), Failure> {
    let clients = order.connect(SESSION_TIMEOUT).await?;
    let path = format!("{}/q", order.path);
    WorkQueue::new(first(&clients)?, path.as_str()).put_many(items(order.count)).await?;
    let left = Arc::new(AtomicUsize::new(order.count));
    let meter = order.begin()?;
    let mut tasks = JoinSet::new();
    for zk in &clients {
        let (queue, left) = (WorkQueue::new(zk, path.as_str()), Arc::clone(&left));
        tasks.spawn(async move {
            loop {
                queue.take().await?.ack().await?;
                if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    return Ok::<_, Failure>(());
                }
            }
        });
    }
    // The one who was the last; the others wait for more.
    tasks.join_next().await.ok_or("no consumer")???;
    meter.end(order.count, "")?;
    drop(tasks);
    close(clients).await;
    Ok(())
}

fn first(clients: &[Client]) -> Result<&Client, Failure> {
    clients.first().ok_or_else(|| "no client".into())
}
