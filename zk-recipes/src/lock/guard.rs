//! The lock's guard: what is held, shared by as many guards as have entered it.

use std::ops::Deref;
use std::sync::Arc;

use crate::error::Error;
use crate::held::{Held, Released};

/// A held lock. Released when dropped, in the background; [`LockGuard::release`] waits for it. What one may ask of
/// it is in [`Held`].
#[derive(Debug)]
#[must_use = "a lock whose guard is dropped is released"]
pub struct LockGuard(Arc<Held>);

impl LockGuard {
    pub(super) fn new(held: Held) -> Self {
        Self(Arc::new(held))
    }

    pub(super) const fn sharing(held: Arc<Held>) -> Self {
        Self(held)
    }

    pub(super) const fn held(&self) -> &Arc<Held> {
        &self.0
    }

    /// Another guard of the same holding, for code further down that must hold the lock too: the lock is released
    /// with the last of them.
    pub fn reenter(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Releases, and waits until it is done. While the client is disconnected that may take until it is back.
    ///
    /// # Errors
    /// [`Error::ReleasePending`] when the first try failed. The node is deleted in the background, for as long as
    /// the session lives; until then nobody else gets in.
    ///
    /// # Cancellation
    /// Once polled, the release happens whether the future is dropped or not; before, dropping it drops the guard,
    /// which releases as well (unless it is durable).
    pub async fn release(self) -> Result<Released, Error> {
        match Arc::into_inner(self.0) {
            Some(held) => held.release().await,
            None => Ok(Released::StillHeld),
        }
    }
}

impl Deref for LockGuard {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.0
    }
}
