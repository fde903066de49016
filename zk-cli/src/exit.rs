//! Exit codes: the one table from what went wrong to the number a script sees. Says nothing to the user.

use std::process::ExitCode;
use zk_client::{ErrorCode, ErrorKind};

/// How `zk` ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: done.
    Done,
    /// 1: the operation failed; trying it again unchanged will fail again.
    Failed,
    /// 2: the command line, or a line of a script, makes no sense. clap's own code for that.
    Usage,
    /// 3: no session, or the connection or the session was lost.
    Lost,
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Lost => 3,
        }
    }

    /// The code for an error of the client.
    pub(crate) const fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidPath | ErrorKind::InvalidArgument | ErrorKind::Config => Self::Usage,
            ErrorKind::ConnectionLoss
            | ErrorKind::SessionExpired
            | ErrorKind::Closed
            | ErrorKind::Timeout
            | ErrorKind::Server(
                ErrorCode::ConnectionLoss
                | ErrorCode::SessionExpired
                | ErrorCode::SessionMoved
                | ErrorCode::UnknownSession
                | ErrorCode::OperationTimeout
                | ErrorCode::RequestTimeout,
            ) => Self::Lost,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_the_documented_ones() {
        assert_eq!([Exit::Done, Exit::Failed, Exit::Usage, Exit::Lost].map(Exit::code), [0, 1, 2, 3]);
    }

    #[test]
    fn every_kind_of_error_has_its_code() {
        let table = [
            (ErrorKind::Server(ErrorCode::NoNode), Exit::Failed),
            (ErrorKind::Server(ErrorCode::NodeExists), Exit::Failed),
            (ErrorKind::Server(ErrorCode::BadVersion), Exit::Failed),
            (ErrorKind::Server(ErrorCode::NotEmpty), Exit::Failed),
            (ErrorKind::Server(ErrorCode::NoAuth), Exit::Failed),
            (ErrorKind::Server(ErrorCode::NotReadOnly), Exit::Failed),
            (ErrorKind::Server(ErrorCode::Unknown(-999)), Exit::Failed),
            (ErrorKind::AuthFailed, Exit::Failed),
            (ErrorKind::FrameTooLarge, Exit::Failed),
            (ErrorKind::BadReply, Exit::Failed),
            (ErrorKind::InvalidPath, Exit::Usage),
            (ErrorKind::InvalidArgument, Exit::Usage),
            (ErrorKind::Config, Exit::Usage),
            (ErrorKind::ConnectionLoss, Exit::Lost),
            (ErrorKind::SessionExpired, Exit::Lost),
            (ErrorKind::Closed, Exit::Lost),
            (ErrorKind::Timeout, Exit::Lost),
            (ErrorKind::Server(ErrorCode::SessionMoved), Exit::Lost),
            (ErrorKind::Server(ErrorCode::RequestTimeout), Exit::Lost),
        ];
        for (kind, exit) in table {
            assert_eq!(Exit::of(kind), exit, "{kind:?}");
        }
    }
}
