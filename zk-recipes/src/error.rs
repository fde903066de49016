//! The recipes' one error type: which recipe's path, what happened, what to do about it.

use std::fmt;
use std::time::Duration;

use zk_client::ErrorKind;

use crate::contender::{Failure, NotGranted};
use crate::loss::LossReason;

/// Why a recipe did not do what it was asked to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Error {
    /// It was not our turn within the time allowed. Nothing is left behind.
    Timeout {
        /// The recipe's path.
        path: String,
        /// The time allowed.
        limit: Duration,
    },
    /// Somebody deleted our node while we waited in line. Acquire again to stand in line anew.
    NodeDeleted {
        /// The recipe's path.
        path: String,
    },
    /// What this was to be done under is lost: nothing was done. Acquire again.
    Lost {
        /// The lock's node.
        path: String,
        /// Why.
        reason: LossReason,
    },
    /// The node could not be deleted yet. It will be, in the background, as long as the session lives; until then
    /// others wait.
    ReleasePending {
        /// The lock's node.
        path: String,
        /// What the first try met.
        source: zk_client::Error,
    },
    /// It was closed. Start it anew to go on.
    Closed {
        /// The recipe's path.
        path: String,
    },
    /// The client has ended, and no recipe works without it.
    ClientEnded {
        /// The recipe's path.
        path: String,
        /// How it ended.
        reason: LossReason,
    },
    /// The server refused a request, or the client could not send it; `source` tells which and why.
    Client {
        /// The recipe's path.
        path: String,
        /// The client's error.
        source: zk_client::Error,
    },
    /// What is there, or what was asked for, does not fit: nothing was done. `found` and `expected` tell what to
    /// mend.
    Mismatch {
        /// The recipe's path, or its node's.
        path: String,
        /// What was found.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A node's data is not what this recipe writes: nothing was done. Look at it, and delete it if it is of no
    /// use to anyone.
    Corrupted {
        /// The node.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Others were faster at every try. Nothing was changed; try again, or promote to a lock.
    Conflict {
        /// The recipe's path.
        path: String,
        /// How many tries.
        tries: u32,
    },
    /// The answer to a write was lost, and what is there now does not tell whether it was ours. It may or may not
    /// have happened.
    Indeterminate {
        /// The recipe's path.
        path: String,
        /// How the answer was lost.
        source: zk_client::Error,
    },
    /// The number does not fit. Nothing was changed.
    Overflow {
        /// The counter's path.
        path: String,
    },
    /// There is no tokio runtime here. Call this from within the one that the client was made in.
    NoRuntime,
}

impl Error {
    /// What an application is told when nothing was granted at `path`.
    pub(crate) fn not_granted(path: &str, why: NotGranted, limit: Duration) -> Self {
        let path = path.to_owned();
        match why {
            NotGranted::NoRuntime => Self::NoRuntime,
            NotGranted::Failed(Failure::Busy | Failure::TimedOut, _) => Self::Timeout { path, limit },
            NotGranted::Failed(Failure::NodeDeleted, _) => Self::NodeDeleted { path },
            NotGranted::Failed(Failure::TakenOver, _) => Self::Lost { path, reason: LossReason::TakenOver },
            NotGranted::Failed(Failure::ClientOver(reason), _) => Self::ClientEnded { path, reason },
            NotGranted::Failed(Failure::Refused, Some(source)) => match source.kind() {
                ErrorKind::Closed => Self::ClientEnded { path, reason: LossReason::ClientClosed },
                ErrorKind::AuthFailed => Self::ClientEnded { path, reason: LossReason::AuthFailed },
                _ => Self::Client { path, source },
            },
            // A refusal always brings its error along.
            NotGranted::Failed(Failure::Refused, None) => {
                Self::ClientEnded { path, reason: LossReason::ClientClosed }
            }
        }
    }

    /// The recipe's path, or its node's.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Timeout { path, .. }
            | Self::NodeDeleted { path }
            | Self::Lost { path, .. }
            | Self::ReleasePending { path, .. }
            | Self::Closed { path }
            | Self::ClientEnded { path, .. }
            | Self::Conflict { path, .. }
            | Self::Indeterminate { path, .. }
            | Self::Overflow { path }
            | Self::Mismatch { path, .. }
            | Self::Corrupted { path, .. }
            | Self::Client { path, .. } => Some(path),
            Self::NoRuntime => None,
        }
    }

    /// The client's error beneath, if there is one.
    #[must_use]
    pub fn client_error(&self) -> Option<&zk_client::Error> {
        match self {
            Self::ReleasePending { source, .. }
            | Self::Indeterminate { source, .. }
            | Self::Client { source, .. } => Some(source),
            _ => None,
        }
    }

    /// Whether what this was to be done under is lost.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }

    /// Whether the time allowed was over.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { path, limit } => write!(f, "{path}: not acquired within {limit:?}"),
            Self::NodeDeleted { path } => {
                write!(f, "{path}: our node was deleted while we waited in line; acquire again")
            }
            Self::Lost { path, reason } => write!(f, "{path} is lost: {reason}"),
            Self::ReleasePending { path, source } => {
                write!(f, "{path} is not released yet, and will be in the background: {source}")
            }
            Self::Closed { path } => write!(f, "{path} was closed; start it anew to go on"),
            Self::ClientEnded { path, reason } => write!(f, "{path}: the client has ended: {reason}"),
            Self::Client { path, source } => write!(f, "{path}: {source}"),
            Self::Conflict { path, tries } => {
                write!(f, "{path}: others were faster {tries} times, and nothing was changed; try again")
            }
            Self::Indeterminate { path, source } => {
                write!(f, "{path}: the write may or may not have happened: {source}")
            }
            Self::Overflow { path } => write!(f, "{path}: the number does not fit, and was not changed"),
            Self::Mismatch { path, found, expected } => {
                write!(f, "{path}: found {found}, and {expected} is needed")
            }
            Self::Corrupted { path, why } => write!(f, "{path}: its data is not of this recipe: {why}"),
            Self::NoRuntime => f.write_str("there is no tokio runtime here; call this from within one"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.client_error().map(|error| error as _)
    }
}
