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
    Dropped(DropReason),
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
            Self::Dropped(why) => match why {
                DropReason::ConnectTimeout => "connect_timeout",
                DropReason::Silent => "silent",
                DropReason::OutOfOrder { .. } => "out_of_order",
                DropReason::Malformed => "malformed",
                DropReason::FrameTooLarge => "frame_too_large",
                DropReason::RearmRefused => "rearm_refused",
                DropReason::SessionRefused => "session_refused",
                DropReason::Expired => "expired",
                DropReason::Ended => "ended",
            },
        }
    }

    /// Whether something else says it already: the session's expiry, or whoever closed the client.
    pub(super) fn is_told(self) -> bool {
        matches!(self, Self::Dropped(DropReason::Expired | DropReason::Ended))
    }
}

impl fmt::Display for Loss<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Dropped(why) => why.fmt(f),
        }
    }
}
