//! 10,000 handoffs among 50 contenders: never two holders, tokens that rise, and one watch event for each release.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use integration_tests::targets::Failure;
use zk_client::{Client, EventType};
use zk_recipes::Lock;
use zk_recipes::limits::OWN_WATCH_DELAY;
use zk_server::EmbeddedServer;

const CONTENDERS: usize = 50;
const HANDOFFS: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_handoffs_wake_one_waiter_each() -> Result<(), Failure> {
    let server = EmbeddedServer::start().await?;
    let inside = Arc::new(AtomicUsize::new(0));
    let token = Arc::new(AtomicI64::new(0));
    let long = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONTENDERS {
        let zk = Client::connect(&server.connect_string()).await?;
        let (inside, token, long) = (Arc::clone(&inside), Arc::clone(&token), Arc::clone(&long));
        tasks.spawn(async move {
            let lock = Lock::new(&zk, "/lock");
            for _ in 0..HANDOFFS / CONTENDERS {
                let guard = lock.acquire().await?;
                let since = Instant::now();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                let mine = guard.fencing_token().get();
                assert!(token.swap(mine, Ordering::SeqCst) < mine, "the token does not rise");
                tokio::task::yield_now().await;
                inside.fetch_sub(1, Ordering::SeqCst);
                guard.release().await?;
                long.fetch_add(u64::from(since.elapsed() * 2 > OWN_WATCH_DELAY), Ordering::SeqCst);
            }
            zk.close().await;
            Ok::<(), Failure>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let deleted = server.server().reporter().fired(EventType::NodeDeleted);
    // A deletion is heard by the one waiter behind the node, and by a holder who held it for a while.
    let long = long.load(Ordering::SeqCst);
    println!("{HANDOFFS} handoffs, {long} of them long: {} events", deleted.events);
    assert!(deleted.events <= HANDOFFS as u64 + long, "a release woke more than one waiter: {deleted:?}");
    assert!(deleted.events > HANDOFFS as u64 / 2, "they did not wait in line: {deleted:?}");
    let children = server.server().reporter().fired(EventType::NodeChildrenChanged);
    assert_eq!(children.events, 0, "somebody watched the whole line");
    server.stop().await;
    Ok(())
}
