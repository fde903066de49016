//! SASL over a real socket: a server played by hand, mechanisms that behave and mechanisms that do not.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod fake;

use bytes::{Bytes, BytesMut};
use fake::{Peer, Server, data};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use zk_client::hosts::Host;
use zk_client::sasl::{SaslError, SaslExchange, SaslMechanism, SaslStep};
use zk_client::{Builder, Client, Error, ErrorCode, ErrorKind, RetryPolicy};
use zk_proto::header::ReplyHeader;
use zk_proto::ops::auth::{SaslToken, Secret};
use zk_proto::{Encode as _, Request, Zxid, frame};

/// A mechanism that does what a test says, for each step of each exchange.
struct Scripted<F>(Arc<F>, AtomicUsize);

struct Exchange<F>(Arc<F>, usize);

impl<F> SaslMechanism for Scripted<F>
where
    F: Fn(usize, Option<&[u8]>) -> Result<SaslStep, SaslError> + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        "SCRIPTED"
    }

    fn start(&self, server: &Host) -> Result<Box<dyn SaslExchange>, SaslError> {
        assert_eq!(server.name, "127.0.0.1");
        let number = self.1.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Exchange(Arc::clone(&self.0), number)))
    }
}

impl<F> SaslExchange for Exchange<F>
where
    F: Fn(usize, Option<&[u8]>) -> Result<SaslStep, SaslError> + Send + Sync,
{
    fn step(&mut self, challenge: Option<&[u8]>) -> Result<SaslStep, SaslError> {
        (self.0)(self.1, challenge)
    }
}

/// With a mechanism made of `step`, which is told the number of the exchange and the challenge.
fn with<F>(step: F) -> Builder
where
    F: Fn(usize, Option<&[u8]>) -> Result<SaslStep, SaslError> + Send + Sync + 'static,
{
    Client::builder()
        .retry(RetryPolicy::default().initial(Duration::from_millis(1)))
        .sasl(Scripted(Arc::new(step), AtomicUsize::new(0)))
}

async fn expect_token(peer: &mut Peer, token: &[u8]) -> i32 {
    match peer.expect().await {
        (xid, Request::Sasl(sent)) => {
            assert_eq!(sent.token.reveal(), token);
            xid
        }
        other => panic!("{other:?} before the exchange was complete"),
    }
}

async fn reply(peer: &mut Peer, xid: i32, outcome: Result<(), ErrorCode>, token: Option<&[u8]>) {
    let mut out = BytesMut::new();
    frame::put(&mut out, |out| {
        ReplyHeader { xid, zxid: Zxid::ZERO, outcome }.encode(out);
        SaslToken { token: Secret(token.map(Bytes::copy_from_slice)) }.encode(out);
    });
    peer.write(&out).await;
}

fn polite(_: usize, challenge: Option<&[u8]>) -> Result<SaslStep, SaslError> {
    Ok(match challenge {
        None => SaslStep::Send("hello".into()),
        Some(b"who?") => SaslStep::Send("bob".into()),
        Some(b"fine") => SaslStep::Done,
        Some(other) => return Err(SaslError::new(format_args!("{other:?} is no challenge"))),
    })
}

async fn be_polite(peer: &mut Peer) {
    let xid = expect_token(peer, b"hello").await;
    reply(peer, xid, Ok(()), Some(b"who?")).await;
    let xid = expect_token(peer, b"bob").await;
    reply(peer, xid, Ok(()), Some(b"fine")).await;
}

