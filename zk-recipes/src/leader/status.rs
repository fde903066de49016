//! What a latch shows of itself. Words only.

use crate::fence::FencingToken;

/// Where a candidate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaderState {
    /// On its way into the line: its node is being made, or found again.
    Starting,
    /// In line, behind at least one other.
    Follower {
        /// Its node.
        node: String,
    },
    /// It leads. Under [`LossPolicy::Session`](crate::LossPolicy) also while that is in doubt.
    Leader {
        /// By what. Two terms in a row have the same token when the first one ended with a lost connection, and
        /// nobody else led in between; their generations differ.
        token: FencingToken,
    },
    /// The connection is lost. It does not lead; its place in line is kept as long as the session lives.
    Suspended,
    /// It has ended, for good.
    Closed,
}

/// A [`LeaderState`], and how many there were before it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaderStatus {
    /// Rises with each change, and never goes back: of two statuses, the one with the greater is the later.
    pub generation: u64,
    /// Where the candidate stood then.
    pub state: LeaderState,
}

impl LeaderStatus {
    pub(super) const fn first() -> Self {
        Self { generation: 0, state: LeaderState::Starting }
    }

    /// Whether it led then. Whether it leads now is [`RunningLatch::is_leader`](super::RunningLatch::is_leader).
    #[must_use]
    pub const fn is_leader(&self) -> bool {
        matches!(self.state, LeaderState::Leader { .. })
    }

    /// By what it led then.
    #[must_use]
    pub const fn token(&self) -> Option<FencingToken> {
        match self.state {
            LeaderState::Leader { token } => Some(token),
            _ => None,
        }
    }
}

/// Who hears that a latch was closed. That leadership is over is told to every [`Leadership`](super::Leadership) in
/// either case, and before the node is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CloseMode {
    /// Receivers of the latch's state are not woken by a last state, as Curator's listeners are not: they find
    /// the channel closed, and [`LeaderState::Closed`] in it when they look.
    #[default]
    Silent,
    /// Receivers of the latch's state see [`LeaderState::Closed`] as a change of its own, before the channel is
    /// closed.
    NotifyLeader,
}
