//! The lock on a real server: what the shell adds to the pure core, and what it costs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{children, client, dropped_after, server, soon};
use zk_client::{Client, CreateMode, SessionState};
use zk_recipes::{Error, Lock, LockState, LossPolicy, LossReason, Released};

const PATH: &str = "/app/locks/gpu";

fn session_lock(zk: &Client) -> Lock {
    Lock::builder(zk, PATH).loss_policy(LossPolicy::Session).build()
}

async fn connected(zk: &Client) {
    soon(zk.session_state().wait_for(SessionState::is_connected)).await.unwrap();
}

/// Limits that outlast everything are no limits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_without_end_is_waited_out() {
    let server = server().await;
    let zk = client(&server).await;
    let guard = Lock::new(&zk, "/locks").acquire_within(Duration::MAX).await.unwrap();
    let seats = zk_recipes::Semaphore::new(&zk, "/seats", 1);
    let permit = seats.acquire_within(Duration::MAX).await.unwrap();
    let rw = zk_recipes::RwLock::new(&zk, "/rw");
    let writer = rw.write_within(Duration::MAX).await.unwrap();
    let locks = Lock::new(&zk, "/locks");
    let waiting = tokio::spawn(async move { locks.acquire_within(Duration::MAX).await });
    children(&zk, "/locks", 2).await;
    guard.release().await.unwrap();
    drop((soon(waiting).await.unwrap().unwrap(), permit, writer));
    let gate = zk_recipes::Barrier::new(&zk, "/gate");
    soon(gate.wait_within(Duration::MAX)).await.unwrap();
    let phase = zk_recipes::DoubleBarrier::new(&zk, "/phase", 1);
    soon(phase.enter_within(Duration::MAX)).await.unwrap().leave_within(Duration::MAX).await.unwrap();
}

/// A sibling in line is waited for as little as any other holder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trying_does_not_wait_for_a_sibling_in_line() {
    let server = server().await;
    let zk = client(&server).await;
    let held = Lock::new(&zk, "/locks").acquire().await.unwrap();
    let lock = Lock::builder(&zk, "/locks").reentrant(true).build();
    let sibling = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire().await }
    });
    children(&zk, "/locks", 2).await;
    assert!(soon(lock.try_acquire()).await.unwrap().is_none());
    held.release().await.unwrap();
    let first = soon(sibling).await.unwrap().unwrap();
    let again = soon(lock.try_acquire()).await.unwrap().unwrap();
    assert_eq!(first.node(), again.node());
}

