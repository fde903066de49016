//! Our recipes on one path with those of stock Curator 5.4 and 5.9, stock Kazoo, and Kazoo taught to see Curator: who
//! excludes whom, what is written byte for byte, and what happens when one of them is killed or stands still. On Apache
//! ZooKeeper 3.9.5 and on our server.
//!
//! `ZK_INTEROP_TURNS` sets how often each contender of a cell holds; the default suits CI, by hand 200 is a good number.
//! `ZK_INTEROP_ONLY` names the parts to play, with commas between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]
mod barriers;
mod cast;
mod election;
mod faults;
mod golden;
mod latch;
mod leases;
mod mutex;
mod numbers;
mod outages;
mod permits;
mod queues;
mod read_write;
mod stage;
mod together;

use integration_tests::our_server::OurServer;
use integration_tests::peers::{JavaEnsemble, JavaServer, JavaVersion, Peers, or_skip, skipped};
use integration_tests::targets::Failure;

use stage::{Server, Stage};

/// Everything, on one server. In one test, because JVMs are dear: each Curator is started once for all of it.
async fn all(stage: &Stage) -> Result<(), Failure> {
    let only = std::env::var("ZK_INTEROP_ONLY").ok();
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only.split(',').any(|one| one == part));
    macro_rules! parts {
        ($($part:ident),*) => {$(
            if wanted(stringify!($part)) {
                let done = $part::all(stage).await;
                done.map_err(|error| format!("{}: {error}", stringify!($part)))?;
            }
        )*};
    }
    parts!(
        golden, mutex, read_write, together, permits, election, latch, barriers, numbers, leases, queues,
        faults, outages
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_our_server() -> Result<(), Failure> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    // Sessions of processes that are killed and paused end soon.
    let server = OurServer::start(dir.path(), "minSessionTimeout=1000\n")?;
    all(&Stage::set(&peers, Server::Ours(server)).await?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_apache_zookeeper() -> Result<(), Failure> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    if !peers.versions().any(|version| version == JavaVersion::V3_9_5) {
        skipped("no Apache ZooKeeper 3.9.5 on this machine");
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let server = JavaServer::start(&peers, JavaVersion::V3_9_5, dir.path(), None)?;
    all(&Stage::set(&peers, Server::Java(server)).await?).await
}

/// Its leader is killed while they contend.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_an_ensemble_of_apache_zookeeper() -> Result<(), Failure> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    if !peers.versions().any(|version| version == JavaVersion::V3_9_5) {
        skipped("no Apache ZooKeeper 3.9.5 on this machine");
        return Ok(());
    }
    let servers = tokio::task::block_in_place(|| JavaEnsemble::start(&peers, JavaVersion::V3_9_5, 3))?;
    outages::servers_killed(&Stage::set(&peers, Server::Ensemble(servers)).await?).await
}
