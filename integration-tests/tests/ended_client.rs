//! A client that has ended, because it was closed or because its session has and no other one follows: everything
//! built on it says so, and nothing waits for ever.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::future::Future;
use std::time::Duration;

use integration_tests::session_killer;
use integration_tests::targets::{Failure, PATIENCE};
use zk_client::Client;
use zk_recipes::queue::WorkQueue;
use zk_recipes::semaphore::Semaphore;
use zk_recipes::{
    AtomicI64, Barrier, DoubleBarrier, Error, LeaderLatch, Lock, LossReason, RwLock, SharedValue,
};
use zk_server::EmbeddedServer;

/// Ends with [`Error::ClientEnded`], and soon.
async fn ends<T: std::fmt::Debug>(
    what: &str,
    expected: LossReason,
    it: impl Future<Output = Result<T, Error>>,
) {
    let ended = tokio::time::timeout(PATIENCE, it).await;
    let Ok(Err(Error::ClientEnded { reason, .. })) = &ended else { panic!("{what}: {ended:?}") };
    assert_eq!(*reason, expected, "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_says_that_its_client_has_ended() -> Result<(), Failure> {
    for closed in [false, true] {
        let server = EmbeddedServer::start().await?;
        let direct = Client::connect(&server.connect_string()).await?;
        let zk = Client::builder().expiry_is_terminal(true).connect(&server.connect_string()).await?;
        let gate = Barrier::new(&direct, "/gate");
        gate.set().await?;
        direct.create("/full", "").await?;
        direct.create("/full/queue-0000000000", "").await?;
        let held = Lock::new(&direct, "/lock").acquire().await?;

        let (gate, hits) = (Barrier::new(&zk, "/gate"), AtomicI64::new(&zk, "/hits"));
        let queue = WorkQueue::new(&zk, "/queue");
        let full = WorkQueue::with(WorkQueue::builder(&zk, "/full").max_items(1));
        let (lock, rw) = (Lock::new(&zk, "/lock"), RwLock::new(&zk, "/rw"));
        let (phase, gpus) = (DoubleBarrier::new(&zk, "/phase", 2), Semaphore::new(&zk, "/gpus", 1));
        let latch = LeaderLatch::new(&zk, "/leader").start()?;
        latch.wait_leader().await?;
        let motto = SharedValue::open(&zk, "/motto", "festina lente").await?;
        let mut changes = motto.changes();

        // Some wait as it ends, and all are asked afterwards.
        let waiting = (
            tokio::spawn({
                let gate = gate.clone();
                async move { gate.wait().await }
            }),
            tokio::spawn({
                let queue = queue.clone();
                async move { queue.take().await }
            }),
            tokio::spawn({
                let full = full.clone();
                async move { full.put("x").await }
            }),
            tokio::spawn({
                let phase = phase.clone();
                async move { phase.enter().await }
            }),
            tokio::spawn({
                let lock = lock.clone();
                async move { lock.acquire().await }
            }),
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
        let why = if closed {
            zk.close().await;
            LossReason::ClientClosed
        } else {
            session_killer::end(&server.connect_string(), zk.session_id().unwrap()).await?;
            LossReason::SessionExpired
        };
        ends("a wait at a barrier", why, async { waiting.0.await.unwrap() }).await;
        ends("a take", why, async { waiting.1.await.unwrap() }).await;
        ends("a put", why, async { waiting.2.await.unwrap() }).await;
        ends("an entry", why, async { waiting.3.await.unwrap() }).await;
        ends("an acquire", why, async { waiting.4.await.unwrap() }).await;
        ends("barrier", why, gate.wait()).await;
        ends("barrier", why, gate.set()).await;
        ends("number", why, hits.increment()).await;
        ends("number", why, hits.get()).await;
        ends("take", why, queue.take()).await;
        ends("put", why, queue.put("x")).await;
        ends("put", why, full.put("x")).await;
        ends("double barrier", why, phase.enter()).await;
        ends("lock", why, lock.acquire()).await;
        ends("read lock", why, rw.read()).await;
        ends("semaphore", why, gpus.acquire()).await;
        ends("latch", why, latch.wait_leader()).await;
        tokio::time::timeout(PATIENCE, changes.wait_for(|state| state.stale)).await??;
        held.release().await?;
    }
    Ok(())
}
