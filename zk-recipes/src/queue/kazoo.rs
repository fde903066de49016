//! Queues in Kazoo's layout, shared with Python.

use bytes::Bytes;
use std::ops::Deref;
use std::sync::Arc;
use zk_client::Client;
use zk_proto::Acl;

use super::delay::WallClock;
use super::names::{Kind, kazoo};
use super::putter::Putter;
use super::taker::{Codec, Taker};
use super::view::Place;
use crate::contender::Parents;
use crate::error::Error;
use crate::loss::LossPolicy;

/// The priority of an item for which none is said.
pub const PRIORITY: u16 = 100;

fn parts(client: &Client, items: String, claims: Option<String>) -> (Taker, Putter) {
    let (client, clock, kind) = (client.clone(), WallClock::default(), Kind::Kazoo);
    let place =
        Place { client, items, claims, kind, clock, eager: false, spoiled: std::sync::Arc::default() };
    let taker = Taker::new(place, Codec::Raw, Acl::open(), Parents::Persistent, LossPolicy::Session);
    let putter = Putter { shared: Arc::clone(&taker.0), max_items: None, exact: false };
    (taker, putter)
}

/// Kazoo's `Queue`: bytes taken at most once, lowest priority number first.
///
/// # Layout
/// `<path>/entry-<ppp>-<n>`, persistent, with the bytes as they are; parents are persistent too.
///
/// # Cost, guarantees, loss, cancellation
/// As [`SimpleQueue`](super::SimpleQueue); of what a taker sees it takes the lowest priority first.
///
/// # Differences from Curator and Kazoo
/// Kazoo's `get` deletes under a retry that may take another item when an answer was lost; here that is
/// [`Error::Indeterminate`]. Curator has no queue of this layout.
#[derive(Debug, Clone)]
pub struct Queue {
    taker: Taker,
    putter: Putter,
}

/// Kazoo's `LockingQueue`: bytes taken at least once, lowest priority number first.
///
/// # Layout
/// Items `<path>/entries/entry-<ppp>-<n>`, persistent; claims `<path>/taken/entry-<ppp>-<n>`, ephemeral.
///
/// # Cost, guarantees, loss, cancellation
/// Those of [`Taker`] with claims.
///
/// # Differences from Curator and Kazoo
/// Curator has no queue of this layout.
///
/// | Kazoo | here |
/// |---|---|
/// | `put`, `put_all` | [`LockingQueue::put`], [`LockingQueue::put_many`] |
/// | `get`, `get(timeout)` | [`Taker::take`], [`Taker::take_within`] |
/// | `consume` | [`Delivery::ack`](super::Delivery::ack) |
/// | `release` | [`Delivery::nack`](super::Delivery::nack) |
/// | `holds_lock` | [`Delivery::is_held`](super::Delivery::is_held), [`Delivery::lost`](super::Delivery::lost) |
///
/// Kazoo holds one item at a time and leaves a watch function behind with each `get` that times out; here any number
/// of deliveries may be out.
#[derive(Debug, Clone)]
pub struct LockingQueue {
    taker: Taker,
    putter: Putter,
}

macro_rules! putting {
    ($queue:ty) => {
        impl $queue {
            /// Puts an item with a priority of 0 to 999; the lowest is taken first. Returns its node's name.
            ///
            /// # Errors
            /// As [`WorkQueue::put`](super::WorkQueue::put).
            pub async fn put(&self, item: impl Into<Bytes>, priority: u16) -> Result<String, Error> {
                let names = self.putter.put(&[(kazoo(priority), item.into())]).await?;
                Ok(names.into_iter().next().unwrap_or_default())
            }

            /// Puts many items of one priority, in their order.
            ///
            /// # Errors
            /// As [`WorkQueue::put_many`](super::WorkQueue::put_many).
            pub async fn put_many<T: Into<Bytes>>(
                &self,
                items: impl IntoIterator<Item = T>,
                priority: u16,
            ) -> Result<(), Error> {
                let items: Vec<_> = items.into_iter().map(|item| (kazoo(priority), item.into())).collect();
                self.putter.put_all(&items).await
            }
        }

        impl Deref for $queue {
            type Target = Taker;

            fn deref(&self) -> &Taker {
                &self.taker
            }
        }
    };
}
putting!(Queue);
putting!(LockingQueue);

impl Queue {
    /// A queue at `path`.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        let (taker, putter) = parts(client, path.into(), None);
        Self { taker, putter }
    }
}

impl LockingQueue {
    /// A queue at `path`.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        let path = path.into();
        let (taker, putter) = parts(client, format!("{path}/entries"), Some(format!("{path}/taken")));
        Self { taker, putter }
    }
}
