//! The fault proxy does what its rules say, and says what it did.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::time::{Duration, Instant};

use integration_tests::proxy::{Direction, Fate, Kind, Message, Proxy, eager};
use integration_tests::targets::{Failure, PATIENCE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zk_client::{Client, ErrorKind, EventType, SessionState};
use zk_proto::OpCode;
use zk_server::EmbeddedServer;

type Outcome = Result<(), Failure>;

async fn stage() -> Result<(EmbeddedServer, Proxy, Client), Failure> {
    let server = EmbeddedServer::start().await?;
    let proxy = Proxy::before(server.connect_string()).await?;
    let zk = eager().connect(&proxy.hosts()).await?;
    Ok((server, proxy, zk))
}

async fn connected(zk: &Client) {
    timeout(PATIENCE, zk.session_state().wait_for(SessionState::is_connected)).await.unwrap().unwrap();
}

async fn suspended(zk: &Client) {
    let mut state = zk.session_state();
    timeout(PATIENCE, state.wait_for(|s| !s.is_connected())).await.unwrap().unwrap();
}

/// Without pings, which come when they like.
fn kinds(record: &[Message]) -> Vec<(Kind, Option<&str>)> {
    let ping = |m: &&Message| m.op() != Some(OpCode::Ping);
    record.iter().filter(ping).map(|m| (m.kind, m.path.as_deref())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_knows_what_passes() -> Outcome {
    let (server, proxy, zk) = stage().await?;
    assert_eq!(kinds(&proxy.take_record()), [(Kind::Greeting, None), (Kind::Welcome, None)]);
    let e = zk.get("/a").await.unwrap_err();
    let (_, created) = zk.exists("/a").watch().await?;
    zk.create("/a", "").await?;
    created.await?;
    let record = proxy.take_record();
    let a = Some("/a");
    let expected = [
        (Kind::Request(OpCode::GetData), a),
        (Kind::Reply(OpCode::GetData), a),
        (Kind::Request(OpCode::Exists), a),
        (Kind::Reply(OpCode::Exists), a),
        (Kind::Request(OpCode::Create2), a),
        (Kind::Event(EventType::NodeCreated), a),
        (Kind::Reply(OpCode::Create2), a),
    ];
    assert_eq!(kinds(&record), expected);
    assert_eq!((record[1].outcome.err(), record[1].xid), (e.code(), record[0].xid));
    assert!(record[6].zxid > record[1].zxid && record.iter().all(Message::passed));
    zk.close().await;
    timeout(PATIENCE, proxy.seen(1, |m| m.kind == Kind::Reply(OpCode::CloseSession))).await?;
    proxy.close().await;
    server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_count_and_the_oldest_acts() -> Outcome {
    let (_server, proxy, zk) = stage().await?;
    let third = proxy.on_request(OpCode::Exists).nth(3).notice();
    let second = proxy.on_request(OpCode::Exists).path("/b").nth(2).notice();
    let all = proxy.on_request(OpCode::Exists).every().notice();
    for path in ["/a", "/b", "/b", "/b"] {
        zk.exists(path).await?;
    }
    assert_eq!((third.times(), second.times(), all.times()), (1, 1, 2));
    // Both were due at the third request; the second had to wait for the fourth.
    let (first, late) = (third.acted().await, second.acted().await);
    assert!(first.xid < late.xid && first.path.as_deref() == Some("/b"));
    all.withdraw();
    zk.exists("/a").await?;
    assert_eq!(all.times(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cuts_come_where_they_were_asked_for() -> Outcome {
    let (server, proxy, zk) = stage().await?;
    let direct = Client::connect(&server.connect_string()).await?;
    // (rule, whether the server created the node, whether the client was told)
    let create = OpCode::Create2;
    let rules = [
        (proxy.on_request(create).path("/0").cut_before(), false, false),
        (proxy.on_request(create).path("/1").cut_after(), true, false),
        (proxy.on_request(create).path("/2").cut_at(11), false, false),
        (proxy.on_reply(create).path("/3").cut_before(), true, false),
        (proxy.on_reply(create).path("/4").cut_after(), true, true),
        (proxy.on_reply(create).path("/5").cut_at(21), true, false),
        (proxy.on_reply(create).path("/6").by_reset().cut_before(), true, false),
    ];
    for (n, (rule, created, told)) in rules.into_iter().enumerate() {
        let path = format!("/{n}");
        let outcome = timeout(PATIENCE, zk.create(&path, "").send()).await?;
        let message = timeout(PATIENCE, rule.acted()).await?;
        assert_eq!(message.path.as_deref(), Some(&path[..]));
        assert_eq!(outcome.is_ok(), told, "{path}: {outcome:?}");
        if let Err(e) = outcome {
            assert!(e.kind() == ErrorKind::ConnectionLoss && e.outcome_unknown(), "{e}");
        }
        // The request that went through just before a cut is done soon, not at once.
        timeout(PATIENCE, async {
            while direct.exists(&path).await.unwrap().is_some() != created {
                tokio::task::yield_now().await;
            }
        })
        .await?;
        zk.exists("/").await?;
        assert_eq!(proxy.connections(), n as u64 + 2);
    }
    let record = proxy.record();
    let fates: Vec<Fate> = record.iter().filter(|m| m.op() == Some(create)).map(|m| m.fate).collect();
    assert_eq!(fates[0..3], [Fate::Swallowed, Fate::Passed, Fate::Cut(11)]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_holds_delays_and_swallows() -> Outcome {
    let (_server, proxy, zk) = stage().await?;
    let held = proxy.on_request(OpCode::Exists).path("/a").hold();
    let a = zk.exists("/a").send();
    timeout(PATIENCE, held.acted()).await?;
    let b = zk.exists("/b").send();
    assert_eq!(proxy.count(|m| m.requested().is_some()), 0, "all behind it waits");
    held.release();
    timeout(PATIENCE, async { a.await.and(b.await) }).await??;

    let held = proxy.on_reply(OpCode::Exists).every().hold();
    let a = zk.exists("/a").send();
    timeout(PATIENCE, held.acted()).await?;
    drop(held);
    timeout(PATIENCE, a).await??;

    let time = Duration::from_millis(50);
    proxy.clear_rules();
    let late = proxy.on_reply(OpCode::Exists).delay(time);
    let begin = Instant::now();
    zk.exists("/a").await?;
    assert!(begin.elapsed() >= time);
    assert_eq!(late.times(), 1);

    // A missing reply is noticed by the next one.
    let lost = proxy.on_reply(OpCode::SetData).swallow();
    let write = zk.set("/", "").send();
    let read = zk.exists("/").send();
    assert!(timeout(PATIENCE, write).await?.unwrap_err().outcome_unknown());
    timeout(PATIENCE, read).await??;
    assert_eq!((lost.times(), proxy.connections()), (1, 2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrupted_frames_do_not_hurt_the_next_connection() -> Outcome {
    let (_server, proxy, zk) = stage().await?;
    // Another xid; a header without its end; a prefix of nearly 2 GiB.
    let changes: [fn(&mut bytes::BytesMut); 3] = [
        |frame| frame[7] ^= 0x55,
        |frame| {
            frame.truncate(9);
            frame[3] = 5;
        },
        |frame| frame[0] = 0x7f,
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let rule = proxy.on_reply(OpCode::SetData).corrupt(change);
        let write = timeout(PATIENCE, zk.set("/", "x").send()).await?;
        assert!(write.unwrap_err().outcome_unknown());
        assert_eq!(rule.acted().await.fate, Fate::Corrupted);
        zk.set("/", "y").await?;
        assert_eq!(proxy.connections(), n as u64 + 2);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_at_once() -> Outcome {
    let (server, proxy, zk) = stage().await?;
    proxy.refuse();
    proxy.cut_all();
    suspended(&zk).await;
    proxy.heal();
    connected(&zk).await;
    assert_eq!(proxy.connections(), 2, "who was turned away was not let in");

    proxy.limit(Some(2_000));
    let begin = Instant::now();
    zk.set("/", vec![0; 400]).await?;
    assert!(begin.elapsed() >= Duration::from_millis(200));
    proxy.heal();

    let greeted = proxy.on_greeting().notice();
    proxy.half_open();
    let read = zk.exists("/").send();
    assert!(timeout(Duration::from_millis(50), read).await.is_err());
    let mut late = TcpStream::connect(proxy.address()).await?;
    late.write_all(b"ruok").await?;
    assert!(timeout(Duration::from_millis(50), late.read_u8()).await.is_err());
    proxy.cut_all();
    suspended(&zk).await;
    proxy.heal();
    connected(&zk).await;
    // Those that came while it was dark were not seen.
    assert_eq!(greeted.times(), 1);

    let dead = proxy.on_any(Direction::ToServer).half_open();
    drop(zk.exists("/").send());
    let mut read = zk.exists("/").send();
    timeout(PATIENCE, dead.acted()).await?;
    assert!(timeout(Duration::from_millis(50), &mut read).await.is_err());
    proxy.cut_all();
    timeout(PATIENCE, read).await??;

    let other = EmbeddedServer::start().await?;
    proxy.set_server(other.connect_string());
    let fresh = Client::connect(&proxy.hosts()).await?;
    fresh.create("/other", "").await?;
    assert!(zk.exists("/other").await?.is_none());
    drop(server);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_pass_and_nothing_is_left_over() -> Outcome {
    let server = EmbeddedServer::start().await?;
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let proxy = Proxy::before(server.connect_string()).await?;
    let mut stream = TcpStream::connect(proxy.address()).await?;
    stream.write_all(b"ruok").await?;
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
    assert_eq!(answer, "imok");
    let _open = TcpStream::connect(proxy.address()).await?;
    proxy.close().await;
    timeout(PATIENCE, async {
        while tokio::runtime::Handle::current().metrics().num_alive_tasks() > before {
            tokio::task::yield_now().await;
        }
    })
    .await?;
    Ok(())
}
