//! Access control lists: who may do what to one node. They are not inherited.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use sha1::{Digest as _, Sha1};
use std::fmt;

use crate::jute::{Decode, DecodeError, Encode, Reader};

/// A set of permission bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Perms(pub i32);

impl Perms {
    /// Read the data, the child list and the ACL.
    pub const READ: Self = Self(1);
    /// Set the data.
    pub const WRITE: Self = Self(2);
    /// Create a child.
    pub const CREATE: Self = Self(4);
    /// Delete a child.
    pub const DELETE: Self = Self(8);
    /// Set the ACL.
    pub const ADMIN: Self = Self(16);
    /// All of them.
    pub const ALL: Self = Self(31);

    /// Whether any bit of `wanted` is here.
    #[must_use]
    pub const fn allows(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }
}

impl std::ops::BitOr for Perms {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The letters of the ZooKeeper shell, `cdrwa`.
impl fmt::Display for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [
            (Self::CREATE, 'c'),
            (Self::DELETE, 'd'),
            (Self::READ, 'r'),
            (Self::WRITE, 'w'),
            (Self::ADMIN, 'a'),
        ];
        for (bit, letter) in letters {
            if self.allows(bit) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Perms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Perms({self})")
    }
}

impl Encode for Perms {
    fn encode(&self, out: &mut BytesMut) {
        self.0.encode(out);
    }
}

impl Decode for Perms {
    const MIN_BYTES: usize = 4;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(r.read()?))
    }
}

#[cfg(test)]
impl crate::jute::sample::Sample for Perms {
    fn sample(g: &mut crate::jute::sample::Gen) -> Self {
        Self(i32::sample(g))
    }
}

record! {
    /// Someone: an authentication scheme and a name within it.
    #[derive(Hash)]
    pub struct AuthId {
        /// `world`, `auth`, `digest`, `ip`, `x509`, `sasl` or `super`.
        pub scheme: String,
        /// The name, in the scheme's own form.
        pub id: String,
    }
}

impl AuthId {
    /// An id of any scheme.
    #[must_use]
    pub fn new(scheme: impl Into<String>, id: impl Into<String>) -> Self {
        Self { scheme: scheme.into(), id: id.into() }
    }

    /// `world:anyone`.
    #[must_use]
    pub fn anyone() -> Self {
        Self::new("world", "anyone")
    }

    /// The `digest` id that authenticates with `user:password`.
    #[must_use]
    pub fn digest(user: &str, password: &str) -> Self {
        Self::new("digest", digest_id(user, &format!("{user}:{password}")))
    }
}

/// `user:base64(sha1(credentials))`, where credentials are `user:password`.
#[must_use]
pub fn digest_id(user: &str, credentials: &str) -> String {
    format!("{user}:{}", STANDARD.encode(Sha1::digest(credentials.as_bytes())))
}

impl fmt::Display for AuthId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.id)
    }
}

record! {
    /// One entry of an ACL.
    #[derive(Hash)]
    pub struct Acl {
        /// What is allowed.
        pub perms: Perms,
        /// To whom.
        pub id: AuthId,
    }
}

impl Acl {
    /// One entry.
    #[must_use]
    pub fn new(perms: Perms, id: AuthId) -> Self {
        Self { perms, id }
    }

    /// Everything to everyone: `world:anyone:cdrwa`.
    #[must_use]
    pub fn open() -> Vec<Self> {
        vec![Self::new(Perms::ALL, AuthId::anyone())]
    }

    /// Reading to everyone.
    #[must_use]
    pub fn read_only() -> Vec<Self> {
        vec![Self::new(Perms::READ, AuthId::anyone())]
    }

    /// Everything to whoever the connection has authenticated as; the server replaces it by those ids.
    #[must_use]
    pub fn creator() -> Vec<Self> {
        vec![Self::new(Perms::ALL, AuthId::new("auth", ""))]
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.perms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_ids_are_those_of_java() {
        assert_eq!(AuthId::digest("super", "test").id, "super:D/InIHSb7yEEbrWz8b9l71RjZJU=");
    }

    #[test]
    fn permissions_print_as_in_the_shell() {
        assert_eq!(Perms::ALL.to_string(), "cdrwa");
        assert_eq!((Perms::READ | Perms::CREATE).to_string(), "cr");
    }
}
