//! What a listener sees of a client: the names in the table of `zk_client::seen`, and nothing that is secret.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod capture;
mod fake;

use capture::Capture;
use fake::{Server, data};
use std::collections::BTreeSet;
use std::time::Duration;
use tracing::{Instrument as _, Level};
use zk_client::{Client, ErrorCode, EventType, RetryPolicy, SessionState, WatchItem};
use zk_proto::header::{XID_AUTH, XID_SET_WATCHES};

const TABLE: &str = include_str!("../src/seen/mod.rs");

fn quick() -> zk_client::Builder {
    Client::builder().retry(RetryPolicy::default().initial(Duration::from_millis(1)))
}

async fn connected(server: &Server) -> (Client, fake::Peer) {
    let address = format!("{}/app", server.address());
    let (client, (peer, _)) = tokio::join!(quick().connect(&address), server.welcome());
    (client.unwrap(), peer)
}

#[tokio::test]
async fn a_request_is_a_span_below_its_callers() {
    let capture = Capture::default();
    let _listening = tracing::subscriber::set_default(capture.clone());
    let server = Server::start().await;
    let (zk, mut peer) = connected(&server).await;
    let asked = async {
        let read = zk.get("/a").send();
        let missing = zk.set("/b", "x").send();
        (read, missing)
    };
    let (read, missing) = asked.instrument(tracing::info_span!(target: "test", "caller")).await;
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &data("a")).await;
    let (xid, _) = peer.expect().await;
    peer.err(xid, ErrorCode::NoNode).await;
    read.await.unwrap();
    missing.await.unwrap_err();

    let caller = capture.span_id("caller");
    let spans = capture.spans("zk_client::request");
    let [read, missing] = &spans[..] else { panic!("{spans:?}") };
    for span in [read, missing] {
        assert_eq!((span.name.as_str(), span.level), ("request", Level::DEBUG));
        assert!(span.parent == caller && caller.is_some() && span.closed, "{span:?}");
        assert!(span.field("latency_us").unwrap().parse::<u64>().is_ok());
        assert_eq!(span.field("zxid"), Some("0x65"));
    }
    assert_eq!((read.field("operation"), read.field("path")), (Some("get"), Some("/a")));
    assert_eq!(read.field("error"), None);
    assert_eq!((missing.field("operation"), missing.field("path")), (Some("set"), Some("/b")));
    assert_eq!(missing.field("error"), Some("NoNode (-101): node does not exist"));
}

#[tokio::test]
async fn a_request_taken_back_ends_cancelled() {
    let capture = Capture::default();
    let _listening = tracing::subscriber::set_default(capture.clone());
    let server = Server::start().await;
    let (zk, peer) = connected(&server).await;
    let mut state = zk.session_state();
    drop(peer);
    state.wait_for(|s| matches!(s, SessionState::Suspended(_))).await.unwrap();
    drop(zk.get("/a").send());
    let (mut peer, _) = server.welcome().await;
    let read = zk.get("/b").send();
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &data("b")).await;
    read.await.unwrap();
    let spans = capture.spans("zk_client::request");
    assert_eq!(spans[0].field("error"), Some("cancelled"));
    assert!(spans[0].closed && spans[1].field("error").is_none());
}

