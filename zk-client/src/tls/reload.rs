//! The configuration in use: read again when a connection is opened, kept when what is read is broken.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};

use super::builder::{TlsBuilder, Unusable};
use super::config::client_config;
use super::dialer::TlsDialer;
use super::pem::Material;
use crate::connect::Dialer;
use crate::error::{Error, ErrorKind};

/// TLS for connections to servers: give it to [`Builder::tls`](crate::Builder::tls). Cheap to clone; may serve
/// several clients.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    options: TlsBuilder,
    server_name: Option<ServerName<'static>>,
    platform: Vec<CertificateDer<'static>>,
    current: Mutex<Current>,
}

struct Current {
    material: Material,
    config: Arc<ClientConfig>,
    /// Why the last reading was of no use.
    broken: Option<Unusable>,
}

/// What one connection is to use.
pub(super) struct InUse {
    pub(super) config: Arc<ClientConfig>,
    /// Why it is not what the files hold now.
    pub(super) stale: Option<Unusable>,
}

impl Tls {
    /// Options first.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::default()
    }

    pub(super) fn new(options: TlsBuilder) -> Result<Self, Error> {
        let refused = |why: Unusable| Error::new(ErrorKind::Config, "tls").with_detail(why);
        let server_name = match &options.server_name {
            None => None,
            Some(name) => Some(ServerName::try_from(name.clone()).map_err(|_| {
                refused(Unusable(format!("the server name {name:?} is neither a DNS name nor an address")))
            })?),
        };
        let trusts_platform = options.platform_roots || options.ca.is_empty();
        let platform = if trusts_platform { platform_roots().map_err(refused)? } else { Vec::new() };
        let material = Material::read(&options).map_err(refused)?;
        let config = client_config(&options, &material, &platform).map_err(refused)?;
        if options.any_host_name {
            tracing::warn!(
                target: "zk_client::connect",
                "TLS accepts a certificate of any host name: whoever holds one of a trusted CA can pose as the server"
            );
        }
        let current = Mutex::new(Current { material, config, broken: None });
        Ok(Self(Arc::new(Inner { options, server_name, platform, current })))
    }

    /// A dialer that speaks TLS over the connections of another one. [`Builder::tls`](crate::Builder::tls) does
    /// this for the client's own.
    #[must_use]
    pub fn over(&self, dialer: Arc<dyn Dialer>) -> Arc<dyn Dialer> {
        Arc::new(TlsDialer::new(self.clone(), dialer))
    }

    pub(super) fn options(&self) -> &TlsBuilder {
        &self.0.options
    }

    pub(super) fn server_name(&self) -> Option<&ServerName<'static>> {
        self.0.server_name.as_ref()
    }

    /// The configuration for a connection that is opened now. Reads the files, off the runtime's threads.
    ///
    /// Safe to drop: the reading ends by itself and its result is not lost.
    pub(super) async fn in_use(&self) -> InUse {
        if self.reads_files() {
            let tls = self.clone();
            if let Ok(in_use) = tokio::task::spawn_blocking(move || tls.read_again()).await {
                return in_use;
            }
        }
        self.0.current.lock().unwrap_or_else(PoisonError::into_inner).in_use()
    }

    fn reads_files(&self) -> bool {
        let TlsBuilder { ca, identity, .. } = &self.0.options;
        let of_identity = identity.iter().flat_map(|i| [&i.chain, &i.key]);
        ca.iter().chain(of_identity).any(super::pem::Source::is_file)
    }

    /// Contents are compared, not times: a rotation by a renamed directory may bring older files.
    pub(super) fn read_again(&self) -> InUse {
        let Inner { options, platform, current, .. } = &*self.0;
        let read = Material::read(options);
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = read.and_then(|material| {
            if material == current.material {
                return Ok(None);
            }
            client_config(options, &material, platform).map(|config| Some((material, config)))
        });
        match fresh {
            Ok(None) => current.broken = None,
            Ok(Some((material, config))) => {
                tracing::info!(target: "zk_client::connect", "TLS certificates have changed and are used from now on");
                *current = Current { material, config, broken: None };
            }
            Err(why) => {
                if current.broken.as_ref() != Some(&why) {
                    tracing::warn!(
                        target: "zk_client::connect",
                        %why,
                        "TLS certificates cannot be read again: the last good ones stay in use"
                    );
                }
                current.broken = Some(why);
            }
        }
        current.in_use()
    }
}

impl Current {
    fn in_use(&self) -> InUse {
        InUse { config: Arc::clone(&self.config), stale: self.broken.clone() }
    }
}

fn platform_roots() -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(Unusable(format!(
            "the platform trusts no CA{why}: name the servers' CA with ca_file or ca_pem"
        )));
    }
    Ok(found.certs)
}

/// The options, without what is in the files.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tls").field(&self.0.options).finish()
    }
}
