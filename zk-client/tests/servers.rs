//! Several servers over real sockets: which is tried, which is left, what is told of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod fake;

use fake::{Empty, Peer, SESSION, Server, data};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;
use zk_client::hosts::Host;
use zk_client::{
    Client, Connection, Dialer, ErrorKind, EventType, RetryPolicy, SessionId, SessionState, TcpDialer,
    async_trait,
};
use zk_proto::ops::data::GetDataResponse;
use zk_proto::{Request, Zxid};

/// Nothing of the client is left running.
async fn all_tasks_gone() {
    while Handle::current().metrics().num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
}

fn quick() -> zk_client::Builder {
    Client::builder().retry(RetryPolicy::default().initial(Duration::from_millis(1)))
}

fn name(server: &Server) -> String {
    server.address()
}

/// Answers one read, so that the client has seen a transaction.
async fn seen_something(zk: &Client, peer: &mut Peer) {
    let read = zk.get("/a").send();
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &data("x")).await;
    read.await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_behind_is_left_for_another() {
    let (ahead, behind, other) = (Server::start().await, Server::start().await, Server::start().await);
    let address = name(&ahead);
    let (zk, (mut peer, _)) = tokio::join!(quick().connect(&address), ahead.welcome());
    let zk = zk.unwrap();
    assert_eq!(zk.server().unwrap().to_string(), address);
    seen_something(&zk, &mut peer).await;
    // Ours is gone, and of the other two one closes without a word, as long as it is asked.
    zk.update_servers(&format!("{},{}", name(&behind), name(&other))).unwrap();
    drop((peer, ahead));
    let refusing = async {
        loop {
            assert_eq!(behind.accept().await.greeting().await.last_zxid_seen, Zxid(101));
        }
    };
    let (_peer, request) = tokio::select! {
        found = other.welcome() => found,
        () = refusing => unreachable!(),
    };
    assert_eq!((request.session_id, request.last_zxid_seen), (SESSION, Zxid(101)));
    zk.session_state().wait_for(SessionState::is_connected).await.unwrap();
    assert_eq!(zk.server().unwrap().to_string(), name(&other));
}

/// When each attempt was made, by port; nobody answers.
#[derive(Debug, Default)]
struct Nobody(Mutex<Vec<(u16, Instant)>>);

#[async_trait]
impl Dialer for Nobody {
    async fn dial(&self, host: &Host) -> std::io::Result<Box<dyn Connection>> {
        self.0.lock().unwrap().push((host.port, Instant::now()));
        Err(std::io::Error::new(std::io::ErrorKind::ConnectionRefused, format!("nobody at {}", host.port)))
    }
}

#[tokio::test(start_paused = true)]
async fn the_whole_list_is_tried_at_once_then_waits_grow_without_end() {
    let nobody = Arc::new(Nobody::default());
    let dialer: Arc<dyn Dialer> = Arc::clone(&nobody) as _;
    let builder = Client::builder().dialer(dialer).connect_timeout(Duration::from_secs(3600)).seed(5);
    let error = builder.connect("a:1,a:2,a:3,a:4,a:5,a:6,a:7").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let attempts = nobody.0.lock().unwrap().clone();
    let mut first: Vec<u16> = attempts[..7].iter().map(|(port, _)| *port).collect();
    first.sort_unstable();
    assert_eq!(first, [1, 2, 3, 4, 5, 6, 7]);
    assert!(attempts[6].1 - attempts[0].1 <= Duration::from_millis(600));
    let waits: Vec<Duration> = attempts.windows(2).map(|two| two[1].1 - two[0].1).collect();
    assert!(waits.iter().all(|wait| *wait <= Duration::from_millis(5_010)));
    // An hour of full jitter below 5 s.
    assert!((1200..1700).contains(&attempts.len()), "{}", attempts.len());
}

