//! The options of a client. Every one has a default that is right for most.

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use zk_proto::limits::FRAME_BYTES_DEFAULT;

use crate::chroot::Chroot;
use crate::client::Client;
use crate::connect::{Dialer, TcpDialer};
use crate::core::{Config, Credentials};
use crate::driver::Servers;
use crate::error::Error;
use crate::hosts::ConnectString;
use crate::limits::{FIRST_SESSION_DEFAULT, SESSION_TIMEOUT_DEFAULT};
use crate::retry::RetryPolicy;
use crate::sasl::SaslMechanism;

/// Options of a [`Client`]. Made by [`Client::builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until .connect()"]
pub struct Builder {
    session_timeout: Duration,
    connect_timeout: Duration,
    credentials: Vec<Credentials>,
    read_only: bool,
    expiry_is_terminal: bool,
    frame_limit: usize,
    seed: Option<u64>,
    retry: RetryPolicy,
    dialer: Option<Arc<dyn Dialer>>,
    sasl: Option<Arc<dyn SaslMechanism>>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            session_timeout: SESSION_TIMEOUT_DEFAULT,
            connect_timeout: FIRST_SESSION_DEFAULT,
            credentials: Vec::new(),
            read_only: false,
            expiry_is_terminal: false,
            frame_limit: FRAME_BYTES_DEFAULT,
            seed: None,
            retry: RetryPolicy::default(),
            dialer: None,
            sasl: None,
        }
    }
}

impl Builder {
    /// The session timeout to ask for, in whole milliseconds; 10 s unless said. The server has the last word:
    /// see [`crate::SessionInfo::timeout`].
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    /// How long [`Builder::connect`] waits for the first session, over all servers; 30 s unless said.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Credentials for every connection, sent before anything else; may be given several times.
    pub fn auth(mut self, scheme: impl Into<String>, credentials: impl AsRef<[u8]>) -> Self {
        let credentials = Bytes::copy_from_slice(credentials.as_ref());
        self.credentials.push(Credentials::new(scheme, credentials));
        self
    }

    /// Whether a server that has lost its quorum will do, for reads alone.
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Whether the client ends with its session. If not, which is the default, it opens a new session and says
    /// so through [`Client::session_state`].
    pub fn expiry_is_terminal(mut self, terminal: bool) -> Self {
        self.expiry_is_terminal = terminal;
        self
    }

    /// The largest frame sent or accepted, in bytes: the servers' `jute.maxbuffer`, 1 MiB - 1 unless said.
    pub fn frame_limit(mut self, bytes: usize) -> Self {
        self.frame_limit = bytes;
        self
    }

    /// Fixes the client's randomness (order of servers, jitter), for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How attempts to connect are paced, and whether reads are resent.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How connections are opened; [`TcpDialer`] unless said.
    pub fn dialer(mut self, dialer: Arc<dyn Dialer>) -> Self {
        self.dialer = Some(dialer);
        self
    }

    /// Authenticates every connection with this mechanism, before anything else is sent on it: see [`crate::sasl`].
    pub fn sasl(mut self, mechanism: impl SaslMechanism + 'static) -> Self {
        self.sasl = Some(Arc::new(mechanism));
        self
    }

    /// Connects, and waits until the first session is established. `servers` is
    /// `host[:port][,host[:port]...][/chroot]`; an IPv6 address stands in brackets, the default port is 2181.
    /// Names are resolved at every attempt.
    ///
    /// Must be called within a tokio runtime with time and I/O enabled.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when the connect string or an option is not valid,
    /// [`crate::ErrorKind::Timeout`] when no session was established in time,
    /// [`crate::ErrorKind::AuthFailed`] when the credentials or the SASL authentication were refused.
    ///
    /// # Cancellation
    /// Dropping the future stops everything it began.
    pub async fn connect(self, servers: &str) -> Result<Client, Error> {
        let ConnectString { hosts, chroot } = servers.parse()?;
        let chroot = Chroot::new(&chroot)?;
        let config = Config {
            hosts: hosts.len(),
            session_timeout: self.session_timeout,
            read_only: self.read_only,
            expiry_is_terminal: self.expiry_is_terminal,
            frame_limit: self.frame_limit,
            sasl: self.sasl.is_some(),
            credentials: self.credentials,
            retry: self.retry,
        };
        let seed = self.seed.unwrap_or_else(rand::random);
        let dialer = self.dialer.unwrap_or_else(|| Arc::new(TcpDialer::new()));
        let client = Client::start(config, seed, Servers { hosts, dialer, sasl: self.sasl }, chroot);
        client.first_session(self.connect_timeout).await?;
        Ok(client)
    }
}

/// Without the credentials.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("session_timeout", &self.session_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("credentials", &self.credentials)
            .field("read_only", &self.read_only)
            .field("expiry_is_terminal", &self.expiry_is_terminal)
            .field("frame_limit", &self.frame_limit)
            .field("retry", &self.retry)
            .field("dialer", &self.dialer)
            .field("sasl", &self.sasl.as_deref().map(SaslMechanism::name))
            .finish_non_exhaustive()
    }
}
