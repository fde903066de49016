//! From certificates and keys to a configuration of rustls. Reads no file.

use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};
use rustls_pki_types::CertificateDer;

use super::builder::{TlsBuilder, Unusable};
use super::host_name::AnyHostName;
use super::pem::Material;

/// A configuration in which everything fits together. `platform` are the platform's roots, when they are wanted.
pub(super) fn client_config(
    options: &TlsBuilder,
    material: &Material,
    platform: &[CertificateDer<'static>],
) -> Result<Arc<ClientConfig>, Unusable> {
    // Named here, so that another crate's choice of a provider cannot make ours ambiguous.
    let provider = Arc::new(ring::default_provider());
    let roots = Arc::new(roots(options, material, platform)?);
    let versions: &[_] = if options.tls13_only { &[&TLS13] } else { &[&TLS13, &TLS12] };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| Unusable(error.to_string()))?;
    let builder = if options.any_host_name {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyHostName::new(roots, &provider)))
    } else {
        builder.with_webpki_verifier(verifier(roots, &provider)?)
    };
    let mut config = match material.identity(options)? {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            builder.with_client_auth_cert(chain, key).map_err(|error| misfit(options, &error))?
        }
    };
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn verifier(
    roots: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Unusable> {
    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .build()
        .map_err(|error| Unusable(error.to_string()))
}

fn roots(
    options: &TlsBuilder,
    material: &Material,
    platform: &[CertificateDer<'static>],
) -> Result<RootCertStore, Unusable> {
    let mut roots = RootCertStore::empty();
    // A platform's store may hold what rustls cannot use; the rest is as good.
    roots.add_parsable_certificates(platform.iter().cloned());
    for (source, n, certificate) in material.ca_certificates(options)? {
        roots.add(certificate).map_err(|error| {
            Unusable(format!("certificate {n} of the CA certificate {source} cannot be used: {error}"))
        })?;
    }
    Ok(roots)
}

/// Why chain and key were refused.
fn misfit(options: &TlsBuilder, error: &rustls::Error) -> Unusable {
    let Some(identity) = &options.identity else { return Unusable(error.to_string()) };
    let (chain, key) = (&identity.chain, &identity.key);
    Unusable(match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
            "the client key {key} does not belong to the client certificate {chain}: the certificate itself must \
             come first, its issuers behind it"
        ),
        rustls::Error::InvalidCertificate(_) => {
            format!("the client certificate {chain} cannot be used: {error}")
        }
        _ => format!("the client key {key} cannot be used: {error}"),
    })
}
