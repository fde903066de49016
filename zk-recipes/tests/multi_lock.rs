//! Several locks as one on a real server: all or none, one loss ends all, and nothing is left behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::time::Duration;
use tokio::time::Instant;

use support::{children, client, dropped_after, server, soon};
use zk_client::Client;
use zk_recipes::{Dialect, Error, Lock, LockState, LossPolicy, LossReason, MultiLock, Released, RwLock};

const PATHS: [&str; 3] = ["/locks/c", "/locks/a", "/locks/b"];

async fn nothing_left(zk: &Client) {
    for path in PATHS {
        children(zk, path, 0).await;
    }
}

/// What does not exclude each other cannot be one lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_kinds_of_lock_at_one_path_are_refused() {
    let server = server().await;
    let zk = client(&server).await;
    let (lock, rw) = (zk_recipes::Lock::new(&zk, "/a"), zk_recipes::RwLock::new(&zk, "/a"));
    let kazoo = zk_recipes::Lock::builder(&zk, "/a").dialect(zk_recipes::Dialect::Kazoo).build();
    let of = || MultiLock::builder(&zk);
    for both in [of().lock(&lock).write(&rw), of().read(&rw).lock(&lock), of().lock(&lock).lock(&kazoo)] {
        let refused = both.build().acquire().await;
        assert!(matches!(refused, Err(Error::Mismatch { .. })), "{refused:?}");
    }
    let sides = of().read(&rw).write(&rw).lock(&zk_recipes::Lock::new(&zk, "/b")).path("/b").build();
    assert_eq!(soon(sides.acquire()).await.unwrap().nodes().count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_or_none_by_path() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let all = MultiLock::new(&zk, PATHS.into_iter().chain(["/locks/a"]));
    assert_eq!(all.paths().collect::<Vec<_>>(), ["/locks/a", "/locks/b", "/locks/c"]);
    let guard = soon(all.acquire()).await.unwrap();
    assert!(guard.is_held());
    let tokens: Vec<_> = guard.tokens().collect();
    assert_eq!(
        tokens.iter().map(|(path, _)| *path).collect::<Vec<_>>(),
        ["/locks/a", "/locks/b", "/locks/c"]
    );
    assert!(tokens.windows(2).all(|pair| pair[0].1 < pair[1].1), "taken one after the other");
    for path in PATHS {
        assert!(Lock::new(&other, path).try_acquire().await.unwrap().is_none());
    }
    zk.create("/mark", "").await.unwrap();
    guard.transaction().unwrap().set("/mark", "x").commit().await.unwrap();
    assert_eq!(guard.release().await.unwrap(), Released::Deleted);
    nothing_left(&zk).await;

    // The last one is taken: the others are given up, within one limit for all.
    let taken = soon(Lock::new(&other, "/locks/c").acquire()).await.unwrap();
    assert!(all.try_acquire().await.unwrap().is_none());
    children(&zk, "/locks/a", 0).await;
    let begun = Instant::now();
    let limit = Duration::from_millis(60);
    let error = all.acquire_within(limit).await.unwrap_err();
    assert!(
        matches!(&error, Error::Timeout { path, limit: l } if path == "/locks/c" && *l == limit),
        "{error}"
    );
    assert!(begun.elapsed() >= limit);
    taken.release().await.unwrap();
    nothing_left(&zk).await;
    let unsorted = MultiLock::builder(&zk).paths(PATHS).keep_order(true).build();
    assert_eq!(unsorted.paths().collect::<Vec<_>>(), PATHS);
    drop(soon(unsorted.acquire()).await.unwrap());
    nothing_left(&zk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_loss_is_everybodys_and_the_rest_is_released() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    zk.create("/mark", "").await.unwrap();
    let all = MultiLock::new(&zk, PATHS);
    let guard = soon(all.acquire()).await.unwrap();
    let begun = guard.transaction().unwrap().set("/mark", "stale");
    let node = guard.nodes().nth(1).unwrap().to_owned();
    assert!(node.starts_with("/locks/b/"));
    other.delete(node).await.unwrap();
    assert!(begun.commit().await.unwrap_err().is_lost());
    assert_eq!(soon(guard.lost()).await, LossReason::NodeDeleted);
    assert_eq!(*guard.state().borrow(), LockState::Lost(LossReason::NodeDeleted));
    nothing_left(&other).await;
    assert!(guard.transaction().unwrap_err().is_lost());
    assert!(guard.run(std::future::pending::<()>()).await.unwrap_err().is_lost());
    assert_eq!(guard.release().await.unwrap(), Released::Lost(LossReason::NodeDeleted));

    let guard = soon(all.acquire()).await.unwrap();
    let (lost, revoked) = (guard.lost(), guard.revoked());
    other.set(guard.nodes().last().unwrap(), "__REVOKE__").await.unwrap();
    soon(revoked).await;
    assert!(server.expire_session(zk.session_id().unwrap()).await);
    assert!(matches!(soon(lost).await, LossReason::SessionExpired | LossReason::Disconnected));
    soon(all.acquire()).await.unwrap().release().await.unwrap();
    nothing_left(&other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_while_others_are_waited_for_is_taken_anew() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let last = soon(Lock::new(&other, "/locks/c").acquire()).await.unwrap();
    let all = MultiLock::new(&zk, PATHS);
    let waiting = tokio::spawn({
        let all = all.clone();
        async move { all.acquire().await }
    });
    children(&other, "/locks/c", 2).await;
    let old = zk.session_id().unwrap();
    assert!(server.expire_session(old).await);
    soon(async {
        while zk.session_id() == Some(old) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    for (path, count) in [("/locks/a", 1), ("/locks/b", 1), ("/locks/c", 2)] {
        children(&other, path, count).await;
    }
    last.release().await.unwrap();
    let guard = soon(waiting).await.unwrap().unwrap();
    assert!(guard.is_held());
    guard.transaction().unwrap().create("/mark", "").commit().await.unwrap();
    drop(guard);
    nothing_left(&other).await;

    // Put out by somebody: said, and the rest is given up.
    let last = soon(Lock::new(&other, "/locks/c").acquire()).await.unwrap();
    let waiting = tokio::spawn(async move { all.acquire().await });
    children(&other, "/locks/c", 2).await;
    let first = children(&other, "/locks/a", 1).await;
    other.delete(format!("/locks/a/{}", first[0])).await.unwrap();
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Lost { reason: LossReason::NodeDeleted, .. }), "{error}");
    children(&other, "/locks/c", 1).await;
    last.release().await.unwrap();
    nothing_left(&other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_every_kind() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let both = Lock::builder(&zk, "/locks/a").dialect(Dialect::Both).loss_policy(LossPolicy::Session).build();
    let (shared, own) = (RwLock::new(&zk, "/locks/b"), RwLock::new(&zk, "/locks/c"));
    let all = MultiLock::builder(&zk).write(&own).read(&shared).lock(&both).read(&own).build();
    assert_eq!(all.paths().count(), 3);
    let guard = soon(all.acquire()).await.unwrap();
    assert_eq!(guard.nodes().count(), 4);
    let theirs = RwLock::new(&other, "/locks/b");
    assert!(theirs.try_read().await.unwrap().is_some());
    assert!(theirs.try_write().await.unwrap().is_none());
    assert!(
        RwLock::new(&other, "/locks/c").try_read().await.unwrap().is_none(),
        "who reads and writes, writes"
    );
    assert_eq!(guard.release().await.unwrap(), Released::Deleted);
    nothing_left(&zk).await;

    // A durable member is kept by a guard that is dropped, and given up by one that is released.
    let durable = Lock::builder(&zk, "/locks/a").durable("nightly").build();
    let all = MultiLock::builder(&zk).lock(&durable).path("/locks/b").build();
    drop(soon(all.acquire()).await.unwrap());
    children(&zk, "/locks/b", 0).await;
    children(&zk, "/locks/a", 1).await;
    let guard = soon(all.acquire()).await.unwrap();
    assert_eq!(guard.release().await.unwrap(), Released::Deleted);
    nothing_left(&zk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let none = MultiLock::new(&zk, Vec::<String>::new()).acquire().await.unwrap_err();
    assert!(matches!(none, Error::Mismatch { .. }), "{none}");
    let foreign = MultiLock::builder(&zk).path("/a").lock(&Lock::new(&other, "/b")).build();
    let error = foreign.acquire().await.unwrap_err();
    assert!(matches!(&error, Error::Mismatch { path, .. } if path == "/b"), "{error}");
    let many = MultiLock::new(&zk, (0..1001).map(|n| format!("/many/{n}")));
    assert!(matches!(many.acquire().await, Err(Error::Mismatch { .. })));
    let bad = MultiLock::new(&zk, ["/locks/a", "no-slash"]).acquire().await.unwrap_err();
    assert!(matches!(bad, Error::Client { .. }), "{bad}");
    nothing_left(&zk).await;
}

/// More paths than one request has room for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_does_not_fit_into_a_frame_takes_several() {
    const PATH_BYTES: usize = 20_000;
    const MEMBERS: usize = 80;
    let server = server().await;
    let zk = client(&server).await;
    let paths: Vec<_> = (0..MEMBERS).map(|n| format!("/locks/{}-{n:02}", "x".repeat(PATH_BYTES))).collect();
    let all = MultiLock::new(&zk, paths.iter().map(String::as_str));
    for awaited in [true, false] {
        let guard = soon(all.acquire()).await.unwrap();
        match awaited {
            true => assert_eq!(guard.release().await.unwrap(), Released::Deleted),
            false => drop(guard),
        }
        for path in &paths {
            children(&zk, path, 0).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_anywhere_it_leaves_nothing() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let all = MultiLock::new(&zk, PATHS);
    for polls in 0..16 {
        drop(dropped_after(polls, all.acquire()).await);
        nothing_left(&other).await;
    }
    for polls in 0..4 {
        let guard = soon(all.acquire()).await.unwrap();
        let lost = guard.lost();
        drop(dropped_after(polls, guard.release()).await);
        assert_eq!(soon(lost).await, LossReason::Released);
        nothing_left(&other).await;
    }
    zk.close().await;
    assert!(matches!(all.acquire().await, Err(Error::ClientEnded { .. })));
}

/// Everybody names the same locks in another order, and nobody waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ring_of_waiters() {
    let server = server().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..6 {
        let zk = client(&server).await;
        tasks.spawn(async move {
            let mut paths = PATHS;
            paths.rotate_left(n % 3);
            let all = MultiLock::new(&zk, paths.into_iter().take(2));
            for _ in 0..5 {
                all.acquire().await.unwrap().release().await.unwrap();
            }
        });
    }
    while let Some(done) = soon(tasks.join_next()).await {
        done.unwrap();
    }
}
