//! What a failure of TLS means, and what to do about it. Pure.

use std::fmt::Write as _;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};
use rustls_pki_types::ServerName;

use super::builder::{TlsBuilder, Unusable};

/// What must be known of a connection to explain its failures.
#[derive(Debug)]
pub(super) struct Explain {
    name: String,
    fixed_name: bool,
    trusted: String,
    has_identity: bool,
    stale: Option<Unusable>,
}

impl Explain {
    pub(super) fn new(options: &TlsBuilder, name: &ServerName<'_>, stale: Option<Unusable>) -> Self {
        let mut trusted: Vec<String> = options.ca.iter().map(ToString::to_string).collect();
        if options.platform_roots || trusted.is_empty() {
            trusted.push("the platform's roots".to_owned());
        }
        Self {
            name: name.to_str().into_owned(),
            fixed_name: options.server_name.is_some(),
            trusted: trusted.join(", "),
            has_identity: options.identity.is_some(),
            stale,
        }
    }

    /// A handshake that failed.
    pub(super) fn handshake(&self, error: &io::Error) -> io::Error {
        let what = match tls_error(error) {
            Some(error) => self.tls(error),
            None if ended(error) => format!(
                "the server closed the connection during the handshake ({error}): is this its secureClientPort?"
            ),
            None => format!("the handshake failed: {error}"),
        };
        self.say(error, &what)
    }

    /// An open connection that failed. In TLS 1.3 the client's half of the handshake is done before the server
    /// has looked at the client's certificate: until its first answer, a failure is most likely a refusal.
    pub(super) fn connection(&self, error: &io::Error, answered: bool) -> io::Error {
        let what = match tls_error(error) {
            Some(error) => self.tls(error),
            None if !answered && ended(error) => {
                format!(
                    "the server closed the connection right after the handshake ({error}); {}",
                    self.refused()
                )
            }
            None => error.to_string(),
        };
        self.say(error, &what)
    }

    fn say(&self, error: &io::Error, what: &str) -> io::Error {
        let mut text = format!("TLS: {what}");
        if let Some(stale) = &self.stale {
            // Writing to a string does not fail.
            let _ = write!(text, "; the certificates in use are those read before: {stale}");
        }
        io::Error::new(error.kind(), text)
    }

    fn tls(&self, error: &Error) -> String {
        match error {
            Error::InvalidCertificate(why) => self.certificate(error, why),
            Error::AlertReceived(alert) => self.alert(*alert),
            Error::InvalidMessage(_) => format!(
                "what the server sends is not TLS ({error}): connect to its secureClientPort, not its clientPort"
            ),
            Error::PeerIncompatible(_) => {
                format!("server and client have no TLS version or cipher in common ({error})")
            }
            _ => format!("the handshake failed: {error}"),
        }
    }

    fn certificate(&self, error: &Error, why: &CertificateError) -> String {
        let name = &self.name;
        match why {
            CertificateError::UnknownIssuer => format!(
                "the server's certificate is not signed by a CA we trust ({}): check ca_file or ca_pem",
                self.trusted
            ),
            CertificateError::BadSignature => format!(
                "the server's certificate is not signed by the CA it names, though one of that name is trusted ({}): \
                 was the CA made anew? check ca_file or ca_pem",
                self.trusted
            ),
            CertificateError::NotValidForName => {
                format!("the server's certificate is not for {name}: {}", self.name_advice())
            }
            CertificateError::NotValidForNameContext { presented, .. } => {
                let names = if presented.is_empty() {
                    "has no subject alternative name".to_owned()
                } else {
                    format!("is for {}", presented.join(", "))
                };
                format!("the server's certificate is not for {name}, it {names}: {}", self.name_advice())
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                format!("the server's certificate, or one of its CAs, has expired ({error})")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                format!("the server's certificate is not valid yet ({error}): is this machine's clock right?")
            }
            _ => format!("the server's certificate is refused: {error}"),
        }
    }

    fn name_advice(&self) -> &'static str {
        if self.fixed_name {
            "check server_name"
        } else {
            "connect by a name in it, or say that name with server_name"
        }
    }

    fn alert(&self, alert: AlertDescription) -> String {
        use AlertDescription as A;
        match alert {
            A::CertificateRequired
            | A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
            | A::NoCertificate => {
                format!("the server ended the handshake with the alert {alert:?}; {}", self.refused())
            }
            A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity => format!(
                "the server ended the handshake with the alert {alert:?}: no TLS version or cipher in common, or \
                 a client certificate it cannot use"
            ),
            _ => format!("the server ended the connection with the alert {alert:?}: see its log"),
        }
    }

    fn refused(&self) -> &'static str {
        if self.has_identity {
            "it may have refused our client certificate (expired, or of a CA it does not trust): see its log"
        } else {
            "it may want a client certificate, and none was given: see identity_files"
        }
    }
}

/// What rustls says, if it is rustls that says it.
fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn ended(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::UnexpectedEof | K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe)
}
