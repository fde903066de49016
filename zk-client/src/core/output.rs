//! What the core asks of its shell, and tells it.

use std::fmt;

use super::request::{Completion, OpId};
use crate::state::SessionState;
use crate::watch::WatchedEvent;

/// One thing for the shell to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Open a connection to the server of this index, then call `connected` or `disconnected`.
    Connect {
        /// Below [`super::Config::hosts`].
        host: usize,
    },
    /// Drop the connection, or the attempt at one. The core is done with it already.
    Disconnect {
        /// Why.
        why: DropReason,
    },
    /// An operation has ended.
    Complete(Completion),
    /// Something happened that these watches, named by the operations that set them, waited for.
    Event {
        /// One-shot watches, in the order in which they were set. They are gone.
        watches: Vec<OpId>,
        /// Persistent ones, in the order in which they were set.
        streams: Vec<OpId>,
        /// What happened, with the path on the server.
        event: WatchedEvent,
    },
    /// These persistent watches are armed again on a new connection, and may have missed something before.
    Resync {
        /// In the order in which they were set.
        streams: Vec<OpId>,
    },
    /// These watches are gone without an event.
    WatchesLost {
        /// In the order in which they were set.
        watches: Vec<OpId>,
        /// Why.
        why: WatchLost,
    },
    /// The session's state has changed.
    State(SessionState),
    /// Nothing more will come. Further operations fail at once.
    Stopped,
}

/// Why a session, or the core, is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// The server has expired it.
    Expired,
    /// The server refused the credentials.
    AuthFailed,
    /// It was closed.
    Closed,
}

/// Why a watch has ended without an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchLost {
    /// Its session, or the core, is over.
    Ended(SessionEnd),
    /// It was removed on request.
    Removed,
    /// The servers do not know persistent watches (before 3.6).
    Unsupported,
}

/// Why a connection was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// No session was established in the time one server has.
    ConnectTimeout,
    /// Nothing was heard for two thirds of the session timeout.
    Silent,
    /// A reply did not answer the oldest request in flight.
    OutOfOrder {
        /// The xid that was due; 0 when none was.
        expected: i32,
        /// The xid that came.
        got: i32,
    },
    /// The server sent what the protocol does not know.
    Malformed,
    /// The server sent a frame above the limit.
    FrameTooLarge,
    /// The server would not arm the watches again.
    RearmRefused,
    /// The server would not open a session, or answered for another one.
    SessionRefused,
    /// The session has expired.
    Expired,
    /// The core has ended.
    Ended,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectTimeout => "no session within the connect timeout",
            Self::Silent => "nothing heard for two thirds of the session timeout",
            Self::OutOfOrder { expected, got } => {
                return write!(f, "reply out of order: xid {got} came, {expected} was due");
            }
            Self::Malformed => "malformed frame",
            Self::FrameTooLarge => "frame above the limit",
            Self::RearmRefused => "watches were not armed again",
            Self::SessionRefused => "session refused",
            Self::Expired => "session expired",
            Self::Ended => "client ended",
        })
    }
}
