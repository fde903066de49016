//! A queue spread over several, when one has grown too long to list.

use super::work::WorkQueue;
use crate::asking::{explain, until_answered};
use crate::error::Error;
use crate::identity::Uuid;
use bytes::Bytes;
use futures::future::select_all;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use zk_client::Client;
use zk_proto::path;

use super::delivery::Delivery;
use crate::limits::{QUEUE_SHARD_THRESHOLD, QUEUE_SHARDS_MAX, RETRY_PAUSE};

/// Several queues that are one: items are put into the shortest, and a new queue is begun when all have grown too
/// long.
///
/// # Layout
/// Curator's `QueueSharder`: child queues `<path>/queue-<uuid>`, each a [`WorkQueue`].
///
/// # Cost
/// Putting looks at the lengths first: one request for each queue. A taker takes as from a [`WorkQueue`], and listens
/// to each of them while all are empty.
///
/// # Guarantees
/// Each item as in a [`WorkQueue`], at least once. Order holds within each queue only; takers look at them in turn.
///
/// # Loss, cancellation
/// As [`WorkQueue`].
///
/// # Differences from Curator and Kazoo
/// Curator asks for the lengths every 30 seconds, and elects a leader to begin new queues. Here whoever finds all of
/// them too long begins one, and two at the same moment begin two. Kazoo has no such queue.
#[derive(Debug)]
pub struct ShardedQueue {
    client: Client,
    path: String,
    threshold: usize,
    most: usize,
    queues: Mutex<BTreeMap<String, WorkQueue>>,
    /// Where the next look begins.
    turn: AtomicUsize,
}

impl ShardedQueue {
    /// A queue at `path`: at most [`QUEUE_SHARDS_MAX`] queues, another one when all have
    /// [`QUEUE_SHARD_THRESHOLD`] items.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::with_limits(client, path, QUEUE_SHARD_THRESHOLD, QUEUE_SHARDS_MAX)
    }

    /// A queue with limits of its own: begins another queue when all have `threshold` items, and at most `most`.
    #[must_use]
    pub fn with_limits(client: &Client, path: impl Into<String>, threshold: usize, most: usize) -> Self {
        let queues = Mutex::default();
        Self {
            client: client.clone(),
            path: path.into(),
            threshold,
            most: most.max(1),
            queues,
            turn: AtomicUsize::new(0),
        }
    }

    /// Puts an item into the shortest queue.
    ///
    /// # Errors
    /// As [`WorkQueue::put`].
    ///
    /// # Cancellation
    /// As [`WorkQueue::put`].
    pub async fn put(&self, item: impl Into<Bytes>) -> Result<String, Error> {
        let mut lengths = Vec::new();
        let queues = self.queues().await?;
        for queue in &queues {
            lengths.push(queue.len().await?);
        }
        let shortest = lengths.iter().zip(&queues).min_by_key(|(length, _)| **length);
        match shortest {
            Some((length, queue)) if *length < self.threshold || queues.len() >= self.most => {
                queue.put(item).await
            }
            _ => self.begin().put(item).await,
        }
    }

    /// Waits for an item in any of the queues, and takes it.
    ///
    /// # Errors
    /// As [`Taker::take`](super::Taker::take).
    ///
    /// # Cancellation
    /// As [`Taker::take`](super::Taker::take).
    pub async fn take(&self) -> Result<Delivery, Error> {
        loop {
            let list = || self.client.get_children(self.path.as_str()).watch().send();
            let listed = until_answered(list).await;
            let (names, changed) = match listed {
                Ok((list, changed)) => (list.names, changed),
                Err(error) if error.is_no_node() => {
                    let look = until_answered(|| self.client.exists(self.path.as_str()).watch().send()).await;
                    let (stat, changed) = look.map_err(|error| explain(&self.path, error))?;
                    if stat.is_some() {
                        continue;
                    }
                    (Vec::new(), changed)
                }
                Err(error) => return Err(explain(&self.path, error)),
            };
            let queues = self.known(names);
            // One after the other, and each in its order: what is claimed is taken.
            let first = self.turn.fetch_add(1, Ordering::Relaxed) % queues.len().max(1);
            for queue in queues.iter().cycle().skip(first).take(queues.len()) {
                if let Some(taken) = queue.try_take().await? {
                    return Ok(taken);
                }
            }
            let ready = queues.iter().map(|queue| Box::pin(queue.ready()));
            let any_ready = async {
                if queues.is_empty() { std::future::pending().await } else { select_all(ready).await }
            };
            tokio::select! {
                biased;
                _ = any_ready => {}
                // Another queue was begun, or one was removed.
                changed = changed => if changed.is_err() {
                    tokio::time::sleep(RETRY_PAUSE).await;
                },
            }
        }
    }

    /// How many items there are in all of them.
    ///
    /// # Errors
    /// As [`Taker::len`](super::Taker::len).
    pub async fn len(&self) -> Result<usize, Error> {
        let mut all = 0;
        for queue in self.queues().await? {
            all += queue.len().await?;
        }
        Ok(all)
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// As [`Taker::len`](super::Taker::len).
    pub async fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len().await? == 0)
    }

    /// The queues there are now.
    async fn queues(&self) -> Result<Vec<WorkQueue>, Error> {
        let listed = until_answered(|| self.client.get_children(self.path.as_str()).send()).await;
        let names = match listed {
            Ok(list) => list.names,
            Err(error) if error.is_no_node() => Vec::new(),
            Err(error) => return Err(explain(&self.path, error)),
        };
        Ok(self.known(names))
    }

    fn known(&self, names: Vec<String>) -> Vec<WorkQueue> {
        let is_queue = |name: &String| name.len() == "queue-".len() + 36 && name.starts_with("queue-");
        let mut known = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name, _| names.contains(name));
        for name in names.into_iter().filter(is_queue) {
            let path = path::join(&self.path, &name);
            known.entry(name.clone()).or_insert_with(|| self.shard(&name, path));
        }
        known.values().cloned().collect()
    }

    /// Its claims are beside the sharded queue, where Curator does not take them for another shard.
    fn shard(&self, name: &str, path: String) -> WorkQueue {
        let claims = path::join(&format!("{}-claims", self.path), name);
        WorkQueue::with(WorkQueue::builder(&self.client, path).claims(claims))
    }

    fn begin(&self) -> WorkQueue {
        let name = format!("queue-{}", Uuid::from_random(self.client.random_bits()));
        let queue = self.shard(&name, path::join(&self.path, &name));
        let mut known = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name, queue.clone());
        queue
    }
}
