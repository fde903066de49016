//! TLS, and X.509 client certificates (feature `tls`).
//!
//! ZooKeeper serves TLS on its `secureClientPort`, which needs Netty
//! (`serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory`). Name that port in the connect string:
//!
//! ```no_run
//! # async fn example() -> Result<(), zk_client::Error> {
//! use zk_client::tls::Tls;
//! use zk_client::{Acl, Client};
//!
//! let tls = Tls::builder()
//!     .ca_file("/etc/zookeeper/ca.pem")
//!     .identity_files("/etc/zookeeper/client.pem", "/etc/zookeeper/client.key")
//!     .build()?;
//! let zk = Client::builder().tls(tls).connect("zk1.example.com:2281,zk2.example.com:2281").await?;
//! // Whoever shows a certificate of the same subject, and nobody else, may come near this node.
//! zk.create("/private", "data").acl(Acl::creator()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! - **The server is verified** against the CAs given, or the platform's roots if none is, and by the name it was
//!   connected to. Certificates must carry that name (or address) as a subject alternative name; common names are
//!   not looked at. When all servers share one certificate, [`TlsBuilder::server_name`] says its name.
//! - **A client certificate is an identity**: the server's `x509` scheme takes its subject, in the form of RFC 2253
//!   (`CN=alice,O=Example`), for the id in ACLs. `Acl::creator()` on a connection with a certificate makes such an
//!   entry; `Acl::new(Perms::READ, AuthId::new("x509", "CN=alice,O=Example"))` names another's. The server asks for
//!   a certificate unless its `ssl.clientAuth` is `none`.
//! - **Certificates are rotated without a restart**: files are read again at every new connection. When what is
//!   read does not fit together (half of a rotation), the last good state is used and a warning logged.
//! - **Every connection proves itself anew**: sessions of TLS are not resumed, so that no connection outlives what
//!   its certificate says.
//! - Keys are PKCS#8, PKCS#1 or SEC1 in PEM, not encrypted. They are never shown by `Debug` or logged.
//!
//! A Java key store is converted with `openssl pkcs12 -in store.p12 -nodes` (a JKS with `keytool -importkeystore
//! -deststoretype PKCS12` first).
//!
//! | file | its job |
//! |---|---|
//! | `builder` | the options: [`TlsBuilder`] |
//! | `pem` | where certificates and keys come from, and what is in them |
//! | `config` | from these to a configuration of rustls |
//! | `reload` | the configuration in use: [`Tls`] |
//! | `host_name` | a verifier that leaves the name out |
//! | `dialer`, `stream` | a connection over another [`Dialer`](crate::Dialer)'s; its errors |
//! | `explain` | what a failure means, and what to do |

mod builder;
mod config;
mod dialer;
mod explain;
mod host_name;
mod pem;
mod reload;
mod stream;

pub use builder::TlsBuilder;
pub use reload::Tls;

#[cfg(test)]
mod tests;
