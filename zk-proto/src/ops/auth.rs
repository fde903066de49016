//! Credentials: `auth` (100) and `sasl` (102), handled on the connection before the pipeline.

use bytes::{Bytes, BytesMut};
use std::fmt;

use crate::jute::{Decode, DecodeError, Encode, Reader};

/// Bytes that prove who somebody is. Never shown by `Debug`, so that no log of requests tells them
/// (CVE-2026-24308).
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(pub Option<Bytes>);

impl Secret {
    /// The bytes; none for null.
    #[must_use]
    pub fn reveal(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl From<Bytes> for Secret {
    fn from(bytes: Bytes) -> Self {
        Self(Some(bytes))
    }
}

impl Encode for Secret {
    fn encode(&self, out: &mut BytesMut) {
        self.0.encode(out);
    }
}

impl Decode for Secret {
    const MIN_BYTES: usize = 4;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(r.read()?))
    }
}

#[cfg(test)]
impl crate::jute::sample::Sample for Secret {
    fn sample(g: &mut crate::jute::sample::Gen) -> Self {
        Self(crate::jute::sample::Sample::sample(g))
    }
}

record! {
    /// The request of `auth`; xid -4. Failure is answered `AuthFailed` and the connection closed.
    pub struct AuthPacket {
        /// Always 0.
        pub auth_type: i32,
        /// The scheme, such as `digest`.
        pub scheme: String,
        /// The scheme's own credentials, such as `user:password`.
        pub auth: Secret,
    }
}

record! {
    /// The request and reply of one step of a SASL exchange.
    pub struct SaslToken {
        /// The mechanism's token.
        pub token: Secret,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_shown() {
        let auth = Secret::from(Bytes::from_static(b"bob:hunter2"));
        let packet = AuthPacket { auth_type: 0, scheme: "digest".into(), auth };
        let shown = format!("{packet:?}");
        assert!(shown.contains("digest") && !shown.contains("hunter2") && !shown.contains("104"), "{shown}");
    }
}
