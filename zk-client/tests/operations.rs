//! Operations over a real socket: pipelining, cancellation, back-pressure, chroot, limits.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod fake;

use fake::{Peer, SESSION, Server, data};
use std::time::Duration;
use zk_client::limits::QUEUE_UNITS_MAX;
use zk_client::{Client, ErrorCode, ErrorKind, EventType, RetryPolicy, Stat};
use zk_proto::Request;
use zk_proto::ops::create::Create2Response;

async fn connected_to(server: &Server, chroot: &str) -> (Client, Peer) {
    let address = format!("{}{chroot}", server.address());
    let builder = Client::builder().retry(RetryPolicy::default().initial(Duration::from_millis(1)));
    let (client, (peer, _)) = tokio::join!(builder.connect(&address), server.welcome());
    (client.unwrap(), peer)
}

fn paths(seen: &[Request]) -> Vec<&str> {
    seen.iter()
        .filter_map(|r| if let Request::GetData(r) = r { Some(r.path.as_str()) } else { None })
        .collect()
}

#[tokio::test]
async fn ten_thousand_in_flight_are_answered_in_order() {
    let server = Server::start().await;
    let (zk, peer) = connected_to(&server, "").await;
    let serving = tokio::spawn(peer.serve());
    let pending: Vec<_> = (0..10_000).map(|n| zk.get(format!("/{n}")).send()).collect();
    for (n, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.await.unwrap().data, format!("/{n}"));
    }
    zk.close().await;
    let seen = serving.await.unwrap();
    let expected: Vec<String> = (0..10_000).map(|n| format!("/{n}")).collect();
    assert_eq!(paths(&seen), expected);
}

#[tokio::test]
async fn order_is_that_of_becoming_a_future_even_when_the_queue_is_full() {
    let server = Server::start().await;
    let (zk, peer) = connected_to(&server, "").await;
    let total = QUEUE_UNITS_MAX + 1000;
    let mut pending: Vec<_> = (0..total).map(|n| zk.get(format!("/{n}")).send()).collect();
    // Parked and dropped: its place closes up.
    drop(pending.remove(QUEUE_UNITS_MAX + 500));
    let serving = tokio::spawn(peer.serve());
    // Awaited from the end: who waits does not decide who goes first.
    let last = pending.pop().unwrap();
    assert_eq!(last.await.unwrap().data, format!("/{}", total - 1));
    for pending in pending.into_iter().rev() {
        pending.await.unwrap();
    }
    zk.close().await;
    let seen = serving.await.unwrap();
    let expected: Vec<String> =
        (0..total).filter(|n| *n != QUEUE_UNITS_MAX + 500).map(|n| format!("/{n}")).collect();
    assert!(paths(&seen) == expected, "out of order");
}

#[tokio::test]
async fn dropped_before_it_is_sent_nothing_is_sent() {
    let server = Server::start().await;
    let (zk, mut peer) = connected_to(&server, "").await;
    let first = zk.get("/first").send();
    drop(zk.set("/dropped", "x").send());
    let last = zk.get("/last").send();
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &data("1")).await;
    let (xid, request) = peer.expect().await;
    assert!(matches!(request, Request::GetData(r) if r.path == "/last"));
    peer.ok(xid, &data("2")).await;
    assert_eq!((first.await.unwrap().data, last.await.unwrap().data), ("1".into(), "2".into()));
}

#[tokio::test]
async fn dropped_after_it_is_sent_its_answer_and_watch_are_discarded() {
    let server = Server::start().await;
    let (zk, mut peer) = connected_to(&server, "").await;
    let dropped = zk.get("/dropped").watch().send();
    let kept = zk.get("/kept").watch().send();
    let (first, _) = peer.expect().await;
    let (second, _) = peer.expect().await;
    drop(dropped);
    peer.ok(first, &data("1")).await;
    peer.ok(second, &data("2")).await;
    let (node, watch) = kept.await.unwrap();
    assert_eq!(node.data, "2");
    peer.event(EventType::NodeDataChanged, "/dropped").await;
    peer.event(EventType::NodeDataChanged, "/kept").await;
    assert_eq!(watch.await.unwrap().path, "/kept");
}

