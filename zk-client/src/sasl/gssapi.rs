//! Kerberos, through the platform's GSSAPI: the context, then the security layer that nobody wants (RFC 4752). Blocks:
//! the library talks to files, name servers and the KDC.

use bytes::Bytes;
use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext as _};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::Error as GssError;
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE, GSS_NT_KRB5_PRINCIPAL, OidSet};
use std::fmt;

use super::{SaslError, SaslExchange, SaslMechanism, SaslStep};
use crate::hosts::Host;

/// SASL with Kerberos (GSSAPI, RFC 4752), as Java's servers with a `Krb5LoginModule` speak it.
///
/// Client and server prove themselves to each other. The resulting id is `sasl:<principal>`, of which the server's
/// `kerberos.removeHostFromPrincipal`, `kerberos.removeRealmFromPrincipal` and `auth_to_local` rules may have cut
/// something. No security layer is negotiated: what follows is as open as the connection, so use TLS where that
/// matters. Where a server is set to let in whom it could not authenticate (`zookeeper.allowSaslFailedClients`), its
/// refusal of the very last token looks like its consent: there, ask whether the id is the expected one.
///
/// # Whose ticket
/// Whatever the platform's Kerberos library finds: the default credential cache (`kinit`, `KRB5CCNAME`), or with MIT
/// Kerberos a keytab named by `KRB5_CLIENT_KTNAME`, from which it fetches and renews tickets by itself.
/// [`Gssapi::client_principal`] picks one of several. They are looked for at every connection, so a ticket renewed by
/// `k5start` or `kinit -R` is found.
///
/// # Which server
/// `zookeeper/<host>`, with the host of the connect string made canonical as `krb5.conf` says
/// (`dns_canonicalize_hostname`, `rdns`), and the realm that `krb5.conf` gives it. A connect string of addresses will
/// seldom do. Where servers have other principals, say so with [`Gssapi::service`], [`Gssapi::host`] and
/// [`Gssapi::realm`].
///
/// ```no_run
/// # async fn example() -> Result<(), zk_client::Error> {
/// use zk_client::{Acl, Client, sasl::Gssapi};
///
/// let zk = Client::builder().sasl(Gssapi::new()).connect("zk1.example.com:2181").await?;
/// zk.create("/mine", "for my principal alone").acl(Acl::creator()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Gssapi {
    service: String,
    host: Option<String>,
    realm: Option<String>,
    client: Option<String>,
}

impl Default for Gssapi {
    fn default() -> Self {
        Self { service: "zookeeper".to_owned(), host: None, realm: None, client: None }
    }
}

impl Gssapi {
    /// With the platform's default credentials, for servers named `zookeeper/<host>`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The first part of the servers' principals; `zookeeper` unless said (Java's `zookeeper.sasl.client.username`).
    #[must_use]
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = service.into();
        self
    }

    /// The second part of the servers' principals, the same for all of them and taken as it is; the canonical name of
    /// the server that is connected unless said.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// The servers' realm; unless said, the one that `krb5.conf` gives their host. With a realm, the host is taken as
    /// the connect string names it.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// The client's principal, such as `app/host@EXAMPLE.COM`; the platform's default unless said.
    #[must_use]
    pub fn client_principal(mut self, principal: impl Into<String>) -> Self {
        self.client = Some(principal.into());
        self
    }

    /// The name asked for, and whether it is a principal as it stands rather than a service on a host.
    fn target(&self, server: &Host) -> (String, bool) {
        let host = self.host.as_ref().unwrap_or(&server.name);
        match (&self.host, &self.realm) {
            (None, None) => (format!("{}@{host}", self.service), false),
            (_, None) => (format!("{}/{host}", self.service), true),
            (_, Some(realm)) => (format!("{}/{host}@{realm}", self.service), true),
        }
    }
}

impl SaslMechanism for Gssapi {
    fn name(&self) -> &str {
        "GSSAPI"
    }

    fn start(&self, server: &Host) -> Result<Box<dyn SaslExchange>, SaslError> {
        let mechanisms = OidSet::singleton(GSS_MECH_KRB5).map_err(|error| failed("Kerberos", error))?;
        let client = self
            .client
            .as_ref()
            .map(|name| Name::new(name.as_bytes(), Some(GSS_NT_KRB5_PRINCIPAL)))
            .transpose()
            .map_err(|error| failed("the client's principal", error))?;
        let credentials = Cred::acquire(client.as_ref(), None, CredUsage::Initiate, Some(&mechanisms));
        let credentials = credentials.map_err(|error| {
            failed("no ticket (run kinit, or name a keytab in KRB5_CLIENT_KTNAME)", error)
        })?;
        let (target, exact) = self.target(server);
        let kind = if exact { GSS_NT_KRB5_PRINCIPAL } else { GSS_NT_HOSTBASED_SERVICE };
        let name = Name::new(target.as_bytes(), Some(kind)).map_err(|error| failed(&target, error))?;
        // Integrity is what the negotiation of the layer is sealed with, not the layer.
        let flags = CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_INTEG_FLAG;
        let context = ClientCtx::new(Some(credentials), name, flags, Some(GSS_MECH_KRB5));
        Ok(Box::new(Exchange { context, target, stage: Stage::Context }))
    }
}

