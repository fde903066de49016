//! Items with an id.

use bytes::Bytes;
use std::ops::Deref;
use zk_client::Client;
use zk_proto::path;

use super::names::{Kind, has_id, id};
use super::taker::Taker;
use super::work::{Queue, QueueBuilder};
use crate::asking::{explain, until_answered};
use crate::error::Error;

/// A queue whose items can be removed by their id. Curator's `DistributedIdQueue`: `queue-|<id>|<n>`, with `_` for
/// each `/` and `|` of the id. See [`WorkQueue`](super::WorkQueue) for the rest, and [`Taker`] for taking.
///
/// Ids need not differ: all items of one id are removed together.
#[derive(Debug, Clone)]
pub struct IdQueue(Queue);

impl IdQueue {
    /// A queue at `path`, with default options.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::with(Self::builder(client, path))
    }

    /// Options first; make the queue of them by [`IdQueue::with`].
    pub fn builder(client: &Client, path: impl Into<String>) -> QueueBuilder {
        QueueBuilder::new(client, path.into())
    }

    /// A queue with these options.
    #[must_use]
    pub fn with(builder: QueueBuilder) -> Self {
        Self(builder.queue(Kind::Id, false))
    }

    /// Puts an item.
    ///
    /// # Errors
    /// As [`WorkQueue::put`](super::WorkQueue::put).
    pub async fn put(&self, item_id: &str, item: impl Into<Bytes>) -> Result<String, Error> {
        self.0.put(id(item_id), item.into()).await
    }

    /// Removes the items of this id that nobody has claimed, and returns how many there were. One that is claimed
    /// is somebody's work: it is left to them.
    ///
    /// # Errors
    /// [`Error::Client`], [`Error::ClientEnded`].
    ///
    /// # Cancellation
    /// Some of them may have been removed.
    pub async fn remove(&self, item_id: &str) -> Result<usize, Error> {
        let place = &self.0.taker().0.place;
        let listed = until_answered(|| place.client.get_children(place.items.as_str()).send()).await;
        let names = match listed {
            Ok(list) => list.names,
            Err(error) if error.is_no_node() => return Ok(0),
            Err(error) => return Err(explain(&place.items, error)),
        };
        let mut removed = 0;
        for name in names.iter().filter(|name| has_id(name, item_id)) {
            if let Some(claims) = &place.claims {
                let claim = path::join(claims, name);
                let claimed = until_answered(|| place.client.exists(claim.as_str()).send()).await;
                if claimed.map_err(|error| explain(&claim, error))?.is_some() {
                    continue;
                }
            }
            let item = path::join(&place.items, name);
            match until_answered(|| place.client.delete(item.as_str()).send()).await {
                Ok(()) => removed += 1,
                Err(error) if error.is_no_node() => {}
                Err(error) => return Err(explain(&item, error)),
            }
        }
        Ok(removed)
    }
}

impl Deref for IdQueue {
    type Target = Taker;

    fn deref(&self) -> &Taker {
        self.0.taker()
    }
}
