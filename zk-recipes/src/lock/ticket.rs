//! A place in line that is not waited for yet: the first half of acquiring, in two phases.

use std::time::Duration;

use super::guard::LockGuard;
use crate::contender::Entrant;
use crate::error::Error;
use crate::held::Held;

/// A place in the lock's line. Made by [`Lock::enqueue`](crate::Lock::enqueue); given up when dropped.
///
/// Between the two phases nothing is polled: the place is kept by the session alone. If the lock was ours at once,
/// and is lost by the loss policy before anybody waits for it, it is waited for anew.
#[derive(Debug)]
#[must_use = "a ticket that is dropped gives the place in line up"]
pub struct LockTicket(Entrant);

impl LockTicket {
    pub(super) const fn new(entrant: Entrant) -> Self {
        Self(entrant)
    }

    /// The nodes we stand in line by; two under [`Dialect::Both`](crate::Dialect). None while the place has to be
    /// taken anew.
    #[must_use]
    pub fn nodes(&self) -> &[String] {
        self.0.own_paths()
    }

    /// How many nodes were before ours when we last looked, which is when the one before us went; `None` while the
    /// place has to be taken anew. 0: the lock is ours.
    #[must_use]
    pub fn ahead(&self) -> Option<usize> {
        self.0.ahead()
    }

    /// How often the session ended while we waited, and the place was taken anew at the tail.
    #[must_use]
    pub const fn requeued(&self) -> usize {
        self.0.requeued()
    }

    /// Waits until the lock is ours.
    ///
    /// # Errors
    /// As [`Lock::acquire`](crate::Lock::acquire).
    ///
    /// # Cancellation
    /// Safe at any point; the place in line is given up. To keep it, use [`LockTicket::wait_within`].
    pub async fn wait(mut self) -> Result<LockGuard, Error> {
        self.0.be_patient(None);
        let path = self.0.context().options.parent.clone();
        let held = self.0.granted().await;
        held.map(|held| LockGuard::new(Held::new(held)))
            .map_err(|why| Error::not_granted(&path, why, Duration::ZERO))
    }

    /// Waits for at most `limit`; if that was not enough, the place is kept and the ticket comes back.
    ///
    /// # Errors
    /// As [`Lock::acquire`](crate::Lock::acquire), without the timeout.
    ///
    /// # Cancellation
    /// Safe at any point; the place in line is given up.
    pub async fn wait_within(mut self, limit: Duration) -> Result<Result<LockGuard, Self>, Error> {
        self.0.be_patient(None);
        match tokio::time::timeout(limit, self.0.wait()).await {
            Err(_) => Ok(Err(self)),
            Ok(Ok(())) => self.wait().await.map(Ok),
            Ok(Err(why)) => Err(Error::not_granted(&self.0.context().options.parent, why, limit)),
        }
    }
}