/// Made on request are a lock's parents, not the root that its client lives in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_chroot_is_told() {
    let server = server().await;
    let zk = Client::connect(&format!("{}/nowhere", server.connect_string())).await.unwrap();
    for path in ["/locks", "/app/locks", "/a/b/locks"] {
        let refused = soon(Lock::new(&zk, path).acquire()).await.unwrap_err();
        assert!(matches!(&refused, Error::Client { source, .. } if source.is_no_node()), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_at_a_time_in_order_and_tokens_rise() {
    let server = server().await;
    let zk = client(&server).await;
    let lock = Lock::builder(&zk, PATH).identifier("first").build();
    let guard = lock.acquire().await.unwrap();
    let names = children(&zk, PATH, 1).await;
    let (prefix, rest) = names[0].split_at(3);
    assert_eq!((prefix, &rest[36..]), ("_c_", "-lock-0000000000"));
    assert_eq!(&zk.get(guard.node()).await.unwrap().data[..], b"first");
    assert_eq!(zk.get(guard.node()).await.unwrap().stat.czxid, guard.fencing_token().czxid());
    assert!(guard.is_held());
    assert!(lock.try_acquire().await.unwrap().is_none());

    let mut waiting = Vec::new();
    let turns = Arc::new(AtomicUsize::new(0));
    for n in 0..5 {
        let (lock, turns) = (Lock::new(&client(&server).await, PATH), Arc::clone(&turns));
        waiting.push(tokio::spawn(async move {
            let guard = lock.acquire().await.unwrap();
            assert_eq!(turns.fetch_add(1, Ordering::SeqCst), n, "first come, first served");
            let token = guard.fencing_token();
            assert_eq!(guard.release().await.unwrap(), Released::Deleted);
            token
        }));
        children(&zk, PATH, n + 2).await;
    }
    let mut last = guard.fencing_token();
    assert_eq!(guard.release().await.unwrap(), Released::Deleted);
    for waiter in waiting {
        let token = soon(waiter).await.unwrap();
        assert!(token > last);
        last = token;
    }
    children(&zk, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_get_in_leaves_nothing() {
    let server = server().await;
    let zk = client(&server).await;
    let lock = Lock::new(&zk, PATH);
    let guard = lock.acquire().await.unwrap();
    for _ in 0..20 {
        assert!(lock.try_acquire().await.unwrap().is_none());
    }
    let error = lock.acquire_within(Duration::from_millis(50)).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let outer = tokio::time::timeout(Duration::from_millis(50), lock.acquire()).await;
    assert!(outer.is_err());
    children(&zk, PATH, 1).await;
    assert!(guard.is_held());
    drop(guard);
    children(&zk, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_every_step_it_leaves_nothing_and_the_next_gets_in() {
    let server = server().await;
    let zk = client(&server).await;
    let lock = Lock::new(&zk, PATH);
    for polls in 0..20 {
        // Free.
        drop(dropped_after(polls, lock.acquire()).await);
        // Held until it waits, and released while it is being woken.
        let guard = lock.acquire().await.unwrap();
        let waiter = tokio::spawn({
            let lock = lock.clone();
            async move { drop(dropped_after(polls, lock.acquire()).await) }
        });
        if polls > 4 {
            children(&zk, PATH, 2).await;
        }
        guard.release().await.unwrap();
        let last = soon(lock.acquire()).await.unwrap();
        drop(dropped_after(polls, last.release()).await);
        waiter.abort();
    }
    children(&zk, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guard_may_be_dropped_anywhere() {
    let server = server().await;
    let zk = client(&server).await;
    let lock = Lock::new(&zk, PATH);
    let guard = lock.acquire().await.unwrap();
    let lost = guard.lost();
    std::thread::spawn(move || drop(guard)).join().unwrap();
    assert_eq!(soon(lost).await, LossReason::Released);
    children(&zk, PATH, 0).await;
    let guard = lock.acquire().await.unwrap();
    drop(lock);
    zk.close().await;
    drop(guard);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_ends_with_the_last_guard() {
    let server = server().await;
    let observer = client(&server).await;
    let zk = client(&server).await;
    let guard = Lock::new(&zk, PATH).acquire().await.unwrap();
    zk.create("/of-the-session", "").ephemeral().await.unwrap();
    drop(zk);
    assert!(guard.is_held());
    observer.create("/app/mark", "").await.unwrap();
    guard.transaction().unwrap().set("/app/mark", "x").commit().await.unwrap();
    drop(guard);
    soon(async {
        while observer.exists("/of-the-session").await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expiry_ends_the_holder_and_requeues_the_waiter() {
    let server = server().await;
    let (one, two, other) = (client(&server).await, client(&server).await, client(&server).await);
    let guard = session_lock(&one).acquire().await.unwrap();
    let lock = session_lock(&two);
    let waiter = tokio::spawn(async move { lock.acquire().await.unwrap() });
    children(&other, PATH, 2).await;
    let old = two.session_id().unwrap();
    assert!(server.expire_session(old).await);
    soon(async {
        while !children(&other, PATH, 2).await.iter().any(|name| name.ends_with("-lock-0000000002")) {}
    })
    .await;

    assert!(guard.is_held());
    assert!(server.expire_session(guard.session()).await);
    let next = soon(waiter).await.unwrap();
    assert_ne!(next.session(), old);
    assert_eq!(soon(guard.lost()).await, LossReason::SessionExpired);
    assert!(!guard.is_held() && next.is_held());
    assert!(matches!(guard.transaction(), Err(Error::Lost { reason: LossReason::SessionExpired, .. })));
    assert_eq!(guard.release().await.unwrap(), Released::Lost(LossReason::SessionExpired));
    assert_eq!(next.release().await.unwrap(), Released::Deleted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_node_is_a_lost_lock_and_a_stale_holder_cannot_write() {
    let server = server().await;
    let (one, other) = (client(&server).await, client(&server).await);
    other.create("/job", "").await.unwrap();
    let lock = Lock::new(&one, PATH);
    let guard = lock.acquire().await.unwrap();
    let results = guard.transaction().unwrap().set("/job", "mine").commit().await.unwrap();
    assert_eq!(results.len(), 1);
    let begun = guard.transaction().unwrap().set("/job", "stale");
    // Its data changes nothing.
    other.set(guard.node(), "__REVOKE__").await.unwrap();
    one.sync("/").await.unwrap();
    assert!(guard.is_held());
    other.delete(guard.node()).await.unwrap();
    let error = begun.commit().await.unwrap_err();
    assert!(error.is_lost(), "{error}");
    assert_eq!(soon(guard.lost()).await, LossReason::NodeDeleted);
    assert_eq!(&other.get("/job").await.unwrap().data[..], b"mine");
    drop(guard);

    // While waiting, too.
    let guard = Lock::new(&other, PATH).acquire().await.unwrap();
    let waiter = tokio::spawn(async move { lock.acquire().await });
    let names = children(&other, PATH, 2).await;
    let own = zk_proto::path::name(guard.node());
    let waiting = names.iter().find(|name| *name != own).unwrap();
    other.delete(format!("{PATH}/{waiting}")).await.unwrap();
    drop(guard);
    let outcome = soon(waiter).await.unwrap();
    assert!(matches!(outcome, Err(Error::NodeDeleted { .. })), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disconnect_ends_the_standard_holder_and_not_the_session_one() {
    let server = server().await;
    let other = client(&server).await;
    let zk = client(&server).await;
    let standard = Lock::new(&zk, "/a").acquire().await.unwrap();
    let session = session_lock(&zk).acquire().await.unwrap();
    let mut states = session.state();
    server.drop_connections();
    assert_eq!(soon(standard.lost()).await, LossReason::Disconnected);
    children(&other, "/a", 0).await;
    connected(&zk).await;
    soon(states.wait_for(|state| *state == LockState::Held)).await.unwrap();
    assert!(session.is_held() && !standard.is_held());
    assert_eq!(session.release().await.unwrap(), Released::Deleted);
    assert_eq!(standard.release().await.unwrap(), Released::Lost(LossReason::Disconnected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contenders_of_other_dialects_count_and_foreign_children_do_not() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    other.create(PATH, "").parents().await.unwrap();
    other.create(format!("{PATH}/0"), "").await.unwrap();
    let lock = Lock::new(&zk, PATH);
    drop(soon(lock.acquire()).await.unwrap());
    children(&other, PATH, 1).await;
    for prefix in ["2947c1dfc94b42a08d17b659fb24e72e__lock__", "_c_2947c1dfc94b42a08d17b659fb24e72e-lock-"] {
        let path = format!("{PATH}/{prefix}");
        let mode = CreateMode::EphemeralSequential;
        let foreign = other.create(path, "").mode(mode).await.unwrap();
        assert!(lock.try_acquire().await.unwrap().is_none(), "{prefix}");
        other.delete(foreign.path).await.unwrap();
        drop(soon(lock.acquire()).await.unwrap());
        children(&other, PATH, 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_runs_under_the_lock_and_stops_with_it() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let lock = Lock::new(&zk, PATH);
    assert_eq!(lock.run(async { 7 }).await.unwrap(), 7);
    children(&other, PATH, 0).await;
    let working = tokio::spawn(async move { lock.run(std::future::pending::<()>()).await });
    let names = children(&other, PATH, 1).await;
    other.delete(format!("{PATH}/{}", names[0])).await.unwrap();
    assert!(soon(working).await.unwrap().unwrap_err().is_lost());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_say_what_to_mend() {
    let server = server().await;
    let zk = client(&server).await;
    let error = Lock::new(&zk, "no-slash").acquire().await.unwrap_err();
    assert!(matches!(&error, Error::Client { .. }), "{error}");
    let strict = Lock::builder(&zk, "/missing/lock").parents(zk_recipes::Parents::MustExist).build();
    let error = strict.acquire().await.unwrap_err();
    assert!(error.client_error().unwrap().is_no_node(), "{error}");
    let lock = Lock::new(&zk, PATH);
    let guard = lock.acquire().await.unwrap();
    let waiter = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire().await }
    });
    children(&zk, PATH, 2).await;
    zk.close().await;
    let outcome = soon(waiter).await.unwrap();
    assert!(matches!(outcome, Err(Error::ClientEnded { .. })), "{outcome:?}");
    assert_eq!(soon(guard.lost()).await, LossReason::ClientClosed);
    assert!(matches!(lock.acquire().await, Err(Error::ClientEnded { .. })));
}
