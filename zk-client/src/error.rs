//! The client's one error type: what failed, on which path, and what the caller may do about it.

use std::fmt;
use zk_proto::path::PathError;
use zk_proto::{ErrorCode, Zxid};

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server refused the operation, with ZooKeeper's code.
    Server(ErrorCode),
    /// A transaction was refused: the step at `index` (from 0) failed with `code`, and nothing was changed.
    Transaction {
        /// Position of the failing step.
        index: usize,
        /// Why it failed.
        code: ErrorCode,
    },
    /// The connection was lost after the operation was sent. See [`Error::outcome_unknown`].
    ConnectionLoss,
    /// The session the operation belonged to has ended.
    SessionExpired,
    /// The client was closed.
    Closed,
    /// The server refused the credentials; the client is of no further use.
    AuthFailed,
    /// The watch was taken away by [`crate::Client::remove_watches`].
    WatchRemoved,
    /// The path breaks ZooKeeper's rules; nothing was sent.
    InvalidPath,
    /// The ACL is empty, which every server would refuse; nothing was sent.
    InvalidAcl,
    /// An argument cannot work (a time to live out of range); nothing was sent.
    InvalidArgument,
    /// Request or reply is larger than the frame limit (`jute.maxbuffer`).
    FrameTooLarge,
    /// No session was established in the time allowed.
    Timeout,
    /// The connect string or an option of the builder is not valid.
    Config,
    /// The server's reply could not be understood.
    BadReply,
}

/// Why an operation failed. Names the operation, the path as the caller wrote it, and the state of the server
/// when it refused.
#[derive(Clone)]
pub struct Error(Box<Repr>);