#[tokio::test(start_paused = true)]
async fn the_error_says_what_became_of_each_server() {
    let (closing, dead) = (Server::start().await, Server::start().await);
    let hosts = format!("{},{}", name(&closing), name(&dead));
    let dead_name = name(&dead);
    drop(dead);
    let connect = Client::builder().connect_timeout(Duration::from_secs(2)).connect(&hosts);
    let refuse = async {
        loop {
            closing.accept().await.greeting().await;
        }
    };
    let error = tokio::select! {
        outcome = connect => outcome.unwrap_err(),
        () = refuse => unreachable!(),
    };
    let told = error.to_string();
    assert!(told.contains("within 2s; last: 127.0.0.1:"), "{told}");
    assert!(told.contains(&format!("{}: closed the connection instead of", name(&closing))), "{told}");
    assert!(told.contains(&format!("{dead_name}: ")) && told.contains("refused"), "{told}");
    all_tasks_gone().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_accepts_and_is_silent_is_named_too() {
    let silent = Server::start().await;
    let address = name(&silent);
    let error =
        Client::builder().connect_timeout(Duration::from_secs(25)).connect(&address).await.unwrap_err();
    assert!(error.to_string().contains("no session within the connect timeout"), "{error}");
}

#[tokio::test]
async fn an_ipv6_server_is_a_server() {
    let Some(server) = Server::start_at("[::1]:0").await else { return };
    let address = name(&server);
    assert!(address.starts_with("[::1]:"));
    let (zk, _peer) = tokio::join!(quick().connect(&address), server.welcome());
    assert_eq!(zk.unwrap().server().unwrap().to_string(), address);
}

#[tokio::test]
async fn a_server_taken_off_the_list_is_left_when_it_has_answered() {
    let (old, new) = (Server::start().await, Server::start().await);
    let address = name(&old);
    let (zk, (mut peer, _)) = tokio::join!(quick().connect(&address), old.welcome());
    let zk = zk.unwrap();
    let write = zk.set("/a", "x").send();
    let (xid, _) = peer.expect().await;
    zk.update_servers(&name(&new)).unwrap();
    let behind = zk.get("/b").send();
    tokio::task::yield_now().await;
    peer.ok(xid, &Empty).await;
    // Decoding fails, for the fake answers nothing; what counts is that it was answered.
    assert_eq!(write.await.unwrap_err().kind(), ErrorKind::BadReply);
    let (mut moved, request) = new.welcome().await;
    assert_eq!(request.session_id, SESSION);
    assert!(peer.request().await.is_none(), "nothing more was sent there");
    let (xid, request) = moved.expect().await;
    assert!(matches!(request, Request::GetData(_)));
    moved.ok(xid, &data("b")).await;
    assert_eq!(behind.await.unwrap().data, "b");
    assert_eq!(zk.server().unwrap().to_string(), name(&new));
}

/// A read-only session asks with `isro` and moves where `rw` is the answer.
#[tokio::test]
async fn a_writable_server_is_found_and_moved_to() {
    let (here, other) = (Server::start().await, Server::start().await);
    // The other one is down at first, so that the session begins here.
    let hosts = format!("{},{}", name(&here), name(&other));
    let connect = quick().read_only(true).connect(&hosts);
    let begin = async {
        let mut peer = loop {
            tokio::select! {
                peer = here.accept() => break peer,
                refused = other.accept() => drop(refused),
            }
        };
        peer.greeting().await;
        peer.grant_read_only(SessionId(0x51)).await;
        peer
    };
    let (zk, mut peer) = tokio::join!(connect, begin);
    let zk = zk.unwrap();
    let info = zk.session_state().borrow().session().unwrap();
    assert!(info.read_only && info.id == SessionId(0x51));
    assert_eq!(zk.session_ticket(), None, "no other server knows it");
    let watched = zk.get("/w").watch().send();
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &data("w")).await;
    let (_, changed) = watched.await.unwrap();

    // Refused, unknown, read-only, then writable; our own server is asked in between.
    for answer in [&b""[..], b"isro is not executed because it is not in the whitelist.", b"ro", b"rw"] {
        let mut asked = loop {
            tokio::select! {
                mut own = here.accept() => { own.word().await; own.write(b"ro").await; }
                asked = other.accept() => break asked,
            }
        };
        assert_eq!(asked.word().await, *b"isro");
        if !answer.is_empty() {
            asked.write(answer).await;
        }
    }
    let mut moved = other.accept().await;
    let request = moved.greeting().await;
    assert_eq!(request.session_id, SessionId::NONE, "a session without a quorum is unknown elsewhere");
    moved.grant(SESSION).await;
    let (_, rearm) = moved.expect().await;
    assert!(matches!(rearm, Request::SetWatches(rearm) if rearm.relative_zxid == Zxid(101)));
    moved.ok(zk_proto::header::XID_SET_WATCHES, &Empty).await;
    moved.event(EventType::NodeDataChanged, "/w").await;
    assert_eq!(changed.await.unwrap().path, "/w");
    let info = zk.session_state().borrow().session().unwrap();
    assert!(!info.read_only && info.id == SESSION);
    assert_eq!(zk.server().unwrap().to_string(), name(&other));
}