#[tokio::test]
async fn an_exchange_precedes_everything_on_every_connection() {
    let server = Server::start().await;
    let address = server.address();
    let connect = with(polite).auth("digest", "u:p").connect(&address);
    let serve = async {
        let (mut peer, _) = server.welcome().await;
        be_polite(&mut peer).await;
        let (xid, request) = peer.expect().await;
        assert!(matches!(request, Request::Auth(_)));
        peer.ok(xid, &fake::Empty).await;
        peer
    };
    let (zk, mut peer) = tokio::join!(connect, serve);
    let zk = zk.unwrap();
    let read = zk.get("/a").send();
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &data("x")).await;
    read.await.unwrap();
    drop(peer);
    let read = zk.get("/b").send();
    let (mut peer, _) = server.welcome().await;
    be_polite(&mut peer).await;
    let (xid, request) = peer.expect().await;
    assert!(matches!(request, Request::Auth(_)));
    peer.ok(xid, &fake::Empty).await;
    let (xid, _) = peer.expect().await;
    peer.ok(xid, &data("again")).await;
    assert_eq!(read.await.unwrap().data, "again");
}

#[tokio::test]
async fn a_refusal_ends_the_client_and_says_why() {
    let cases = [
        (Err(ErrorCode::AuthFailed), "AuthFailed (-115)"),
        (Err(ErrorCode::SessionClosedRequireSaslAuth), "SessionClosedRequireSaslAuth (-124)"),
        (Ok(()), "zookeeper.allowSaslFailedClients"),
    ];
    for (outcome, why) in cases {
        let server = Server::start().await;
        let address = server.address();
        let connect = with(polite).connect(&address);
        let refuse = async {
            let (mut peer, _) = server.welcome().await;
            let xid = expect_token(&mut peer, b"hello").await;
            reply(&mut peer, xid, outcome, None).await;
            peer.request().await.is_none()
        };
        let (zk, hung_up) = tokio::join!(connect, refuse);
        let error = zk.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AuthFailed);
        assert!(error.to_string().contains(why) && hung_up, "{error}");
    }
}

/// How connecting fails whose mechanism never gets anywhere, and how often it was tried. Gives up at once on a quiet
/// machine, and on a busy one when a mechanism has had `tries` of time to say why.
async fn given_up(mechanism: impl Fn() -> Builder, tries: usize) -> (Error, usize) {
    let mut limit = Duration::from_millis(200);
    loop {
        let server = Server::start().await;
        let address = server.address();
        let mut connections = 0;
        let serve = async {
            loop {
                let mut peer = server.accept().await;
                // One who gives up meanwhile has not asked for anything.
                if peer.frame().await.is_some() {
                    peer.grant(fake::SESSION).await;
                    connections += 1;
                    assert!(peer.request().await.is_none());
                }
            }
        };
        let error = tokio::select! {
            zk = mechanism().connect_timeout(limit).connect(&address) => zk.unwrap_err(),
            () = serve => unreachable!(),
        };
        // The last one may not have said anything yet.
        if connections > tries || limit > Duration::from_secs(20) {
            return (error, connections);
        }
        limit *= 4;
    }
}

#[tokio::test]
async fn a_failure_here_is_tried_again_and_its_reason_is_told() {
    let mechanism = || with(|_, _| Err(SaslError::new("no ticket: run kinit")));
    let (error, connections) = given_up(mechanism, 3).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("SASL SCRIPTED: no ticket: run kinit"), "{error}");
    assert!(connections >= 3, "{connections}");

    // It is there the third time, and so is the session.
    let server = Server::start().await;
    let address = server.address();
    let connect = with(
        |number, challenge| {
            if number < 2 { Err(SaslError::new("not yet")) } else { polite(number, challenge) }
        },
    );
    let connect = connect.connect(&address);
    let serve = async {
        for _ in 0..2 {
            let (mut peer, _) = server.welcome().await;
            assert!(peer.request().await.is_none());
        }
        let (mut peer, request) = server.welcome().await;
        assert_eq!(request.session_id, fake::SESSION);
        be_polite(&mut peer).await;
        peer
    };
    let (zk, _peer) = tokio::join!(connect, serve);
    zk.unwrap();
}

#[tokio::test]
async fn a_mechanism_that_panics_fails_like_any_other() {
    let (error, _) = given_up(|| with(|_, _| panic!("the test's own panic")), 1).await;
    assert!(error.to_string().contains("panicked"), "{error}");
}

