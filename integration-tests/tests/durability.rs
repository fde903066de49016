//! kill -9 under load: whatever was acknowledged is there after the restart.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use integration_tests::our_server::OurServer;
use integration_tests::targets::{Failure, PATIENCE};
use tokio::time::timeout;
use zk_client::Client;

/// What one writer knows of its node: the last version acknowledged.
type Acknowledged = Arc<Mutex<BTreeMap<String, i32>>>;

async fn connect(hosts: &str) -> Result<Client, Failure> {
    Ok(Client::builder().session_timeout(Duration::from_secs(20)).connect(hosts).await?)
}

/// Creates nodes and sets its own one, 32 in flight, until the server is gone. A writer that has every answer at that
/// moment loses none of them, and is told by `killed` alone.
async fn write_until_killed(
    zk: Client,
    writer: usize,
    round: usize,
    acknowledged: Acknowledged,
    killed: Arc<AtomicBool>,
) {
    let own = format!("/w{writer}");
    let mut in_flight = std::collections::VecDeque::new();
    for n in 0.. {
        if killed.load(Ordering::Relaxed) {
            return;
        }
        let path = format!("{own}/r{round}-{n}");
        in_flight.push_back((path.clone(), zk.create(&path, "x").send(), zk.set(&own, n.to_string()).send()));
        if in_flight.len() < 32 {
            continue;
        }
        let Some((path, created, set)) = in_flight.pop_front() else { break };
        match created.await {
            Ok(_) => acknowledged.lock().unwrap().insert(path, 0),
            Err(_) => return,
        };
        match set.await {
            Ok(stat) => acknowledged.lock().unwrap().insert(own.clone(), stat.version),
            Err(_) => return,
        };
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_kill_9() -> Result<(), Failure> {
    const WRITERS: usize = 4;
    let dir = tempfile::tempdir()?;
    // Small, so that files are rolled and snapshots taken while the load runs.
    let mut server = OurServer::start(dir.path(), "snapCount=500\npreAllocSize=64")?;
    let acknowledged = Acknowledged::default();
    let setup = connect(&server.hosts()).await?;
    for writer in 0..WRITERS {
        setup.create(format!("/w{writer}"), "").await?;
    }
    let owner = setup.session_id().unwrap();
    setup.create("/held", "").ephemeral().await?;
    for round in 0..5 {
        let mut writers = tokio::task::JoinSet::new();
        let killed = Arc::new(AtomicBool::new(false));
        for writer in 0..WRITERS {
            let zk = connect(&server.hosts()).await?;
            writers.spawn(write_until_killed(
                zk,
                writer,
                round,
                Arc::clone(&acknowledged),
                Arc::clone(&killed),
            ));
        }
        // Killed in mid-load: as soon as enough has been acknowledged, at a moment that differs by round.
        let enough = acknowledged.lock().unwrap().len() + 400 + 137 * round;
        timeout(PATIENCE, async {
            while acknowledged.lock().unwrap().len() < enough {
                tokio::task::yield_now().await;
            }
        })
        .await?;
        server.kill9()?;
        killed.store(true, Ordering::Relaxed);
        server.restart()?;
        timeout(PATIENCE, async { while writers.join_next().await.is_some() {} }).await?;

        let zk = connect(&server.hosts()).await?;
        let known = acknowledged.lock().unwrap().clone();
        for (path, version) in known {
            let stat = zk.exists(&path).await?;
            assert!(
                stat.is_some_and(|s| s.version >= version),
                "{path} at {version} was acknowledged; now {stat:?}"
            );
        }
        // The session lived through it, and so did its node.
        assert_eq!(zk.exists("/held").await?.map(|s| s.ephemeral_owner), Some(owner));
        zk.close().await;
    }
    setup.close().await;
    Ok(())
}
