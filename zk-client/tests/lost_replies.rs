//! Answers that are lost with the connection: what protected creates and idempotent writes make of them, what
//! `.resend` says of reads, and when the outcome is unknown.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod fake;

use fake::{Peer, SESSION, Server, data};
use std::time::Duration;
use tokio::task::JoinHandle;
use zk_client::{Acl, Client, Error, ErrorCode, ErrorKind, RetryPolicy, SessionId, Stat};
use zk_proto::Request;
use zk_proto::ops::create::Create2Response;
use zk_proto::ops::data::{GetChildren2Response, GetDataResponse, StatResponse};
use zk_proto::ops::sync::SyncResponse;

const LATER: SessionId = SessionId(0x5678);

async fn connected_with(server: &Server, policy: RetryPolicy) -> (Client, Peer) {
    let builder = Client::builder().retry(policy.initial(Duration::from_millis(1)));
    let address = server.address();
    let (client, (peer, _)) = tokio::join!(builder.connect(&address), server.welcome());
    (client.unwrap(), peer)
}

async fn connected(server: &Server) -> (Client, Peer) {
    connected_with(server, RetryPolicy::default()).await
}

/// The outcome of an operation that goes its own way: its steps are taken while the test plays the server.
async fn end<T>(task: JoinHandle<Result<T, Error>>) -> Result<T, Error> {
    task.await.unwrap()
}

/// The session is over: the next connection is refused, the one after opens another session.
async fn expire(server: &Server) -> Peer {
    let mut peer = server.accept().await;
    assert_eq!(peer.greeting().await.session_id, SESSION);
    peer.refuse().await;
    let mut peer = server.accept().await;
    assert_eq!(peer.greeting().await.session_id, SessionId::NONE);
    peer.grant(LATER).await;
    peer
}

/// The path of the create that comes next.
async fn create_comes(peer: &mut Peer) -> (i32, String) {
    match peer.expect().await {
        (xid, Request::Create2(r)) => (xid, r.path),
        (_, other) => panic!("{other:?}"),
    }
}

async fn created(peer: &mut Peer, xid: i32, path: &str) {
    peer.ok(xid, &Create2Response { path: path.into(), stat: Stat::default() }).await;
}

/// A lookup comes: `sync` and a listing of `parent`, which is answered with these names.
async fn list(peer: &mut Peer, parent: &str, names: &[&str]) {
    let (xid, request) = peer.expect().await;
    assert!(matches!(&request, Request::Sync(r) if r.path == parent), "{request:?}");
    peer.ok(xid, &SyncResponse { path: parent.into() }).await;
    let (xid, request) = peer.expect().await;
    assert!(matches!(&request, Request::GetChildren2(r) if r.path == parent && !r.watch), "{request:?}");
    let children = names.iter().map(ToString::to_string).collect();
    peer.ok(xid, &GetChildren2Response { children, stat: Stat::default() }).await;
}

/// `sync` and a read of the node, which is answered so.
async fn read(peer: &mut Peer, node: Result<GetDataResponse, ErrorCode>) {
    let (xid, request) = peer.expect().await;
    assert!(matches!(request, Request::Sync(_)), "{request:?}");
    peer.ok(xid, &SyncResponse { path: "/n".into() }).await;
    let (xid, request) = peer.expect().await;
    assert!(matches!(request, Request::GetData(_)), "{request:?}");
    match node {
        Ok(node) => peer.ok(xid, &node).await,
        Err(code) => peer.err(xid, code).await,
    }
}

fn name(path: &str) -> &str {
    path.rsplit_once('/').unwrap().1
}

fn is_marked(name: &str, own: &str) -> bool {
    let uuid = name.strip_prefix("_c_").and_then(|rest| rest.strip_suffix(own));
    uuid.is_some_and(|uuid| uuid.len() == 37 && uuid.ends_with('-') && uuid.matches('-').count() == 5)
}

