//! The simplest queue: bytes in, the same bytes out.

use bytes::Bytes;
use std::ops::Deref;
use std::sync::Arc;
use zk_client::Client;
use zk_proto::Acl;

use super::delay::WallClock;
use super::names::{Kind, simple};
use super::putter::Putter;
use super::taker::{Codec, Taker};
use super::view::Place;
use crate::contender::Parents;
use crate::error::Error;
use crate::loss::LossPolicy;

/// A queue of bytes, taken at most once.
///
/// # Layout
/// Curator's `SimpleDistributedQueue` and ZooKeeper's own recipe: persistent sequential nodes `<path>/qn-<n>` with the
/// bytes as they are.
///
/// # Cost
/// Putting is one request. Taking is a read and a deletion, and a listing now and then: see [`Taker`].
///
/// # Guarantees
/// At most once: an item is deleted before it is handed over. A delivery of it is gone from the queue, and needs no
/// acknowledgement. First in, first out, as far as one taker sees it.
///
/// # Loss, cancellation
/// Nothing is held once it is taken. When the answer to a deletion is lost nobody can tell whose it was: that is
/// [`Error::Indeterminate`], and the item may be gone. A take that is dropped may have taken an item along.
///
/// # Differences from Curator and Kazoo
/// Curator repeats a deletion whose answer was lost, finds nothing, and goes on to the next: that item is gone without
/// a word. Kazoo's is [`kazoo::Queue`](super::kazoo::Queue).
///
/// | Curator | here |
/// |---|---|
/// | `offer` | [`SimpleQueue::put`] |
/// | `take` | [`Taker::take`] |
/// | `poll()`, `remove` | [`Taker::try_take`] |
/// | `poll(time)` | [`Taker::take_within`] |
/// | `peek`, `element` | [`Taker::peek`] |
#[derive(Debug, Clone)]
pub struct SimpleQueue {
    taker: Taker,
    putter: Putter,
}

impl SimpleQueue {
    /// A queue at `path`.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        let place = Place {
            client: client.clone(),
            items: path.into(),
            claims: None,
            kind: Kind::Simple,
            clock: WallClock::default(),
            eager: false,
            spoiled: Arc::default(),
        };
        let taker = Taker::new(place, Codec::Raw, Acl::open(), Parents::default(), LossPolicy::Session);
        let putter = Putter { shared: Arc::clone(&taker.0), max_items: None, exact: false };
        Self { taker, putter }
    }

    /// Puts an item. Returns its node's name.
    ///
    /// # Errors
    /// As [`WorkQueue::put`](super::WorkQueue::put).
    pub async fn put(&self, item: impl Into<Bytes>) -> Result<String, Error> {
        let names = self.putter.put(&[(simple(), item.into())]).await?;
        Ok(names.into_iter().next().unwrap_or_default())
    }

    /// Puts many items, in their order.
    ///
    /// # Errors
    /// As [`WorkQueue::put_many`](super::WorkQueue::put_many).
    pub async fn put_many<T: Into<Bytes>>(&self, items: impl IntoIterator<Item = T>) -> Result<(), Error> {
        let items: Vec<_> = items.into_iter().map(|item| (simple(), item.into())).collect();
        self.putter.put_all(&items).await
    }
}

impl Deref for SimpleQueue {
    type Target = Taker;

    fn deref(&self) -> &Taker {
        &self.taker
    }
}
