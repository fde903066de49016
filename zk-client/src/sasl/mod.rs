//! SASL: proving who the client is before anything else is sent, with DIGEST-MD5, Kerberos, or a mechanism of your own.
//!
//! Given to [`Builder::sasl`](crate::Builder::sasl), a mechanism is run on every connection, also after each reconnect,
//! between the handshake and everything else: credentials of [`Builder::auth`](crate::Builder::auth), watches and
//! operations wait for it, and so does [`SessionState::Connected`](crate::SessionState::Connected).
//!
//! # What it is good for
//! The connection gets the id `sasl:<name>`: the user name with DIGEST-MD5; with Kerberos the client's principal, from
//! which the server's rules may have cut realm and host. [`Acl::creator`](crate::Acl::creator) makes a node that only
//! this id may use; an [`AuthId`](crate::AuthId) of scheme `sasl` names somebody else. The same mechanism gives the
//! same id on every connection.
//!
//! # What the server needs
//! In `zoo.cfg`: `authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider`; to let nobody in without
//! it, `sessionRequireClientSASLAuth=true` as well. For the JVM:
//! `-Djava.security.auth.login.config=/path/to/jaas.conf`, with a section `Server`:
//!
//! ```text
//! Server {                                              Server {
//!   org.apache.zookeeper.server.auth.DigestLoginModule    com.sun.security.auth.module.Krb5LoginModule required
//!     required                                            useKeyTab=true storeKey=true useTicketCache=false
//!   user_bob="the password of bob";                       keyTab="/path/to/zookeeper.keytab"
//! };                                                      principal="zookeeper/zk1.example.com@EXAMPLE.COM";
//!                                                       };
//! ```
//!
//! # What can go wrong
//! | what | then |
//! |---|---|
//! | the server refuses (wrong password, unknown principal) | the client ends: `AuthFailed`, with the reason in the connect error |
//! | the server has no SASL, or goes on without (`zookeeper.allowSaslFailedClients`) | the same: whoever asked for SASL is not let go on without it |
//! | nothing to authenticate with here (no ticket, KDC down), or the server could not prove itself | the connection is dropped and tried again, with pacing; the reason is logged, and part of a connect error |
//!
//! | file | what it owns |
//! |---|---|
//! | `mechanism` | the traits [`SaslMechanism`] and [`SaslExchange`], a step, an error |
//! | `digest_md5` | `DigestMd5` (feature `sasl-digest-md5`) |
//! | `gssapi` | `Gssapi` (feature `gssapi`) |

mod mechanism;

#[cfg(feature = "sasl-digest-md5")]
mod digest_md5;
#[cfg(feature = "gssapi")]
mod gssapi;

pub use mechanism::{SaslError, SaslExchange, SaslMechanism, SaslStep};

#[cfg(feature = "sasl-digest-md5")]
pub use digest_md5::DigestMd5;
#[cfg(feature = "gssapi")]
pub use gssapi::Gssapi;
