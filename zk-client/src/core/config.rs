//! What a core is told once, at its start.

use bytes::Bytes;
use std::fmt;
use std::time::Duration;
use zk_proto::limits::FRAME_BYTES_DEFAULT;

use crate::limits::SESSION_TIMEOUT_DEFAULT;
use crate::retry::RetryPolicy;

/// The options of a core.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many servers there are to choose from; a choice is an index below this. At least 1.
    pub hosts: usize,
    /// The session timeout to ask for.
    pub session_timeout: Duration,
    /// Whether a server without quorum will do.
    pub read_only: bool,
    /// Whether the core ends with its first session.
    pub expiry_is_terminal: bool,
    /// Largest frame sent, in bytes. The shell holds the same limit against what it receives.
    pub frame_limit: usize,
    /// Whether every connection begins with a SASL exchange, whose tokens the shell computes.
    pub sasl: bool,
    /// Credentials replayed first on every connection.
    pub credentials: Vec<Credentials>,
    /// Pacing, and whether reads are resent.
    pub retry: RetryPolicy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hosts: 1,
            session_timeout: SESSION_TIMEOUT_DEFAULT,
            read_only: false,
            expiry_is_terminal: false,
            frame_limit: FRAME_BYTES_DEFAULT,
            sasl: false,
            credentials: Vec::new(),
            retry: RetryPolicy::default(),
        }
    }
}

/// A scheme and its secret. `Debug` shows the scheme alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(crate) scheme: String,
    pub(crate) secret: Bytes,
}

impl Credentials {
    /// Credentials of any scheme, such as `digest` and `user:password`.
    #[must_use]
    pub fn new(scheme: impl Into<String>, secret: impl Into<Bytes>) -> Self {
        Self { scheme: scheme.into(), secret: secret.into() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}