/// A server that takes the question and never answers, or never stops answering, is given up.
#[tokio::test(start_paused = true)]
async fn a_question_is_bounded() {
    let here = Server::start().await;
    let address = name(&here);
    let begin = async {
        let mut peer = here.accept().await;
        peer.greeting().await;
        peer.grant_read_only(SESSION).await;
        peer
    };
    let (zk, _peer) = tokio::join!(quick().read_only(true).connect(&address), begin);
    let _zk = zk.unwrap();
    let _silent = here.accept().await;
    let begun = Instant::now();
    let mut endless = here.accept().await;
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    endless.word().await;
    endless.write(&[b'r'; 4096]).await;
    drop(here.accept().await);
}

/// The configuration as a node's data.
fn config(lines: &[String]) -> GetDataResponse {
    data(&(lines.join("\n") + "\nversion=100000000"))
}

fn line(id: usize, client: &str) -> String {
    format!("server.{id}=127.0.0.1:{id}:{id}:participant;{client}")
}

#[tokio::test]
async fn the_list_follows_the_ensemble_and_the_follower_ends_with_the_client() {
    let (first, second) = (Server::start().await, Server::start().await);
    let address = format!("{}/chroot", name(&first));
    let (zk, (mut peer, _)) = tokio::join!(quick().follow_ensemble(true).connect(&address), first.welcome());
    let zk = zk.unwrap();
    let (xid, request) = peer.expect().await;
    let Request::GetData(read) = request else { panic!("{request:?}") };
    assert!(read.path == "/zookeeper/config" && read.watch);
    peer.ok(xid, &config(&[line(1, &name(&first))])).await;
    peer.event(EventType::NodeDataChanged, "/zookeeper/config").await;
    let (xid, _) = peer.expect().await;
    // The server says where it is by port alone, and that it goes.
    let port = name(&second).rsplit(':').next().unwrap().to_owned();
    peer.ok(xid, &config(&[line(2, &format!("0.0.0.0:{port}"))])).await;
    let (mut peer, request) = second.welcome().await;
    assert_eq!(request.session_id, SESSION);
    let (_, rearm) = peer.expect().await;
    assert!(matches!(rearm, Request::SetWatches(rearm) if rearm.data_watches == ["/zookeeper/config"]));
    peer.ok(zk_proto::header::XID_SET_WATCHES, &Empty).await;
    zk.session_state().wait_for(SessionState::is_connected).await.unwrap();
    assert_eq!(zk.servers(), [zk.server().unwrap()]);

    // Another session, another watch.
    drop(peer);
    let mut peer = second.accept().await;
    peer.greeting().await;
    peer.refuse().await;
    let (mut peer, request) = second.welcome().await;
    assert_eq!(request.session_id, SessionId::NONE);
    let (xid, request) = peer.expect().await;
    assert!(matches!(request, Request::GetData(read) if read.path == "/zookeeper/config" && read.watch));
    // No servers, no servers known: the list stays.
    peer.ok(xid, &data("")).await;
    drop(zk);
    assert_eq!(peer.serve().await, [Request::CloseSession]);
    all_tasks_gone().await;
}

