//! One lock shared by Rust and Curator processes, on Apache ZooKeeper and on our server: hundreds of handoffs, one log
//! that all of them append to, and never two holders at once.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use integration_tests::critical_section::{CriticalSection, check, log_in};
use integration_tests::our_server::OurServer;
use integration_tests::peers::{JavaServer, JavaVersion, Peers, or_skip};
use integration_tests::recipe_peers::RecipePeer;
use integration_tests::targets::Failure;
use zk_client::Client;
use zk_recipes::Lock;

const TURNS: usize = 150;
const PATH: &str = "/shared/lock";

async fn rust_contender(hosts: String, log: PathBuf, who: String) -> Result<(), Failure> {
    let zk = Client::builder().session_timeout(Duration::from_secs(10)).connect(&hosts).await?;
    let lock = Lock::new(&zk, PATH);
    let mut section = CriticalSection::open(&log, &who)?;
    for _ in 0..TURNS {
        let guard = lock.acquire().await?;
        section.pass(guard.fencing_token().get(), Duration::from_millis(1)).await?;
        guard.release().await?;
    }
    zk.close().await;
    Ok(())
}

/// Two Curator processes and two Rust clients share the lock at `hosts`.
async fn share(peers: &Peers, version: JavaVersion, hosts: &str, dir: &Path) -> Result<(), Failure> {
    let log = log_in(dir);
    let mut curators = Vec::new();
    for who in ["curator-1", "curator-2"] {
        let process = RecipePeer::curator(peers, version)?;
        let curator = process.actor(who, hosts, Duration::from_secs(10)).await?;
        curators.push((process, curator.ask(&format!("contend mutex {PATH} {TURNS} {}", log.display()))));
    }
    let mut ours = tokio::task::JoinSet::new();
    for who in ["rust-1", "rust-2"] {
        ours.spawn(rust_contender(hosts.to_owned(), log.clone(), who.to_owned()));
    }
    while let Some(done) = ours.join_next().await {
        done??;
    }
    for (_process, done) in curators {
        done.await?;
    }
    let seen = check(&log)?;
    assert_eq!(seen.passages, 4 * TURNS);
    assert!(seen.handoffs >= 200, "only {} handoffs: they hardly contended", seen.handoffs);
    println!("{hosts}: {seen:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_our_server() -> Result<(), Failure> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    for version in peers.versions() {
        let dir = tempfile::tempdir()?;
        let server = OurServer::start(dir.path(), "")?;
        share(&peers, version, &server.hosts(), dir.path()).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_apache_zookeeper() -> Result<(), Failure> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    for version in peers.versions() {
        let dir = tempfile::tempdir()?;
        let server = JavaServer::start(&peers, version, dir.path(), None)?;
        share(&peers, version, &server.hosts(), dir.path()).await?;
    }
    Ok(())
}