/// Everything a client can say happens once: what is said is what the table says, no more and no less.
#[tokio::test]
async fn the_names_are_those_of_the_table() {
    let capture = Capture::default();
    let _listening = tracing::subscriber::set_default(capture.clone());
    let server = Server::start().await;
    let address = server.address();
    let connecting = quick().auth("digest", "user:hunter2").connect(&address);
    let (zk, mut peer) = tokio::join!(connecting, async {
        // The first attempt fails.
        server.accept().await.greeting().await;
        let (mut peer, _) = server.welcome().await;
        peer.expect().await;
        peer.ok(XID_AUTH, &fake::Empty).await;
        peer
    });
    let zk = zk.unwrap();
    for _ in 0..2 {
        let watched = zk.get("/a").watch().send();
        let (xid, _) = peer.expect().await;
        peer.ok(xid, &data("tops3cret")).await;
        let (_, changed) = watched.await.unwrap();
        peer.event(EventType::NodeDeleted, "/a").await;
        changed.await.unwrap();
    }
    let left = zk.exists("/b").watch().send();
    let (xid, _) = peer.expect().await;
    peer.err(xid, ErrorCode::NoNode).await;
    let (_, left) = left.await.unwrap();
    let write = zk.set("/a", "tops3cret").send();
    peer.expect().await;
    drop(peer);
    write.await.unwrap_err();
    let mut again = server.accept().await;
    again.greeting().await;
    again.refuse().await;
    left.await.unwrap_err();
    // The new session's server refuses the credentials.
    let (mut peer, _) = server.welcome().await;
    peer.expect().await;
    peer.err(XID_AUTH, ErrorCode::AuthFailed).await;
    zk.session_state().wait_for(|s| *s == SessionState::AuthFailed).await.unwrap();
    let (zk, peer) = connected(&server).await;
    tokio::join!(zk.close(), peer.serve());
    servers_change(&server).await;
    a_stream_resyncs(&server).await;

    let said: BTreeSet<(String, String)> =
        capture.all().into_iter().map(|seen| (seen.target, seen.name)).collect();
    assert_eq!(said, named_in_table());
    let levels: BTreeSet<String> =
        capture.all().iter().map(|seen| format!("{} {}", seen.name, seen.level)).collect();
    assert!(levels.contains("session established INFO") && levels.contains("connect failed WARN"));
    for seen in capture.all() {
        for (name, value) in &seen.fields {
            let documented = TABLE.contains(&format!("`{name}`"));
            assert!(documented, "the table has no field {name} of {}", seen.name);
            for secret in ["hunter2", "tops3cret", "07070707", "7, 7, 7"] {
                assert!(!value.contains(secret), "{seen:?}");
            }
        }
    }
    let lost = &capture.events("connection lost")[0];
    assert_eq!((lost.field("server"), lost.field("reason")), (Some(&*address), Some("closed_by_server")));
    let fired = &capture.events("watch fired")[0];
    assert_eq!((fired.field("event"), fired.field("path")), (Some("deleted"), Some("/a")));
}

/// A list by hand, one that the ensemble tells, and one that it does not.
async fn servers_change(first: &Server) {
    let second = Server::start().await;
    let (zk, peer) = connected(first).await;
    zk.update_servers(&second.address()).unwrap();
    let (moved, _) = second.welcome().await;
    drop(peer);
    tokio::join!(zk.close(), moved.serve());

    for known in [true, false] {
        let (address, follower) = (first.address(), quick().follow_ensemble(true));
        let (zk, (mut peer, _)) = tokio::join!(follower.connect(&address), first.welcome());
        let zk = zk.unwrap();
        let (xid, _) = peer.expect().await;
        if known {
            let port = second.address().rsplit(':').next().unwrap().to_owned();
            peer.ok(xid, &data(&format!("server.1=127.0.0.1:1:2;{port}"))).await;
            peer = second.welcome().await.0;
        } else {
            peer.err(xid, ErrorCode::NoNode).await;
            // Its answer comes behind the other's.
            let read = zk.get("/a").send();
            let (xid, _) = peer.expect().await;
            peer.ok(xid, &data("a")).await;
            read.await.unwrap();
        }
        tokio::join!(zk.close(), peer.serve());
    }
}

async fn a_stream_resyncs(server: &Server) {
    let (zk, mut peer) = connected(server).await;
    let setting = zk.watch("/s").send();
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &fake::Empty).await;
    let mut stream = setting.await.unwrap();
    drop(peer);
    let (mut peer, _) = server.welcome().await;
    peer.expect().await;
    peer.ok(XID_SET_WATCHES, &fake::Empty).await;
    assert_eq!(stream.next().await.unwrap().unwrap(), WatchItem::Resync);
    tokio::join!(zk.close(), peer.serve());
}

/// Target and name of each row of the two tables about tracing.
fn named_in_table() -> BTreeSet<(String, String)> {
    let rows = TABLE.lines().filter(|line| line.starts_with("//! | `zk_client::"));
    rows.map(|row| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().trim_matches('`').to_owned());
        (cells.next().unwrap(), cells.next().unwrap())
    })
    .collect()
}

#[tokio::test]
async fn a_flapping_server_is_warned_of_a_few_times() {
    let capture = Capture::default();
    let _listening = tracing::subscriber::set_default(capture.clone());
    let server = Server::start().await;
    let (zk, mut peer) = connected(&server).await;
    for _ in 0..6 {
        drop(peer);
        (peer, _) = server.welcome().await;
    }
    zk.session_state().wait_for(SessionState::is_connected).await.unwrap();
    let lost = capture.events("connection lost");
    let levels: Vec<Level> = lost.iter().map(|event| event.level).collect();
    let (warn, debug) = (Level::WARN, Level::DEBUG);
    assert_eq!(levels, [warn, warn, warn, debug, debug, debug]);
    assert_eq!(lost[0].field("suppressed"), Some("0"));
    let suspended = capture.events("session suspended");
    assert_eq!(suspended.iter().filter(|event| event.level == Level::WARN).count(), 3);
}
