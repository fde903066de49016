//! A running latch, as its owner sees it. What happens to it by itself is in `candidate`.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::candidate::{Candidate, Ended, Wish};
use super::latch::{first, participants};
use super::leadership::Leadership;
use super::status::{CloseMode, LeaderStatus};
use crate::contender::Context;
use crate::error::Error;
use crate::participants::Participant;

/// A candidate, until it is closed. Made by [`LeaderLatch::start`](super::LeaderLatch::start). Dropping it closes it
/// silently, in the background; [`RunningLatch::close`] waits for it.
#[must_use = "a latch that is dropped is closed"]
pub struct RunningLatch {
    context: Arc<Context>,
    wish: watch::Sender<Wish>,
    status: watch::Receiver<LeaderStatus>,
    leadership: watch::Receiver<Option<Leadership>>,
    ended: Arc<OnceLock<Ended>>,
}

impl RunningLatch {
    pub(super) fn start(context: Arc<Context>, runtime: &Handle) -> Self {
        let (wish, wishes) = watch::channel(Wish::default());
        let (show, status) = watch::channel(LeaderStatus::first());
        let (lead, leadership) = watch::channel(None);
        let ended = Arc::new(OnceLock::new());
        let candidate = Candidate::new(Arc::clone(&context), wishes, show, lead, Arc::clone(&ended));
        runtime.spawn(candidate.run());
        Self { context, wish, status, leadership, ended }
    }

    /// The path under which candidates stand in line.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.context.options.parent
    }

    /// The state and its changes, of which a slow receiver sees the latest only. The channel is closed when the
    /// latch has ended.
    ///
    /// It follows what happens, if by a moment only: a leader's work is stopped by
    /// [`Held::lost`](crate::Held::lost) or [`Held::run`](crate::Held::run) of its [`Leadership`], or asks
    /// [`RunningLatch::is_leader`].
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LeaderStatus> {
        self.status.clone()
    }

    /// Whether it leads as far as one can know here and now. Looks at the clock, so that a process that stood still
    /// does not take itself for the leader. A moment later it may be over: what must not happen then needs a
    /// fenced transaction.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leadership().is_some()
    }

    /// Leadership, if it leads here and now.
    #[must_use]
    pub fn leadership(&self) -> Option<Leadership> {
        self.leadership.borrow().clone().filter(|leadership| leadership.is_held())
    }

    /// Waits until it leads; through disconnects, expiry and lost leaderships.
    ///
    /// # Errors
    /// The latch has ended: [`Error::Closed`], [`Error::ClientEnded`], or [`Error::Client`] when the server refused
    /// (an ACL, a path that is not valid).
    ///
    /// # Cancellation
    /// May be dropped at any time; the latch goes on.
    pub async fn wait_leader(&self) -> Result<Leadership, Error> {
        let mut leadership = self.leadership.clone();
        loop {
            let now = leadership.borrow_and_update().clone();
            if let Some(now) = now.filter(|leadership| leadership.is_held()) {
                return Ok(now);
            }
            if leadership.changed().await.is_err() {
                return Err(self.why());
            }
        }
    }

    /// As [`RunningLatch::wait_leader`], for at most `limit`. The latch goes on afterwards.
    ///
    /// # Errors
    /// [`Error::Timeout`]; and as [`RunningLatch::wait_leader`].
    ///
    /// # Cancellation
    /// As [`RunningLatch::wait_leader`].
    pub async fn wait_leader_within(&self, limit: Duration) -> Result<Leadership, Error> {
        tokio::time::timeout(limit, self.wait_leader())
            .await
            .unwrap_or_else(|_| Err(Error::Timeout { path: self.path().to_owned(), limit }))
    }

    /// All candidates, as [`LeaderLatch::participants`](super::LeaderLatch::participants).
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        participants(&self.context).await
    }

    /// Whose turn it is, as [`LeaderLatch::leader`](super::LeaderLatch::leader).
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn leader(&self) -> Result<Option<Participant>, Error> {
        Ok(first(self.participants().await?))
    }

    /// Lets somebody else lead: gives leadership up, and stands in line again, at the tail. The only candidate leads
    /// again at once, by another token. Without effect on one that does not lead; returns whether it did.
    ///
    /// By the time this returns the [`Leadership`] is over, and its node's deletion under way.
    pub async fn step_down(&self) -> bool {
        let Some(leadership) = self.leadership() else { return false };
        self.wish.send_modify(|wish| wish.step_down = Some(leadership.fencing_token()));
        leadership.lost().await;
        true
    }

    /// Ends the candidacy. Whoever works under its leadership hears first; then its node is deleted. Waits until that
    /// is done for a leader; a follower's node is deleted before anything that is asked of this client afterwards.
    /// Closing again waits, and changes nothing.
    ///
    /// # Errors
    /// [`Error::ReleasePending`] when the first try to delete a leader's node failed. It is seen through in the
    /// background, for as long as the session lives; until then nobody else leads.
    ///
    /// # Cancellation
    /// Once polled, the latch is closed whether the future is dropped or not.
    pub async fn close(&self, mode: CloseMode) -> Result<(), Error> {
        self.wish.send_modify(|wish| {
            wish.close.get_or_insert(mode);
        });
        let mut status = self.status.clone();
        while status.changed().await.is_ok() {}
        match self.ended.get().and_then(|ended| ended.release.clone()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn why(&self) -> Error {
        match self.ended.get() {
            Some(ended) => ended.why.clone(),
            // Its task is gone without a word: with its runtime.
            None => Error::NoRuntime,
        }
    }
}

impl Drop for RunningLatch {
    fn drop(&mut self) {
        self.wish.send_modify(|wish| {
            wish.close.get_or_insert(CloseMode::Silent);
        });
    }
}

impl fmt::Debug for RunningLatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningLatch")
            .field("path", &self.path())
            .field("status", &*self.status.borrow())
            .finish_non_exhaustive()
    }
}
