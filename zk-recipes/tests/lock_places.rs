//! The lock's options on a real server: dialects, two phases, handles that are entered again, durable owners, and
//! what others may do to a holder.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::time::Duration;

use support::{children, client, dropped_after, server, soon};
use zk_client::{Client, CreateMode};
use zk_recipes::{Dialect, Error, Lock, LockState, LossReason, Released};

const PATH: &str = "/app/locks/gpu";

fn lock(zk: &Client, dialect: Dialect) -> Lock {
    Lock::builder(zk, PATH).dialect(dialect).build()
}

/// A node of a stock peer, as it would write it.
async fn foreign(zk: &Client, name: &str) -> String {
    let create = zk.create(format!("{PATH}/{name}"), "").mode(CreateMode::EphemeralSequential);
    create.parents().await.unwrap().path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_dialect_writes_its_names_and_waits_for_all() {
    let server = server().await;
    let zk = client(&server).await;
    for dialect in [Dialect::Curator, Dialect::Kazoo, Dialect::Both] {
        for stock in ["_c_a-lock-", "b__lock__", "_c_00112233445566778899aabbccddeeff-lock-"] {
            let theirs = foreign(&zk, stock).await;
            assert!(lock(&zk, dialect).try_acquire().await.unwrap().is_none(), "{dialect:?} and {stock}");
            let waiting = lock(&zk, dialect);
            let waiting = tokio::spawn(async move { waiting.acquire().await });
            children(&zk, PATH, if dialect == Dialect::Both { 3 } else { 2 }).await;
            zk.delete(theirs).await.unwrap();
            let guard = soon(waiting).await.unwrap().unwrap();
            let markers: Vec<&str> = guard
                .nodes()
                .iter()
                .map(|node| if node.contains("__lock__") { "kazoo" } else { "curator" })
                .collect();
            let expected = match dialect {
                Dialect::Curator => vec!["curator"],
                Dialect::Kazoo => vec!["kazoo"],
                Dialect::Both => vec!["curator", "kazoo"],
            };
            assert_eq!(markers, expected);
            for node in guard.nodes() {
                let czxid = zk.get(node.as_str()).await.unwrap().stat.czxid;
                assert_eq!(czxid, guard.fencing_token().czxid(), "both are of one transaction");
            }
            assert_eq!(guard.release().await.unwrap(), Released::Deleted);
            children(&zk, PATH, 0).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_in_both_dialects_is_one_participant_and_loses_with_either_node() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    for gone in 0..2 {
        let ours = lock(&zk, Dialect::Both);
        let guard = ours.acquire().await.unwrap();
        let waiting = Lock::builder(&other, PATH).dialect(Dialect::Both).identifier("the next").build();
        let ticket = waiting.enqueue().await.unwrap();
        assert_eq!((ticket.nodes().len(), ticket.requeued()), (2, 0));
        let line = ours.participants().await.unwrap();
        assert_eq!(line.len(), 2, "{line:?}");
        assert_eq!(line[0].nodes, guard.nodes());
        assert_eq!((line[0].admitted, line[1].admitted), (true, false));
        assert_eq!(line[0].token, guard.fencing_token());
        assert_eq!((line[1].identifier().as_str(), line[1].nodes.len()), ("the next", 2));
        let lost = guard.lost();
        other.delete(guard.nodes()[gone].as_str()).await.unwrap();
        assert_eq!(soon(lost).await, LossReason::NodeDeleted);
        let fenced = guard.transaction();
        assert!(matches!(fenced, Err(Error::Lost { reason: LossReason::NodeDeleted, .. })), "{fenced:?}");
        let next = soon(ticket.wait()).await.unwrap();
        assert!(next.fencing_token() > guard.fencing_token());
        drop((guard, next));
        children(&zk, PATH, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_every_step_both_nodes_go() {
    let server = server().await;
    let zk = client(&server).await;
    for polls in 0..20 {
        drop(dropped_after(polls, lock(&zk, Dialect::Both).acquire()).await);
        let guard = soon(lock(&zk, Dialect::Both).acquire()).await.unwrap();
        drop(dropped_after(polls, lock(&zk, Dialect::Kazoo).enqueue()).await);
        drop(dropped_after(polls, guard.release()).await);
    }
    children(&zk, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_keeps_its_place_until_it_is_waited_for_or_dropped() {
    let server = server().await;
    let zk = client(&server).await;
    let lock = lock(&zk, Dialect::Curator);
    let free = lock.enqueue().await.unwrap();
    assert_eq!(free.ahead(), Some(0));
    assert!(lock.try_acquire().await.unwrap().is_none(), "it is the ticket's");
    let second = lock.enqueue().await.unwrap();
    let third = lock.enqueue().await.unwrap();
    assert_eq!((second.ahead(), third.ahead()), (Some(1), Some(2)));
    let third = match third.wait_within(Duration::from_millis(20)).await.unwrap() {
        Err(ticket) => ticket,
        Ok(guard) => panic!("{guard:?} overtook two others"),
    };
    children(&zk, PATH, 3).await;
    drop(second);
    children(&zk, PATH, 2).await;
    let guard = free.wait().await.unwrap();
    let waiting = tokio::spawn(third.wait());
    guard.release().await.unwrap();
    drop(soon(waiting).await.unwrap().unwrap());
    children(&zk, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_survives_the_end_of_its_session_at_the_tail() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let first = lock(&zk, Dialect::Both).enqueue().await.unwrap();
    let guard = lock(&other, Dialect::Curator).enqueue().await.unwrap();
    let session = zk.session_state().borrow().session().unwrap().id;
    assert!(server.expire_session(session).await);
    // Until the client has heard of it, its place at the head of the line is its own.
    let mut states = zk.session_state();
    soon(states.wait_for(|state| state.session().is_some_and(|info| info.id != session))).await.unwrap();
    let guard = soon(guard.wait()).await.unwrap();
    let waiting = tokio::spawn(async move {
        let mut ticket = first;
        loop {
            match ticket.wait_within(Duration::from_millis(5)).await? {
                Ok(guard) => return Ok::<_, Error>(guard),
                Err(again) => ticket = again,
            }
        }
    });
    children(&other, PATH, 3).await;
    guard.release().await.unwrap();
    drop(soon(waiting).await.unwrap().unwrap());
    children(&other, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holding_ends_with_the_last_of_its_guards() {
    let server = server().await;
    let zk = client(&server).await;
    let plain = lock(&zk, Dialect::Curator);
    let guard = plain.acquire().await.unwrap();
    let inner = guard.reenter();
    assert_eq!(guard.release().await.unwrap(), Released::StillHeld);
    assert!(inner.is_held() && plain.try_acquire().await.unwrap().is_none());
    assert_eq!(inner.release().await.unwrap(), Released::Deleted);

    let lock = Lock::builder(&zk, PATH).reentrant(true).build();
    let (first, second) = tokio::join!(lock.acquire(), lock.acquire());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.node(), second.node(), "one handle, one owner");
    let third = lock.clone().acquire_within(Duration::from_secs(10)).await.unwrap();
    let fourth = lock.try_acquire().await.unwrap().unwrap();
    children(&zk, PATH, 1).await;
    drop((first, second, third));
    assert!(fourth.is_held());
    fourth.release().await.unwrap();
    children(&zk, PATH, 0).await;
    let again = lock.acquire().await.unwrap();
    let lost = again.lost();
    zk.delete(again.node()).await.unwrap();
    soon(lost).await;
    let next = soon(lock.acquire()).await.unwrap();
    assert!(next.is_held(), "a holding that is lost is not entered again");
    assert_eq!(
        plain.acquire_within(Duration::from_millis(20)).await.unwrap_err().to_string(),
        format!("{PATH}: not acquired within 20ms")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_lock_outlives_its_process_and_is_taken_over_by_its_owner() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let durable = |zk: &Client| Lock::builder(zk, PATH).durable("nightly-report").build();
    let guard = soon(durable(&zk).acquire()).await.unwrap();
    let first_token = guard.fencing_token();
    assert_eq!(zk.get(guard.node()).await.unwrap().stat.ephemeral_owner.0, 0);
    // Its session ends, and it goes on in the next one.
    assert!(server.expire_session(guard.session()).await);
    let mut states = guard.state();
    soon(states.wait_for(|state| matches!(state, LockState::Suspect { .. }))).await.unwrap();
    soon(states.wait_for(|state| *state == LockState::Held)).await.unwrap();
    guard.transaction().unwrap().create("/app/done", "").commit().await.unwrap();
    assert!(Lock::new(&other, PATH).try_acquire().await.unwrap().is_none());
    // The process is gone, and the lock is not.
    drop(guard);
    soon(zk.close()).await;
    assert!(Lock::new(&other, PATH).try_acquire().await.unwrap().is_none());
    // Another life of the owner, and then a third one beside it.
    let zk = client(&server).await;
    let second = soon(durable(&zk).try_acquire()).await.unwrap().unwrap();
    assert!(second.fencing_token() > first_token);
    let lost = second.lost();
    let third = soon(durable(&other).acquire()).await.unwrap();
    assert_eq!(soon(lost).await, LossReason::TakenOver);
    assert!(third.fencing_token() > second.fencing_token());
    assert!(third.is_held());
    third.transaction().unwrap().delete("/app/done").commit().await.unwrap();
    assert_eq!(soon(third.release()).await.unwrap(), Released::Deleted);
    children(&other, PATH, 0).await;
    // Asked for, dropping releases.
    let dropped = Lock::builder(&zk, PATH).durable("x").release_on_drop(true).build();
    drop(soon(dropped.acquire()).await.unwrap());
    children(&other, PATH, 0).await;
    // Who gives up waiting for it leaves no node behind for ever.
    let holder = Lock::new(&other, PATH).acquire().await.unwrap();
    for polls in 0..4 {
        // Answers that come together are one poll, and nobody wakes one who waits.
        let lock = durable(&zk);
        let few = dropped_after(polls, lock.acquire());
        drop(tokio::time::timeout(Duration::from_millis(200), few).await);
    }
    children(&other, PATH, 1).await;
    drop(holder);
    children(&other, PATH, 0).await;
    // Nor who gives up while it gets it: however far it has come, the next one is let in.
    for polls in 0..12 {
        let lock = Lock::builder(&zk, PATH).durable("report").release_on_drop(true).build();
        drop(dropped_after(polls, lock.acquire()).await);
        soon(Lock::new(&other, PATH).acquire()).await.unwrap().release().await.unwrap();
    }
    children(&other, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_that_waits_and_is_replaced_is_told_and_harms_nobody() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let durable = |zk: &Client| Lock::builder(zk, PATH).durable("report").build();
    let holder = Lock::new(&other, PATH).acquire().await.unwrap();
    let earlier = durable(&zk).enqueue().await.unwrap();
    holder.release().await.unwrap();
    let later = soon(durable(&other).acquire()).await.unwrap();
    let replaced = soon(earlier.wait()).await;
    assert!(matches!(replaced, Err(Error::Lost { reason: LossReason::TakenOver, .. })), "{replaced:?}");
    assert!(later.is_held());
    later.transaction().unwrap().create("/app/report-is-out", "").commit().await.unwrap();
    assert_eq!(later.release().await.unwrap(), Released::Deleted);
    children(&other, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_write_of_an_earlier_life_is_refused() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let durable = |zk: &Client| Lock::builder(zk, PATH).durable("nightly-report").build();
    let first = durable(&zk).acquire().await.unwrap();
    let prepared = first.transaction().unwrap().create("/app/stale", "");
    let second = durable(&other).acquire().await.unwrap();
    let refused = prepared.commit().await;
    assert!(matches!(refused, Err(Error::Lost { reason: LossReason::TakenOver, .. })), "{refused:?}");
    second.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_may_ask_a_holder_to_give_up_or_take_the_lock_away() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    for dialect in [Dialect::Curator, Dialect::Both] {
        let guard = Lock::builder(&zk, PATH).dialect(dialect).identifier("report").build();
        let guard = guard.acquire().await.unwrap();
        let theirs = Lock::new(&other, PATH);
        let holder = theirs.holder().await.unwrap().unwrap();
        assert_eq!((holder.identifier().as_str(), holder.session), ("report", guard.session()));
        let revoked = guard.revoked();
        assert!(theirs.revoke(&holder).await.unwrap());
        soon(revoked).await;
        soon(guard.revoked()).await;
        assert!(guard.is_held(), "it was asked, not forced");
        guard.transaction().unwrap().check("/app", -1).commit().await.unwrap();
        let lost = guard.lost();
        let broken = theirs.break_lock().await.unwrap().unwrap();
        assert_eq!(broken.session, guard.session());
        assert_eq!(soon(lost).await, LossReason::NodeDeleted);
        assert!(theirs.holder().await.unwrap().is_none());
        assert!(!theirs.revoke(&holder).await.unwrap() && !theirs.evict(&holder).await.unwrap());
        assert!(theirs.break_lock().await.unwrap().is_none());
    }
}
