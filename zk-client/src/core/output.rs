//! What the core asks of its shell, and tells it.

use std::fmt;
use zk_proto::ErrorCode;
use zk_proto::ops::auth::Secret;

use super::request::{Completion, OpId};
use crate::state::SessionState;
use crate::ticket::SessionTicket;
use crate::watch::WatchedEvent;

/// One thing for the shell to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Output {
    /// Open a connection to the server of this index, then call `connected` or `disconnected`.
    Connect {
        /// Below [`super::Config::hosts`], or of the list given to [`super::Core::update_hosts`].
        host: usize,
    },
    /// Ask this server, on a connection of its own and within [`crate::limits::PROBE_MAX`], whether it is writable
    /// (`isro`), then call [`super::Core::probed`]. May be given up at the next [`Output::Disconnect`].
    Probe {
        /// As of [`Output::Connect`].
        host: usize,
    },
    /// Drop the connection, or the attempt at one. The core is done with it already.
    Disconnect {
        /// Why.
        why: DropReason,
    },
    /// Ask the mechanism for its next token, off this task, then call `sasl_step` or `sasl_failed`. When the
    /// connection goes before that, forget about it.
    Sasl {
        /// What the server said; `None` at the beginning of an exchange, which is that of a new connection.
        challenge: Option<Secret>,
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
    /// The session goes on without this client.
    Detached(SessionTicket),
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
    /// Another server is to take this client: the list of servers has changed.
    Rebalanced,
    /// The session is read-only here, and another server is writable.
    WritableFound,
    /// The server answered the handshake with an error.
    Refused(ErrorCode),
    /// The mechanism could not go on; the shell knows why.
    SaslFailed,
    /// The SASL exchange was not complete in two thirds of the session timeout.
    SaslTimeout,
    /// The server broke the rules of the SASL exchange.
    SaslProtocol,
    /// The server refused the SASL exchange. `AuthFailed` and `SessionClosedRequireSaslAuth` are final.
    SaslRefused {
        /// With this code.
        code: ErrorCode,
    },
    /// The server let the client in without having authenticated it. Final.
    SaslIgnored,
    /// The server demands an authentication that this client does not have.
    AuthDemanded,
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
            Self::Rebalanced => "left for another server of the new list",
            Self::WritableFound => "left for a writable server",
            Self::Refused(code) => return write!(f, "session refused: {code}"),
            Self::SaslFailed => "the SASL mechanism failed",
            Self::SaslTimeout => "the SASL exchange took longer than two thirds of the session timeout",
            Self::SaslProtocol => "the server broke the rules of the SASL exchange",
            Self::SaslRefused { code } => {
                return write!(f, "the server refused the SASL authentication: {code}");
            }
            Self::SaslIgnored => {
                "the server goes on without SASL: it has none configured, or it refused the authentication and \
                 zookeeper.allowSaslFailedClients is set there"
            }
            Self::AuthDemanded => "the server demands an authentication that this client does not have",
            Self::Expired => "session expired",
            Self::Ended => "client ended",
        })
    }
}
