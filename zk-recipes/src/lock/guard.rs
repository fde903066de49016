//! The guard: what a holder has in hand.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use tokio::sync::watch;
use zk_proto::SessionId;

use crate::contender::{GivenUp, Holding};
use crate::error::Error;
use crate::fence::{FencedTransaction, FencingToken};
use crate::loss::{LockState, LossReason};
use crate::sequence::Sequence;

/// A held lock. Released when dropped, in the background; [`LockGuard::release`] waits for it.
///
/// The guard watches its own node, its session and the clock, in a task that ends with it. It notices that it is
/// lost before the server lets anyone else in, given clocks of nearly the same rate; see
/// [`LossPolicy`](crate::LossPolicy).
#[derive(Debug)]
#[must_use = "a lock whose guard is dropped is released"]
pub struct LockGuard(Holding);

/// How a release went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// The lock was held until now, and its node is deleted.
    Deleted,
    /// The lock was lost before. If its node is still there it is deleted in the background.
    Lost(LossReason),
}

impl LockGuard {
    pub(super) const fn new(holding: Holding) -> Self {
        Self(holding)
    }

    /// The lock's node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.0.grant().path
    }

    /// The session that holds.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.0.grant().session
    }

    /// The number in the node's name. For display; it orders nothing once the lock's path was removed.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.0.grant().sequence
    }

    /// Which holding this is; greater than every earlier holder's.
    #[must_use]
    pub fn fencing_token(&self) -> FencingToken {
        FencingToken::of(self.0.grant())
    }

    /// Whether the lock is held as far as one can know here and now. Looks at the clock, so that a process that
    /// stood still does not take itself for the holder. A moment later it may be lost: what must not happen then
    /// needs [`LockGuard::transaction`] or [`LockGuard::fencing_token`].
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.check().is_held()
    }

    /// The state and its changes. A slow receiver sees the latest state only.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LockState> {
        self.0.check();
        self.0.state()
    }

    /// Resolves when the lock is lost, at once if it is; with [`LossReason::Released`] when the guard is gone. The
    /// future stands on its own, for a task that does the work elsewhere.
    ///
    /// # Cancellation
    /// May be dropped at any time, and asked for again.
    pub fn lost(&self) -> impl Future<Output = LossReason> + Send + 'static {
        let mut state = self.state();
        async move {
            match state.wait_for(|state| !state.is_held()).await.as_deref() {
                Ok(LockState::Lost(reason)) => *reason,
                _ => LossReason::Released,
            }
        }
    }

    /// Writes that happen only while the lock's node is there.
    ///
    /// # Errors
    /// [`Error::Lost`] when the lock is known to be lost, or its local deadline has passed: nothing is sent.
    pub fn transaction(&self) -> Result<FencedTransaction<'_>, Error> {
        if let LockState::Lost(reason) = self.0.check() {
            return Err(self.lost_to(reason));
        }
        let client = &self.0.context().client;
        Ok(FencedTransaction::begin(client.transaction(), self.node(), self.session()))
    }

    /// Does the work while the lock is held: looks at the clock before each step of it, and drops it when the lock
    /// is lost. Does not release.
    ///
    /// # Errors
    /// [`Error::Lost`] when the work was stopped.
    ///
    /// # Cancellation
    /// Drops the work.
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output, Error> {
        let mut lost = pin!(self.lost());
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.0.check();
            if let Poll::Ready(reason) = lost.as_mut().poll(cx) {
                return Poll::Ready(Err(self.lost_to(reason)));
            }
            work.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// Releases, and waits until it is done. While the client is disconnected that may take until it is back.
    ///
    /// # Errors
    /// [`Error::ReleasePending`] when the first try failed. The node is deleted in the background, for as long as
    /// the session lives; until then nobody else gets in.
    ///
    /// # Cancellation
    /// Once polled, the release happens whether the future is dropped or not; before, dropping it drops the guard,
    /// which releases as well.
    pub async fn release(self) -> Result<Released, Error> {
        let node = self.node().to_owned();
        match self.0.give_up() {
            GivenUp::Lost(reason) => Ok(Released::Lost(reason)),
            GivenUp::Deleting(deleting) => match deleting.done().await {
                Ok(None) => Ok(Released::Deleted),
                Ok(Some(reason)) => Ok(Released::Lost(reason)),
                Err(source) => Err(Error::ReleasePending { path: node, source }),
            },
        }
    }

    fn lost_to(&self, reason: LossReason) -> Error {
        Error::Lost { path: self.node().to_owned(), reason }
    }
}
