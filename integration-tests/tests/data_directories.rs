//! Data directories both ways: what Apache ZooKeeper wrote opens in our server with every field the same, and what
//! ours wrote opens in theirs.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use integration_tests::our_server::OurServer;
use integration_tests::peers::{JavaServer, JavaVersion, Peers, or_skip};
use integration_tests::targets::Failure;

/// Off by default in ZooKeeper and here; the peers' scripts switch it on.
const TTL_NODES: &str = "extendedTypesEnabled=true";

/// Every node with its stat, ACL and data, as a Java client sees them.
fn dump(peers: &Peers, version: JavaVersion, hosts: &str) -> Result<String, Failure> {
    Ok(peers.java("DumpTree", peers.zookeeper_class_path(version)?, &[hosts])?.success()?)
}

/// Writes nodes of every kind through a Java client.
fn write(peers: &Peers, version: JavaVersion, hosts: &str) -> Result<(), Failure> {
    peers.java("WriteDataDir", peers.zookeeper_class_path(version)?, &[hosts, "30"])?.success()?;
    Ok(())
}

fn same(theirs: &str, ours: &str) {
    for (t, o) in theirs.lines().zip(ours.lines()) {
        assert_eq!(t, o);
    }
    assert_eq!(theirs.lines().count(), ours.lines().count());
    assert!(theirs.lines().count() > 20, "there was hardly anything to compare:\n{theirs}");
}

#[test]
fn java_writes_and_ours_opens() -> Result<(), Failure> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    for version in peers.versions() {
        let dir = tempfile::tempdir()?;
        let data = dir.path().join("data");
        std::fs::create_dir(&data)?;
        let mut java = JavaServer::start(&peers, version, &data, None)?;
        write(&peers, version, &java.hosts())?;
        let theirs = dump(&peers, version, &java.hosts())?;
        java.kill9()?;
        let mut ours = OurServer::start(dir.path(), TTL_NODES)?;
        same(&theirs, &dump(&peers, version, &ours.hosts())?);
        // And once more, from what our own server made of it.
        ours.kill9()?;
        ours.restart()?;
        same(&theirs, &dump(&peers, version, &ours.hosts())?);
    }
    Ok(())
}

#[test]
fn ours_writes_and_java_opens() -> Result<(), Failure> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    for version in peers.versions() {
        // From the log alone, and from a snapshot and the log behind it.
        for extra in ["", "\nsnapCount=20"] {
            let dir = tempfile::tempdir()?;
            let mut ours = OurServer::start(dir.path(), &format!("{TTL_NODES}{extra}"))?;
            write(&peers, version, &ours.hosts())?;
            let expected = dump(&peers, version, &ours.hosts())?;
            ours.kill9()?;
            let java = JavaServer::start(&peers, version, &dir.path().join("data"), None)?;
            same(&expected, &dump(&peers, version, &java.hosts())?);
        }
    }
    Ok(())
}
