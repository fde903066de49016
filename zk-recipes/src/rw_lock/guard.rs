//! The guards of the read/write lock.

use std::ops::Deref;
use std::sync::Arc;

use super::step_down;
use crate::contender::Context;
use crate::error::Error;
use crate::held::{Held, Released};

/// A lock held to read, with any number of other readers. Released when dropped, in the background;
/// [`ReadGuard::release`] waits for it. What one may ask of it is in [`Held`].
///
/// There is no way up to a [`WriteGuard`]: see [`RwLock`](crate::RwLock#no-upgrade).
#[derive(Debug)]
#[must_use = "a lock whose guard is dropped is released"]
pub struct ReadGuard(Held);

/// A lock held to write, by nobody else. Released when dropped, in the background; [`WriteGuard::release`] waits
/// for it. What one may ask of it is in [`Held`].
#[derive(Debug)]
#[must_use = "a lock whose guard is dropped is released"]
pub struct WriteGuard {
    held: Held,
    read: Arc<Context>,
}

impl ReadGuard {
    pub(super) const fn new(held: Held) -> Self {
        Self(held)
    }

    /// Releases, and waits until it is done. While the client is disconnected that may take until it is back.
    ///
    /// # Errors
    /// [`Error::ReleasePending`] when the first try failed. The node is deleted in the background, for as long as
    /// the session lives; until then no writer behind it gets in.
    ///
    /// # Cancellation
    /// Once polled, the release happens whether the future is dropped or not; before, dropping it drops the guard,
    /// which releases as well.
    pub async fn release(self) -> Result<Released, Error> {
        self.0.release().await
    }
}

impl WriteGuard {
    pub(super) const fn new(held: Held, read: Arc<Context>) -> Self {
        Self { held, read }
    }

    /// Goes on as a reader, and lets in the readers that wait behind us, up to the next writer. At no moment can
    /// another writer get in.
    ///
    /// As Curator does it: a reader's node is made that carries the number of the writer's (not sequential, so it
    /// takes that place in line), then the writer's is deleted. Ours is made in one transaction that checks the
    /// writer's node, so that it cannot come too late. One round trip of one request; the deletion is sent behind
    /// it and nobody waits for it.
    ///
    /// The reader holds by the writer's fencing token: the node's own czxid is younger than that of writers who
    /// wait already, and they must have greater tokens.
    ///
    /// What was asked of this guard ([`Held::lost`], [`Held::state`]) ends with it, as
    /// [`LossReason::Released`](crate::LossReason). Ask the reader's anew.
    ///
    /// # Errors
    /// [`Error::Lost`] when the lock was lost, before or on the way. [`Error::Client`] when the server refuses.
    /// After either, nothing is held: what is there is deleted in the background.
    ///
    /// # Cancellation
    /// Safe at any point: what is held is released, by whichever node.
    pub async fn downgrade(self) -> Result<ReadGuard, Error> {
        let Self { held, read } = self;
        step_down::step_down(held, read).await.map(ReadGuard)
    }

    /// Releases, and waits until it is done. While the client is disconnected that may take until it is back.
    ///
    /// # Errors
    /// [`Error::ReleasePending`] when the first try failed. The node is deleted in the background, for as long as
    /// the session lives; until then nobody else gets in.
    ///
    /// # Cancellation
    /// As [`ReadGuard::release`].
    pub async fn release(self) -> Result<Released, Error> {
        self.held.release().await
    }
}

impl Deref for ReadGuard {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.0
    }
}

impl Deref for WriteGuard {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.held
    }
}
