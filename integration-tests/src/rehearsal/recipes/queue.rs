//! Queues of every kind. Processes put and take in every way there is, and acknowledge, give back, requeue or drop
//! what they have. In the end they put one more each and empty the queue. Oracle: the ledger's, at least once or at
//! most once.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zk_client::Client;
use zk_recipes::Error;
use zk_recipes::queue::{Delivery, PriorityQueue, SimpleQueue, Taker, WorkQueue, kazoo};

use crate::rehearsal::actor::Actor;
use crate::rehearsal::history::History;
use crate::rehearsal::oracle::ledger::{self, Entry};
use crate::rehearsal::recipe::Recipe;
use crate::sim::Draw;

const PATH: &str = "/r/queue";
/// Longest pause between two turns, and longest work on an item.
const WORK: Duration = Duration::from_millis(500);
/// Longest patience of those who have some.
const PATIENCE: Duration = Duration::from_secs(3);

/// Which queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Work,
    Priority,
    Locking,
    AtMostOnce,
    Simple,
    Kazoo,
}

const KINDS: [Kind; 6] =
    [Kind::Work, Kind::Priority, Kind::Locking, Kind::AtMostOnce, Kind::Simple, Kind::Kazoo];

/// See the file's head.
#[derive(Debug)]
pub struct QueueRecipe {
    kind: Kind,
    exact: bool,
    processes: usize,
    /// The places that have put their last item.
    put: Mutex<BTreeSet<usize>>,
    /// Whether a process was killed: it may have left a marker, which nobody can tell from those in use.
    killed: AtomicBool,
}

impl Recipe for QueueRecipe {
    const NAME: &'static str = "queue";
    type Event = Entry;

    fn of_seed(draw: &mut Draw) -> Self {
        let (kind, exact) = (KINDS[draw.index(KINDS.len())], draw.chance(1, 2));
        let (put, killed) = (Mutex::default(), AtomicBool::new(false));
        Self { kind, exact, processes: 2 + draw.index(3), put, killed }
    }

    fn processes(&self) -> usize {
        self.processes
    }

    fn life(self: Arc<Self>, mut actor: Actor<Entry>) -> BoxFuture<'static, Result<(), String>> {
        async move {
            if actor.who.life > 0 {
                self.killed.store(true, Ordering::Relaxed);
            }
            let queue = Queue::new(&actor.client, self.kind, self.exact);
            let mut items = 0;
            while !actor.healed() {
                items += 1;
                let item = format!("{}-{items}", actor.who);
                if actor.draw.chance(1, 2) {
                    put(&mut actor, &queue, &item, false).await?;
                } else if let Some(delivery) = self.take(&mut actor, queue.taker()).await? {
                    self.work(&mut actor, delivery, false).await?;
                }
                actor.rest(WORK).await;
            }
            let item = format!("{}-last", actor.who);
            put(&mut actor, &queue, &item, true).await?;
            self.last_put().insert(actor.who.slot);
            self.empty(&mut actor, queue.taker()).await?;
            actor.note(Entry::Served);
            Ok(())
        }
        .boxed()
    }

    fn judge(&self, history: &History<Entry>) -> Result<(), String> {
        if self.claims() { ledger::at_least_once(history) } else { ledger::at_most_once(history) }
    }

    fn left_over(&self, tree: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        let killed = self.killed.load(Ordering::Relaxed);
        let stays = |path: &str| {
            path.matches('/').count() <= 2
                || ["/r/queue/entries", "/r/queue/taken"].contains(&path)
                || (killed && path.starts_with("/r/queue-puts/"))
        };
        tree.keys().filter(|path| !stays(path)).cloned().collect()
    }

    fn count(&self, history: &History<Entry>) -> Vec<(&'static str, u64)> {
        let number = |of: fn(&Entry) -> bool| history.entries.iter().filter(|e| of(&e.event)).count() as u64;
        vec![
            ("put", number(|entry| matches!(entry, Entry::Put(_)))),
            ("taken", number(|entry| matches!(entry, Entry::Took(_)))),
            ("done", number(|entry| matches!(entry, Entry::Done(_)))),
            ("left", number(|entry| matches!(entry, Entry::Left(_)))),
            ("maybe taken", number(|entry| matches!(entry, Entry::MaybeTook))),
        ]
    }
}

impl QueueRecipe {
    fn claims(&self) -> bool {
        matches!(self.kind, Kind::Work | Kind::Priority | Kind::Locking)
    }

    fn last_put(&self) -> std::sync::MutexGuard<'_, BTreeSet<usize>> {
        self.put.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn take(&self, actor: &mut Actor<Entry>, taker: &Taker) -> Result<Option<Delivery>, String> {
        let limit = actor.draw.between(Duration::ZERO, PATIENCE);
        let outcome = match actor.draw.below(3) {
            0 => Some(taker.take_within(limit).await.map(Some)),
            1 => Some(taker.try_take().await),
            _ => actor.perhaps(PATIENCE, taker.take()).await.map(|taken| taken.map(Some)),
        };
        match outcome {
            Some(Ok(delivery)) => Ok(delivery),
            // Given up in the middle, or the answer to a deletion is lost: an item may be gone with it.
            Some(Err(Error::Timeout { .. } | Error::Indeterminate { .. })) | None => {
                actor.note(Entry::MaybeTook);
                Ok(None)
            }
            Some(Err(why)) => Err(format!("take: {why}")),
        }
    }

