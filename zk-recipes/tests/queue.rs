//! Queues on a real server: everything that was put is taken, once or at least once, in its order.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use support::{children, client, dropped_after, server, soon};
use tokio::time::timeout;
use zk_recipes::Error;
use zk_recipes::queue::{
    DelayQueue, Delivery, IdQueue, PriorityQueue, ShardedQueue, SimpleQueue, WallClock, WorkQueue, kazoo,
};

const PATH: &str = "/app/queue";
const CLAIMS: &str = "/app/queue-claims";

fn text(delivery: &Delivery) -> String {
    String::from_utf8(delivery.data().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_are_written_as_the_others_read_them() {
    let server = server().await;
    let zk = client(&server).await;
    let frame = b"\x00\x01\x00\x01\x01\x00\x00\x00\x02ab\x02";
    assert_eq!(WorkQueue::new(&zk, "/w").put("ab").await.unwrap(), "queue-0000000000");
    assert_eq!(&zk.get("/w/queue-0000000000").await.unwrap().data[..], frame);
    let ids = IdQueue::new(&zk, "/i");
    assert_eq!(ids.put("my/id", "ab").await.unwrap(), "queue-|my_id|0000000000");
    let priorities = PriorityQueue::new(&zk, "/p");
    assert_eq!(priorities.put(5, "ab").await.unwrap(), "queue-1000000050000000000");
    assert_eq!(priorities.put(-5, "ab").await.unwrap(), "queue-0FFFFFFFB0000000001");
    let delays = DelayQueue::new(&zk, "/d");
    assert_eq!(delays.put_at(1_700_000_000_000, "ab").await.unwrap(), "queue-|18BCFE56800|0000000000");
    assert_eq!(SimpleQueue::new(&zk, "/s").put("ab").await.unwrap(), "qn-0000000000");
    assert_eq!(&zk.get("/s/qn-0000000000").await.unwrap().data[..], b"ab");
    assert_eq!(kazoo::Queue::new(&zk, "/k").put("ab", 5).await.unwrap(), "entry-005-0000000000");
    let locking = kazoo::LockingQueue::new(&zk, "/l");
    assert_eq!(locking.put("ab", 7).await.unwrap(), "entry-007-0000000000");
    let taken = locking.take().await.unwrap();
    let claim = zk.get("/l/taken/entry-007-0000000000").await.unwrap();
    assert_eq!(claim.data.len(), 32);
    assert_eq!(claim.stat.czxid, taken.fencing_token().unwrap().czxid());
    taken.ack().await.unwrap();
    assert_eq!(zk.get_children("/l/entries").await.unwrap().names.len(), 0);
    assert_eq!(zk.get_children("/l/taken").await.unwrap().names.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_simple_queue_gives_each_item_to_one() {
    let server = server().await;
    let zk = client(&server).await;
    let queue = SimpleQueue::new(&zk, PATH);
    assert!(queue.try_take().await.unwrap().is_none() && queue.peek().await.unwrap().is_none());
    queue.put_many((0..100).map(|n| n.to_string())).await.unwrap();
    assert_eq!((queue.len().await.unwrap(), queue.is_empty().await.unwrap()), (100, false));
    assert_eq!(queue.peek().await.unwrap(), Some(vec![Bytes::from_static(b"0")]));
    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let queue = SimpleQueue::new(&client(&server).await, PATH);
        takers.spawn(async move {
            let mut taken = Vec::new();
            while let Some(delivery) = queue.try_take().await.unwrap() {
                taken.push(text(&delivery).parse::<u32>().unwrap());
            }
            assert!(taken.is_sorted(), "each takes in order: {taken:?}");
            taken
        });
    }
    let mut all = soon(takers.join_all()).await.concat();
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<u32>>());
    // Somebody waits, and gets what comes later.
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.take().await.map(|delivery| text(&delivery)) }
    });
    SimpleQueue::new(&client(&server).await, PATH).put("late").await.unwrap();
    assert_eq!(soon(waiting).await.unwrap().unwrap(), "late");
    assert!(queue.take_within(Duration::from_millis(20)).await.unwrap_err().is_timeout());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_done_by_somebody_whoever_dies() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let (mine, theirs) = (WorkQueue::new(&zk, PATH), WorkQueue::new(&other, PATH));
    mine.put_many(["a", "b"]).await.unwrap();
    let a = mine.take().await.unwrap();
    let b = theirs.take().await.unwrap();
    assert_eq!((text(&a).as_str(), text(&b).as_str()), ("a", "b"));
    assert!(a.is_held() && theirs.try_take().await.unwrap().is_none());
    assert!(a.fencing_token().unwrap() < b.fencing_token().unwrap());
    // Given back, and taken by the other.
    let waiting = tokio::spawn({
        let theirs = theirs.clone();
        async move { theirs.take().await }
    });
    a.nack().await.unwrap();
    let a = soon(waiting).await.unwrap().unwrap();
    assert_eq!(text(&a), "a");
    // Its session ends: somebody else gets it, and the old one cannot acknowledge.
    let lost = a.lost();
    let session = other.session_state().borrow().session().unwrap().id;
    assert!(server.expire_session(session).await);
    soon(lost).await;
    assert!(!a.is_held());
    let mut again = Vec::new();
    while again.len() < 2 {
        again.extend(soon(mine.take_many(2)).await.unwrap());
    }
    let refused = a.ack().await.unwrap_err();
    assert!(refused.is_lost(), "{refused}");
    for delivery in again {
        delivery.ack().await.unwrap();
    }
    drop(b);
    children(&zk, PATH, 0).await;
    children(&zk, CLAIMS, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jobs_writes_happen_with_its_acknowledgement_or_not_at_all() {
    let server = server().await;
    let zk = client(&server).await;
    let queue = WorkQueue::new(&zk, PATH);
    queue.put("a").await.unwrap();
    let job = queue.take().await.unwrap();
    let done = job.transaction().create("/done", "a").set("/done", "b").commit_and_ack().await.unwrap();
    assert_eq!(done.len(), 2);
    assert_eq!(done[0].created_path(), Some("/done"));
    children(&zk, PATH, 0).await;
    // A write that fails: the item is given back.
    queue.put("b").await.unwrap();
    let job = queue.take().await.unwrap();
    assert!(matches!(
        job.transaction().create("/done", "").commit_and_ack().await,
        Err(Error::Client { .. })
    ));
    let job = soon(queue.take()).await.unwrap();
    // The claim is gone: nothing is written.
    zk.delete(format!("{CLAIMS}/{}", job.node().rsplit('/').next().unwrap())).await.unwrap();
    let refused = job.transaction().create("/stale", "").commit_and_ack().await.unwrap_err();
    assert!(refused.is_lost(), "{refused}");
    assert!(zk.exists("/stale").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_again_keeps_its_place_among_its_kind() {
    let server = server().await;
    let zk = client(&server).await;
    let queue = PriorityQueue::new(&zk, PATH);
    queue.put(7, "later").await.unwrap();
    queue.put(5, "first").await.unwrap();
    queue.put_many(5, ["second"]).await.unwrap();
    queue.put(-1, "urgent").await.unwrap();
    let urgent = queue.take().await.unwrap();
    assert_eq!(text(&urgent), "urgent");
    let first = queue.take().await.unwrap();
    first.requeue(Some(Bytes::from_static(b"first, again"))).await.unwrap();
    urgent.ack().await.unwrap();
    let mut order = Vec::new();
    while let Some(delivery) = queue.try_take().await.unwrap() {
        order.push(text(&delivery));
        delivery.ack().await.unwrap();
    }
    assert_eq!(order, ["second", "first, again", "later"]);

    let simple = SimpleQueue::new(&zk, "/app/simple");
    for item in ["a", "b"] {
        simple.put(item).await.unwrap();
    }
    soon(simple.take()).await.unwrap().requeue(None).await.unwrap();
    for item in ["b", "a"] {
        assert_eq!(text(&soon(simple.take()).await.unwrap()), item);
    }
    assert!(simple.is_empty().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delayed_items_are_taken_when_due() {
    let server = server().await;
    let zk = client(&server).await;
    let now = Arc::new(AtomicU64::new(1_000));
    let clock = WallClock::new({
        let now = Arc::clone(&now);
        move || now.load(Ordering::SeqCst)
    });
    let queue = DelayQueue::with(DelayQueue::builder(&zk, PATH).clock(clock));
    queue.put_at(3_000, "third").await.unwrap();
    queue.put_at(2_000, "second").await.unwrap();
    queue.put_after(Duration::ZERO, "first").await.unwrap();
    let first = queue.try_take().await.unwrap().unwrap();
    assert_eq!(text(&first), "first");
    assert!(queue.try_take().await.unwrap().is_none());
    now.store(2_500, Ordering::SeqCst);
    let second = queue.try_take().await.unwrap().unwrap();
    assert_eq!(text(&second), "second");
    second.requeue(None).await.unwrap();
    assert_eq!(text(&queue.try_take().await.unwrap().unwrap()), "second", "with the time it had");
    // By the machine's clock: a timer, and nobody polls.
    let queue = DelayQueue::new(&zk, "/app/real");
    let began = std::time::Instant::now();
    queue.put_after(Duration::from_millis(120), "x").await.unwrap();
    soon(queue.take()).await.unwrap().ack().await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(119));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_are_removed_by_id_unless_somebody_has_them() {
    let server = server().await;
    let zk = client(&server).await;
    let queue = IdQueue::new(&zk, PATH);
    assert_eq!(queue.remove("a/1").await.unwrap(), 0);
    for id in ["a/1", "b", "a/1"] {
        queue.put(id, id).await.unwrap();
    }
    let taken = queue.take().await.unwrap();
    assert_eq!(text(&taken), "a/1");
    assert_eq!(queue.remove("a/1").await.unwrap(), 1, "the other is somebody's work");
    taken.ack().await.unwrap();
    assert_eq!(text(&queue.take().await.unwrap()), "b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_in_one_node_are_taken_together_and_garbage_is_told() {
    let server = server().await;
    let zk = client(&server).await;
    let queue = WorkQueue::with(WorkQueue::builder(&zk, PATH).at_most_once());
    let both = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
    queue.put_together(&both).await.unwrap();
    let taken = queue.take().await.unwrap();
    assert_eq!(taken.items(), both);
    taken.ack().await.unwrap();
    children(&zk, PATH, 0).await;
    let queue = WorkQueue::new(&zk, PATH);
    zk.create(format!("{PATH}/queue-0000000009"), "garbage").await.unwrap();
    queue.put("good").await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(queue.try_take().await);
    }
    assert!(seen.iter().any(|tried| matches!(tried, Err(Error::Corrupted { .. }))), "{seen:?}");
}

/// What comes first in a queue's order and is no item keeps nobody from the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_at_the_head_is_told_once() {
    let server = server().await;
    let zk = client(&server).await;
    let queue = PriorityQueue::new(&zk, PATH);
    queue.put_many(5, ["a", "b"]).await.unwrap();
    zk.create(format!("{PATH}/queue-0FFFFFFFF0000000000"), "garbage").await.unwrap();
    // Nor is this one, and nobody trips over it.
    zk.create(format!("{PATH}/queue-\u{e9}1234567890"), "garbage").await.unwrap();
    assert!(matches!(soon(queue.take()).await, Err(Error::Corrupted { .. })));
    for item in ["a", "b"] {
        let delivery = soon(queue.take()).await.unwrap();
        assert_eq!(text(&delivery), item);
        delivery.ack().await.unwrap();
    }
    assert!(queue.try_take().await.unwrap().is_none());
    children(&zk, CLAIMS, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_deliveries_ends_with_its_client() {
    let server = server().await;
    let zk = client(&server).await;
    let queue = WorkQueue::new(&zk, PATH);
    queue.put("a").await.unwrap();
    let mut deliveries = std::pin::pin!(queue.deliveries(1));
    deliveries.next().await.unwrap().unwrap().ack().await.unwrap();
    let (next, ()) = tokio::join!(soon(deliveries.next()), zk.close());
    assert!(matches!(next, Some(Err(Error::ClientEnded { .. }))), "{next:?}");
    assert!(soon(deliveries.next()).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_items_are_put_by_several_requests() {
    let server = server().await;
    let zk = client(&server).await;
    let queue = WorkQueue::new(&zk, PATH);
    let large = Bytes::from(vec![7; 5_000]);
    queue.put_many(vec![large.clone(); 400]).await.unwrap();
    assert_eq!(queue.len().await.unwrap(), 400);
    assert_eq!(queue.take_many(400).await.unwrap().len(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn putting_waits_while_a_queue_is_full() {
    let server = server().await;
    let zk = client(&server).await;
    let queue = WorkQueue::with(WorkQueue::builder(&zk, PATH).max_items(2));
    queue.put_many(["a", "b"]).await.unwrap();
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.put("c").await }
    });
    let outcome = timeout(Duration::from_millis(30), queue.put("d")).await;
    assert!(outcome.is_err() && !waiting.is_finished());
    queue.take().await.unwrap().ack().await.unwrap();
    soon(waiting).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exact_puts_leave_no_markers() {
    let server = server().await;
    let zk = client(&server).await;
    let queue = WorkQueue::with(WorkQueue::builder(&zk, PATH).exact(true));
    for n in 0..5 {
        queue.put(n.to_string()).await.unwrap();
    }
    assert_eq!(queue.len().await.unwrap(), 5);
    children(&zk, "/app/queue-puts", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_has_a_bounded_number_out() {
    let server = server().await;
    let zk = client(&server).await;
    let queue = WorkQueue::new(&zk, PATH);
    queue.put_many((0..10).map(|n| n.to_string())).await.unwrap();
    let mut deliveries = Box::pin(queue.deliveries(3));
    let mut out = Vec::new();
    for _ in 0..3 {
        out.push(soon(deliveries.next()).await.unwrap().unwrap());
    }
    assert!(timeout(Duration::from_millis(30), deliveries.next()).await.is_err());
    children(&zk, CLAIMS, 3).await;
    let mut seen: Vec<String> = Vec::new();
    for delivery in out {
        seen.push(text(&delivery));
        delivery.ack().await.unwrap();
    }
    for _ in 0..7 {
        let delivery = soon(deliveries.next()).await.unwrap().unwrap();
        seen.push(text(&delivery));
        delivery.ack().await.unwrap();
    }
    assert_eq!(seen, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_every_step_an_item_is_there_for_the_next() {
    let server = server().await;
    let zk = client(&server).await;
    let queue = WorkQueue::new(&zk, PATH);
    for polls in 0..12 {
        queue.put("x").await.unwrap();
        drop(timeout(Duration::from_millis(50), dropped_after(polls, queue.take())).await);
        let next = soon(queue.take()).await.unwrap();
        drop(timeout(Duration::from_millis(50), dropped_after(polls, next.nack())).await);
        let next = soon(queue.take()).await.unwrap();
        let acked = timeout(Duration::from_millis(50), dropped_after(polls, next.ack())).await;
        drop(acked);
        // Acknowledged or given back.
        while !queue.is_empty().await.unwrap() {
            if let Ok(again) = timeout(Duration::from_millis(50), queue.take()).await {
                again.unwrap().ack().await.unwrap();
            }
        }
        children(&zk, PATH, 0).await;
        children(&zk, CLAIMS, 0).await;
    }
}

/// Takers that die, drop and acknowledge at random: everything put is acknowledged exactly once, as acknowledging is
/// exact, and what was handed over more often was lost in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_forgotten() {
    const ITEMS: usize = 200;
    let server = server().await;
    let zk = client(&server).await;
    WorkQueue::new(&zk, PATH).put_many((0..ITEMS).map(|n| n.to_string())).await.unwrap();
    let mut takers = tokio::task::JoinSet::new();
    for who in 0..4u64 {
        let zk = client(&server).await;
        takers.spawn(async move {
            let queue = WorkQueue::new(&zk, PATH);
            let mut acked = Vec::new();
            let mut nth = who;
            while let Ok(delivery) = queue.take_within(Duration::from_millis(300)).await {
                nth += 1;
                match nth % 5 {
                    0 => drop(delivery),
                    1 => delivery.nack().await.unwrap(),
                    _ => {
                        let item = text(&delivery);
                        delivery.ack().await.unwrap();
                        acked.push(item);
                    }
                }
            }
            acked
        });
    }
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for item in soon(takers.join_all()).await.concat() {
        *times.entry(item).or_default() += 1;
    }
    assert_eq!(times.len(), ITEMS);
    assert!(times.values().all(|count| *count == 1), "{times:?}");
    children(&zk, CLAIMS, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_queue_becomes_several() {
    let server = server().await;
    let zk = client(&server).await;
    let queue = ShardedQueue::with_limits(&zk, PATH, 3, 3);
    for n in 0..12 {
        queue.put(n.to_string()).await.unwrap();
    }
    assert_eq!(queue.len().await.unwrap(), 12);
    let shards = zk.get_children(PATH).await.unwrap().names;
    assert_eq!(shards.iter().filter(|name| name.len() == 42).count(), 3, "{shards:?}");
    let taker = ShardedQueue::new(&client(&server).await, PATH);
    let (mut seen, mut last) = (Vec::new(), BTreeMap::new());
    for _ in 0..12 {
        let delivery = soon(taker.take()).await.unwrap();
        let number = text(&delivery).parse::<u32>().unwrap();
        let shard = delivery.node().rsplit_once('/').unwrap().0.to_owned();
        assert!(last.insert(shard, number).is_none_or(|last| last < number), "each in its order");
        seen.push(number);
        delivery.ack().await.unwrap();
    }
    assert_eq!(last.len(), 3);
    seen.sort_unstable();
    assert_eq!(seen, (0..12).collect::<Vec<u32>>());
    assert!(taker.is_empty().await.unwrap());
}

/// Away and back, and nobody looked meanwhile: under the standard policy that is a loss all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_disconnect_loses_a_delivery_under_the_standard_policy() {
    let server = server().await;
    let zk = client(&server).await;
    let standard = WorkQueue::builder(&zk, PATH).loss_policy(zk_recipes::LossPolicy::Standard);
    let (standard, session) = (WorkQueue::with(standard), WorkQueue::new(&zk, PATH));
    standard.put_many(["a", "b"]).await.unwrap();
    let (strict, lenient) = (standard.take().await.unwrap(), session.take().await.unwrap());
    let lost = strict.lost();
    assert!(strict.is_held() && lenient.is_held());
    let mut states = zk.session_state();
    states.borrow_and_update();
    server.drop_connections();
    soon(states.wait_for(|state| !state.is_connected())).await.unwrap();
    soon(states.wait_for(zk_client::SessionState::is_connected)).await.unwrap();
    assert!(!strict.is_held() && lenient.is_held());
    assert_eq!(soon(lost).await, zk_recipes::LossReason::Disconnected);
    lenient.ack().await.unwrap();
}
