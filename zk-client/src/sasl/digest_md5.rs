//! DIGEST-MD5 for Java's `DigestLoginModule`. The texts are computed in [`zk_proto::sasl`]; this draws the nonce.

use bytes::Bytes;
use std::fmt;
use zk_proto::sasl::{Account, Answer, DigestMd5Error, Service, respond};

use super::{SaslError, SaslExchange, SaslMechanism, SaslStep};
use crate::hosts::Host;

/// SASL with a user name and a password (DIGEST-MD5, RFC 2831), as Java's servers with a `DigestLoginModule` speak it.
/// The resulting id is `sasl:<user name>`.
///
/// The password does not travel, and the server must show that it knows it too; but whoever listens can try passwords
/// at leisure, and nothing that follows is protected (RFC 6331). Use it over TLS, or with Kerberos at hand
/// `Gssapi`.
///
/// ```no_run
/// # async fn example() -> Result<(), zk_client::Error> {
/// use zk_client::{Acl, Client, sasl::DigestMd5};
///
/// let zk = Client::builder().sasl(DigestMd5::new("bob", "hunter2")).connect("zk1:2181").await?;
/// zk.create("/bobs", "for bob alone").acl(Acl::creator()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct DigestMd5 {
    account: Account,
    server: String,
}

impl DigestMd5 {
    /// The user `username`. Java's servers compare names and passwords as they are, without normalising them.
    #[must_use]
    pub fn new(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self { account: Account::new(username, password), server: Service::ZOOKEEPER.server.to_owned() }
    }

    /// The realm, where a server offers several; the first of them unless said. Java's servers have one, called as
    /// [`DigestMd5::server_name`].
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.account.realm = Some(realm.into());
        self
    }

    /// What the servers call themselves; `zk-sasl-md5` unless said, which Java's do whatever their host's name.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server = name.into();
        self
    }
}

/// Without the password.
impl fmt::Debug for DigestMd5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestMd5").field("account", &self.account).field("server", &self.server).finish()
    }
}

impl SaslMechanism for DigestMd5 {
    fn name(&self) -> &str {
        "DIGEST-MD5"
    }

    fn start(&self, _server: &Host) -> Result<Box<dyn SaslExchange>, SaslError> {
        Ok(Box::new(Exchange { mechanism: self.clone(), answer: None }))
    }
}

struct Exchange {
    mechanism: DigestMd5,
    answer: Option<Answer>,
}

impl SaslExchange for Exchange {
    fn step(&mut self, challenge: Option<&[u8]>) -> Result<SaslStep, SaslError> {
        let Some(challenge) = challenge else { return Ok(SaslStep::Send(Bytes::new())) };
        let failed = |error: DigestMd5Error| SaslError::new(error);
        if let Some(answer) = self.answer.take() {
            answer.check(challenge).map_err(failed)?;
            return Ok(SaslStep::Done);
        }
        let DigestMd5 { account, server } = &self.mechanism;
        let service = Service { protocol: Service::ZOOKEEPER.protocol, server };
        let cnonce = format!("{:032x}", rand::random::<u128>());
        let answer = respond(account, &service, &cnonce, challenge).map_err(failed)?;
        let token = answer.token.clone();
        self.answer = Some(answer);
        Ok(SaslStep::Send(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin() -> Box<dyn SaslExchange> {
        DigestMd5::new("bob", "secret").start(&Host { name: "h".into(), port: 1 }).unwrap()
    }

    #[test]
    fn the_server_speaks_first_and_last() {
        let mut exchange = begin();
        assert_eq!(exchange.step(None), Ok(SaslStep::Send(Bytes::new())));
        let challenge = b"realm=r,nonce=n,algorithm=md5-sess,charset=utf-8";
        let SaslStep::Send(answer) = exchange.step(Some(challenge)).unwrap() else { panic!("no answer") };
        let answer = String::from_utf8(answer.to_vec()).unwrap();
        assert!(answer.contains("digest-uri=\"zookeeper/zk-sasl-md5\""), "{answer}");
        let error = exchange.step(Some(b"rspauth=00000000000000000000000000000000")).unwrap_err();
        assert!(error.to_string().contains("could not show"), "{error}");

        let mut other = begin();
        other.step(None).unwrap();
        let SaslStep::Send(again) = other.step(Some(challenge)).unwrap() else { panic!("no answer") };
        assert_ne!(answer.as_bytes(), &again[..], "a nonce was used twice");
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?} {:?}", DigestMd5::new("bob", "secret"), SaslStep::Send("secret".into()));
        assert!(!shown.contains("secret") && shown.contains("bob"), "{shown}");
    }
}
