//! Values and numbers on a real server: no step lost, no step counted twice, and what is watched is seen.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use support::{children, client, dropped_after, server, soon};
use zk_recipes::counter::{CachedAtomicI64, KazooCounter, KazooFloatCounter, Text};
use zk_recipes::{AtomicI32, AtomicI64, AtomicValue, Error, SharedCount, SharedValue};

const PATH: &str = "/app/counters/orders";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_written_as_the_others_read_them() {
    let server = server().await;
    let zk = client(&server).await;
    let data = async |path: &str| zk.get(path).await.unwrap().data.to_vec();
    let long = AtomicI64::new(&zk, PATH);
    assert_eq!(long.get().await.unwrap(), 0, "no node is zero");
    zk.create(PATH, "").parents().await.unwrap();
    assert_eq!(long.get().await.unwrap(), 0, "and so is no data");
    let change = long.increment().await.unwrap();
    assert_eq!((change.before, change.after, change.tries.optimistic), (0, 1, 1));
    assert_eq!(data(PATH).await, [0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(long.subtract(3).await.unwrap().after, -2);
    assert_eq!(long.decrement().await.unwrap().after, -3);
    let int = AtomicI32::new(&zk, "/app/int");
    int.add(-2).await.unwrap();
    assert_eq!(data("/app/int").await, [0xff, 0xff, 0xff, 0xfe]);
    let text = KazooCounter::new(&zk, "/app/text");
    let change = text.add(Text(5)).await.unwrap();
    assert_eq!((change.before, change.after), (Text(0), Text(5)));
    assert_eq!(data("/app/text").await, b"5");
    let float = KazooFloatCounter::new(&zk, "/app/float");
    float.add(Text(1.5)).await.unwrap();
    assert_eq!(data("/app/float").await, b"1.5");
    let wrong = AtomicI32::new(&zk, PATH).get().await.unwrap_err();
    assert!(matches!(wrong, Error::Corrupted { .. }), "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_is_set_when_it_is_what_was_expected() {
    let server = server().await;
    let zk = client(&server).await;
    let number = AtomicI64::new(&zk, PATH);
    assert!(number.initialize(7).await.unwrap() && !number.initialize(8).await.unwrap());
    assert!(number.compare_and_set(6, 9).await.unwrap().is_none());
    assert_eq!(number.compare_and_set(7, 9).await.unwrap().unwrap().before, 7);
    assert_eq!(number.try_set(i64::MAX).await.unwrap().before, 9);
    let overflow = number.increment().await.unwrap_err();
    assert!(matches!(overflow, Error::Overflow { .. }), "{overflow}");
    let wrapping = AtomicI64::builder(&zk, PATH).wrapping(true).build();
    assert_eq!(wrapping.increment().await.unwrap().after, i64::MIN);
    assert!(number.subtract(i64::MIN).await.is_err());
    number.force_set(1).await.unwrap();
    assert_eq!(number.get().await.unwrap(), 1);
    let value = AtomicValue::new(&zk, "/app/value");
    value.force_set("a").await.unwrap();
    assert!(value.compare_and_set(b"b", "c").await.unwrap().is_none());
    assert_eq!(value.try_set("d").await.unwrap().before.as_deref(), Some(&b"a"[..]));
    assert_eq!(value.get().await.unwrap().as_deref(), Some(&b"d"[..]));
}

async fn contend(exact: bool, promote: bool) {
    const WRITERS: i64 = 8;
    const STEPS: i64 = 40;
    let server = server().await;
    let zk = client(&server).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let zk = client(&server).await;
        tasks.spawn(async move {
            let mut number = AtomicI64::builder(&zk, PATH).exact(exact);
            if promote {
                number = number.tries(1).promote_to_lock("/app/locks/orders", Duration::from_secs(20));
            }
            let number = number.build();
            let mut promoted = 0;
            for _ in 0..STEPS {
                loop {
                    match number.increment().await {
                        Ok(change) => {
                            assert_eq!(change.after, change.before + 1);
                            promoted += change.tries.promoted;
                            break;
                        }
                        Err(Error::Conflict { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            promoted
        });
    }
    let mut promoted = 0;
    while let Some(done) = soon(tasks.join_next()).await {
        promoted += done.unwrap();
    }
    assert_eq!(AtomicI64::new(&zk, PATH).get().await.unwrap(), WRITERS * STEPS);
    assert_eq!(promoted > 0, promote, "{promoted} tries under the lock");
    children(&zk, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_step_of_many_writers_is_lost() {
    contend(false, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exact_steps_leave_no_markers() {
    contend(true, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_never_fast_enough_is_promoted() {
    contend(false, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_dropped_has_happened_or_not() {
    let server = server().await;
    let zk = client(&server).await;
    for exact in [false, true] {
        let number = AtomicI64::builder(&zk, PATH).exact(exact).build();
        number.force_set(0).await.unwrap();
        let mut last = 0;
        for polls in 0..6 {
            let done = dropped_after(polls, number.increment()).await.is_some();
            zk.sync(PATH).await.unwrap();
            let now = number.get().await.unwrap();
            assert!(now == last + 1 || (now == last && !done), "{last} -> {now}, {done}");
            last = now;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_taken_in_blocks_are_nobody_elses() {
    let server = server().await;
    let block = NonZeroU32::new(10).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let zk = client(&server).await;
        let numbers =
            Arc::new(CachedAtomicI64::new(AtomicI64::builder(&zk, PATH).tries(1000).build(), block));
        tasks.spawn(async move {
            let mut taken = Vec::new();
            for _ in 0..55 {
                taken.push(numbers.next().await.unwrap());
            }
            assert!(taken.is_sorted());
            taken
        });
    }
    let all: Vec<i64> = tasks.join_all().await.concat();
    let different: BTreeSet<&i64> = all.iter().collect();
    assert_eq!(different.len(), 4 * 55);
    assert_eq!(AtomicI64::new(&client(&server).await, PATH).get().await.unwrap(), 4 * 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_sees_a_shared_value_change() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let mine = SharedValue::open(&zk, PATH, "seed").await.unwrap();
    let theirs = SharedValue::open(&other, PATH, "another seed").await.unwrap();
    assert_eq!(theirs.get().value.as_deref(), Some(&b"seed"[..]));
    let seen = theirs.get();
    let mut changes = theirs.changes();
    mine.set("one").await.unwrap();
    soon(changes.wait_for(|state| state.value.as_deref() == Some(b"one"))).await.unwrap();
    assert!(!theirs.try_set(&seen, "two").await.unwrap(), "it has seen the seed only");
    assert!(theirs.try_set(&theirs.get(), "two").await.unwrap());
    soon(mine.changes().wait_for(|state| state.value.as_deref() == Some(b"two"))).await.unwrap();
    // Away and back, in another session.
    let session = zk.session_state().borrow().session().unwrap().id;
    let mut states = mine.changes();
    states.borrow_and_update();
    assert!(server.expire_session(session).await);
    soon(states.wait_for(|state| state.stale)).await.unwrap();
    theirs.set("three").await.unwrap();
    let fresh =
        |state: &zk_recipes::counter::SharedState| !state.stale && state.value.as_deref() == Some(b"three");
    soon(states.wait_for(fresh)).await.unwrap();
    // Gone, and made by somebody else.
    other.delete(PATH).await.unwrap();
    soon(states.wait_for(|state| state.value.is_none())).await.unwrap();
    assert!(!mine.try_set(&mine.get(), "four").await.unwrap());
    other.create(PATH, "five").await.unwrap();
    soon(states.wait_for(|state| state.value.as_deref() == Some(b"five"))).await.unwrap();
    drop((mine, theirs));
    zk.exists("/").await.unwrap();
    other.exists("/").await.unwrap();
    soon(async {
        while server.server().reporter().report().watches > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_value_is_made_anew_when_asked_to() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let value = SharedValue::builder(&zk, PATH, "seed").recreate(true).open().await.unwrap();
    value.set("changed").await.unwrap();
    let mut states = value.changes();
    other.delete(PATH).await.unwrap();
    soon(states.wait_for(|state| state.value.as_deref() == Some(b"seed"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_count_is_seeded_where_kazoo_left_nothing() {
    let server = server().await;
    let zk = client(&server).await;
    zk.create(PATH, "").parents().await.unwrap();
    let count = SharedCount::open(&zk, PATH, 3).await.unwrap();
    assert_eq!(count.get().count, Some(3));
    assert_eq!(&zk.get(PATH).await.unwrap().data[..], [0, 0, 0, 3]);
    let seen = count.get();
    assert!(count.try_set(&seen, 4).await.unwrap() && !count.try_set(&seen, 5).await.unwrap());
    count.set(6).await.unwrap();
    assert_eq!(AtomicI32::new(&zk, PATH).get().await.unwrap(), 6);
}
