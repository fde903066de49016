//! Where certificates and keys come from, and what is in them. Shows nobody a key.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::pem::{Error as PemError, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::builder::{TlsBuilder, Unusable};
use crate::limits::PEM_BYTES_MAX;

/// PEM in memory, or in a file that is read each time.
#[derive(Clone)]
pub(super) enum Source {
    Bytes(Arc<[u8]>),
    File(PathBuf),
}

impl Source {
    pub(super) fn bytes(pem: &[u8]) -> Self {
        Self::Bytes(pem.into())
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    fn read(&self, what: What) -> Result<Arc<[u8]>, Unusable> {
        let path = match self {
            Self::Bytes(bytes) => return Ok(Arc::clone(bytes)),
            Self::File(path) => path,
        };
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(PEM_BYTES_MAX + 1).read_to_end(&mut bytes));
        match read {
            Err(error) => Err(Unusable(format!(
                "cannot read the {what} {self}: {error}; check the path and who may read it"
            ))),
            Ok(_) if bytes.len() as u64 > PEM_BYTES_MAX => {
                Err(Unusable(format!("the {what} {self} is larger than {PEM_BYTES_MAX} bytes: is it PEM?")))
            }
            Ok(_) => Ok(bytes.into()),
        }
    }
}

/// The file, or that there is none.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(_) => f.write_str("given as bytes"),
            Self::File(path) => fmt::Display::fmt(&path.display(), f),
        }
    }
}

/// Without what is in it: that may be a key.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Clone, Copy)]
enum What {
    Ca,
    Chain,
    Key,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ca => "CA certificate",
            Self::Chain => "client certificate",
            Self::Key => "client key",
        })
    }
}

/// A chain and a key as they were read.
type Pair = (Arc<[u8]>, Arc<[u8]>);

/// What all the sources held at one time; equal when nothing was rotated.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Material {
    ca: Vec<Arc<[u8]>>,
    identity: Option<Pair>,
}

impl Material {
    pub(super) fn read(options: &TlsBuilder) -> Result<Self, Unusable> {
        let ca = options.ca.iter().map(|source| source.read(What::Ca)).collect::<Result<_, _>>()?;
        let identity = match &options.identity {
            Some(identity) => Some((identity.chain.read(What::Chain)?, identity.key.read(What::Key)?)),
            None => None,
        };
        Ok(Self { ca, identity })
    }

    /// The CA certificates, each with its source and its place in that, from 1.
    pub(super) fn ca_certificates<'a>(
        &'a self,
        options: &'a TlsBuilder,
    ) -> Result<Vec<(&'a Source, usize, CertificateDer<'static>)>, Unusable> {
        let mut found = Vec::new();
        for (source, pem) in options.ca.iter().zip(&self.ca) {
            let certificates = certificates(pem, source, What::Ca)?;
            found.extend(certificates.into_iter().enumerate().map(|(n, der)| (source, n + 1, der)));
        }
        Ok(found)
    }

    /// The client's chain and key.
    pub(super) fn identity(&self, options: &TlsBuilder) -> Result<Option<ChainAndKey>, Unusable> {
        let (Some(sources), Some((chain, key))) = (&options.identity, &self.identity) else {
            return Ok(None);
        };
        Ok(Some((certificates(chain, &sources.chain, What::Chain)?, private_key(key, &sources.key)?)))
    }
}

type ChainAndKey = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn certificates(pem: &[u8], source: &Source, what: What) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, PemError>>()
        .map_err(|error| Unusable(format!("the {what} {source} is not valid PEM: {error}")))?;
    if found.is_empty() {
        return Err(Unusable(format!(
            "the {what} {source} holds no certificate: it must be PEM, with a line \
             `-----BEGIN CERTIFICATE-----` (convert DER and Java key stores first)"
        )));
    }
    Ok(found)
}

/// The first key. The parser's own words are left out: no line of a key belongs into a message.
fn private_key(pem: &[u8], source: &Source) -> Result<PrivateKeyDer<'static>, Unusable> {
    let what = What::Key;
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        Unusable(match error {
            _ if holds(pem, "ENCRYPTED PRIVATE KEY-----") || holds(pem, "Proc-Type: 4,ENCRYPTED") => {
                encrypted(source)
            }
            PemError::NoItemsFound => format!(
                "the {what} {source} holds no private key: it must be PEM, with a line \
                 `-----BEGIN PRIVATE KEY-----` (PKCS#8), `RSA PRIVATE KEY` (PKCS#1) or `EC PRIVATE KEY` (SEC1)"
            ),
            _ => format!("the {what} {source} is not valid PEM"),
        })
    })
}

/// What is said of a key that needs a password.
fn encrypted(source: &Source) -> String {
    format!(
        "the {} {source} is encrypted: store it without a password (`openssl pkey -in old -out new`), \
         readable by this process alone",
        What::Key
    )
}

fn holds(pem: &[u8], text: &str) -> bool {
    pem.windows(text.len()).any(|window| window == text.as_bytes())
}
