//! Certificates made on the spot: authorities, and what they sign. Good for tests and nothing else.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, Error, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// A certificate authority.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, in PEM (PKCS#8).
#[derive(Clone, Debug)]
pub struct Certified {
    /// The certificate.
    pub chain: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// A new one. Another one of the same name has another key.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn new(name: &str) -> Result<Self, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate()?).map(Self)
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate with the subject `CN=name,O=Test` for these DNS names and addresses.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn certify(&self, name: &str, valid_for: &[&str]) -> Result<Certified, Error> {
        self.sign(name, valid_for, false)
    }

    /// As [`Authority::certify`], expired in 2020.
    ///
    /// # Errors
    /// As [`Authority::certify`].
    pub fn certify_expired(&self, name: &str, valid_for: &[&str]) -> Result<Certified, Error> {
        self.sign(name, valid_for, true)
    }

    fn sign(&self, name: &str, valid_for: &[&str], expired: bool) -> Result<Certified, Error> {
        let valid_for: Vec<String> = valid_for.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(valid_for)?;
        params.distinguished_name = subject(name);
        if expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Certified { chain: certificate.pem(), key: key.serialize_pem() })
    }
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    // In the order of the encoding; RFC 2253 prints it from the end.
    subject.push(DnType::OrganizationName, "Test");
    subject.push(DnType::CommonName, name);
    subject
}
