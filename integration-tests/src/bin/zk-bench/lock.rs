//! The lock: acquired and released by one client alone, and handed from one to the next among ten.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use zk_client::Client;
use zk_recipes::Lock;

use crate::Failure;

/// Acquires and releases until `time` is over, with this many contenders, each a client of its own; returns how
/// many times a second.
pub(crate) async fn rate(hosts: &str, contenders: usize, time: Duration) -> Result<f64, Failure> {
    let mut clients = Vec::new();
    for _ in 0..contenders {
        clients.push(Client::connect(hosts).await?);
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for zk in clients {
        tasks.spawn(async move {
            let lock = Lock::new(&zk, format!("/bench-lock-{contenders}"));
            let mut held = 0_u64;
            while begun.elapsed() < time {
                lock.acquire().await?.release().await?;
                held += 1;
            }
            zk.close().await;
            Ok::<_, Failure>(held)
        });
    }
    let mut held = 0;
    while let Some(done) = tasks.join_next().await {
        held += done??;
    }
    Ok(held as f64 / begun.elapsed().as_secs_f64())
}