#[tokio::test]
async fn what_a_mechanism_says_too_late_goes_nowhere_and_one_call_runs_at_a_time() {
    let server = Server::start().await;
    let address = server.address();
    let (let_go, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let inside = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&inside);
    let connect = with(move |number, challenge| {
        assert_eq!(counted.fetch_add(1, Ordering::SeqCst), 0, "two calls at a time");
        let step = if number == 0 {
            let _ = held.lock().unwrap().recv();
            Ok(SaslStep::Send("late".into()))
        } else {
            polite(number, challenge)
        };
        counted.fetch_sub(1, Ordering::SeqCst);
        step
    });
    let connect = connect.connect(&address);
    let serve = async {
        let (peer, _) = server.welcome().await;
        while inside.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        drop(peer);
        // The connection is lost while the mechanism hangs; so is the next one.
        let (peer, _) = server.welcome().await;
        drop(peer);
        let (mut peer, _) = server.welcome().await;
        let_go.send(()).unwrap();
        be_polite(&mut peer).await;
        peer
    };
    let (zk, _peer) = tokio::join!(connect, serve);
    zk.unwrap();
}

#[tokio::test]
async fn a_client_is_dropped_while_its_mechanism_hangs() {
    let server = Server::start().await;
    let address = server.address();
    let (let_go, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let builder = with(move |_, _| {
        let _ = held.lock().unwrap().recv();
        Ok(SaslStep::Done)
    });
    let connect = builder.connect_timeout(Duration::from_millis(500)).connect(&address);
    let (zk, (mut peer, _)) = tokio::join!(connect, server.welcome());
    assert_eq!(zk.unwrap_err().kind(), ErrorKind::Timeout);
    // Neither the task nor the connection waits for the thread.
    assert!(peer.request().await.is_none());
    drop(let_go);
}

#[cfg(feature = "sasl-digest-md5")]
mod digest_md5 {
    use super::*;
    use zk_client::sasl::DigestMd5;

    const CHALLENGE: &[u8] = br#"realm="zk-sasl-md5",nonce="abc",charset=utf-8,algorithm=md5-sess"#;

    fn builder() -> Builder {
        Client::builder()
            .retry(RetryPolicy::default().initial(Duration::from_millis(1)))
            .connect_timeout(Duration::from_secs(1))
            .sasl(DigestMd5::new("bob", "secret"))
    }

    /// Plays a server that says `last_word` to whatever it is answered.
    async fn claim(server: &Server, last_word: &[u8]) {
        loop {
            let (mut peer, _) = server.welcome().await;
            let xid = expect_token(&mut peer, b"").await;
            reply(&mut peer, xid, Ok(()), Some(CHALLENGE)).await;
            let (xid, _) = peer.expect().await;
            reply(&mut peer, xid, Ok(()), Some(last_word)).await;
            assert!(peer.request().await.is_none(), "an unproven server was trusted");
        }
    }

    #[tokio::test]
    async fn a_server_that_does_not_know_the_password_is_not_trusted() {
        for last_word in [&b""[..], b"rspauth=ea40f60335c427b5527b84dbabcdfffd", CHALLENGE, b"\xff\xff,="] {
            let server = Server::start().await;
            let address = server.address();
            let zk = tokio::select! {
                zk = builder().connect(&address) => zk,
                () = claim(&server, last_word) => unreachable!(),
            };
            let error = zk.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
            assert!(error.to_string().contains("SASL DIGEST-MD5: "), "{error}");
        }
    }

    #[tokio::test]
    async fn passwords_are_in_no_error_and_no_debug() {
        let server = Server::start().await;
        let address = server.address();
        assert!(!format!("{:?}", builder()).contains("secret"));
        let zk = tokio::select! {
            zk = builder().connect(&address) => zk,
            () = claim(&server, b"rspauth=0") => unreachable!(),
        };
        assert!(!format!("{:?}", zk.unwrap_err()).contains("secret"));
    }
}
