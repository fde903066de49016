//! Items with an id.

use bytes::Bytes;
use std::ops::Deref;
use zk_client::{Client, CreateMode, ErrorCode, ErrorKind};
use zk_proto::path;

use super::names::{Kind, has_id, id};
use super::taker::Taker;
use super::work::{Queue, QueueBuilder};
use crate::asking::{explain, until_answered};
use crate::error::Error;

/// A queue whose items can be removed by their id.
///
/// # Layout
/// Curator's `DistributedIdQueue`: `<path>/queue-|<id>|<n>`, with `_` for each `/` and `|` of the id, and the frame and
/// the claims of a [`WorkQueue`](super::WorkQueue).
///
/// # Cost
/// As [`Taker`]'s. Removing is one listing, and one transaction for each item of the id.
///
/// # Guarantees
/// Each item as [`Taker`] says. Ids need not differ: all items of one id are removed. What is removed was nobody's, and
/// nobody's delivery vanishes under its hands.
///
/// # Loss, cancellation
/// As [`WorkQueue`](super::WorkQueue).
///
/// # Differences from Curator and Kazoo
/// Curator takes an item's lock, deletes the item and gives the lock back, one request after the other; here that is one
/// transaction. Kazoo has no such queue.
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
    /// is somebody's work: it is left to them. One whose removal was not answered may be missing in the count.
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
            removed += usize::from(self.remove_unclaimed(name).await?);
        }
        Ok(removed)
    }

    /// Claims it and deletes it in one transaction; false if it is somebody's, or gone.
    async fn remove_unclaimed(&self, name: &str) -> Result<bool, Error> {
        let (taker, place) = (self.0.taker(), &self.0.taker().0.place);
        let item = path::join(&place.items, name);
        let claim = place.claims.as_ref().map(|claims| path::join(claims, name));
        let remove = || {
            let all = place.client.transaction();
            match &claim {
                Some(claim) => {
                    let (mode, acl) = (CreateMode::Ephemeral, taker.0.acl.clone());
                    let all = all.create_with(claim.as_str(), Bytes::new(), mode, acl);
                    all.delete(item.as_str()).delete(claim.as_str()).commit()
                }
                None => all.delete(item.as_str()).commit(),
            }
        };
        loop {
            let Err(error) = until_answered(remove).await else { return Ok(true) };
            match error.kind() {
                ErrorKind::Transaction { index: 0, code: ErrorCode::NodeExists } => return Ok(false),
                ErrorKind::Transaction { index: 0, code: ErrorCode::NoNode } if claim.is_some() => {
                    taker.make_claims().await?;
                }
                ErrorKind::Transaction { code: ErrorCode::NoNode, .. } => return Ok(false),
                _ => return Err(explain(&item, error)),
            }
        }
    }
}

impl Deref for IdQueue {
    type Target = Taker;

    fn deref(&self) -> &Taker {
        self.0.taker()
    }
}
