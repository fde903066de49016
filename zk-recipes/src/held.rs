//! What a guard has in hand: a place that was granted, and everything one may ask of it. Locks, permits, latches and
//! the like wrap it and add how it ends.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use tokio::sync::watch;
use zk_proto::SessionId;

use crate::contender::{GivenUp, Grant, Holding};
use crate::error::Error;
use crate::fence::{FencedTransaction, FencingToken};
use crate::loss::{LockState, LossReason};
use crate::sequence::Sequence;

/// Something that is held: a lock, a permit, leadership. Guards deref to it.
///
/// It watches its own node, its session and the clock, in a task that ends with it. It notices that it is lost
/// before the server lets anyone else in, given clocks of nearly the same rate; see
/// [`LossPolicy`](crate::LossPolicy).
#[derive(Debug)]
pub struct Held(Holding);

/// How a release went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Released {
    /// It was held until now, and its node is deleted.
    Deleted,
    /// It was lost before. If its node is still there it is deleted in the background.
    Lost(LossReason),
    /// Other guards of the same holding are still there: it goes on until the last of them is released.
    StillHeld,
}

impl Held {
    pub(crate) const fn new(holding: Holding) -> Self {
        Self(holding)
    }

    pub(crate) fn grant(&self) -> &Grant {
        self.0.grant()
    }

    pub(crate) const fn holding(&self) -> &Holding {
        &self.0
    }

    pub(crate) fn into_holding(self) -> Holding {
        self.0
    }

    /// The node it is held by.
    #[must_use]
    pub fn node(&self) -> &str {
        self.grant().path()
    }

    /// All nodes it is held by: two under [`Dialect::Both`](crate::Dialect), one otherwise.
    #[must_use]
    pub fn nodes(&self) -> &[String] {
        &self.grant().paths
    }

    /// The session it was granted in, which owns the node unless that is durable.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.grant().session
    }

    /// The number in the node's name. For display; it orders nothing once the path above was removed.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.grant().sequence
    }

    /// Which holding this is; greater than every earlier holder's.
    #[must_use]
    pub fn fencing_token(&self) -> FencingToken {
        FencingToken::of(self.grant())
    }

    /// Whether it is held as far as one can know here and now. Looks at the clock, so that a process that stood
    /// still does not take itself for the holder. A moment later it may be lost: what must not happen then needs
    /// [`Held::transaction`] or [`Held::fencing_token`].
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

    /// Resolves when it is lost, at once if it is; with [`LossReason::Released`] when the guard is gone. The
    /// future stands on its own, for a task that does the work elsewhere.
    ///
    /// # Cancellation
    /// May be dropped at any time, and asked for again.
    pub fn lost(&self) -> impl Future<Output = LossReason> + Send + use<> + 'static {
        let mut state = self.state();
        async move {
            match state.wait_for(|state| !state.is_held()).await.as_deref() {
                Ok(LockState::Lost(reason)) => *reason,
                _ => LossReason::Released,
            }
        }
    }

    /// Resolves when somebody asks us to give it up, as Curator's `Revoker` does and
    /// [`Lock::revoke`](crate::Lock::revoke): by writing `__REVOKE__` to our node. At once if that has happened.
    /// What to do about it is the holder's choice. Never resolves when nobody asks; a guard that is gone or lost
    /// is asked by nobody.
    ///
    /// # Cancellation
    /// May be dropped at any time, and asked for again.
    pub fn revoked(&self) -> impl Future<Output = ()> + Send + use<> + 'static {
        let mut revoked = self.0.revoked();
        async move {
            if revoked.wait_for(|revoked| *revoked).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Writes that happen only while it is held: the transaction begins with a check of its nodes.
    ///
    /// # Errors
    /// [`Error::Lost`] when it is known to be lost, or its local deadline has passed: nothing is sent.
    pub fn transaction(&self) -> Result<FencedTransaction<'_>, Error> {
        if let LockState::Lost(reason) = self.0.check() {
            return Err(self.lost_to(reason));
        }
        Ok(FencedTransaction::begin(&self.0.context().client, &[self.grant()]))
    }

    /// Does the work while it is held: looks at the clock before each step of it, and drops it when the holding is
    /// lost. Does not release.
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

    /// Gives it up, and waits until it is done.
    ///
    /// # Errors
    /// [`Error::ReleasePending`] when the first try failed; it is seen through in the background.
    ///
    /// # Cancellation
    /// Once polled it happens, whether the future is dropped or not; before, dropping it gives up as well.
    pub(crate) async fn release(self) -> Result<Released, Error> {
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

    pub(crate) fn lost_to(&self, reason: LossReason) -> Error {
        Error::Lost { path: self.node().to_owned(), reason }
    }
}
