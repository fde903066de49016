//! Sessions over a real socket: handshake, reconnect, expiry, close.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod fake;

use fake::{Empty, SESSION, Server, TIMEOUT, data};
use std::time::Duration;
use tokio::runtime::Handle;
use zk_client::{Client, ErrorCode, ErrorKind, EventType, RetryPolicy, SessionId, SessionInfo, SessionState};
use zk_proto::header::{XID_AUTH, XID_SET_WATCHES};
use zk_proto::{Request, Zxid};

const INFO: SessionInfo = SessionInfo { id: SESSION, timeout: TIMEOUT, read_only: false };

async fn connected(server: &Server) -> (Client, fake::Peer) {
    let builder = Client::builder().retry(RetryPolicy::default().initial(Duration::from_millis(1)));
    let address = server.address();
    let (client, (peer, _)) = tokio::join!(builder.connect(&address), server.welcome());
    (client.unwrap(), peer)
}

/// Nothing of the client is left running.
async fn all_tasks_gone() {
    while Handle::current().metrics().num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn connect_waits_for_the_session() {
    let server = Server::start().await;
    let (zk, _peer) = connected(&server).await;
    assert_eq!(*zk.session_state().borrow(), SessionState::Connected(INFO));
    assert_eq!(zk.session_id(), Some(SESSION));
    let left = zk.session_deadline(SESSION).unwrap() - tokio::time::Instant::now();
    assert!(left <= TIMEOUT && left > TIMEOUT / 2, "{left:?}");
    assert_eq!(zk.session_deadline(SessionId(1)), None);
}

#[tokio::test]
async fn a_reconnect_keeps_the_session_and_arms_watches_again() {
    let server = Server::start().await;
    let (zk, mut peer) = connected(&server).await;
    let pending = zk.get("/a").watch().send();
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &data("x")).await;
    let (_, changed) = pending.await.unwrap();

    let mut state = zk.session_state();
    state.borrow_and_update();
    drop(peer);
    state.wait_for(|s| *s == SessionState::Suspended(INFO)).await.unwrap();
    assert_eq!(zk.session_id(), Some(SESSION));
    let read = zk.get("/b").send();
    let (mut peer, request) = server.welcome().await;
    assert_eq!((request.session_id, request.last_zxid_seen), (SESSION, Zxid(101)));
    let (xid, rearm) = peer.expect().await;
    let Request::SetWatches(rearm) = rearm else { panic!("{rearm:?}") };
    assert_eq!(xid, XID_SET_WATCHES);
    assert_eq!((rearm.relative_zxid, &rearm.data_watches[..]), (Zxid(101), &["/a".to_owned()][..]));
    let (xid, _) = peer.expect().await;
    peer.ok(XID_SET_WATCHES, &Empty).await;
    peer.event(EventType::NodeDataChanged, "/a").await;
    peer.ok(xid, &data("b")).await;
    assert_eq!(read.await.unwrap().data, "b");
    let event = changed.await.unwrap();
    assert_eq!((event.event_type, event.path.as_str()), (EventType::NodeDataChanged, "/a"));
    assert_eq!(*state.borrow(), SessionState::Connected(INFO));
}

#[tokio::test]
async fn a_cut_write_is_unknown_and_a_cut_read_is_asked_again() {
    let server = Server::start().await;
    let (zk, mut peer) = connected(&server).await;
    let write = zk.set("/a", "x").send();
    let read = zk.get("/a").send();
    peer.expect().await;
    peer.expect().await;
    drop(peer);
    let error = write.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLoss);
    assert!(error.outcome_unknown() && error.is_retryable() && !error.is_session_lost());
    assert_eq!((error.operation(), error.path()), ("set", Some("/a")));
    let (mut peer, _) = server.welcome().await;
    let (xid, request) = peer.expect().await;
    assert!(matches!(request, Request::GetData(_)));
    peer.ok(xid, &data("again")).await;
    assert_eq!(read.await.unwrap().data, "again");
}

#[tokio::test]
async fn expiry_is_told_to_all_and_a_new_session_opened() {
    let server = Server::start().await;
    let (zk, mut peer) = connected(&server).await;
    let pending = zk.exists("/a").watch().send();
    let (xid, _) = peer.expect().await;
    peer.err(xid, ErrorCode::NoNode).await;
    let (stat, created) = pending.await.unwrap();
    assert!(stat.is_none());
    let sent = zk.get("/sent").send();
    peer.expect().await;
    drop(peer);
    let mut peer = server.accept().await;
    let pinned = zk.get("/pinned").in_session(SESSION).send();
    let free = zk.get("/free").send();
    assert_eq!(peer.greeting().await.session_id, SESSION);
    peer.refuse().await;
    for lost in [sent.await.unwrap_err(), pinned.await.unwrap_err(), created.await.unwrap_err()] {
        assert_eq!(lost.kind(), ErrorKind::SessionExpired);
        assert!(lost.is_session_lost() && lost.path().is_some());
    }
    assert_eq!(zk.session_deadline(SESSION), None);
    assert_eq!(*zk.session_state().borrow(), SessionState::Expired(SESSION));
    assert_eq!(zk.session_id(), None);

    let mut peer = server.accept().await;
    assert_eq!(peer.greeting().await.session_id, SessionId::NONE);
    peer.grant(SessionId(0x99)).await;
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &data("free")).await;
    assert_eq!(free.await.unwrap().data, "free");
    assert_eq!(zk.session_id(), Some(SessionId(0x99)));
    assert!(zk.get("/x").in_session(SESSION).await.unwrap_err().is_session_lost());
}

