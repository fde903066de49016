//! SASL's DIGEST-MD5 (RFC 2831) as a pure mechanism: texts in, texts out. With the feature `sasl-digest-md5`.
//!
//! The tokens travel in [`crate::ops::auth::SaslToken`]; what is in them is here. The client's side is complete; the
//! server's needs the same three lower files and a nonce.
//!
//! ZooKeeper's servers use the service `zookeeper` and the server name `zk-sasl-md5`, whatever their host is called
//! ([`Service::ZOOKEEPER`]). DIGEST-MD5 is historic (RFC 6331): it proves to each side that the other knows the password,
//! and protects nothing that follows. Use it over TLS, or use Kerberos.
//!
//! | file | what it owns |
//! |---|---|
//! | `client` | the client's answer to a challenge, and the check of the server's last word |
//! | `challenge` | what the server offers |
//! | `proof` | the arithmetic of both sides, and which characters are hashed |
//! | `directive` | `name=value, name="quoted"`: reading and writing |
//! | `error` | what can be wrong with a challenge or a last word |

mod challenge;
mod client;
mod directive;
mod error;
mod proof;

#[cfg(test)]
mod tests;

pub use client::{Account, Answer, Service, respond};
pub use error::DigestMd5Error;
