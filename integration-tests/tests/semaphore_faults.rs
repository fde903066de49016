//! The semaphore under faults of the network: what it costs in requests and events, and that lost answers, lost
//! requests and a silent network leave neither a permit too many nor a forgotten node.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::future::Future;
use std::time::Duration;

use integration_tests::proxy::{Message, Pick, Proxy};
use integration_tests::targets::{Failure, PATIENCE};
use zk_client::{Client, SessionState};
use zk_proto::OpCode;
use zk_recipes::semaphore::Layout;
use zk_recipes::{Error, LossPolicy, LossReason, Semaphore};
use zk_server::EmbeddedServer;

type Outcome = Result<(), Failure>;

const PATH: &str = "/app/pools/gpu";
const LOCKS: &str = "/app/pools/gpu/locks";
const LEASES: &str = "/app/pools/gpu/leases";

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

/// Waits until `path` has exactly `count` children.
async fn children(zk: &Client, path: &str, count: usize) {
    soon(async {
        loop {
            let names = match zk.get_children(path).await {
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

async fn connected(zk: &Client) {
    soon(zk.session_state().wait_for(SessionState::is_connected)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_costs() -> Outcome {
    use OpCode::{Create2, CreateContainer, Delete, Exists, GetChildren2, GetData, Multi};
    let Stage { _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let pool = Semaphore::new(&zk, PATH, 2);
    pool.acquire().await?.release().await?;
    assert!(take_counts(&proxy).0.contains(&CreateContainer), "the parents are containers");

    // Free: one round trip, and the watch on the lease behind it.
    let permit = pool.acquire().await?;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![Create2, GetChildren2, GetChildren2, GetData, Exists], 0));
    permit.release().await?;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![Delete, Exists], 1), "one event, of the own lease");
    let permits = pool.acquire_many(2).await?;
    zk.exists("/").await?;
    let expected = vec![Multi, GetChildren2, GetChildren2, GetData, GetData, Exists];
    assert_eq!(take_counts(&proxy), (expected, 0));
    permits.release().await?;
    zk.exists("/").await?;
    let (mut ops, events) = take_counts(&proxy);
    // The client takes watches off that it does not know to be fired by the transaction.
    ops.retain(|op| *op != OpCode::RemoveWatches);
    assert_eq!((ops, events), (vec![Multi, Exists], 2));

    // The size in a node is one read more, in the same round trip.
    direct.create("/app/size", 2i32.to_be_bytes().to_vec()).await?;
    let counted = Semaphore::builder(&zk, PATH).permits_from("/app/size").build();
    let permit = counted.acquire().await?;
    zk.exists("/").await?;
    let expected = vec![Create2, GetChildren2, GetData, GetChildren2, GetData, Exists];
    assert_eq!(take_counts(&proxy), (expected, 0));
    drop(permit);

    // Full. Who tries writes once, and from then on only looks.
    let theirs = Semaphore::new(&direct, PATH, 2);
    let (first, second) = (theirs.acquire().await?, theirs.acquire().await?);
    children(&direct, LEASES, 2).await;
    take_counts(&proxy);
    assert!(pool.try_acquire().await?.is_none());
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy).0, vec![Create2, GetChildren2, GetChildren2, Delete, Exists]);
    assert!(pool.try_acquire().await?.is_none());
    assert_eq!(take_counts(&proxy), (vec![GetChildren2, GetChildren2], 0));

    // The head of the line, and one behind it.
    let head = tokio::spawn({
        let theirs = theirs.clone();
        async move { theirs.acquire().await }
    });
    // Not the lease of its first try: that is gone when it stands in line.
    children(&direct, LOCKS, 1).await;
    children(&direct, LEASES, 3).await;
    let behind = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await }
    });
    soon(proxy.seen(1, |m| m.requested() == Some(GetData))).await;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![Create2, GetChildren2, GetData, Exists], 0));
    // A return wakes the head alone; the next one is woken when it leaves the line.
    first.release().await?;
    let head = soon(head).await??;
    soon(proxy.seen(1, |m| m.requested() == Some(Create2))).await;
    soon(proxy.seen(2, |m| m.requested() == Some(GetData) || m.is_event())).await;
    children(&direct, LEASES, 3).await;
    soon(proxy.seen(3, |m| m.requested() == Some(GetChildren2))).await;
    zk.exists("/").await?;
    let expected = vec![GetChildren2, Create2, GetChildren2, GetData, GetChildren2, Exists];
    assert_eq!(take_counts(&proxy), (expected, 1), "one event, of the place before ours");
    second.release().await?;
    let permit = soon(behind).await??;
    zk.exists("/").await?;
    let (ops, events) = take_counts(&proxy);
    assert_eq!(ops[..2], [GetChildren2, Delete], "{ops:?}");
    assert_eq!(ops.iter().filter(|op| **op == GetChildren2).count(), 1, "{ops:?}");
    assert_eq!(events, 2, "of the leases, and of our own place, which we have left");
    drop((permit, head));
    children(&direct, LEASES, 0).await;
    children(&direct, LOCKS, 0).await;
    Ok(())
}

