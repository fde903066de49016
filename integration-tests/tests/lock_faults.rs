//! The lock under faults of the network: what it costs in requests and events, and that lost answers, lost requests
//! and a silent network leave neither a second holder nor a forgotten node.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::future::Future;
use std::time::Duration;

use integration_tests::proxy::{Message, Pick, Proxy};
use integration_tests::targets::{Failure, PATIENCE};
use tokio::time::Instant;
use zk_client::{Client, SessionState};
use zk_proto::OpCode;
use zk_recipes::{Error, Lock, LockState, LossPolicy, LossReason};
use zk_server::EmbeddedServer;

type Outcome = Result<(), Failure>;

const PATH: &str = "/app/locks/gpu";

struct Stage {
    /// Kept alive.
    _server: EmbeddedServer,
    proxy: Proxy,
    /// Beside the proxy.
    direct: Client,
    /// Through the proxy.
    zk: Client,
}

async fn stage(timeout: Duration) -> Result<Stage, Failure> {
    let server = EmbeddedServer::start().await?;
    let proxy = Proxy::before(server.connect_string()).await?;
    let direct = Client::connect(&server.connect_string()).await?;
    let zk = Client::builder().session_timeout(timeout).connect(&proxy.hosts()).await?;
    Ok(Stage { _server: server, proxy, direct, zk })
}

/// Waits for something that must happen.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}

/// Waits until the lock has exactly `count` contenders.
async fn contenders(zk: &Client, count: usize) {
    soon(async {
        loop {
            let names = match zk.get_children(PATH).await {
                Ok(list) => list.names,
                Err(e) if e.is_no_node() => Vec::new(),
                Err(e) => panic!("{e}"),
            };
            if names.len() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Operations asked for since the last call, pings aside, and how many events came.
fn take_counts(proxy: &Proxy) -> (Vec<OpCode>, usize) {
    let record = proxy.take_record();
    let ops = record.iter().filter_map(Message::requested).filter(|op| *op != OpCode::Ping).collect();
    (ops, record.iter().filter(|m| m.is_event()).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_costs() -> Outcome {
    use OpCode::{Create2, CreateContainer, Delete, Exists, GetChildren2, GetData};
    let Stage { _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let lock = Lock::new(&zk, PATH);
    lock.acquire().await?.release().await?;
    assert!(take_counts(&proxy).0.contains(&CreateContainer), "the parents are containers");

    let guard = lock.acquire().await?;
    // Held long enough for the watch on the own node, whose answer comes before that of the next request.
    soon(proxy.seen(1, |m| m.requested() == Some(GetData))).await;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![Create2, GetChildren2, GetData, Exists], 0));
    guard.release().await?;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![Delete, Exists], 1), "one event, of the own node");

    let holder = Lock::new(&direct, PATH).acquire().await?;
    let next = Lock::new(&direct, PATH);
    let next = tokio::spawn(async move { next.acquire().await });
    contenders(&direct, 2).await;
    let third = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire().await }
    });
    // Create, list, the predecessor's watch.
    soon(proxy.seen(1, |m| m.requested() == Some(GetData))).await;
    zk.exists("/").await?;
    take_counts(&proxy);
    holder.release().await?;
    let second = soon(next).await??;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![Exists], 0), "the third in line hears nothing of the first");
    second.release().await?;
    let guard = soon(third).await??;
    soon(proxy.seen(1, |m| m.requested() == Some(GetData))).await;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![GetChildren2, GetData, Exists], 1), "one event, one list");
    drop(guard);
    contenders(&direct, 0).await;
    Ok(())
}

/// Loses the request, or its answer, and the connection with it.
fn losses(proxy: &Proxy, op: OpCode) -> [Pick<'_>; 2] {
    [proxy.on_reply(op), proxy.on_request(op)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_create_is_found_again_or_made_again() -> Outcome {
    let Stage { _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let lock = Lock::new(&zk, PATH);
    lock.acquire().await?.release().await?;
    for lost in losses(&proxy, OpCode::Create2) {
        let cut = lost.cut_before();
        let guard = soon(lock.acquire()).await?;
        assert_eq!(cut.times(), 1);
        contenders(&direct, 1).await;
        assert_eq!(guard.fencing_token().czxid(), direct.get(guard.node()).await?.stat.czxid);
        guard.release().await?;
    }
    // Lost, and given up before anybody looked.
    for lost in losses(&proxy, OpCode::Create2) {
        let cut = lost.cut_before();
        let given_up = tokio::select! {
            biased;
            _ = cut.acted() => true,
            _ = lock.acquire() => false,
        };
        assert!(given_up);
        soon(zk.session_state().wait_for(SessionState::is_connected)).await?;
        let guard = soon(lock.acquire()).await?;
        contenders(&direct, 1).await;
        guard.release().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_delete_is_seen_through() -> Outcome {
    let Stage { _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let lock = Lock::new(&zk, PATH);
    for (released, dropped) in losses(&proxy, OpCode::Delete).into_iter().zip(losses(&proxy, OpCode::Delete))
    {
        let guard = soon(lock.acquire()).await?;
        let cut = released.cut_before();
        let outcome = soon(guard.release()).await;
        assert!(matches!(outcome, Err(Error::ReleasePending { .. })), "{outcome:?}");
        assert_eq!(cut.times(), 1);
        contenders(&direct, 0).await;

        let guard = soon(lock.acquire()).await?;
        let cut = dropped.cut_before();
        drop(guard);
        soon(cut.acted()).await;
        contenders(&direct, 0).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_deadline_comes_before_the_servers() -> Outcome {
    let Stage { _server, proxy, direct, zk } = stage(Duration::from_millis(1500)).await?;
    let session_lock = |zk| Lock::builder(zk, PATH).loss_policy(LossPolicy::Session).build();
    let guard = session_lock(&zk).acquire().await?;
    let next = session_lock(&direct);
    let next = tokio::spawn(async move { next.acquire().await.map(|guard| (guard, Instant::now())) });
    contenders(&direct, 2).await;
    let mut states = guard.state();
    let doubt =
        tokio::spawn(async move { *states.wait_for(|state| *state != LockState::Held).await.unwrap() });
    // Nobody is told: no end of the stream, no answer.
    proxy.half_open();
    let stopped = soon(guard.run(std::future::pending::<()>())).await;
    assert!(matches!(stopped, Err(Error::Lost { reason: LossReason::DeadlineReached, .. })), "{stopped:?}");
    let (next, granted) = soon(next).await??;
    match doubt.await? {
        LockState::Suspect { since, deadline } => assert!(since < deadline && deadline < granted),
        state => assert_eq!(state, LockState::Lost(LossReason::DeadlineReached), "a very slow machine"),
    }
    assert!(!guard.is_held() && next.is_held());
    Ok(())
}