struct Exchange {
    context: ClientCtx,
    target: String,
    stage: Stage,
}

enum Stage {
    /// The context is being established.
    Context,
    /// The server's offer of security layers is due.
    Layer,
    Over,
}

/// Bit of the mask of security layers: none.
const NO_LAYER: u8 = 1;

impl SaslExchange for Exchange {
    fn step(&mut self, challenge: Option<&[u8]>) -> Result<SaslStep, SaslError> {
        match self.stage {
            Stage::Context => self.establish(challenge),
            Stage::Layer => self.choose_layer(challenge.unwrap_or_default()),
            Stage::Over => Err(SaslError::new("the server goes on after the exchange's end")),
        }
    }
}

impl Exchange {
    fn establish(&mut self, challenge: Option<&[u8]>) -> Result<SaslStep, SaslError> {
        let token = self.context.step(challenge, None).map_err(|error| failed(&self.target, error))?;
        if self.context.is_complete() {
            let flags = self.context.flags().map_err(|error| failed(&self.target, error))?;
            if !flags.contains(CtxFlags::GSS_C_MUTUAL_FLAG) {
                return Err(SaslError::new(format_args!("{} has not proven itself", self.target)));
            }
            self.stage = Stage::Layer;
        }
        // Established without a token of ours, the server is told to go on by an empty one.
        Ok(SaslStep::Send(token.map_or_else(Bytes::new, |token| Bytes::copy_from_slice(&token))))
    }

    fn choose_layer(&mut self, sealed: &[u8]) -> Result<SaslStep, SaslError> {
        self.stage = Stage::Over;
        let offer =
            self.context.unwrap(sealed).map_err(|error| failed("the offer of security layers", error))?;
        let answer = accept_no_layer(&offer)?;
        let sealed = self.context.wrap(false, &answer).map_err(|error| failed(&self.target, error))?;
        Ok(SaslStep::SendLast(Bytes::copy_from_slice(&sealed)))
    }
}

/// The answer to an offer of a mask and the largest buffer in three bytes: no layer, and so no buffer. No name follows:
/// the client acts as who it is.
fn accept_no_layer(offer: &[u8]) -> Result<[u8; 4], SaslError> {
    match offer {
        [layers, _, _, _] if layers & NO_LAYER != 0 => Ok([NO_LAYER, 0, 0, 0]),
        [_, _, _, _] => {
            Err(SaslError::new("the server demands a security layer, which ZooKeeper does not have"))
        }
        _ => {
            Err(SaslError::new(format_args!("an offer of security layers has 4 bytes, not {}", offer.len())))
        }
    }
}

fn failed(what: impl fmt::Display, error: GssError) -> SaslError {
    SaslError::new(format_args!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn principals_are_made_of_what_is_known() {
        let server = Host { name: "zk1".into(), port: 2181 };
        let of = |gssapi: Gssapi| gssapi.target(&server);
        assert_eq!(of(Gssapi::new()), ("zookeeper@zk1".into(), false));
        assert_eq!(of(Gssapi::new().service("zk")), ("zk@zk1".into(), false));
        assert_eq!(of(Gssapi::new().host("zoo.example")), ("zookeeper/zoo.example".into(), true));
        assert_eq!(of(Gssapi::new().realm("EX")), ("zookeeper/zk1@EX".into(), true));
        assert_eq!(of(Gssapi::new().service("a").host("b").realm("C")), ("a/b@C".into(), true));
    }

    #[test]
    fn no_layer_is_chosen_where_it_is_offered() {
        assert_eq!(accept_no_layer(&[7, 0, 255, 255]), Ok([1, 0, 0, 0]));
        assert_eq!(accept_no_layer(&[1, 0, 0, 0]), Ok([1, 0, 0, 0]));
        assert!(accept_no_layer(&[6, 0, 255, 255]).is_err());
        for offer in [&[][..], &[1], &[1, 0, 0], &[1, 0, 0, 0, 0]] {
            assert!(accept_no_layer(offer).is_err());
        }
    }
}