#[tokio::test]
async fn a_protected_create_is_found_again_by_its_name() {
    let server = Server::start().await;
    let (zk, mut peer) = connected(&server).await;
    let pending = tokio::spawn(zk.create("/locks/lock-", "x").ephemeral().sequential().protected().send());
    let (_, path) = create_comes(&mut peer).await;
    assert!(path.starts_with("/locks/") && is_marked(name(&path), "lock-"), "{path}");
    drop(peer);
    let (mut peer, _) = server.welcome().await;
    let mine = format!("{}0000000007", name(&path));
    list(&mut peer, "/locks", &["_c_0-lock-0000000006", &mine, "lock-0000000008"]).await;
    let (xid, request) = peer.expect().await;
    let full = format!("/locks/{mine}");
    assert!(matches!(&request, Request::Exists(r) if r.path == full), "{request:?}");
    let stat = Stat { ephemeral_owner: SESSION, version: 3, ..Stat::default() };
    peer.ok(xid, &StatResponse { stat }).await;
    let made = end(pending).await.unwrap();
    assert_eq!((made.path, made.stat), (full, stat));
}

#[tokio::test]
async fn a_protected_create_goes_on_through_many_losses_and_keeps_its_name() {
    let server = Server::start().await;
    let (zk, mut peer) = connected(&server).await;
    let pending = tokio::spawn(zk.create("/a", "x").protected().send());
    let (_, first) = create_comes(&mut peer).await;
    for _ in 0..5 {
        // Lost again, in the midst of looking.
        drop(peer);
        (peer, _) = server.welcome().await;
        let (_, request) = peer.expect().await;
        assert!(matches!(request, Request::Sync(_)), "{request:?}");
        drop(peer);
        (peer, _) = server.welcome().await;
        list(&mut peer, "/", &["a"]).await;
        let (_, again) = create_comes(&mut peer).await;
        assert_eq!(again, first);
    }
    drop(peer);
    let (mut peer, _) = server.welcome().await;
    list(&mut peer, "/", &[]).await;
    let (xid, _) = create_comes(&mut peer).await;
    created(&mut peer, xid, &first).await;
    assert_eq!(end(pending).await.unwrap().path, first);
}

#[tokio::test]
async fn a_protected_create_makes_missing_parents_and_knows_its_node() {
    let server = Server::start().await;
    let (zk, mut peer) = connected(&server).await;
    let pending = tokio::spawn(zk.create("/p/n", "x").parents().protected().send());
    let (xid, path) = create_comes(&mut peer).await;
    peer.err(xid, ErrorCode::NoNode).await;
    let (_, parent) = create_comes(&mut peer).await;
    assert_eq!(parent, "/p");
    // The parent's answer is lost: it is simply asked for again.
    drop(peer);
    let (mut peer, _) = server.welcome().await;
    let (xid, _) = create_comes(&mut peer).await;
    peer.err(xid, ErrorCode::NodeExists).await;
    let (xid, again) = create_comes(&mut peer).await;
    assert_eq!(again, path);
    created(&mut peer, xid, &path).await;
    assert_eq!(end(pending).await.unwrap().path, path);
}

#[tokio::test]
async fn a_protected_create_says_what_it_left() {
    let server = Server::start().await;
    // Ephemeral and pinned: gone with its session.
    for (ephemeral, unknown) in [(true, false), (false, true)] {
        let (zk, mut peer) = connected(&server).await;
        let create = zk.create("/n", "").protected().in_session(SESSION);
        let pending = tokio::spawn(if ephemeral { create.ephemeral() } else { create }.send());
        let (_, path) = create_comes(&mut peer).await;
        drop(peer);
        let (outcome, _peer) = tokio::join!(end(pending), expire(&server));
        let error = outcome.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::SessionExpired, unknown), "{error}");
        assert_eq!((error.operation(), error.path()), ("create", Some(path.as_str())));
    }
    // Not pinned: made in the next session.
    let (zk, mut peer) = connected(&server).await;
    let pending = tokio::spawn(zk.create("/n", "").ephemeral().protected().send());
    let (_, path) = create_comes(&mut peer).await;
    drop(peer);
    let mut peer = expire(&server).await;
    list(&mut peer, "/", &[]).await;
    let (xid, again) = create_comes(&mut peer).await;
    assert_eq!(again, path);
    created(&mut peer, xid, &path).await;
    assert_eq!(end(pending).await.unwrap().path, path);
    // Refused to look: it may be there.
    let pending = tokio::spawn(zk.create("/n", "").protected().send());
    let (_, path) = create_comes(&mut peer).await;
    drop(peer);
    let (mut peer, _) = server.welcome().await;
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &SyncResponse { path: "/".into() }).await;
    let (xid, _) = peer.expect().await;
    peer.err(xid, ErrorCode::NoAuth).await;
    let error = end(pending).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::ConnectionLoss, true), "{error}");
    assert_eq!(error.path(), Some(path.as_str()));
    // Found, and deleted by others before it was asked for.
    let pending = tokio::spawn(zk.create("/n", "").protected().send());
    let (_, path) = create_comes(&mut peer).await;
    drop(peer);
    let (mut peer, _) = server.welcome().await;
    list(&mut peer, "/", &[name(&path)]).await;
    let (xid, _) = peer.expect().await;
    peer.err(xid, ErrorCode::NoNode).await;
    let error = end(pending).await.unwrap_err();
    assert!(error.is_no_node() && !error.outcome_unknown(), "{error}");
    // What cannot be sent is told of the caller's own path.
    let error = zk.create("n", "").protected().await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::InvalidPath, Some("n")));
}