#[tokio::test]
async fn a_dropped_watch_is_not_armed_again_and_shared_ones_all_hear() {
    let server = Server::start().await;
    let (zk, mut peer) = connected_to(&server, "").await;
    let pending: Vec<_> = ["/a", "/b", "/b"].map(|path| zk.get(path).watch().send()).into();
    for _ in 0..3 {
        let (xid, _) = peer.expect().await;
        peer.ok(xid, &data("x")).await;
    }
    let mut watches = Vec::new();
    for pending in pending {
        watches.push(pending.await.unwrap().1);
    }
    drop(watches.remove(0));
    drop(peer);
    let (mut peer, _) = server.welcome().await;
    let (_, request) = peer.expect().await;
    let Request::SetWatches(rearm) = request else { panic!("{request:?}") };
    assert_eq!(rearm.data_watches, ["/b"]);
    peer.event(EventType::NodeDeleted, "/b").await;
    for watch in watches {
        assert_eq!(watch.await.unwrap().event_type, EventType::NodeDeleted);
    }
}

#[tokio::test]
async fn the_chroot_goes_out_and_comes_back() {
    let server = Server::start().await;
    let (zk, mut peer) = connected_to(&server, "/app").await;
    let made = zk.create("/a-", "x").sequential().send();
    let (xid, request) = peer.expect().await;
    assert!(matches!(request, Request::Create2(r) if r.path == "/app/a-"));
    peer.ok(xid, &Create2Response { path: "/app/a-0000000001".into(), stat: Stat::default() }).await;
    assert_eq!(made.await.unwrap().path, "/a-0000000001");

    let root = zk.get("/").watch().send();
    let (xid, request) = peer.expect().await;
    assert!(matches!(request, Request::GetData(r) if r.path == "/app"));
    peer.ok(xid, &data("")).await;
    let (_, watch) = root.await.unwrap();
    peer.event(EventType::NodeDataChanged, "/app").await;
    assert_eq!(watch.await.unwrap().path, "/");

    let missing = zk.delete("/a").send();
    let (xid, _) = peer.expect().await;
    peer.err(xid, ErrorCode::NoNode).await;
    let error = missing.await.unwrap_err();
    assert!(error.is_no_node());
    assert_eq!(error.path(), Some("/a"));
}

#[tokio::test]
async fn missing_parents_are_created_from_the_top() {
    let server = Server::start().await;
    let (zk, mut peer) = connected_to(&server, "").await;
    let answering = async {
        let mut seen = Vec::new();
        for outcome in [false, false, true, true, true] {
            let (xid, request) = peer.expect().await;
            let Request::Create2(r) = request else { panic!("{request:?}") };
            if outcome {
                peer.ok(xid, &Create2Response { path: r.path.clone(), stat: Stat::default() }).await;
            } else {
                peer.err(xid, ErrorCode::NoNode).await;
            }
            seen.push(r.path);
        }
        seen
    };
    let (made, seen) = tokio::join!(zk.create("/a/b/c", "x").parents().send(), answering);
    assert_eq!(made.unwrap().path, "/a/b/c");
    assert_eq!(seen, ["/a/b/c", "/a/b", "/a", "/a/b", "/a/b/c"]);
}

#[tokio::test]
async fn an_answer_above_the_limit_fails_its_operation_alone() {
    let server = Server::start().await;
    let (zk, mut peer) = connected_to(&server, "").await;
    let big = zk.get("/big").send();
    let small = zk.get("/small").send();
    peer.expect().await;
    peer.expect().await;
    peer.write(&[0x7f, 0, 0, 0]).await;
    let error = big.await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::FrameTooLarge, Some("/big")));
    let (mut peer, request) = server.welcome().await;
    assert_eq!(request.session_id, SESSION);
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &data("s")).await;
    assert_eq!(small.await.unwrap().data, "s");
    let error = zk.set("/a", vec![0u8; 1 << 20]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FrameTooLarge);
    assert!(!error.outcome_unknown());
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_without_a_server() {
    let server = Server::start().await;
    let (zk, peer) = connected_to(&server, "").await;
    assert_eq!(zk.get("a").await.unwrap_err().kind(), ErrorKind::InvalidPath);
    assert_eq!(zk.set("/a/", "").await.unwrap_err().kind(), ErrorKind::InvalidPath);
    let acl = zk.create("/a", "").acl(vec![]).await.unwrap_err();
    assert_eq!((acl.kind(), acl.code()), (ErrorKind::InvalidAcl, Some(ErrorCode::InvalidAcl)));
    assert_eq!(acl.detail(), Some("the ACL is empty"));
    let ttl = zk.create("/a", "").ttl(Duration::ZERO).await.unwrap_err();
    assert_eq!(ttl.kind(), ErrorKind::InvalidArgument);
    let step = zk.transaction().create("/a", "").delete("b").commit().await.unwrap_err();
    assert_eq!((step.kind(), step.path()), (ErrorKind::InvalidPath, Some("b")));
    let serving = tokio::spawn(peer.serve());
    zk.close().await;
    assert_eq!(serving.await.unwrap(), [Request::CloseSession]);
}
