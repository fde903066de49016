//! The seam between the client and a SASL mechanism: who begins an exchange, and what a step of it says. Computes no
//! token.

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

use crate::hosts::Host;

/// A way to authenticate, for all connections of a client. Implement it to add a mechanism;
/// [`Builder::sasl`](crate::Builder::sasl) takes it.
///
/// Both methods, and those of the [`SaslExchange`], are called on a thread where blocking is allowed, one call at a
/// time for each client. A call cannot be interrupted: when its connection is lost meanwhile, what it returns is
/// thrown away, and the next exchange begins when it has returned. A tokio runtime that shuts down waits for it.
///
/// ```
/// use zk_client::sasl::{SaslError, SaslExchange, SaslMechanism, SaslStep};
/// use zk_client::hosts::Host;
///
/// /// PLAIN (RFC 4616), for servers that have it; only over TLS.
/// struct Plain { user: String, password: String }
///
/// impl SaslMechanism for Plain {
///     fn name(&self) -> &str {
///         "PLAIN"
///     }
///
///     fn start(&self, _server: &Host) -> Result<Box<dyn SaslExchange>, SaslError> {
///         let only = format!("\0{}\0{}", self.user, self.password);
///         Ok(Box::new(Once(Some(only.into()))))
///     }
/// }
///
/// struct Once(Option<bytes::Bytes>);
///
/// impl SaslExchange for Once {
///     fn step(&mut self, _challenge: Option<&[u8]>) -> Result<SaslStep, SaslError> {
///         self.0.take().map(SaslStep::SendLast).ok_or_else(|| SaslError::new("the server wants more than PLAIN has"))
///     }
/// }
/// ```
pub trait SaslMechanism: Send + Sync {
    /// The mechanism's registered name, such as `GSSAPI`; for logs.
    fn name(&self) -> &str;

    /// Begins an exchange with `server`, as the connect string names it, on a new connection.
    ///
    /// # Errors
    /// When there is nothing to authenticate with. The connection is dropped, and tried again with pacing.
    fn start(&self, server: &Host) -> Result<Box<dyn SaslExchange>, SaslError>;
}

impl<M: SaslMechanism + ?Sized> SaslMechanism for Arc<M> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn start(&self, server: &Host) -> Result<Box<dyn SaslExchange>, SaslError> {
        (**self).start(server)
    }
}

/// One exchange, on one connection.
pub trait SaslExchange: Send {
    /// The client's next step. The first time there is no challenge: a mechanism in which the client speaks first
    /// sends its first token, any other an empty one, which asks ZooKeeper's servers for theirs.
    ///
    /// # Errors
    /// When the challenge cannot be answered, or does not prove what it should. The connection is dropped, and tried
    /// again with pacing.
    fn step(&mut self, challenge: Option<&[u8]>) -> Result<SaslStep, SaslError>;
}

/// What comes next in an exchange. `Debug` does not show tokens.
#[derive(Clone, PartialEq, Eq)]
pub enum SaslStep {
    /// Send this; the server answers with another challenge. A server that lets the client in without one has not
    /// authenticated it, and the client ends: see [`ErrorKind::AuthFailed`](crate::ErrorKind::AuthFailed).
    Send(Bytes),
    /// Send this; the server answers whether it is content, and nothing more.
    SendLast(Bytes),
    /// Send nothing: the challenge was the server's last word, and it was right.
    Done,
}

impl fmt::Debug for SaslStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(token) => write!(f, "Send({} bytes)", token.len()),
            Self::SendLast(token) => write!(f, "SendLast({} bytes)", token.len()),
            Self::Done => f.write_str("Done"),
        }
    }
}

/// Why a mechanism cannot go on. Its text is logged and becomes part of connect errors: it must hold no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaslError {
    reason: String,
}

impl SaslError {
    /// An error that says what is missing or wrong, and best what to do about it.
    #[must_use]
    pub fn new(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string() }
    }
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for SaslError {}
