//! When a holder counts as having lost what it holds: the policies, the reasons, and what a guard shows of it.

use std::fmt;
use tokio::time::Instant;

/// When to stop: at the first doubt, or when others may be let in.
///
/// Neither trusts the server to tell: both count on the local deadline, the time until which the server cannot
/// have expired the session (see [`zk_client::Client::session_deadline`]) less
/// [`DEADLINE_MARGIN_PERCENT`](crate::limits::DEADLINE_MARGIN_PERCENT) of the session timeout. Under both, a lock
/// is lost before anyone else can hold it, given that the clocks of this machine and the server's run at nearly
/// the same rate. They differ in how much time is left to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LossPolicy {
    /// Lost as soon as the connection is. The client notices a dead server after two thirds of the session
    /// timeout, so at least a quarter of it is left to stop in. A server that restarts costs its clients their
    /// locks, though none of them had to.
    ///
    /// The default, as the safest.
    #[default]
    Standard,
    /// In doubt ([`LockState::Suspect`]) while the connection is lost, and lost when the session is, or may be: at
    /// expiry or at the local deadline, whichever comes first. Survives short disconnects. The margin alone is
    /// left to stop in, so use it with work that stops at once, or whose writes are fenced.
    Session,
}

/// Why a lock is lost. Final: what is lost does not come back, only a new acquire does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossReason {
    /// The connection was lost, and the policy is [`LossPolicy::Standard`].
    Disconnected,
    /// The local deadline passed: the server may have expired the session, though it has not said so.
    DeadlineReached,
    /// The server has expired the session.
    SessionExpired,
    /// Somebody deleted the lock's node.
    NodeDeleted,
    /// The lock is durable, and its owner has taken it over in another life.
    TakenOver,
    /// The client was closed.
    ClientClosed,
    /// The server refused the client's credentials.
    AuthFailed,
    /// The guard was released or dropped.
    Released,
}

impl fmt::Display for LossReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disconnected => "the connection was lost",
            Self::DeadlineReached => "the session may have expired: no answer came in time",
            Self::SessionExpired => "the session has expired",
            Self::NodeDeleted => "its node was deleted",
            Self::TakenOver => "its owner has taken it over in another life",
            Self::ClientClosed => "the client was closed",
            Self::AuthFailed => "the server refused the credentials",
            Self::Released => "it was released",
        })
    }
}

/// What a guard knows of its lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockState {
    /// Held.
    Held,
    /// Held, but the server is out of reach, or has just come back and not confirmed it yet. Only under
    /// [`LossPolicy::Session`], and of durable locks, whose deadline is never.
    Suspect {
        /// Since when.
        since: Instant,
        /// When it will be lost unless the server is heard before.
        deadline: Instant,
    },
    /// Lost.
    Lost(LossReason),
}

impl LockState {
    /// Whether the lock is held, in doubt or not.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        !matches!(self, Self::Lost(_))
    }
}
