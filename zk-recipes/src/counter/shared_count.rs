//! A number that everybody watches: [`SharedValue`] with an encoding.

use std::sync::Arc;
use tokio::sync::watch;
use zk_client::Client;

use super::number::Number as _;
use super::shared_value::{SharedState, SharedValue, SharedValueBuilder};
use crate::error::Error;

/// A 32-bit number that everybody watches.
///
/// # Layout
/// Curator's `SharedCount`: one persistent node of 4 bytes, big-endian; [`AtomicI32`](crate::AtomicI32) may change the
/// same.
///
/// # Cost, guarantees, loss, cancellation
/// As [`SharedValue`].
///
/// # Differences from Curator and Kazoo
/// Those of [`SharedValue`]. A node without data, as Kazoo's `Counter(support_curator=True)` makes it, is given the seed
/// when it is opened; Curator fails on it.
#[derive(Debug, Clone)]
pub struct SharedCount(Arc<SharedValue>);

/// What is known of a [`SharedCount`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedNumber {
    /// The number; `None` when there is no node, or none with a number.
    pub count: Option<i32>,
    /// Whether the client is disconnected, or has not read it again since.
    pub stale: bool,
    state: SharedState,
}

impl From<SharedState> for SharedNumber {
    fn from(state: SharedState) -> Self {
        let count = state.value.as_deref().filter(|data| !data.is_empty()).and_then(i32::decode);
        Self { count, stale: state.stale, state }
    }
}

impl SharedCount {
    /// Opens the number at `path`, which is made with `seed` if it is not there.
    ///
    /// # Errors
    /// [`Error::Client`], [`Error::ClientEnded`].
    ///
    /// # Cancellation
    /// Safe at any point; the node may have been made.
    pub async fn open(client: &Client, path: impl Into<String>, seed: i32) -> Result<Self, Error> {
        Self::open_with(SharedValueBuilder::new(client, path.into(), seed.encode())).await
    }

    /// Opens the number with options; the builder's seed must be an encoded number.
    ///
    /// # Errors
    /// As [`SharedCount::open`].
    pub async fn open_with(builder: SharedValueBuilder) -> Result<Self, Error> {
        Ok(Self(Arc::new(builder.seed_empty(true).open().await?)))
    }

    /// The number's node.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// What is known of it now.
    #[must_use]
    pub fn get(&self) -> SharedNumber {
        self.0.get().into()
    }

    /// Told when it changes; ask [`SharedCount::get`] what it is then.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<SharedState> {
        self.0.changes()
    }

    /// Writes, whatever is there: the last one wins.
    ///
    /// # Errors
    /// As [`SharedValue::set`].
    pub async fn set(&self, count: i32) -> Result<(), Error> {
        self.0.set(count.encode()).await
    }

    /// Writes if the number is still the one that was `seen`. Returns whether it was.
    ///
    /// # Errors
    /// As [`SharedValue::try_set`].
    pub async fn try_set(&self, seen: &SharedNumber, count: i32) -> Result<bool, Error> {
        self.0.try_set(&seen.state, count.encode()).await
    }
}
