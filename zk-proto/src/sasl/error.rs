//! What can be wrong with a challenge, an account or a last word.

use std::fmt;

/// Why there is no answer to a challenge, or why the server's last word proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DigestMd5Error {
    /// The server's text is not a list of directives.
    Malformed {
        /// The offset of the byte at which it stops being one.
        at: usize,
    },
    /// The server's text is longer than RFC 2831 allows.
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// A directive that must be there is not.
    Missing(&'static str),
    /// A directive that may be there once is there again.
    Repeated(&'static str),
    /// A directive says what this implementation cannot do.
    Unsupported {
        /// The directive.
        directive: &'static str,
        /// What it says.
        value: String,
    },
    /// The account names a realm that the server does not offer.
    NoSuchRealm {
        /// The account's.
        wanted: String,
        /// The server's.
        offered: Vec<String>,
    },
    /// The user name, the realm or the password has characters outside ISO 8859-1, and the server does not take
    /// UTF-8.
    NotLatin1(&'static str),
    /// The answer would be longer than RFC 2831 allows: a name is too long.
    AnswerTooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// The server could not show that it knows the password.
    ServerNotProven,
}

impl fmt::Display for DigestMd5Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { at } => write!(f, "malformed from byte {at} on"),
            Self::TooLong { bytes } => write!(f, "{bytes} bytes are more than a server may say"),
            Self::Missing(directive) => write!(f, "the server does not say its {directive}"),
            Self::Repeated(directive) => write!(f, "the server says its {directive} twice"),
            Self::Unsupported { directive, value } => {
                write!(f, "the server demands {directive} {value:?}, which is not supported")
            }
            Self::NoSuchRealm { wanted, offered } => {
                write!(f, "the server has no realm {wanted:?}, only {offered:?}")
            }
            Self::NotLatin1(what) => {
                write!(f, "the {what} is not ISO 8859-1, and the server does not take UTF-8")
            }
            Self::AnswerTooLong { bytes } => write!(f, "the names are too long: an answer of {bytes} bytes"),
            Self::ServerNotProven => f.write_str("the server could not show that it knows the password"),
        }
    }
}

impl std::error::Error for DigestMd5Error {}
