//! Items that are due at a time.

use bytes::Bytes;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zk_client::Client;

use super::names::{Kind, delay};
use super::taker::Taker;
use super::work::{Queue, QueueBuilder};
use crate::error::Error;

/// Where the time of day comes from: milliseconds since 1970.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl WallClock {
    /// A clock of one's own, for tests.
    pub fn new(now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ms))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        (self.0)()
    }
}

impl Default for WallClock {
    /// The machine's.
    fn default() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WallClock({})", self.now_ms())
    }
}

/// A queue whose items are taken when they are due, the earliest first.
///
/// # Layout
/// Curator's `DistributedDelayQueue`: `<path>/queue-|<epoch in ms, hex>|<n>`, with the frame and the claims of a
/// [`WorkQueue`](super::WorkQueue).
///
/// # Cost
/// As [`Taker`]'s, and a listing for each item of a busy queue, for one that comes later may be due earlier. A taker
/// waits with a timer and a watch; it does not poll.
///
/// # Guarantees
/// Each item as [`Taker`] says, and none before its time. Times are of the wall clocks of whoever puts and takes: items
/// are late or early by as much as those differ. An item that is given back or requeued keeps its time.
///
/// # Loss, cancellation
/// As [`WorkQueue`](super::WorkQueue).
///
/// # Differences from Curator and Kazoo
/// Curator's requeued items are due at once. Kazoo has no such queue.
#[derive(Debug, Clone)]
pub struct DelayQueue(Queue);

impl DelayQueue {
    /// A queue at `path`, with default options.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::with(Self::builder(client, path))
    }

    /// Options first; make the queue of them by [`DelayQueue::with`].
    pub fn builder(client: &Client, path: impl Into<String>) -> QueueBuilder {
        QueueBuilder::new(client, path.into())
    }

    /// A queue with these options.
    #[must_use]
    pub fn with(builder: QueueBuilder) -> Self {
        // An item that comes later may be due earlier.
        Self(builder.queue(Kind::Delay, true))
    }

    /// Puts an item that is due at this time: milliseconds since 1970.
    ///
    /// # Errors
    /// As [`WorkQueue::put`](super::WorkQueue::put).
    pub async fn put_at(&self, epoch_ms: u64, item: impl Into<Bytes>) -> Result<String, Error> {
        self.0.put(delay(epoch_ms), item.into()).await
    }

    /// Puts an item that is due after this time from now.
    ///
    /// # Errors
    /// As [`WorkQueue::put`](super::WorkQueue::put).
    pub async fn put_after(&self, delay: Duration, item: impl Into<Bytes>) -> Result<String, Error> {
        let ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.put_at(self.0.clock().now_ms().saturating_add(ms), item).await
    }
}

impl Deref for DelayQueue {
    type Target = Taker;

    fn deref(&self) -> &Taker {
        self.0.taker()
    }
}
