//! The arithmetic of RFC 2831, section 2.1.2.1, for quality of protection `auth`, and which characters are hashed.
//! Both sides compute the same.

use md5::{Digest as _, Md5};
use std::borrow::Cow;

/// Everything that goes into a proof, as the bytes that are hashed.
pub(super) struct Proof<'a> {
    pub(super) username: &'a [u8],
    pub(super) realm: &'a [u8],
    pub(super) password: &'a [u8],
    pub(super) nonce: &'a [u8],
    pub(super) cnonce: &'a [u8],
    pub(super) authzid: Option<&'a [u8]>,
    pub(super) digest_uri: &'a [u8],
}

/// 32 digits, lower case.
pub(super) type Hex = [u8; 32];

/// A nonce is used for one exchange.
pub(super) const NONCE_COUNT: &[u8] = b"00000001";

impl Proof<'_> {
    /// What the client proves that it knows the password with.
    pub(super) fn response(&self) -> Hex {
        self.of(b"AUTHENTICATE")
    }

    /// What the server proves that it knows the password with.
    pub(super) fn response_auth(&self) -> Hex {
        self.of(b"")
    }

    fn of(&self, method: &[u8]) -> Hex {
        let secret = md5(&[self.username, b":", self.realm, b":", self.password]);
        let mut a1: Vec<&[u8]> = vec![&secret, b":", self.nonce, b":", self.cnonce];
        if let Some(authzid) = self.authzid {
            a1.extend([b":", authzid]);
        }
        let a1 = hex(md5(&a1));
        let a2 = hex(md5(&[method, b":", self.digest_uri]));
        hex(md5(&[&a1, b":", self.nonce, b":", NONCE_COUNT, b":", self.cnonce, b":auth:", &a2]))
    }
}

/// What is hashed of a name or password that travels as `text`: where it can be written in ISO 8859-1 it is hashed in
/// that, though it travels in UTF-8, so that stored hashes are those of HTTP.
pub(super) fn hashed(text: &[u8], utf8: bool) -> Cow<'_, [u8]> {
    match std::str::from_utf8(text).ok().and_then(latin1) {
        Some(latin1) if utf8 => Cow::Owned(latin1),
        _ => Cow::Borrowed(text),
    }
}

/// The text in ISO 8859-1; `None` when it has other characters.
pub(super) fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

fn md5(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

fn hex(bytes: [u8; 16]) -> Hex {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    std::array::from_fn(|at| {
        let byte = bytes[at / 2];
        DIGITS[usize::from(if at % 2 == 0 { byte >> 4 } else { byte & 15 })]
    })
}
