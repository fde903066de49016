//! The options of TLS. Reads nothing before `build`.

use std::fmt;
use std::path::PathBuf;

use super::pem::Source;
use super::reload::Tls;
use crate::error::Error;

/// Options of [`Tls`]. Made by [`Tls::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until .build()"]
pub struct TlsBuilder {
    pub(super) ca: Vec<Source>,
    pub(super) platform_roots: bool,
    pub(super) identity: Option<Identity>,
    pub(super) server_name: Option<String>,
    pub(super) any_host_name: bool,
    pub(super) tls13_only: bool,
}

/// The client's certificate chain and its key.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) chain: Source,
    pub(super) key: Source,
}

impl TlsBuilder {
    /// Trusts the CA certificates of a PEM file. May be given several times; a file may hold several. Without any
    /// CA the platform's roots are trusted.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca.push(Source::File(path.into()));
        self
    }

    /// As [`TlsBuilder::ca_file`], from memory.
    pub fn ca_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.ca.push(Source::bytes(pem.as_ref()));
        self
    }

    /// Trusts the roots that the platform trusts, also when CAs are given. They are loaded once, by
    /// [`TlsBuilder::build`]; `SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured.
    pub fn platform_roots(mut self) -> Self {
        self.platform_roots = true;
        self
    }

    /// The client's certificate, with the intermediates behind it, and its private key, from PEM files. Both may
    /// be the same file.
    pub fn identity_files(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity = Some(Identity { chain: Source::File(chain.into()), key: Source::File(key.into()) });
        self
    }

    /// As [`TlsBuilder::identity_files`], from memory.
    pub fn identity_pem(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        let (chain, key) = (Source::bytes(chain.as_ref()), Source::bytes(key.as_ref()));
        self.identity = Some(Identity { chain, key });
        self
    }

    /// The DNS name or address that every server's certificate must carry, instead of the one in the connect
    /// string.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Accepts a certificate of any name, as long as its chain leads to a trusted CA. Then **whoever holds any
    /// certificate of that CA can pose as the server**. Logs a warning; [`TlsBuilder::server_name`] is nearly
    /// always what is wanted.
    pub fn dangerously_accept_any_host_name(mut self) -> Self {
        self.any_host_name = true;
        self
    }

    /// Refuses TLS 1.2. Servers before ZooKeeper 3.9 offer nothing newer unless their `ssl.enabledProtocols` says
    /// so.
    pub fn tls13_only(mut self) -> Self {
        self.tls13_only = true;
        self
    }

    /// Reads the files and checks that everything fits together. Blocks for as long as that takes.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`]; the text names the file and what to do.
    pub fn build(self) -> Result<Tls, Error> {
        Tls::new(self)
    }
}

/// What keeps [`TlsBuilder::build`] from its work, or a later reading of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unusable(pub(super) String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
