//! The semaphore on a real server: what the shell adds to the pure core.

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
use zk_client::{Client, CreateMode};
use zk_recipes::semaphore::Layout;
use zk_recipes::{Error, LossReason, Released, Semaphore};

const PATH: &str = "/app/pools/gpu";
const LOCKS: &str = "/app/pools/gpu/locks";
const LEASES: &str = "/app/pools/gpu/leases";

async fn counted(zk: &Client, path: &str, size: i32) {
    match zk.create(path, size.to_be_bytes().to_vec()).parents().await {
        Ok(_) => {}
        Err(error) if error.is_node_exists() => {
            zk.set(path, size.to_be_bytes().to_vec()).await.unwrap();
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_at_a_time_and_the_rest_in_order() {
    let server = server().await;
    let zk = client(&server).await;
    let pool = Semaphore::builder(&zk, PATH).permits(2).identifier("first").build();
    let first = pool.acquire().await.unwrap();
    let names = children(&zk, LEASES, 1).await;
    let (prefix, rest) = names[0].split_at(3);
    assert_eq!((prefix, &rest[36..]), ("_c_", "-lease-0000000000"));
    let node = zk.get(first.node()).await.unwrap();
    assert_eq!(&node.data[..], b"first");
    assert_eq!(
        (node.stat.czxid, node.stat.ephemeral_owner),
        (first.fencing_token().czxid(), first.session())
    );
    let second = pool.acquire().await.unwrap();
    assert!(second.fencing_token() > first.fencing_token());
    assert!(pool.try_acquire().await.unwrap().is_none());
    assert_eq!(pool.available().await.unwrap(), 0);

    let turns = Arc::new(AtomicUsize::new(0));
    let mut waiting = Vec::new();
    for n in 0..5 {
        let (pool, turns) = (Semaphore::new(&client(&server).await, PATH, 2), Arc::clone(&turns));
        waiting.push(tokio::spawn(async move {
            let permit = pool.acquire().await.unwrap();
            assert_eq!(turns.fetch_add(1, Ordering::SeqCst), n, "first come, first served");
            assert_eq!(permit.release().await.unwrap(), Released::Deleted);
        }));
        children(&zk, LOCKS, n + 1).await;
    }
    let all = pool.participants().await.unwrap();
    assert_eq!(all.iter().filter(|one| one.admitted).count(), 2);
    assert_eq!(all.len(), 7);
    assert_eq!(pool.holders().await.unwrap()[0].identifier(), "first");
    assert_eq!(first.release().await.unwrap(), Released::Deleted);
    for waiter in waiting {
        soon(waiter).await.unwrap();
    }
    drop(second);
    children(&zk, LEASES, 0).await;
    children(&zk, LOCKS, 0).await;
    assert_eq!(pool.available().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_more_than_there_are() {
    let server = server().await;
    let observer = client(&server).await;
    let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut workers = Vec::new();
    for n in 0..8 {
        let pool = Semaphore::new(&client(&server).await, PATH, 3);
        let (inside, most) = (Arc::clone(&inside), Arc::clone(&most));
        workers.push(tokio::spawn(async move {
            for _ in 0..12 {
                let wanted = if n % 3 == 0 { 2 } else { 1 };
                let permits = pool.acquire_many(wanted).await.unwrap();
                assert_eq!(permits.count(), wanted as usize);
                let now = inside.fetch_add(wanted as usize, Ordering::SeqCst) + wanted as usize;
                most.fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
                inside.fetch_sub(wanted as usize, Ordering::SeqCst);
                permits.release().await.unwrap();
            }
        }));
    }
    for worker in workers {
        soon(worker).await.unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 3, "all permits are used, and no more");
    children(&observer, LEASES, 0).await;
    children(&observer, LOCKS, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_all_or_none() {
    let server = server().await;
    let zk = client(&server).await;
    let pool = Semaphore::new(&zk, PATH, 3);
    let one = pool.acquire().await.unwrap();
    assert!(pool.try_acquire_many(3).await.unwrap().is_none());
    children(&zk, LEASES, 1).await;
    let three = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire_many(3).await.unwrap() }
    });
    children(&zk, LOCKS, 1).await;
    assert!(pool.try_acquire().await.unwrap().is_none(), "who waits for many is not passed");
    assert!(pool.acquire_within(Duration::from_millis(30)).await.unwrap_err().is_timeout());
    one.release().await.unwrap();
    let three = soon(three).await.unwrap();
    assert_eq!((three.count(), three.nodes().len()), (3, 3));
    let holders = pool.holders().await.unwrap();
    assert_eq!((holders.len(), holders[0].nodes.len()), (1, 3));
    // One of them goes, and with it the others.
    let lost = three.lost();
    zk.delete(three.nodes()[1].as_str()).await.unwrap();
    assert_eq!(soon(lost).await, LossReason::NodeDeleted);
    children(&zk, LEASES, 0).await;
    for wrong in [0, 4] {
        let error = pool.acquire_many(wrong).await.unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_every_step_it_leaves_nothing_and_the_next_gets_in() {
    let server = server().await;
    let zk = client(&server).await;
    for layout in [Layout::Curator, Layout::Kazoo] {
        let path = format!("/dropped-{layout:?}");
        let pool = Semaphore::builder(&zk, path.as_str()).permits(2).layout(layout).build();
        for polls in 0..24 {
            // Free.
            drop(dropped_after(polls, pool.acquire_many(2)).await);
            // Held until it waits, and returned while it is being woken.
            let both = soon(pool.acquire_many(2)).await.unwrap();
            let waiter = tokio::spawn({
                let pool = pool.clone();
                async move { drop(dropped_after(polls, pool.acquire()).await) }
            });
            tokio::time::sleep(Duration::from_millis(2)).await;
            drop(dropped_after(polls, both.release()).await);
            let last = soon(pool.acquire()).await.unwrap();
            drop(last);
            waiter.abort();
        }
        let both = soon(pool.acquire_many(2)).await.unwrap();
        both.release().await.unwrap();
        let (locks, leases) = match layout {
            Layout::Curator => (format!("{path}/locks"), format!("{path}/leases")),
            Layout::Kazoo => (format!("{path}-__lock__"), path),
        };
        children(&zk, &locks, 0).await;
        children(&zk, &leases, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_size_is_followed() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    counted(&zk, "/app/size", 1).await;
    let pool = Semaphore::builder(&zk, PATH).permits_from("/app/size").build();
    let first = pool.acquire().await.unwrap();
    let second = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.unwrap() }
    });
    let third = {
        children(&zk, LOCKS, 1).await;
        let pool = Semaphore::builder(&other, PATH).permits_from("/app/size").build();
        tokio::spawn(async move { pool.acquire().await.unwrap() })
    };
    children(&zk, LOCKS, 2).await;
    counted(&other, "/app/size", 2).await;
    let second = soon(second).await.unwrap();
    children(&zk, LOCKS, 1).await;
    // It shrinks: who holds keeps, and who waits waits for more to go.
    counted(&other, "/app/size", 1).await;
    first.release().await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(!third.is_finished() && second.is_held());
    second.release().await.unwrap();
    let third = soon(third).await.unwrap();
    assert!(pool.try_acquire().await.unwrap().is_none());
    third.release().await.unwrap();
    zk.set("/app/size", "seven").await.unwrap();
    assert!(matches!(pool.acquire().await, Err(Error::Corrupted { .. })));
    zk.delete("/app/size").await.unwrap();
    assert!(matches!(pool.acquire().await, Err(Error::Mismatch { .. })));
    children(&zk, LEASES, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoos_layout() {
    let server = server().await;
    let zk = client(&server).await;
    let with =
        |permits| Semaphore::builder(&zk, "/sem").permits(permits).layout(Layout::Kazoo).identifier("me");
    let pool = with(2).build();
    let first = pool.acquire().await.unwrap();
    assert_eq!(&zk.get("/sem").await.unwrap().data[..], b"2");
    let names = children(&zk, "/sem", 1).await;
    assert!(names[0].len() == 32 && names[0].bytes().all(|b| b.is_ascii_hexdigit()), "{names:?}");
    assert_eq!(&zk.get(first.node()).await.unwrap().data[..], b"me");
    children(&zk, "/sem-__lock__", 0).await;
    // A Kazoo that holds.
    let kazoo =
        zk.create("/sem/2947c1dfc94b42a08d17b659fb24e72e", "w").mode(CreateMode::Ephemeral).await.unwrap();
    assert!(pool.try_acquire().await.unwrap().is_none());
    let next = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await.unwrap() }
    });
    let locks = children(&zk, "/sem-__lock__", 1).await;
    assert!(locks[0].ends_with("__lock__0000000001") || locks[0].contains("__lock__"), "{locks:?}");
    let all = pool.participants().await.unwrap();
    let shown: Vec<_> = all.iter().map(|one| (one.identifier(), one.admitted)).collect();
    assert_eq!(
        shown,
        [("me", true), ("w", true), ("me", false)].map(|(who, admitted)| (who.to_owned(), admitted))
    );
    zk.delete(kazoo.path).await.unwrap();
    let next = soon(next).await.unwrap();
    let error = with(3).build().acquire().await.unwrap_err();
    assert!(matches!(&error, Error::Mismatch { path, .. } if path == "/sem"), "{error}");
    next.release().await.unwrap();
    first.release().await.unwrap();
    // What is no number is somebody else's business.
    zk.set("/sem", "a note").await.unwrap();
    with(3).build().acquire_many(3).await.unwrap().release().await.unwrap();
    children(&zk, "/sem-__lock__", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_returns_its_permits_and_its_waiters_wait_anew() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let pool = Semaphore::new(&zk, PATH, 1);
    let others = Semaphore::new(&other, PATH, 1);
    let permit = pool.acquire().await.unwrap();
    let waiter = tokio::spawn(async move { others.acquire().await.unwrap() });
    children(&zk, LOCKS, 1).await;
    // The waiter's session goes while it is the head, with its lease and its place.
    assert!(server.expire_session(other.session_id().unwrap()).await);
    soon(async {
        while other.session_id().is_none_or(|_| waiter.is_finished()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // And then the holder's.
    assert!(server.expire_session(zk.session_id().unwrap()).await);
    assert!(matches!(soon(permit.lost()).await, LossReason::SessionExpired | LossReason::Disconnected));
    let next = soon(waiter).await.unwrap();
    assert!(next.is_held());
    assert_eq!(next.session(), other.session_id().unwrap());
    next.release().await.unwrap();
    children(&other, LEASES, 0).await;
    children(&other, LOCKS, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_are_asked_and_evicted() {
    let server = server().await;
    let (zk, operator) = (client(&server).await, client(&server).await);
    let pool = Semaphore::new(&zk, PATH, 1);
    let view = Semaphore::new(&operator, PATH, 1);
    let permit = pool.acquire().await.unwrap();
    let holder = view.holders().await.unwrap().remove(0);
    assert_eq!(holder.node(), permit.node());
    assert!(view.revoke(&holder).await.unwrap());
    soon(permit.revoked()).await;
    assert!(permit.is_held(), "what to do about it is its choice");
    // A waiter that is taken out of the line hears of it, at its head as well.
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await }
    });
    children(&zk, LOCKS, 1).await;
    children(&zk, LEASES, 2).await;
    let head = view.participants().await.unwrap().remove(1);
    assert!(!head.admitted);
    zk.delete(head.node()).await.unwrap();
    assert!(matches!(soon(waiter).await.unwrap(), Err(Error::NodeDeleted { .. })));
    children(&zk, LEASES, 1).await;
    let lost = permit.lost();
    assert!(view.evict(&holder).await.unwrap());
    assert_eq!(soon(lost).await, LossReason::NodeDeleted);
    assert!(!view.evict(&holder).await.unwrap());
    assert!(permit.transaction().unwrap_err().is_lost());
    assert_eq!(soon(pool.run(async { 7 })).await.unwrap(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_say_what_to_mend() {
    let server = server().await;
    let zk = client(&server).await;
    let error = Semaphore::new(&zk, "no-slash", 1).acquire().await.unwrap_err();
    assert!(matches!(&error, Error::Client { .. }), "{error}");
    let strict = Semaphore::builder(&zk, "/missing").parents(zk_recipes::Parents::MustExist).build();
    let error = strict.acquire().await.unwrap_err();
    assert!(error.client_error().unwrap().is_no_node(), "{error}");
    let pool = Semaphore::new(&zk, PATH, 1);
    let permit = pool.acquire().await.unwrap();
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire().await }
    });
    children(&zk, LOCKS, 1).await;
    zk.close().await;
    let outcome = soon(waiter).await.unwrap();
    assert!(matches!(outcome, Err(Error::ClientEnded { .. })), "{outcome:?}");
    assert_eq!(soon(permit.lost()).await, LossReason::ClientClosed);
    assert!(matches!(pool.acquire().await, Err(Error::ClientEnded { .. })));
}

/// Foreign children neither count nor disturb.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_children_are_ignored() {
    let server = server().await;
    let zk = client(&server).await;
    for node in [LOCKS, LEASES] {
        zk.create(format!("{node}/0"), "").parents().await.unwrap();
    }
    let pool = Semaphore::new(&zk, PATH, 1);
    let permit = soon(pool.acquire()).await.unwrap();
    assert!(pool.try_acquire().await.unwrap().is_none());
    permit.release().await.unwrap();
    assert!(pool.try_acquire().await.unwrap().is_some());
}
