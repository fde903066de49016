//! What every watch holds: its name, and the duty to say when nobody waits for it any more.

use tokio::sync::mpsc;

use super::{Armed, FeedEnd};
use crate::core::OpId;
use crate::submit::Command;

/// A registered interest. Dropped while it is live, it tells the driver, which forgets it and, if it was the last
/// in its path, has the watch removed from the server.
#[derive(Debug)]
pub(crate) struct Interest {
    op: OpId,
    /// Weak: a watch does not keep the client alive.
    inbox: mpsc::WeakUnboundedSender<Command>,
    live: bool,
}

/// A watch on its way from the driver to its caller.
#[derive(Debug)]
pub(crate) enum Registered {
    Once(Armed),
    Stream(FeedEnd),
}

impl Interest {
    pub(crate) fn new(op: OpId, inbox: mpsc::WeakUnboundedSender<Command>) -> Self {
        Self { op, inbox, live: true }
    }

    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    /// The driver has forgotten it by itself.
    pub(super) fn end(&mut self) {
        self.live = false;
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        if self.live
            && let Some(inbox) = self.inbox.upgrade()
        {
            let _ = inbox.send(Command::Forget(self.op));
        }
    }
}
