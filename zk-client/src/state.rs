//! The session's state as an application sees it. Owns no transition: the core makes them.

use std::time::Duration;
use zk_proto::SessionId;

/// A session that is, or was last, established.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionInfo {
    /// The session.
    pub id: SessionId,
    /// The timeout granted by the server.
    pub timeout: Duration,
    /// Whether the server has lost its quorum and only answers reads.
    pub read_only: bool,
}

/// What the client knows of its session.
///
/// A receiver that is slow sees the latest state only; compare [`SessionInfo::id`] to notice that an expiry lay
/// in between. `AuthFailed` and `Closed` are final, and so is `Expired` when the builder made expiry terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// Looking for a server; there has been no session yet.
    Connecting,
    /// The session is established and a server answers.
    Connected(SessionInfo),
    /// The connection is gone. The session may live on: see [`crate::Client::session_deadline`].
    Suspended(SessionInfo),
    /// The server has ended this session: its ephemeral nodes and watches are gone. Unless expiry is terminal, a
    /// new session is being opened.
    Expired(SessionId),
    /// The server refused the credentials. Final.
    AuthFailed,
    /// The client was closed, or is being closed. Final, and said before the server is asked: its ephemeral nodes
    /// may go at any moment.
    Closed,
}

impl SessionState {
    /// The live session: connected or suspended.
    #[must_use]
    pub const fn session(&self) -> Option<SessionInfo> {
        match self {
            Self::Connected(info) | Self::Suspended(info) => Some(*info),
            _ => None,
        }
    }

    /// Whether a server answers right now.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self, Self::Connected(_))
    }
}
