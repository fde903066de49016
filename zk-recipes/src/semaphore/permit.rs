//! What a semaphore gives out: guards of one permit, and of several that come and go together.

use std::ops::Deref;

use crate::error::Error;
use crate::held::{Held, Released};

/// A permit. Returned when dropped, in the background; [`Permit::release`] waits for it. What one may ask of it is in
/// [`Held`].
#[derive(Debug)]
#[must_use = "a permit that is dropped is returned"]
pub struct Permit(Held);

/// Several permits that were acquired together, and are lost and returned together. Returned when dropped, in the
/// background; [`Permits::release`] waits for it. What one may ask of them is in [`Held`].
#[derive(Debug)]
#[must_use = "permits that are dropped are returned"]
pub struct Permits(Held);

impl Permit {
    pub(super) const fn new(held: Held) -> Self {
        Self(held)
    }

    /// Returns it, and waits until that is done. While the client is disconnected it may take until it is back.
    ///
    /// # Errors
    /// [`Error::ReleasePending`] when the first try failed. The lease is deleted in the background, for as long as
    /// the session lives; until then nobody else gets the permit.
    ///
    /// # Cancellation
    /// Once polled, it happens whether the future is dropped or not; before, dropping it returns the permit as well.
    pub async fn release(self) -> Result<Released, Error> {
        self.0.release().await
    }
}

impl Permits {
    pub(super) const fn new(held: Held) -> Self {
        Self(held)
    }

    /// How many these are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.nodes().len()
    }

    /// Returns all of them at once, and waits until that is done.
    ///
    /// # Errors
    /// As [`Permit::release`].
    ///
    /// # Cancellation
    /// As [`Permit::release`].
    pub async fn release(self) -> Result<Released, Error> {
        self.0.release().await
    }
}

impl Deref for Permit {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.0
    }
}

impl Deref for Permits {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.0
    }
}
