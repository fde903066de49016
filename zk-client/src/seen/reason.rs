//! Why a connection ended, in one word that stays.

use std::fmt;
use std::io;

use crate::core::DropReason;

/// Who ended it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Loss<'a> {
    /// The network, or the server.
    Io(&'a io::Error),
    /// The core gave it up.
    Dropped {
        /// For this reason.
        why: DropReason,
        /// The same in words, with what a mechanism or a server has said.
        text: &'a str,
    },
}

impl Loss<'_> {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => "refused",
                io::ErrorKind::UnexpectedEof => "closed_by_server",
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => "reset",
                io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::NetworkDown => "unreachable",
                io::ErrorKind::TimedOut => "timed_out",
                io::ErrorKind::NotFound => "not_found",
                _ => "io",
            },
            Self::Dropped { why, .. } => match why {
                DropReason::ConnectTimeout => "connect_timeout",
                DropReason::Silent => "silent",
                DropReason::OutOfOrder { .. } => "out_of_order",
                DropReason::Malformed => "malformed",
                DropReason::FrameTooLarge => "frame_too_large",
                DropReason::RearmRefused => "rearm_refused",
                DropReason::SessionRefused => "session_refused",
                DropReason::Refused(_) => "refused_by_server",
                DropReason::Rebalanced => "rebalanced",
                DropReason::WritableFound => "writable_found",
                DropReason::SaslFailed => "sasl_failed",
                DropReason::SaslTimeout => "sasl_timeout",
                DropReason::SaslProtocol => "sasl_protocol",
                DropReason::SaslRefused { .. } => "sasl_refused",
                DropReason::SaslIgnored => "sasl_ignored",
                DropReason::AuthDemanded => "auth_demanded",
                DropReason::Expired => "expired",
                DropReason::Ended => "ended",
            },
        }
    }

    /// Whether something else says it already: the session's expiry, or whoever closed the client.
    pub(super) fn is_told(self) -> bool {
        matches!(self, Self::Dropped { why: DropReason::Expired | DropReason::Ended, .. })
    }

    /// Whether nothing has failed: the client has left for another server.
    pub(super) fn is_move(self) -> bool {
        matches!(self, Self::Dropped { why: DropReason::Rebalanced | DropReason::WritableFound, .. })
    }
}

impl fmt::Display for Loss<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Dropped { text, .. } => f.write_str(text),
        }
    }
}