fn node(version: i32, text: &str) -> Result<GetDataResponse, ErrorCode> {
    let stat = Stat { version, ..Stat::default() };
    Ok(GetDataResponse { data: Some(text.to_owned().into()), stat })
}

#[tokio::test]
async fn an_idempotent_set_is_known_again_by_version_and_data() {
    let server = Server::start().await;
    let (zk, mut peer) = connected(&server).await;
    let lost = ErrorKind::ConnectionLoss;
    let bad = ErrorKind::Server(ErrorCode::BadVersion);
    for (found, outcome) in [
        (node(4, "mine"), Ok(4)),
        (node(4, "theirs"), Err((bad, false))),
        (node(5, "mine"), Err((lost, true))),
        (node(2, "mine"), Err((lost, true))),
        (Err(ErrorCode::NoNode), Err((lost, true))),
        (Err(ErrorCode::NoAuth), Err((lost, true))),
    ] {
        let pending = tokio::spawn(zk.set("/n", "mine").version(3).idempotent().send());
        peer.expect().await;
        drop(peer);
        (peer, _) = server.welcome().await;
        read(&mut peer, found).await;
        let result = end(pending).await;
        let result = result.map(|stat| stat.version).map_err(|e| {
            assert_eq!((e.operation(), e.path()), ("set", Some("/n")), "{e}");
            (e.kind(), e.outcome_unknown())
        });
        assert_eq!(result, outcome);
    }
    // It did not happen: it is sent again.
    let pending = tokio::spawn(zk.set("/n", "mine").version(3).idempotent().send());
    for _ in 0..3 {
        let (_, request) = peer.expect().await;
        assert!(matches!(&request, Request::SetData(r) if r.version == 3), "{request:?}");
        drop(peer);
        (peer, _) = server.welcome().await;
        read(&mut peer, node(3, "before")).await;
    }
    let (xid, _) = peer.expect().await;
    peer.err(xid, ErrorCode::BadVersion).await;
    let error = end(pending).await.unwrap_err();
    assert!(error.is_bad_version() && !error.outcome_unknown(), "{error}");
    let error = zk.set("/n", "mine").idempotent().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    // Without the word, a lost answer is the end of it.
    let pending = tokio::spawn(zk.set("/n", "mine").version(3).send());
    peer.expect().await;
    drop(peer);
    let error = end(pending).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome_unknown()), (lost, true));
}

#[tokio::test]
async fn of_an_idempotent_delete_gone_is_what_counts() {
    let server = Server::start().await;
    let (zk, mut peer) = connected(&server).await;
    let pending = tokio::spawn(zk.delete("/n").idempotent().send());
    let (xid, _) = peer.expect().await;
    peer.err(xid, ErrorCode::NoNode).await;
    end(pending).await.unwrap();
    for (answer, unknown) in [(ErrorCode::NoNode, None), (ErrorCode::BadVersion, Some(true))] {
        let pending = tokio::spawn(zk.delete("/n").version(2).idempotent().send());
        for _ in 0..3 {
            peer.expect().await;
            drop(peer);
            (peer, _) = server.welcome().await;
        }
        let (xid, request) = peer.expect().await;
        assert!(matches!(&request, Request::Delete(r) if r.version == 2), "{request:?}");
        peer.err(xid, answer).await;
        assert_eq!(end(pending).await.err().map(|e| e.outcome_unknown()), unknown);
    }
    let pending = tokio::spawn(zk.delete("/n").version(2).idempotent().send());
    let (xid, _) = peer.expect().await;
    peer.err(xid, ErrorCode::BadVersion).await;
    assert!(!end(pending).await.unwrap_err().outcome_unknown());
}