#[derive(Clone)]
struct Repr {
    kind: ErrorKind,
    operation: &'static str,
    path: Option<String>,
    zxid: Option<Zxid>,
    outcome_unknown: bool,
    detail: Option<String>,
    /// The client has ended with its session.
    last_session: bool,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, operation: &'static str) -> Self {
        let (path, zxid, detail) = (None, None, None);
        let (outcome_unknown, last_session) = (false, false);
        Self(Box::new(Repr { kind, operation, path, zxid, outcome_unknown, detail, last_session }))
    }

    pub(crate) fn with_path(mut self, path: impl Into<String>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    pub(crate) fn with_no_session_to_come(mut self) -> Self {
        self.0.last_session = true;
        self
    }

    pub(crate) fn with_zxid(mut self, zxid: Zxid) -> Self {
        self.0.zxid = (zxid > Zxid::ZERO).then_some(zxid);
        self
    }

    pub(crate) fn with_unknown_outcome(mut self, unknown: bool) -> Self {
        self.0.outcome_unknown = unknown;
        self
    }

    /// The same failure, told of another path.
    pub(crate) fn map_path(mut self, map: impl FnOnce(String) -> String) -> Self {
        self.0.path = self.0.path.map(map);
        self
    }

    pub(crate) fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.0.detail = Some(detail.to_string());
        self
    }

    pub(crate) fn invalid_path(operation: &'static str, path: &str, why: &PathError) -> Self {
        Self::new(ErrorKind::InvalidPath, operation).with_path(path).with_detail(why)
    }

    pub(crate) fn server(code: ErrorCode, operation: &'static str) -> Self {
        let kind = match code {
            ErrorCode::SessionExpired => ErrorKind::SessionExpired,
            ErrorCode::AuthFailed => ErrorKind::AuthFailed,
            code => ErrorKind::Server(code),
        };
        Self::new(kind, operation)
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed, such as `create`.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The path it was about, as the caller wrote it (without the chroot).
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// The last transaction the server had applied when it refused; `None` when no server did.
    #[must_use]
    pub fn zxid(&self) -> Option<Zxid> {
        self.0.zxid
    }

    /// What there is to say beyond kind, operation and path: which rule a path breaks, how large a frame was.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// ZooKeeper's code, where there is one: of the refusal, of a transaction's failing step, or the one Java's
    /// client would report.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self.0.kind {
            ErrorKind::Server(code) | ErrorKind::Transaction { code, .. } => Some(code),
            ErrorKind::ConnectionLoss => Some(ErrorCode::ConnectionLoss),
            ErrorKind::SessionExpired => Some(ErrorCode::SessionExpired),
            ErrorKind::AuthFailed => Some(ErrorCode::AuthFailed),
            ErrorKind::InvalidAcl => Some(ErrorCode::InvalidAcl),
            ErrorKind::InvalidPath | ErrorKind::InvalidArgument => Some(ErrorCode::BadArguments),
            _ => None,
        }
    }

    /// Whether the same operation may well succeed when tried again. When [`Error::outcome_unknown`] is true it
    /// may also have happened already: look before trying again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.0.kind {
            ErrorKind::ConnectionLoss | ErrorKind::Timeout => true,
            ErrorKind::Server(code) => matches!(
                code,
                ErrorCode::OperationTimeout
                    | ErrorCode::RequestTimeout
                    | ErrorCode::ThrottledOp
                    | ErrorCode::SessionMoved
            ),
            _ => false,
        }
    }

    /// Whether the operation may or may not have happened: a write was sent and its answer never came.
    #[must_use]
    pub fn outcome_unknown(&self) -> bool {
        self.0.outcome_unknown
    }

    /// Whether the session is over, and with it everything that hung on it.
    #[must_use]
    pub fn is_session_lost(&self) -> bool {
        matches!(self.0.kind, ErrorKind::SessionExpired | ErrorKind::Closed | ErrorKind::AuthFailed)
    }

    /// Whether this client answers everything like this from now on: it was closed, its credentials were refused, or
    /// its session has expired and no other one follows
    /// ([`Builder::expiry_is_terminal`](crate::Builder::expiry_is_terminal)).
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Closed | ErrorKind::AuthFailed) || self.0.last_session
    }

    /// The node, or the parent of the node to create, does not exist.
    #[must_use]
    pub fn is_no_node(&self) -> bool {
        self.code() == Some(ErrorCode::NoNode)
    }

    /// The node is there already.
    #[must_use]
    pub fn is_node_exists(&self) -> bool {
        self.code() == Some(ErrorCode::NodeExists)
    }

    /// The expected version is not the node's.
    #[must_use]
    pub fn is_bad_version(&self) -> bool {
        self.code() == Some(ErrorCode::BadVersion)
    }

    /// The node to delete has children.
    #[must_use]
    pub fn is_not_empty(&self) -> bool {
        self.code() == Some(ErrorCode::NotEmpty)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server(code) => return fmt::Display::fmt(code, f),
            Self::Transaction { index, code } => return write!(f, "step {index} failed: {code}"),
            Self::ConnectionLoss => "connection lost before the answer came",
            Self::SessionExpired => "the session has expired",
            Self::Closed => "the client is closed",
            Self::AuthFailed => "the server refused the credentials",
            Self::WatchRemoved => "the watch was removed",
            Self::InvalidPath => "invalid path",
            Self::InvalidAcl => "invalid ACL",
            Self::InvalidArgument => "invalid argument",
            Self::FrameTooLarge => "larger than the frame limit",
            Self::Timeout => "timed out",
            Self::Config => "invalid configuration",
            Self::BadReply => "the server's reply could not be understood",
        })
    }
}

/// `create /a/b: NoNode (-101): node does not exist`
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.operation)?;
        if let Some(path) = &self.0.path {
            write!(f, " {path}")?;
        }
        write!(f, ": {}", self.0.kind)?;
        if let Some(detail) = &self.0.detail {
            write!(f, " ({detail})")?;
        }
        if self.0.outcome_unknown {
            f.write_str("; it may or may not have happened")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("path", &self.0.path)
            .field("zxid", &self.0.zxid)
            .field("outcome_unknown", &self.0.outcome_unknown)
            .field("detail", &self.0.detail)
            .finish()
    }
}

impl std::error::Error for Error {}