#[tokio::test]
async fn a_detached_client_leaves_without_a_word() {
    let server = Server::start().await;
    let address = name(&server);
    let (zk, (mut peer, _)) = tokio::join!(quick().connect(&address), server.welcome());
    let zk = zk.unwrap();
    seen_something(&zk, &mut peer).await;
    let kept = zk.session_ticket().unwrap();
    let pending = zk.get("/last").send();
    let answer = async {
        let (xid, _) = peer.expect().await;
        peer.ok(xid, &data("last")).await;
        assert!(peer.request().await.is_none(), "no close");
    };
    let (ticket, ()) = tokio::join!(zk.detach(), answer);
    let ticket = ticket.unwrap();
    assert_eq!(pending.await.unwrap().data, "last");
    assert_eq!((kept.session(), kept.last_zxid()), (SESSION, Zxid(101)));
    assert_eq!((ticket.session(), ticket.last_zxid()), (SESSION, Zxid(102)));
    assert!((zk.detach().await, zk.session_ticket(), zk.server()) == (None, None, None));
    all_tasks_gone().await;

    let (zk, (_peer, request)) = tokio::join!(quick().resume(ticket).connect(&address), server.welcome());
    assert_eq!((request.session_id, request.last_zxid_seen), (SESSION, Zxid(102)));
    assert_eq!(request.password.0, [7; 16]);
    assert_eq!(zk.unwrap().session_id(), Some(SESSION));
}

/// With every server refusing, a close is over as soon as each has been tried; it was 2 s.
#[tokio::test(start_paused = true)]
async fn close_without_a_server_waits_for_nothing() {
    let (server, dead) = (Server::start().await, Server::start().await);
    let hosts = format!("{},{}", name(&server), name(&dead));
    drop(dead);
    let (zk, (peer, _)) = tokio::join!(Client::builder().connect(&hosts), server.welcome());
    let zk = zk.unwrap();
    drop((peer, server));
    let mut state = zk.session_state();
    state.wait_for(|state| matches!(state, SessionState::Suspended(_))).await.unwrap();
    let begun = Instant::now();
    zk.close().await;
    assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    all_tasks_gone().await;
}

/// A session that a server still takes is closed even from a suspended client.
#[tokio::test]
async fn close_finds_a_server_if_there_is_one() {
    let (first, second) = (Server::start().await, Server::start().await);
    let address = name(&first);
    let slow = RetryPolicy::default().initial(Duration::from_secs(60)).max(Duration::from_secs(60));
    let (zk, (peer, _)) = tokio::join!(Client::builder().retry(slow).connect(&address), first.welcome());
    let zk = zk.unwrap();
    zk.update_servers(&format!("{},{}", name(&first), name(&second))).unwrap();
    drop((peer, first));
    // Sent on a connection that is lost, a close would count as one.
    let mut state = zk.session_state();
    state.wait_for(|state| matches!(state, SessionState::Suspended(_))).await.unwrap();
    let closed = async {
        let (peer, request) = second.welcome().await;
        assert_eq!(request.session_id, SESSION);
        assert_eq!(peer.serve().await, [Request::CloseSession]);
    };
    tokio::join!(zk.close(), closed);
}

/// The way from the session's server to the others does not go through a resolver that was asked once.
#[tokio::test]
async fn every_attempt_goes_through_the_dialer() {
    #[derive(Debug, Default)]
    struct Counting(TcpDialer, Mutex<usize>);
    #[async_trait]
    impl Dialer for Counting {
        async fn dial(&self, host: &Host) -> std::io::Result<Box<dyn Connection>> {
            *self.1.lock().unwrap() += 1;
            self.0.dial(host).await
        }
    }
    let server = Server::start().await;
    let address = name(&server);
    let dialer = Arc::new(Counting::default());
    let builder = quick().dialer(Arc::clone(&dialer) as _);
    let (zk, (mut peer, _)) = tokio::join!(builder.connect(&address), server.welcome());
    let _zk = zk.unwrap();
    for attempts in 2..5 {
        drop(peer);
        peer = server.welcome().await.0;
        assert_eq!(*dialer.1.lock().unwrap(), attempts);
    }
}
