//! The one-shot watch as a future. Owns the caller's end; which event fires what is decided in the core.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;

use super::{Interest, WatchedEvent, lost};
use crate::chroot::Chroot;
use crate::core::{SessionEnd, WatchLost};
use crate::error::Error;

/// One event of one node, once: the future that `.watch()` returns.
///
/// It survives reconnects. It ends with an error of kind [`crate::ErrorKind::SessionExpired`] when the session ends
/// first, [`crate::ErrorKind::Closed`] when the client does, and [`crate::ErrorKind::WatchRemoved`] after
/// [`crate::Client::remove_watches`]. Several watches of one path share one watch on the server, and each hears.
///
/// Cancellation: may be polled again after a lost `select!`; dropping it forgets the interest, and the last
/// interest in a path takes the watch off the server.
#[derive(Debug)]
#[must_use = "a watch that is dropped hears nothing"]
pub struct Watch {
    armed: Armed,
    chroot: Chroot,
    /// As the caller wrote it, for errors.
    path: String,
}

pub(crate) type WatchOutcome = Result<WatchedEvent, WatchLost>;

/// The registered interest, as the driver hands it over.
#[derive(Debug)]
pub(crate) struct Armed {
    interest: Interest,
    outcome: oneshot::Receiver<WatchOutcome>,
}

impl Armed {
    pub(crate) fn new(interest: Interest, outcome: oneshot::Receiver<WatchOutcome>) -> Self {
        Self { interest, outcome }
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
        if !self.armed.interest.is_live() {
            // Polled again after its end: it never ends twice.
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.armed.outcome).poll(cx);
        polled.map(|outcome| {
            self.armed.interest.end();
            let why = match outcome {
                Ok(Ok(event)) => {
                    return Ok(WatchedEvent { path: self.chroot.strip(event.path), ..event });
                }
                Ok(Err(why)) => why,
                Err(_) => WatchLost::Ended(SessionEnd::Closed),
            };
            Err(lost(why, std::mem::take(&mut self.path)))
        })
    }
}