#[tokio::test]
async fn expiry_can_end_the_client() {
    let server = Server::start().await;
    let address = server.address();
    let builder = Client::builder().expiry_is_terminal(true);
    let (zk, (peer, _)) = tokio::join!(builder.connect(&address), server.welcome());
    let zk = zk.unwrap();
    drop(peer);
    let mut peer = server.accept().await;
    peer.greeting().await;
    peer.refuse().await;
    let mut state = zk.session_state();
    state.wait_for(|s| *s == SessionState::Expired(SESSION)).await.unwrap();
    all_tasks_gone().await;
    let error = zk.get("/a").await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::SessionExpired, Some("/a")));
    zk.close().await;
}

#[tokio::test]
async fn close_is_graceful_complete_and_idempotent() {
    let server = Server::start().await;
    let (zk, mut peer) = connected(&server).await;
    let pending = zk.get("/a").watch().send();
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &data("x")).await;
    let (_, watch) = pending.await.unwrap();
    let before = zk.get("/before").send();
    let other = zk.clone();
    let ((), (), seen) = tokio::join!(zk.close(), other.close(), peer.serve());
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1], Request::CloseSession);
    assert!(before.await.is_ok());
    assert_eq!(watch.await.unwrap_err().kind(), ErrorKind::Closed);
    all_tasks_gone().await;
    zk.close().await;
    let error = zk.create("/late", "").await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Closed, Some("/late")));
    assert!(!error.outcome_unknown());
    assert_eq!(*zk.session_state().borrow(), SessionState::Closed);
}

#[tokio::test(start_paused = true)]
async fn close_does_not_wait_for_a_server_that_is_gone() {
    let server = Server::start().await;
    let (zk, peer) = connected(&server).await;
    drop(peer);
    drop(server);
    zk.close().await;
    all_tasks_gone().await;
}

#[tokio::test]
async fn the_last_handle_closes_the_session() {
    let server = Server::start().await;
    let (zk, mut peer) = connected(&server).await;
    let pending = zk.get("/a").watch().send();
    let other = zk.clone();
    drop(zk);
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &data("x")).await;
    let (_, watch) = pending.await.unwrap();
    drop(other);
    assert_eq!(peer.serve().await, [Request::CloseSession]);
    assert_eq!(watch.await.unwrap_err().kind(), ErrorKind::Closed);
    all_tasks_gone().await;
}

#[tokio::test]
async fn credentials_come_first_and_refused_ones_fail_the_connect() {
    let server = Server::start().await;
    let address = server.address();
    let connect = Client::builder().auth("digest", b"u:p").connect(&address);
    let refuse = async {
        let (mut peer, _) = server.welcome().await;
        let (xid, request) = peer.expect().await;
        assert!(matches!(request, Request::Auth(_)) && xid == XID_AUTH);
        peer.err(XID_AUTH, ErrorCode::AuthFailed).await;
    };
    let (outcome, ()) = tokio::join!(connect, refuse);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::AuthFailed);
    all_tasks_gone().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_a_timeout_that_leaves_nothing() {
    let server = Server::start().await;
    let address = server.address();
    drop(server);
    let error =
        Client::builder().connect_timeout(Duration::from_secs(3)).connect(&address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    all_tasks_gone().await;
    assert_eq!(Client::connect("::1").await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(Client::connect("a:1/b//c").await.unwrap_err().kind(), ErrorKind::Config);
}

#[tokio::test]
async fn another_server_is_found_when_one_is_dead() {
    let (dead, server) = (Server::start().await, Server::start().await);
    let both = format!("{},{}", dead.address(), server.address());
    drop(dead);
    for seed in 0..4 {
        let (zk, _peer) = tokio::join!(Client::builder().seed(seed).connect(&both), server.welcome());
        assert!(zk.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_left_at_two_thirds_of_the_timeout() {
    let server = Server::start().await;
    let (zk, peer) = connected(&server).await;
    let begun = tokio::time::Instant::now();
    let mut state = zk.session_state();
    state.wait_for(|s| *s == SessionState::Suspended(INFO)).await.unwrap();
    assert!(begun.elapsed() >= TIMEOUT * 2 / 3 && begun.elapsed() < TIMEOUT);
    drop(peer);
}
