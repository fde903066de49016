//! The client's side: its answer to a challenge, and the check of the server's last word. Makes no randomness: the
//! client's nonce is given.

use bytes::Bytes;
use std::fmt;

use super::challenge::{self, Challenge};
use super::directive::{put_bare, put_quoted};
use super::error::DigestMd5Error;
use super::proof::{Hex, NONCE_COUNT, Proof, hashed, latin1};
use crate::limits::DIGEST_RESPONSE_BYTES_MAX;

/// Who wants to be let in. `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub username: String,
    /// The user's password.
    pub password: String,
    /// The user's realm; `None` for the first that the server offers.
    pub realm: Option<String>,
    /// Whom to act as; `None` for the user.
    pub authzid: Option<String>,
}

impl Account {
    /// An account in the server's own realm.
    #[must_use]
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { username: username.into(), password: password.into(), realm: None, authzid: None }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .field("authzid", &self.authzid)
            .finish_non_exhaustive()
    }
}

/// Which service is asked, of which server: the digest-uri `protocol/server`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service<'a> {
    /// The protocol.
    pub protocol: &'a str,
    /// The server's name.
    pub server: &'a str,
}

impl Service<'static> {
    /// What every ZooKeeper server calls itself.
    pub const ZOOKEEPER: Self = Self { protocol: "zookeeper", server: "zk-sasl-md5" };
}

/// The answer to a challenge.
#[derive(Clone)]
pub struct Answer {
    /// To be sent.
    pub token: Bytes,
    expected: Hex,
}

impl Answer {
    /// Whether the server's last word shows that it knows the password too. Without this check anybody could play
    /// the server.
    ///
    /// # Errors
    /// [`DigestMd5Error::ServerNotProven`] when it does not, [`DigestMd5Error::Missing`] when it says nothing, and
    /// the errors of a text that is no list of directives.
    pub fn check(&self, last_word: &[u8]) -> Result<(), DigestMd5Error> {
        let list = challenge::read(last_word)?;
        let proof = challenge::once(&list, "rspauth")?.ok_or(DigestMd5Error::Missing("rspauth"))?;
        // Every byte is looked at, so that the time taken tells nothing.
        let differences = proof.iter().zip(&self.expected).fold(0, |seen, (a, b)| seen | (a ^ b));
        if proof.len() != self.expected.len() || differences != 0 {
            return Err(DigestMd5Error::ServerNotProven);
        }
        Ok(())
    }
}

/// Without the token.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").finish_non_exhaustive()
    }
}

/// Answers a server's challenge. `cnonce` is to be new and unpredictable for every answer, with at least 64 bits of
/// entropy, and of letters and digits.
///
/// # Errors
/// Those of a challenge that cannot be answered, and of an account that does not fit the server.
pub fn respond(
    account: &Account,
    service: &Service<'_>,
    cnonce: &str,
    challenge: &[u8],
) -> Result<Answer, DigestMd5Error> {
    let Challenge { realms, nonce, utf8 } = Challenge::parse(challenge)?;
    let username = on_wire(&account.username, utf8, "user name")?;
    let password = on_wire(&account.password, utf8, "password")?;
    let realm = choose_realm(account.realm.as_deref(), &realms, utf8)?;
    let digest_uri = format!("{}/{}", service.protocol, service.server);
    let authzid = account.authzid.as_deref().filter(|id| !id.is_empty()).map(str::as_bytes);
    let proof = Proof {
        username: &hashed(&username, utf8),
        realm: &hashed(realm.as_deref().unwrap_or_default(), utf8),
        password: &hashed(&password, utf8),
        nonce: &nonce,
        cnonce: cnonce.as_bytes(),
        authzid,
        digest_uri: digest_uri.as_bytes(),
    };
    let mut token = Vec::new();
    if utf8 {
        put_bare(&mut token, "charset", b"utf-8");
    }
    put_quoted(&mut token, "username", &username);
    if let Some(realm) = &realm {
        put_quoted(&mut token, "realm", realm);
    }
    put_quoted(&mut token, "nonce", &nonce);
    put_bare(&mut token, "nc", NONCE_COUNT);
    put_quoted(&mut token, "cnonce", cnonce.as_bytes());
    put_quoted(&mut token, "digest-uri", digest_uri.as_bytes());
    put_bare(&mut token, "response", &proof.response());
    put_bare(&mut token, "qop", b"auth");
    if let Some(authzid) = authzid {
        put_quoted(&mut token, "authzid", authzid);
    }
    if token.len() > DIGEST_RESPONSE_BYTES_MAX {
        return Err(DigestMd5Error::AnswerTooLong { bytes: token.len() });
    }
    Ok(Answer { token: token.into(), expected: proof.response_auth() })
}

/// The realm as it travels: the account's, or the first of the server's; none when neither has one.
fn choose_realm(
    wanted: Option<&str>,
    offered: &[Vec<u8>],
    utf8: bool,
) -> Result<Option<Vec<u8>>, DigestMd5Error> {
    let Some(wanted) = wanted else { return Ok(offered.first().cloned()) };
    let realm = on_wire(wanted, utf8, "realm")?;
    if offered.is_empty() || offered.contains(&realm) {
        return Ok(Some(realm));
    }
    let offered = offered.iter().map(|realm| String::from_utf8_lossy(realm).into_owned()).collect();
    Err(DigestMd5Error::NoSuchRealm { wanted: wanted.to_owned(), offered })
}

/// A name in the charset that the server reads.
fn on_wire(text: &str, utf8: bool, what: &'static str) -> Result<Vec<u8>, DigestMd5Error> {
    if utf8 {
        return Ok(text.as_bytes().to_vec());
    }
    latin1(text).ok_or(DigestMd5Error::NotLatin1(what))
}
