//! The double barrier, as in section 5.4 of the ZooKeeper paper: clients enter and leave one barrier after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use zk_recipes::DoubleBarrier;

use super::order::{Order, all, close};
use crate::Failure;

const LONG_SESSION: Duration = Duration::from_secs(30);

pub(super) async fn double(order: &Order) -> Result<(), Failure> {
    let clients = order.connect(LONG_SESSION).await?;
    let size = order.clients;
    // Who has come to each of them, and how often somebody got in too soon.
    let here: Arc<Vec<AtomicUsize>> = Arc::new((0..order.count).map(|_| AtomicUsize::new(0)).collect());
    let one_path = order.row == "barrier";
    let meter = order.begin()?;
    let mut tasks = JoinSet::new();
    for zk in clients.clone() {
        let (here, path) = (Arc::clone(&here), order.path.clone());
        tasks.spawn(async move {
            let mut early = 0;
            for (number, here) in here.iter().enumerate() {
                let path = if one_path { format!("{path}/b") } else { format!("{path}/b{number}") };
                let barrier = DoubleBarrier::new(&zk, path, size);
                here.fetch_add(1, Ordering::SeqCst);
                let ticket = barrier.enter().await?;
                early += usize::from(here.load(Ordering::SeqCst) < size);
                ticket.leave().await?;
            }
            Ok(early)
        });
    }
    let early = all(tasks).await?;
    meter.end(order.count, &format!(" early={early}"))?;
    close(clients).await;
    Ok(())
}
