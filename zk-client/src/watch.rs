//! The one-shot watch as a future. Owns the caller's end; which event fires what is decided in the core.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::{mpsc, oneshot};
use zk_proto::{EventType, Zxid};

use crate::chroot::Chroot;
use crate::core::OpId;
use crate::error::{Error, ErrorKind};
use crate::submit::Command;

/// What happened to a watched node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedEvent {
    /// What happened.
    pub event_type: EventType,
    /// The node it happened to, or whose child list changed; without the chroot.
    pub path: String,
    /// The transaction that did it. `None` before ZooKeeper 3.9, and for what was missed while disconnected.
    pub zxid: Option<Zxid>,
}

/// One event of one node, once: the future that `.watch()` returns.
///
/// It survives reconnects. It ends with an error of kind [`ErrorKind::SessionExpired`] when the session ends
/// first, and of kind [`ErrorKind::Closed`] when the client does. Several watches of one path share one watch on
/// the server, and each hears.
///
/// Cancellation: may be polled again after a lost `select!`; dropping it forgets the interest.
#[derive(Debug)]
#[must_use = "a watch that is dropped hears nothing"]
pub struct Watch {
    armed: Armed,
    chroot: Chroot,
    /// As the caller wrote it, for errors.
    path: String,
}

/// How a watch ended without an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WatchLost {
    Expired,
    Closed,
    AuthFailed,
}

pub(crate) type WatchOutcome = Result<WatchedEvent, WatchLost>;

/// The registered interest, as the driver hands it over.
#[derive(Debug)]
pub(crate) struct Armed {
    op: OpId,
    outcome: oneshot::Receiver<WatchOutcome>,
    /// Weak: a watch does not keep the client alive.
    inbox: mpsc::WeakUnboundedSender<Command>,
    ended: bool,
}

impl Armed {
    pub(crate) fn new(
        op: OpId,
        outcome: oneshot::Receiver<WatchOutcome>,
        inbox: mpsc::WeakUnboundedSender<Command>,
    ) -> Self {
        Self { op, outcome, inbox, ended: false }
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        if !self.ended
            && let Some(inbox) = self.inbox.upgrade()
        {
            let _ = inbox.send(Command::Forget(self.op));
        }
    }
}

impl Watch {
    pub(crate) fn new(armed: Armed, chroot: Chroot, path: String) -> Self {
        Self { armed, chroot, path }
    }
}

impl Future for Watch {
    type Output = Result<WatchedEvent, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.armed.ended {
            // Polled again after its end: it never ends twice.
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.armed.outcome).poll(cx);
        polled.map(|outcome| {
            self.armed.ended = true;
            let lost = match outcome {
                Ok(Ok(event)) => {
                    return Ok(WatchedEvent { path: self.chroot.strip(event.path), ..event });
                }
                Ok(Err(lost)) => lost,
                Err(_) => WatchLost::Closed,
            };
            let kind = match lost {
                WatchLost::Expired => ErrorKind::SessionExpired,
                WatchLost::Closed => ErrorKind::Closed,
                WatchLost::AuthFailed => ErrorKind::AuthFailed,
            };
            Err(Error::new(kind, "watch").with_path(std::mem::take(&mut self.path)))
        })
    }
}