/// Loses the request, or its answer, and the connection with it.
fn losses(proxy: &Proxy, op: OpCode) -> [Pick<'_>; 2] {
    [proxy.on_reply(op), proxy.on_request(op)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lease_is_found_again_or_made_again() -> Outcome {
    let Stage { _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    for (layout, leases) in [(Layout::Curator, LEASES), (Layout::Kazoo, "/app/pools/kazoo")] {
        let path = if layout == Layout::Curator { PATH } else { leases };
        let pool = Semaphore::builder(&zk, path).permits(2).layout(layout).build();
        pool.acquire().await?.release().await?;
        for (op, wanted) in [(OpCode::Create2, 1), (OpCode::Multi, 2)] {
            for lost in losses(&proxy, op) {
                let cut = lost.cut_before();
                let permits = soon(pool.acquire_many(wanted)).await?;
                assert_eq!(cut.times(), 1);
                children(&direct, leases, wanted as usize).await;
                let stat = direct.get(permits.node()).await?.stat;
                assert_eq!(permits.fencing_token().czxid(), stat.czxid);
                permits.release().await?;
            }
            // Lost, and given up before anybody looked.
            for lost in losses(&proxy, op) {
                let cut = lost.cut_before();
                let given_up = tokio::select! {
                    biased;
                    _ = cut.acted() => true,
                    _ = pool.acquire_many(wanted) => false,
                };
                assert!(given_up);
                connected(&zk).await;
                let permits = soon(pool.acquire_many(wanted)).await?;
                children(&direct, leases, wanted as usize).await;
                permits.release().await?;
            }
        }
        children(&direct, leases, 0).await;
    }
    children(&direct, LOCKS, 0).await;
    children(&direct, "/app/pools/kazoo-__lock__", 0).await;
    Ok(())
}

/// Whoever stands in line keeps its place when the answer to that is lost, and its lease when the answer to that is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_in_line_costs_no_place() -> Outcome {
    let Stage { _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let theirs = Semaphore::new(&direct, PATH, 1);
    let pool = Semaphore::new(&zk, PATH, 1);
    for lost in losses(&proxy, OpCode::Create2) {
        let held = theirs.acquire().await?;
        // In the way: from here on it stands in line at once.
        assert!(pool.try_acquire().await?.is_none());
        children(&direct, LEASES, 1).await;
        let cut = lost.cut_before();
        let waiter = tokio::spawn({
            let pool = pool.clone();
            async move { pool.acquire().await }
        });
        // Its place, and at the head of the line its lease.
        children(&direct, LEASES, 2).await;
        assert_eq!(cut.times(), 1);
        children(&direct, LOCKS, 1).await;
        held.release().await?;
        soon(waiter).await??.release().await?;
        children(&direct, LOCKS, 0).await;
        children(&direct, LEASES, 0).await;
    }
    for (lost, give_up) in losses(&proxy, OpCode::Create2).into_iter().zip([false, true]) {
        let held = theirs.acquire().await?;
        let theirs_next = tokio::spawn({
            let theirs = theirs.clone();
            async move { theirs.acquire().await }
        });
        children(&direct, LOCKS, 1).await;
        children(&direct, LEASES, 2).await;
        assert!(pool.try_acquire().await?.is_none());
        let waiter = tokio::spawn({
            let pool = pool.clone();
            async move { pool.acquire().await }
        });
        children(&direct, LOCKS, 2).await;
        // The lease that it makes when it gets to the head.
        let cut = lost.cut_before();
        held.release().await?;
        let held = soon(theirs_next).await??;
        soon(cut.acted()).await;
        if give_up {
            waiter.abort();
            children(&direct, LOCKS, 0).await;
            children(&direct, LEASES, 1).await;
            held.release().await?;
        } else {
            children(&direct, LEASES, 2).await;
            held.release().await?;
            soon(waiter).await??.release().await?;
        }
        children(&direct, LOCKS, 0).await;
        children(&direct, LEASES, 0).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_return_is_seen_through() -> Outcome {
    let Stage { _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let pool = Semaphore::new(&zk, PATH, 2);
    for (op, wanted) in [(OpCode::Delete, 1), (OpCode::Multi, 2)] {
        for lost in [0, 1] {
            let permits = soon(pool.acquire_many(wanted)).await?;
            let [reply, request] = losses(&proxy, op);
            let cut = if lost == 0 { reply.cut_before() } else { request.cut_before() };
            let outcome = soon(permits.release()).await;
            assert!(matches!(outcome, Err(Error::ReleasePending { .. })), "{outcome:?}");
            assert_eq!(cut.times(), 1);
            children(&direct, LEASES, 0).await;

            let permits = soon(pool.acquire_many(wanted)).await?;
            let [reply, request] = losses(&proxy, op);
            let cut = if lost == 0 { reply.cut_before() } else { request.cut_before() };
            drop(permits);
            soon(cut.acted()).await;
            children(&direct, LEASES, 0).await;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_deadline_comes_before_the_servers() -> Outcome {
    let Stage { _server, proxy, direct, zk } = stage(Duration::from_millis(1500)).await?;
    let with = |zk| Semaphore::builder(zk, PATH).permits(1).loss_policy(LossPolicy::Session).build();
    let permit = with(&zk).acquire().await?;
    let next = with(&direct);
    let next = tokio::spawn(async move { next.acquire().await });
    children(&direct, LOCKS, 1).await;
    // Nobody is told: no end of the stream, no answer.
    proxy.half_open();
    let stopped = soon(permit.run(std::future::pending::<()>())).await;
    assert!(matches!(stopped, Err(Error::Lost { reason: LossReason::DeadlineReached, .. })), "{stopped:?}");
    let next = soon(next).await??;
    assert!(!permit.is_held() && next.is_held());
    Ok(())
}
