//! Items with a priority.

use bytes::Bytes;
use std::ops::Deref;
use zk_client::Client;

use super::names::{Kind, priority};
use super::taker::Taker;
use super::work::{Queue, QueueBuilder};
use crate::error::Error;

/// A queue whose items with the lowest priority number are taken first.
///
/// # Layout
/// Curator's `DistributedPriorityQueue`: `<path>/queue-<sign and priority, hex>-<n>`, with the frame and the claims of a
/// [`WorkQueue`](super::WorkQueue).
///
/// # Cost
/// As [`Taker`]'s, and a listing for each item of a busy queue: a taker looks again before each item when something
/// has changed, so that what is urgent is not behind what was seen earlier (Curator's `minItemsBeforeRefresh` of 0;
/// [`PriorityQueue::with_few_looks`] does without).
///
/// # Guarantees
/// Each item as [`Taker`] says: at least once, or at most once where that was asked for. Of what a taker sees it takes
/// the lowest number first, and of equals the one that was put first. An item that is given back or requeued keeps its
/// priority.
///
/// # Loss, cancellation
/// As [`WorkQueue`](super::WorkQueue).
///
/// # Differences from Curator and Kazoo
/// Curator's requeued items lose their priority. Kazoo's queues have priorities of 0 to 999 by a layout of their own:
/// [`kazoo`](super::kazoo).
#[derive(Debug, Clone)]
pub struct PriorityQueue(Queue);

impl PriorityQueue {
    /// A queue at `path`, with default options.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::with(Self::builder(client, path))
    }

    /// Options first; make the queue of them by [`PriorityQueue::with`].
    pub fn builder(client: &Client, path: impl Into<String>) -> QueueBuilder {
        QueueBuilder::new(client, path.into())
    }

    /// A queue with these options.
    #[must_use]
    pub fn with(builder: QueueBuilder) -> Self {
        Self(builder.queue(Kind::Priority, true))
    }

    /// A queue with these options that tries all it has seen before it looks again: fewer listings, and an urgent
    /// item may wait behind those.
    #[must_use]
    pub fn with_few_looks(builder: QueueBuilder) -> Self {
        Self(builder.queue(Kind::Priority, false))
    }

    /// Puts an item; the lowest number is taken first.
    ///
    /// # Errors
    /// As [`WorkQueue::put`](super::WorkQueue::put).
    pub async fn put(&self, level: i32, item: impl Into<Bytes>) -> Result<String, Error> {
        self.0.put(priority(level), item.into()).await
    }

    /// Puts many items of one priority.
    ///
    /// # Errors
    /// As [`WorkQueue::put_many`](super::WorkQueue::put_many).
    pub async fn put_many<T: Into<Bytes>>(
        &self,
        level: i32,
        items: impl IntoIterator<Item = T>,
    ) -> Result<(), Error> {
        self.0.put_all(items.into_iter().map(|item| (priority(level), item.into()))).await
    }
}

impl Deref for PriorityQueue {
    type Target = Taker;

    fn deref(&self) -> &Taker {
        self.0.taker()
    }
}
