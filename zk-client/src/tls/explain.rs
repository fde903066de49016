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
        let mut trusted: Vec<String> = options
            .ca
            .iter()
            .map(|source| if source.is_file() { source.to_string() } else { "the bytes given".to_owned() })
            .collect();
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
                "the server's certificate is not signed by a CA we trust (from {}): check ca_file or ca_pem",
                self.trusted
            ),
            CertificateError::BadSignature => format!(
                "the server's certificate is not signed by the CA it names, though one of that name is trusted (from {}): \
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
            CertificateError::ExpiredContext { time, not_after } => format!(
                "the server's certificate, or one of its CAs, has expired {} ago",
                span(time.as_secs().saturating_sub(not_after.as_secs()))
            ),
            CertificateError::Expired => {
                "the server's certificate, or one of its CAs, has expired".to_owned()
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
        let ended = format!("the server ended the connection with the TLS alert {alert:?}");
        match alert {
            A::CertificateExpired if self.has_identity => {
                format!("{ended}: our client certificate has expired")
            }
            A::CertificateRevoked if self.has_identity => {
                format!("{ended}: our client certificate is revoked")
            }
            A::UnknownCA if self.has_identity => {
                format!("{ended}: it does not trust the CA of our client certificate")
            }
            A::CertificateRequired
            | A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::AccessDenied
            | A::NoCertificate => format!("{ended}: {}", self.refused()),
            A::HandshakeFailure | A::ProtocolVersion | A::InsufficientSecurity => format!(
                "{ended}: no TLS version or cipher in common, or \
                 a client certificate it cannot use"
            ),
            _ => format!("{ended}: see its log"),
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

/// `7 days`, `3 h`.
fn span(seconds: u64) -> String {
    let hours = seconds / 3600;
    if hours < 48 { format!("{hours} h") } else { format!("{} days", hours / 24) }
}

fn ended(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::UnexpectedEof | K::ConnectionReset | K::ConnectionAborted | K::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::super::Tls;
    use super::*;

    const CA: &str = include_str!("../../tests/tls/ec.pem");

    fn explain(options: &TlsBuilder) -> Explain {
        Explain::new(options, &ServerName::try_from("zk1.example").unwrap(), None)
    }

    fn of_tls(error: Error) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }

    #[test]
    fn an_end_before_the_first_answer_may_be_a_refusal() {
        let plain = explain(&Tls::builder().ca_pem(CA));
        let known = explain(&Tls::builder().ca_pem(CA).identity_pem("", ""));
        for kind in [io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof] {
            let text = plain.connection(&kind.into(), false).to_string();
            assert!(text.contains("none was given: see identity_files"), "{text}");
            let text = known.connection(&kind.into(), false).to_string();
            assert!(text.contains("may have refused our client certificate"), "{text}");
            let later = known.connection(&kind.into(), true);
            assert_eq!((later.kind(), later.to_string()), (kind, format!("TLS: {kind}")));
        }
    }

    #[test]
    fn alerts_are_read_in_the_light_of_what_was_shown() {
        let plain = explain(&Tls::builder().ca_pem(CA));
        let known = explain(&Tls::builder().ca_pem(CA).identity_pem("", ""));
        let unknown_ca = || of_tls(Error::AlertReceived(AlertDescription::UnknownCA));
        assert!(plain.handshake(&unknown_ca()).to_string().contains("none was given"));
        assert!(known.handshake(&unknown_ca()).to_string().ends_with("the CA of our client certificate"));
        let internal = of_tls(Error::AlertReceived(AlertDescription::InternalError));
        assert!(known.handshake(&internal).to_string().ends_with("InternalError: see its log"));
    }

    #[test]
    fn a_broken_rotation_is_named_with_the_failure() {
        let options = Tls::builder().ca_file("/etc/ca.pem");
        let stale = Some(Unusable("cannot read it".to_owned()));
        let explain = Explain::new(&options, &ServerName::try_from("10.0.0.1").unwrap(), stale);
        let text = explain
            .handshake(&of_tls(Error::InvalidCertificate(CertificateError::UnknownIssuer)))
            .to_string();
        assert!(
            text.contains("(from /etc/ca.pem)") && text.ends_with("read before: cannot read it"),
            "{text}"
        );
    }
}
