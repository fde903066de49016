//! A server from start to stop: its configuration, its words, its restarts, and a disk that fails.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod raw;

use std::sync::Arc;
use std::time::Duration;

use raw::Raw;
use zk_proto::ops::create::CreateRequest;
use zk_proto::{Acl, ErrorCode, OpCode};
use zk_server::EmbeddedServer;
use zk_server::config::ServerConfig;
use zk_server::shell::configured;
use zk_server::storage::MemoryDisk;

fn create(path: &str) -> CreateRequest {
    CreateRequest { path: path.into(), data: None, acl: Acl::open(), flags: 0 }
}

fn outcome(raw: &mut Raw, path: &str) -> Option<Result<(), ErrorCode>> {
    raw.ask(1, OpCode::Create.code(), &create(path)).map(|header| header.outcome)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_zoo_cfg_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "tickTime=2000\ndataDir={}\nclientPort=0\nclientPortAddress=127.0.0.1\nmaxClientCnxns=2\n\
         4lw.commands.whitelist=ruok,srvr,stat,mntr\n",
        dir.path().display()
    );
    let config = ServerConfig::parse(&text).unwrap();
    let server = configured::start(&config).await.unwrap();
    let word = |word: &str| {
        let mut raw = Raw::dial(server.address());
        raw.send(word.as_bytes());
        raw.rest()
    };
    assert_eq!(word("ruok"), "imok");
    let srvr = word("srvr");
    for line in
        ["Zookeeper version: ", "Latency min/avg/max: ", "Zxid: 0x0", "Mode: standalone", "Node count: 5"]
    {
        assert!(srvr.contains(line), "{srvr}");
    }
    assert!(word("stat").contains("Clients:"));
    assert!(word("mntr").contains("zk_znode_count\t5"));
    assert!(word("conf").contains("not in the whitelist"));

    // Two connections from one address, and no third.
    let (mut a, mut b) = (Raw::session(server.address()), Raw::session(server.address()));
    let mut third = Raw::dial(server.address());
    assert!(third.is_closed());
    assert!(a.is_served() && b.is_served());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_survives_a_restart_in_memory_and_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    for builder in [EmbeddedServer::builder(), EmbeddedServer::builder().data_dir(dir.path())] {
        let server = builder.start().await.unwrap();
        let mut raw = Raw::session(server.address());
        assert_eq!(outcome(&mut raw, "/kept"), Some(Ok(())));
        let server = server.restart().await.unwrap();
        let mut raw = Raw::session(server.address());
        assert_eq!(outcome(&mut raw, "/kept"), Some(Err(ErrorCode::NodeExists)));
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_an_error_that_names_it() {
    let first = EmbeddedServer::start().await.unwrap();
    let port = first.address().port();
    let error = EmbeddedServer::builder().port(port).start().await.unwrap_err().to_string();
    assert!(error.contains(&port.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_server_lets_go_of_its_port() {
    let server = EmbeddedServer::start().await.unwrap();
    let port = server.address().port();
    let mut raw = Raw::session(server.address());
    drop(server);
    assert!(raw.is_closed());
    tokio::time::timeout(Duration::from_secs(10), async {
        while EmbeddedServer::builder().port(port).start().await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_stops_the_server_and_nothing_more_is_acknowledged() {
    for full in [false, true] {
        let disk = MemoryDisk::new();
        let server = EmbeddedServer::builder().disk(Arc::new(disk.clone())).start().await.unwrap();
        let mut raw = Raw::session(server.address());
        assert_eq!(outcome(&mut raw, "/safe"), Some(Ok(())));
        if full {
            disk.fill_after(0);
        } else {
            disk.fail_sync_after(0);
        }
        assert_eq!(outcome(&mut raw, "/not-safe"), None, "an answer came without a disk");
        let reason = tokio::time::timeout(Duration::from_secs(10), server.server().failed()).await.unwrap();
        assert!(reason.contains("log"), "{reason}");
        disk.heal();
        let server = server.restart().await.unwrap();
        let mut raw = Raw::session(server.address());
        assert_eq!(outcome(&mut raw, "/safe"), Some(Err(ErrorCode::NodeExists)));
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_session_is_gone_when_the_call_returns() {
    let server = EmbeddedServer::start().await.unwrap();
    for _ in 0..50 {
        let mut raw = Raw::session(server.address());
        let flags = zk_proto::CreateMode::Ephemeral.flags();
        let made = raw.ask(1, OpCode::Create.code(), &CreateRequest { flags, ..create("/e") }).unwrap();
        assert_eq!(made.outcome, Ok(()));
        let state = server.server().reporter().report();
        assert_eq!(state.ephemerals, 1);
        let session = raw.session_id();
        assert!(server.expire_session(session).await);
        assert_eq!(server.server().reporter().report().ephemerals, 0);
        assert!(!server.expire_session(session).await);
    }
}
