//! ZooKeeper's error codes (KeeperException.Code), as they travel in reply headers and logged errors.

use bytes::BytesMut;
use std::fmt;

use crate::jute::{Decode, DecodeError, Encode, Reader};

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// An error code. Codes this crate does not know are kept as [`ErrorCode::Unknown`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$meta])* $name,)*
            /// A code outside the table.
            Unknown(i32),
        }

        impl ErrorCode {
            /// Every code of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> i32 {
                match self { $(Self::$name => $code,)* Self::Unknown(code) => code }
            }

            /// The error of this number; 0 means success and is not an error.
            #[must_use]
            pub const fn from_code(code: i32) -> Option<Self> {
                match code { 0 => None, $($code => Some(Self::$name),)* other => Some(Self::Unknown(other)) }
            }

            /// What went wrong, in a few words.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* Self::Unknown(_) => "unknown error code" }
            }
        }
    };
}

codes! {
    /// The server failed in a way that says nothing about the request.
    SystemError = -1, "system error";
    /// Inside a failed multi: an operation after the one that failed.
    RuntimeInconsistency = -2, "an earlier operation of the transaction failed";
    /// The server's data is inconsistent.
    DataInconsistency = -3, "data inconsistency";
    /// The connection was lost; what was in flight may or may not have happened.
    ConnectionLoss = -4, "connection lost";
    /// The server could not decode the request.
    MarshallingError = -5, "request could not be decoded";
    /// The operation is not known to this server.
    Unimplemented = -6, "operation not implemented by this server";
    /// The operation timed out.
    OperationTimeout = -7, "operation timed out";
    /// A path, flag or argument was not valid.
    BadArguments = -8, "invalid argument";
    /// The session is not tracked by the server.
    UnknownSession = -12, "unknown session";
    /// A reconfiguration lacks a quorum of synced servers.
    NewConfigNoQuorum = -13, "no quorum of the new configuration is connected and up to date";
    /// Another reconfiguration is under way.
    ReconfigInProgress = -14, "another reconfiguration is in progress";
    /// The node, or the parent of the node to create, does not exist.
    NoNode = -101, "node does not exist";
    /// An ACL forbids the operation to every id of this connection.
    NoAuth = -102, "not authorised by the node's ACL";
    /// The expected version is not the node's.
    BadVersion = -103, "version does not match";
    /// The parent is ephemeral.
    NoChildrenForEphemerals = -108, "ephemeral nodes may not have children";
    /// The node is there already.
    NodeExists = -110, "node already exists";
    /// The node to delete has children.
    NotEmpty = -111, "node has children";
    /// The session has ended at the server; its ephemeral nodes are gone.
    SessionExpired = -112, "session expired";
    /// A callback was not valid (Java only).
    InvalidCallback = -113, "invalid callback";
    /// The ACL is empty or names an unusable scheme or id.
    InvalidAcl = -114, "invalid ACL";
    /// The server refused the credentials.
    AuthFailed = -115, "authentication failed";
    /// The session is served by another server now.
    SessionMoved = -118, "session moved to another server";
    /// A write was sent to a read-only server.
    NotReadOnly = -119, "write sent to a read-only server";
    /// An ephemeral node was asked for on a local session.
    EphemeralOnLocalSession = -120, "ephemeral node on a local session";
    /// There is no such watch.
    NoWatcher = -121, "no such watch";
    /// The client's request timeout passed.
    RequestTimeout = -122, "request timed out";
    /// Dynamic reconfiguration is switched off.
    ReconfigDisabled = -123, "reconfiguration is disabled";
    /// The server demands SASL and the session has none.
    SessionClosedRequireSaslAuth = -124, "session closed: SASL authentication required";
    /// A hard quota is exceeded.
    QuotaExceeded = -125, "quota exceeded";
    /// The server threw the request away under load.
    ThrottledOp = -127, "request throttled by the server";
}

/// Name, number and text, as in `NoNode (-101): node does not exist`.
impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(code) => write!(f, "unknown error code {code}"),
            known => write!(f, "{known:?} ({}): {}", known.code(), known.text()),
        }
    }
}

impl std::error::Error for ErrorCode {}

/// The outcome field of reply headers and results: 0, or an error's code.
pub(crate) type Outcome = Result<(), ErrorCode>;

impl Encode for Outcome {
    fn encode(&self, out: &mut BytesMut) {
        self.map_or_else(ErrorCode::code, |()| 0).encode(out);
    }
}

impl Decode for Outcome {
    const MIN_BYTES: usize = 4;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(ErrorCode::from_code(r.read()?).map_or(Ok(()), Err))
    }
}

#[cfg(test)]
impl crate::jute::sample::Sample for Outcome {
    fn sample(g: &mut crate::jute::sample::Gen) -> Self {
        ErrorCode::from_code(i32::sample(g)).map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(code.code()), Some(code));
        }
        assert_eq!(ErrorCode::from_code(0), None);
        assert_eq!(ErrorCode::from_code(-999), Some(ErrorCode::Unknown(-999)));
    }
}
