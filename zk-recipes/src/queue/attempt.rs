//! What a taker has under way: waiting, an item that is tried, a claim that may be there. Each puts things right when
//! it is dropped.

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::delivery::Claim;
use super::taker::Shared;
use crate::contender::Leftover;
use crate::reaper::UnderWay;

/// Tells, while it lives, that somebody waits for an item.
pub(super) struct Waiting<'a>(&'a watch::Sender<bool>);

impl<'a> Waiting<'a> {
    pub(super) fn begin(waiting: &'a watch::Sender<bool>) -> Self {
        waiting.send_replace(true);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_replace(false);
    }
}

/// An item that is tried. Dropped in the middle, it may be there as before, though the view has forgotten it.
pub(super) struct Attempt<'a> {
    shared: &'a Shared,
    over: bool,
}

impl<'a> Attempt<'a> {
    pub(super) const fn begin(shared: &'a Shared) -> Self {
        Self { shared, over: false }
    }

    pub(super) const fn over(&mut self) {
        self.over = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.shared.look_again();
        }
    }
}

/// A claim that may be there, and is nobody's yet: deleted when dropped.
pub(super) struct PendingClaim<'a> {
    shared: &'a Shared,
    runtime: &'a Handle,
    claim: Option<Claim>,
}

impl<'a> PendingClaim<'a> {
    pub(super) const fn new(shared: &'a Shared, runtime: &'a Handle, claim: Claim) -> Self {
        Self { shared, runtime, claim: Some(claim) }
    }

    /// It is not there, or somebody has taken charge of it.
    pub(super) fn forget(&mut self) {
        self.claim = None;
    }
}

impl Drop for PendingClaim<'_> {
    fn drop(&mut self) {
        if let Some(Claim { path, session, mark, .. }) = self.claim.take() {
            // It may be another's: only what carries our mark is deleted.
            let leftover = Leftover::Marked { path, mark, session };
            self.shared.reaper.adopt(self.runtime, leftover, UnderWay::Nothing);
        }
    }
}
