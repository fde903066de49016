//! Read/write locks, several locks as one, and leases under faults of the network: what they cost in requests and
//! events, and that lost answers, lost requests and a silent network leave neither a writer beside anybody nor a
//! forgotten node.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::future::Future;
use std::time::Duration;

use integration_tests::proxy::{Message, Pick, Proxy};
use integration_tests::targets::{Failure, PATIENCE};
use zk_client::{Client, SessionState};
use zk_proto::OpCode;
use zk_recipes::{
    Dialect, Error, Lock, LockState, LossPolicy, LossReason, MultiLock, NonBlockingLease, Released, RwLock,
};
use zk_server::EmbeddedServer;

type Outcome = Result<(), Failure>;

const PATH: &str = "/app/locks/catalogue";

struct Stage {
    server: EmbeddedServer,
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
    Ok(Stage { server, proxy, direct, zk })
}

/// Waits for something that must happen.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}

/// Waits until the path has exactly `count` children.
async fn nodes_at(zk: &Client, path: &str, count: usize) -> Vec<String> {
    soon(async {
        loop {
            let names = match zk.get_children(path).await {
                Ok(list) => list.names,
                Err(e) if e.is_no_node() => Vec::new(),
                Err(e) => panic!("{e}"),
            };
            if names.len() == count {
                return names;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

async fn nodes(zk: &Client, count: usize) -> Vec<String> {
    nodes_at(zk, PATH, count).await
}

/// Operations asked for since the last call, pings aside, and how many events came.
fn take_counts(proxy: &Proxy) -> (Vec<OpCode>, usize) {
    let record = proxy.take_record();
    let ops = record.iter().filter_map(Message::requested).filter(|op| *op != OpCode::Ping).collect();
    (ops, record.iter().filter(|m| m.is_event()).count())
}

/// Loses the request, or its answer, and the connection with it.
fn losses(proxy: &Proxy, op: OpCode) -> [Pick<'_>; 2] {
    [proxy.on_reply(op), proxy.on_request(op)]
}

fn of(zk: &Client, dialect: Dialect) -> RwLock {
    RwLock::builder(zk, PATH).dialect(dialect).loss_policy(LossPolicy::Session).build()
}

async fn connected(zk: &Client) -> Outcome {
    soon(zk.session_state().wait_for(SessionState::is_connected)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_costs() -> Outcome {
    use OpCode::{Create2, Delete, Exists, GetChildren2, GetData, Multi};
    let Stage { server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let (lock, theirs) = (RwLock::new(&zk, PATH), RwLock::new(&direct, PATH));
    theirs.read().await?.release().await?;
    take_counts(&proxy);

    // Free, either side: one round trip; and the watch on the own node, once it is held for a while.
    let watched = |m: &Message| m.requested() == Some(GetData);
    for side in 0..2 {
        if side == 0 {
            let reader = lock.read().await?;
            soon(proxy.seen(1, watched)).await;
            zk.exists("/").await?;
            assert_eq!(take_counts(&proxy), (vec![Create2, GetChildren2, GetData, Exists], 0));
            reader.release().await?;
        } else {
            let writer = lock.write().await?;
            soon(proxy.seen(1, watched)).await;
            zk.exists("/").await?;
            assert_eq!(take_counts(&proxy), (vec![Create2, GetChildren2, GetData, Exists], 0));
            writer.release().await?;
        }
        zk.exists("/").await?;
        assert_eq!(take_counts(&proxy), (vec![Delete, Exists], 1), "one event, of the own node");
    }

    // A downgrade: one round trip; the watch on the new node and the end of the old one behind it.
    let writer = lock.write().await?;
    soon(proxy.seen(1, watched)).await;
    let reader = writer.downgrade().await?;
    soon(proxy.seen(2, watched)).await;
    zk.exists("/").await?;
    let own = vec![Create2, GetChildren2, GetData, Multi, GetData, Delete, Exists];
    assert_eq!(take_counts(&proxy), (own, 1), "one event, of the old node");
    reader.release().await?;

    // Two readers behind a reader and a writer: the first reader's going is nothing to them, the writer's lets
    // both in.
    let first = theirs.read().await?;
    let writing = tokio::spawn({
        let theirs = theirs.clone();
        async move { theirs.write().await }
    });
    nodes(&direct, 2).await;
    let reading: Vec<_> = (0..2)
        .map(|_| {
            let lock = lock.clone();
            tokio::spawn(async move { lock.read().await })
        })
        .collect();
    nodes(&direct, 4).await;
    soon(proxy.seen(2, |m| m.requested() == Some(GetData))).await;
    zk.exists("/").await?;
    take_counts(&proxy);
    first.release().await?;
    let writer = soon(writing).await??;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![Exists], 0), "readers hear nothing of a reader");
    writer.release().await?;
    let mut readers = Vec::new();
    for reader in reading {
        readers.push(soon(reader).await??);
    }
    soon(proxy.seen(2, watched)).await;
    zk.exists("/").await?;
    let (mut ops, events) = take_counts(&proxy);
    ops.sort_by_key(|op| format!("{op:?}"));
    // One list and the own node's watch for each; one event tells both of the writer.
    assert_eq!(ops, [Exists, GetChildren2, GetChildren2, GetData, GetData]);
    assert_eq!(events, 1);

    // A writer behind both hears of the one right before it, then of the other.
    let writing = tokio::spawn({
        let lock = RwLock::new(&zk, PATH);
        async move { lock.write().await }
    });
    nodes(&direct, 3).await;
    soon(proxy.seen(1, |m| m.requested() == Some(GetData))).await;
    zk.exists("/").await?;
    take_counts(&proxy);
    for reader in readers {
        reader.release().await?;
    }
    soon(writing).await??.release().await?;
    drop(server);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_several_locks_and_a_lease_cost() -> Outcome {
    use OpCode::{Create2, Delete, Exists, GetChildren2, GetData, Multi};
    let Stage { server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let paths = ["/app/b", "/app/a"];
    MultiLock::new(&direct, paths).acquire().await?.release().await?;
    take_counts(&proxy);
    let all = MultiLock::new(&zk, paths);
    let guard = all.acquire().await?;
    let watched = |m: &Message| m.requested() == Some(GetData);
    soon(proxy.seen(2, watched)).await;
    zk.exists("/").await?;
    let (mut ops, events) = take_counts(&proxy);
    let mut expected = [Create2, GetChildren2, GetData, Create2, GetChildren2, GetData, Exists];
    expected.sort_by_key(|op| format!("{op:?}"));
    ops.sort_by_key(|op| format!("{op:?}"));
    assert_eq!((&ops[..], events), (&expected[..], 0));
    assert_eq!(guard.release().await?, Released::Deleted);
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![Multi, Exists], 2), "one request; events of the own nodes");
    let guard = all.acquire().await?;
    soon(proxy.seen(2, watched)).await;
    zk.exists("/").await?;
    take_counts(&proxy);
    drop(guard);
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![Multi, Exists], 2), "dropped, one request as well");

    let minute = Duration::from_secs(60);
    let lease = |zk, who| NonBlockingLease::builder(zk, "/app/lease", minute).identifier(who).build();
    assert!(lease(&direct, "ada").obtain().await?.is_some());
    assert!(lease(&zk, "ben").obtain().await?.is_none());
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy).0, [GetData, Exists], "too late: one read");
    // The lock is released behind the lease's back.
    nodes_at(&direct, "/app/lease", 1).await;
    assert!(lease(&zk, "ada").obtain().await?.is_some());
    zk.exists("/").await?;
    let (reads, others) = take_counts(&proxy).0.into_iter().partition::<Vec<_>, _>(|op| *op == GetData);
    assert_eq!(others, [Create2, GetChildren2, Multi, Delete, Exists], "lock, write, unlock");
    // The third is the watch of a lock that is held for a while.
    assert!((2..=3).contains(&reads.len()), "looked before and in the lock: {reads:?}");
    drop(server);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_create_is_found_again_or_made_again() -> Outcome {
    let Stage { server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    for (dialect, op) in [
        (Dialect::Curator, OpCode::Create2),
        (Dialect::Kazoo, OpCode::Create2),
        (Dialect::Both, OpCode::Multi),
    ] {
        let count = if dialect == Dialect::Both { 2 } else { 1 };
        let lock = of(&zk, dialect);
        soon(lock.read()).await?.release().await?;
        for lost in losses(&proxy, op) {
            let cut = lost.cut_before();
            let reader = soon(lock.read()).await?;
            assert_eq!(cut.times(), 1);
            nodes(&direct, count).await;
            assert_eq!(reader.fencing_token().czxid(), direct.get(reader.node()).await?.stat.czxid);
            reader.release().await?;
        }
        for lost in losses(&proxy, op) {
            let cut = lost.cut_before();
            let writer = soon(lock.write()).await?;
            assert_eq!(cut.times(), 1);
            nodes(&direct, count).await;
            writer.release().await?;
        }
        for lost in losses(&proxy, op) {
            // Lost, and given up before anybody looked.
            let cut = lost.cut_before();
            let given_up = tokio::select! {
                biased;
                _ = cut.acted() => true,
                _ = lock.write() => false,
            };
            assert!(given_up);
            connected(&zk).await?;
            nodes(&direct, 0).await;
        }
    }
    drop(server);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_downgrade_whose_answer_is_lost_is_found_or_made_again() -> Outcome {
    let Stage { server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    for dialect in [Dialect::Curator, Dialect::Both] {
        let count = if dialect == Dialect::Both { 2 } else { 1 };
        let (lock, theirs) = (of(&zk, dialect), of(&direct, dialect));
        for n in 0..2 {
            let writer = soon(lock.write()).await?;
            let token = writer.fencing_token();
            let next = tokio::spawn({
                let theirs = theirs.clone();
                async move { theirs.write().await }
            });
            nodes(&direct, 2 * count).await;
            let cut = losses(&proxy, OpCode::Multi).into_iter().nth(n).unwrap().cut_before();
            let reader = soon(writer.downgrade()).await?;
            assert_eq!(cut.times(), 1);
            assert_eq!(reader.fencing_token(), token);
            nodes(&direct, 2 * count).await;
            direct.get(reader.node()).await?;
            let beside = soon(of(&direct, dialect).read_within(Duration::from_millis(20))).await;
            assert!(matches!(beside, Err(Error::Timeout { .. })), "a writer is queued before it");
            assert!(reader.is_held() && !next.is_finished());
            reader.release().await?;
            soon(next).await??.release().await?;
            nodes(&direct, 0).await;
        }
        // Given up in the middle of it, with the answer lost: neither node stays.
        for n in 0..2 {
            let writer = soon(lock.write()).await?;
            let cut = losses(&proxy, OpCode::Multi).into_iter().nth(n).unwrap().cut_before();
            let given_up = tokio::select! {
                biased;
                _ = cut.acted() => true,
                _ = writer.downgrade() => false,
            };
            assert!(given_up);
            connected(&zk).await?;
            nodes(&direct, 0).await;
        }
        // The end of the writer's node is lost: seen through in the background.
        for n in 0..2 {
            if dialect == Dialect::Both {
                break;
            }
            let writer = soon(lock.write()).await?;
            let cut = losses(&proxy, OpCode::Delete).into_iter().nth(n).unwrap().cut_before();
            let reader = soon(writer.downgrade()).await?;
            soon(cut.acted()).await;
            nodes(&direct, 1).await;
            direct.get(reader.node()).await?;
            assert!(soon(theirs.try_read()).await?.is_some());
            soon(reader.state().wait_for(|state| *state == LockState::Held)).await?;
            reader.release().await?;
            nodes(&direct, 0).await;
        }
    }
    drop(server);
    Ok(())
}

/// By the default policy a cut ends the writer, so it cannot go on as a reader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_in_the_middle_of_a_downgrade_ends_it_by_the_default_policy() -> Outcome {
    let Stage { server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let lock = RwLock::new(&zk, PATH);
    for n in 0..2 {
        let writer = soon(lock.write()).await?;
        let cut = losses(&proxy, OpCode::Multi).into_iter().nth(n).unwrap().cut_before();
        let outcome = soon(writer.downgrade()).await;
        assert_eq!(cut.times(), 1);
        assert!(matches!(outcome, Err(Error::Lost { reason: LossReason::Disconnected, .. })), "{outcome:?}");
        nodes(&direct, 0).await;
    }
    drop(server);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_in_the_middle_of_a_downgrade_leaves_nothing() -> Outcome {
    let Stage { server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let (lock, theirs) = (of(&zk, Dialect::Curator), of(&direct, Dialect::Curator));
    for n in 0..2 {
        let writer = soon(lock.write()).await?;
        let session = writer.session();
        let next = tokio::spawn({
            let theirs = theirs.clone();
            async move { theirs.write().await }
        });
        nodes(&direct, 2).await;
        // The connection goes with the request or its answer, and the session while it is away.
        let cut = losses(&proxy, OpCode::Multi).into_iter().nth(n).unwrap().cut_before();
        let downgrade = tokio::spawn(writer.downgrade());
        soon(cut.acted()).await;
        assert!(server.expire_session(session).await);
        let outcome = soon(downgrade).await?;
        // It may have been found before the session ended; then the reader is told.
        if let Ok(reader) = outcome {
            soon(reader.lost()).await;
        }
        soon(next).await??.release().await?;
        nodes(&direct, 0).await;
        connected(&zk).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_deadline_comes_before_the_servers_for_all() -> Outcome {
    let Stage { server, proxy, direct, zk } = stage(Duration::from_millis(1500)).await?;
    let (mine, theirs) = (of(&zk, Dialect::Curator), of(&direct, Dialect::Curator));
    let reader = mine.read().await?;
    let session_lock = |path| Lock::builder(&zk, path).loss_policy(LossPolicy::Session).build();
    let several = MultiLock::builder(&zk).lock(&session_lock("/app/a")).lock(&session_lock("/app/b")).build();
    let several = several.acquire().await?;
    let next = tokio::spawn(async move { theirs.write().await });
    nodes(&direct, 2).await;
    // Nobody is told: no end of the stream, no answer.
    proxy.half_open();
    let stopped = soon(several.run(std::future::pending::<()>())).await;
    assert!(matches!(stopped, Err(Error::Lost { reason: LossReason::DeadlineReached, .. })), "{stopped:?}");
    assert_eq!(soon(reader.lost()).await, LossReason::DeadlineReached);
    assert!(!next.is_finished(), "nobody is let in before");
    let writer = soon(next).await??;
    assert!(!reader.is_held() && !several.is_held() && writer.is_held());
    drop(server);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_locks_are_in_doubt_together_and_given_up_together() -> Outcome {
    let Stage { server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let session_lock = |path| Lock::builder(&zk, path).loss_policy(LossPolicy::Session).build();
    let all = MultiLock::builder(&zk).lock(&session_lock("/app/a")).lock(&session_lock("/app/b")).build();
    let guard = soon(all.acquire()).await?;
    let mut states = guard.state();
    server.drop_connections();
    soon(states.wait_for(|state| matches!(state, LockState::Suspect { .. }))).await?;
    soon(states.wait_for(|state| *state == LockState::Held)).await?;

    assert_eq!(guard.release().await?, Released::Deleted);

    // The one transaction that gives all of them up, lost on either way.
    for pick in losses(&proxy, OpCode::Multi) {
        let guard = soon(all.acquire()).await?;
        let cut = pick.cut_before();
        let outcome = soon(guard.release()).await;
        assert!(matches!(outcome, Err(Error::ReleasePending { .. })), "{outcome:?}");
        assert_eq!(cut.times(), 1);
        for path in ["/app/a", "/app/b"] {
            nodes_at(&direct, path, 0).await;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_whose_record_is_in_doubt_is_looked_up() -> Outcome {
    let Stage { server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let minute = Duration::from_secs(60);
    let lease =
        |zk, path: &str, who: &str| NonBlockingLease::builder(zk, path, minute).identifier(who).build();
    for (n, op) in [OpCode::Multi, OpCode::Multi, OpCode::Create2, OpCode::Create2].into_iter().enumerate() {
        let path = format!("/app/lease-{n}");
        assert!(lease(&direct, &path, "ada").obtain().await?.unwrap().relinquish().await?);
        let cut = losses(&proxy, op).into_iter().nth(n % 2).unwrap().cut_before();
        let obtained = soon(lease(&zk, &path, "ben").obtain()).await?.unwrap();
        assert_eq!(cut.times(), 1);
        assert!(obtained.is_held());
        assert!(lease(&direct, &path, "ada").obtain().await?.is_none());
        nodes_at(&direct, &path, 1).await;
    }
    // Ended early: it was ours to end, whichever try did it.
    for lost in losses(&proxy, OpCode::Multi) {
        let bens = soon(lease(&zk, "/app/lease", "ben").obtain()).await?.unwrap();
        let cut = lost.cut_before();
        assert!(soon(bens.relinquish()).await?);
        assert_eq!(cut.times(), 1);
        assert!(lease(&direct, "/app/lease", "ada").obtain().await?.unwrap().relinquish().await?);
    }
    drop(server);
    Ok(())
}
