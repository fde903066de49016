//! A server's challenge: what it offers, and what this implementation needs of it.

use super::directive::{self, Directive};
use super::error::DigestMd5Error;
use crate::limits::DIGEST_CHALLENGE_BYTES_MAX;

/// A challenge that can be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// In the server's order; may be empty.
    pub(super) realms: Vec<Vec<u8>>,
    pub(super) nonce: Vec<u8>,
    /// Whether names are in UTF-8; if not, in ISO 8859-1.
    pub(super) utf8: bool,
}

/// The directives of a server's text.
pub(super) fn read(text: &[u8]) -> Result<Vec<Directive>, DigestMd5Error> {
    if text.len() > DIGEST_CHALLENGE_BYTES_MAX {
        return Err(DigestMd5Error::TooLong { bytes: text.len() });
    }
    directive::parse(text)
}

/// The value of a directive that may be there once.
pub(super) fn once<'a>(
    list: &'a [Directive],
    name: &'static str,
) -> Result<Option<&'a [u8]>, DigestMd5Error> {
    let mut values = list.iter().filter(|d| d.name == name).map(|d| d.value.as_slice());
    let first = values.next();
    if values.next().is_some() {
        return Err(DigestMd5Error::Repeated(name));
    }
    Ok(first)
}

impl Challenge {
    /// Reads a challenge. Directives it does not know are ignored, as RFC 2831 demands.
    pub(super) fn parse(text: &[u8]) -> Result<Self, DigestMd5Error> {
        let list = read(text)?;
        let nonce = once(&list, "nonce")?.filter(|nonce| !nonce.is_empty());
        let nonce = nonce.ok_or(DigestMd5Error::Missing("nonce"))?.to_vec();
        let algorithm = once(&list, "algorithm")?.ok_or(DigestMd5Error::Missing("algorithm"))?;
        if !algorithm.eq_ignore_ascii_case(b"md5-sess") {
            return Err(unsupported("algorithm", algorithm));
        }
        let utf8 = match once(&list, "charset")? {
            None => false,
            Some(charset) if charset.eq_ignore_ascii_case(b"utf-8") => true,
            Some(charset) => return Err(unsupported("charset", charset)),
        };
        // Without protection of what follows is the only way that ZooKeeper speaks.
        if let Some(qop) = once(&list, "qop")?
            && !qop.split(|byte| *byte == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(b"auth"))
        {
            return Err(unsupported("qop", qop));
        }
        let realms = list.into_iter().filter(|d| d.name == "realm").map(|d| d.value).collect();
        Ok(Self { realms, nonce, utf8 })
    }
}

fn unsupported(directive: &'static str, value: &[u8]) -> DigestMd5Error {
    DigestMd5Error::Unsupported { directive, value: String::from_utf8_lossy(value).into_owned() }
}