#[tokio::test]
async fn a_write_that_breaks_every_connection_is_given_up() {
    let server = Server::start().await;
    let (zk, peer) = connected(&server).await;
    let deleting = zk.delete("/n").idempotent().send();
    let serving = async {
        let mut peer = peer;
        while let (_, Request::Delete(_)) = peer.expect().await {
            drop(peer);
            (peer, _) = server.welcome().await;
        }
        peer
    };
    let error = tokio::select! {
        outcome = deleting => outcome.unwrap_err(),
        _ = serving => panic!("something else came"),
    };
    assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::ConnectionLoss, true));
}

#[tokio::test]
async fn a_read_may_have_its_own_way_after_a_loss() {
    let server = Server::start().await;
    for policy in [true, false] {
        let (zk, mut peer) = connected_with(&server, RetryPolicy::default().resend_reads(policy)).await;
        let again = zk.get("/again").resend(true).send();
        let watched = zk.exists("/watched").watch().resend(true).send();
        let never = zk.get_acl("/never").resend(false).send();
        for _ in 0..3 {
            peer.expect().await;
        }
        drop(peer);
        let error = never.await.unwrap_err();
        assert_eq!((error.kind(), error.outcome_unknown()), (ErrorKind::ConnectionLoss, false));
        let (mut peer, _) = server.welcome().await;
        let (xid, request) = peer.expect().await;
        assert!(matches!(&request, Request::GetData(r) if r.path == "/again"), "{request:?}");
        peer.ok(xid, &data("here")).await;
        let (xid, request) = peer.expect().await;
        assert!(matches!(&request, Request::Exists(r) if r.watch), "{request:?}");
        peer.err(xid, ErrorCode::NoNode).await;
        assert_eq!(again.await.unwrap().data, "here");
        assert_eq!(watched.await.unwrap().0, None);
    }
}

#[tokio::test]
async fn what_ensures_a_path_is_sent_again() {
    let server = Server::start().await;
    let address = format!("{}/app", server.address());
    let builder = Client::builder().retry(RetryPolicy::default().initial(Duration::from_millis(1)));
    let (zk, (mut peer, _)) = tokio::join!(builder.connect(&address), server.welcome());
    let zk = zk.unwrap();
    let pending = tokio::spawn(zk.ensure_path("/a").send());
    let (xid, request) = peer.expect().await;
    assert!(matches!(&request, Request::Exists(r) if r.path == "/app/a"), "{request:?}");
    peer.err(xid, ErrorCode::NoNode).await;
    for _ in 0..2 {
        let (_, path) = create_comes(&mut peer).await;
        assert_eq!(path, "/app/a");
        drop(peer);
        (peer, _) = server.welcome().await;
    }
    let (xid, _) = create_comes(&mut peer).await;
    peer.err(xid, ErrorCode::NoNode).await;
    let (xid, path) = create_comes(&mut peer).await;
    assert_eq!(path, "/app", "the chroot too");
    created(&mut peer, xid, &path).await;
    let (xid, path) = create_comes(&mut peer).await;
    peer.err(xid, ErrorCode::NodeExists).await;
    assert_eq!(path, "/app/a");
    end(pending).await.unwrap();
    // Not ours to see is there all the same, and a refusal names the path as the caller knows it.
    let pending = tokio::spawn(zk.ensure_path("/secret").send());
    let (xid, _) = peer.expect().await;
    peer.err(xid, ErrorCode::NoAuth).await;
    end(pending).await.unwrap();
    let pending = tokio::spawn(zk.ensure_path("/b/c").acl(Acl::read_only()).send());
    let (xid, _) = peer.expect().await;
    peer.err(xid, ErrorCode::NoNode).await;
    let (xid, _) = create_comes(&mut peer).await;
    peer.err(xid, ErrorCode::NoAuth).await;
    let error = end(pending).await.unwrap_err();
    assert_eq!((error.operation(), error.path()), ("ensure_path", Some("/b/c")));
}