    async fn work(&self, actor: &mut Actor<Entry>, delivery: Delivery, last: bool) -> Result<(), String> {
        let item = String::from_utf8_lossy(&delivery.data()).into_owned();
        actor.note(Entry::Took(item.clone()));
        if !self.claims() {
            return Ok(());
        }
        let end = actor.now() + actor.draw.between(Duration::ZERO, WORK);
        while actor.now() < end {
            if !delivery.is_held() {
                actor.note(Entry::Left(item));
                return Ok(());
            }
            actor.note(Entry::Holds(item.clone()));
            actor.rest(WORK / 10).await;
        }
        let acked = match actor.draw.below(8) {
            _ if last => Some(delivery.ack().await),
            0 => {
                drop(delivery);
                actor.note(Entry::Left(item));
                return Ok(());
            }
            1 => {
                let given_back = delivery.nack().await;
                actor.note(Entry::Left(item));
                return match given_back {
                    Ok(()) | Err(Error::ReleasePending { .. }) => Ok(()),
                    Err(why) => Err(format!("nack: {why}")),
                };
            }
            2 => {
                // A new item of the same name, or still the old one.
                let requeued = delivery.requeue(None).await;
                actor.note(Entry::Left(item));
                return match requeued {
                    Ok(()) | Err(Error::Lost { .. } | Error::Indeterminate { .. }) => Ok(()),
                    Err(why) => Err(format!("requeue: {why}")),
                };
            }
            3 => actor.perhaps(WORK, delivery.ack()).await,
            _ => Some(delivery.ack().await),
        };
        match acked {
            Some(Ok(())) => actor.note(Entry::Done(item)),
            Some(Err(Error::Lost { .. })) => actor.note(Entry::Left(item)),
            Some(Err(Error::Indeterminate { .. })) | None => actor.note(Entry::MaybeDone(item)),
            Some(Err(why)) => return Err(format!("ack: {why}")),
        }
        Ok(())
    }

    /// Takes what is there, until everybody has put their last and nothing is left.
    async fn empty(&self, actor: &mut Actor<Entry>, taker: &Taker) -> Result<(), String> {
        loop {
            match taker.take_within(PATIENCE).await {
                Ok(delivery) => self.work(actor, delivery, true).await?,
                Err(Error::Timeout { .. } | Error::Indeterminate { .. }) => {
                    actor.note(Entry::MaybeTook);
                    let all_put = self.last_put().len() == self.processes;
                    if all_put && taker.is_empty().await.map_err(|why| format!("len: {why}"))? {
                        return Ok(());
                    }
                }
                Err(why) => return Err(format!("take: {why}")),
            }
        }
    }
}

async fn put(actor: &mut Actor<Entry>, queue: &Queue, item: &str, last: bool) -> Result<(), String> {
    actor.note(Entry::Putting(item.to_owned()));
    let level = actor.draw.below(3) as u16;
    let outcome = if last || actor.draw.chance(3, 4) {
        Some(queue.put(item, level).await)
    } else {
        actor.perhaps(PATIENCE, queue.put(item, level)).await
    };
    match outcome {
        Some(Ok(_)) => actor.note(Entry::Put(item.to_owned())),
        Some(Err(Error::Indeterminate { .. })) | None => {}
        Some(Err(why)) => return Err(format!("put: {why}")),
    }
    Ok(())
}

enum Queue {
    Work(WorkQueue),
    Priority(PriorityQueue),
    Locking(kazoo::LockingQueue),
    Simple(SimpleQueue),
    Kazoo(kazoo::Queue),
}

impl Queue {
    fn new(client: &Client, kind: Kind, exact: bool) -> Self {
        match kind {
            Kind::Work => Self::Work(WorkQueue::with(WorkQueue::builder(client, PATH).exact(exact))),
            Kind::Priority => {
                Self::Priority(PriorityQueue::with(PriorityQueue::builder(client, PATH).exact(exact)))
            }
            Kind::AtMostOnce => {
                Self::Work(WorkQueue::with(WorkQueue::builder(client, PATH).exact(exact).at_most_once()))
            }
            Kind::Locking => Self::Locking(kazoo::LockingQueue::new(client, PATH)),
            Kind::Simple => Self::Simple(SimpleQueue::new(client, PATH)),
            Kind::Kazoo => Self::Kazoo(kazoo::Queue::new(client, PATH)),
        }
    }

    fn taker(&self) -> &Taker {
        match self {
            Self::Work(queue) => queue,
            Self::Priority(queue) => queue,
            Self::Locking(queue) => queue,
            Self::Simple(queue) => queue,
            Self::Kazoo(queue) => queue,
        }
    }

    async fn put(&self, item: &str, level: u16) -> Result<String, Error> {
        let item = item.to_owned();
        match self {
            Self::Work(queue) => queue.put(item).await,
            Self::Priority(queue) => queue.put(i32::from(level), item).await,
            Self::Locking(queue) => queue.put(item, level).await,
            Self::Simple(queue) => queue.put(item).await,
            Self::Kazoo(queue) => queue.put(item, level).await,
        }
    }
}
