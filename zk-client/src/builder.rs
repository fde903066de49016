//! The options of a client. Every one has a default that is right for most.

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use zk_proto::limits::FRAME_BYTES_DEFAULT;

use crate::chroot::Chroot;
use crate::client::Client;
use crate::connect::{Dialer, TcpDialer};
use crate::core::{Config, Core, Credentials};
use crate::driver::Servers;
use crate::error::Error;
use crate::hosts::ConnectString;
use crate::limits::{FIRST_SESSION_DEFAULT, SESSION_TIMEOUT_DEFAULT};
use crate::retry::RetryPolicy;
use crate::sasl::SaslMechanism;
use crate::ticket::SessionTicket;

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
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::Tls>,
    resume: Option<SessionTicket>,
    follow_ensemble: bool,
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
            #[cfg(feature = "tls")]
            tls: None,
            resume: None,
            follow_ensemble: false,
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

    /// Whether a server that has lost its quorum will do, for reads alone; writes fail there with
    /// [`NotReadOnly`](crate::ErrorCode::NotReadOnly). [`crate::SessionInfo::read_only`] says so. The client goes on
    /// looking for a writable server and moves there as soon as one answers.
    ///
    /// Apache ZooKeeper serves without a quorum with `-Dreadonlymode.enabled=true` and, since 3.8, with
    /// `localSessionsEnabled=true` in its configuration.
    ///
    /// A session opened without a quorum is known to that server alone: the move opens another one, to which
    /// watches go along. A session opened with a quorum is not taken by servers without one (since ZooKeeper 3.8),
    /// so that such a client stays suspended until the quorum is back.
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

    /// Fixes the client's randomness (order of servers, jitter, names), for tests; also of what is built on it, see
    /// [`Client::random_bits`]. Two clients with one seed make nodes of one name: give each its own.
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

    /// Speaks TLS with every server, over the connections of the [`dialer`](Builder::dialer). Never falls back to
    /// plain text. See [`crate::tls`].
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: crate::tls::Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    fn way_to_servers(&self) -> Arc<dyn Dialer> {
        let dialer = self.dialer.clone().unwrap_or_else(|| Arc::new(TcpDialer::new()));
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return tls.over(dialer);
        }
        dialer
    }

    /// Carries on a session of another client, in this process or another, in place of opening one: see
    /// [`Client::detach`]. Its timeout is asked for, unless [`Builder::session_timeout`] says otherwise after this.
    /// The chroot and credentials are not part of it and have to be the same. When [`Builder::connect`] fails or is
    /// dropped, the session is left as it was, and may be tried again.
    ///
    /// A session that is gone is an expiry like any other. With
    /// [`expiry_is_terminal`](Builder::expiry_is_terminal), [`Builder::connect`] fails with
    /// [`crate::ErrorKind::SessionExpired`]; without, a new session is opened, which [`Client::session_id`] tells
    /// from the ticket's [`session`](SessionTicket::session).
    pub fn resume(mut self, ticket: SessionTicket) -> Self {
        self.session_timeout = ticket.timeout();
        self.resume = Some(ticket);
        self
    }

    /// Whether the list of servers follows the ensemble's configuration, kept in `/zookeeper/config` since
    /// ZooKeeper 3.5; if not, which is the default, it is the connect string's until [`Client::update_servers`].
    ///
    /// The list is then the client address of every server there (its own name where it listens on all addresses),
    /// and clients spread over it as [`Client::update_servers`] says. The connect string must only name some server
    /// that is up. Servers that do not tell their client port keep those of the connect string in the list. Only
    /// for clients that reach servers under the names that the configuration gives them.
    pub fn follow_ensemble(mut self, follow: bool) -> Self {
        self.follow_ensemble = follow;
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
    /// [`crate::ErrorKind::Timeout`] when no session was established in time, with the last failure of each server,
    /// [`crate::ErrorKind::SessionExpired`] when a session to be carried on is gone and expiry is terminal,
    /// [`crate::ErrorKind::AuthFailed`] when the credentials or the SASL authentication were refused.
    ///
    /// # Cancellation
    /// Dropping the future stops everything it began.
    pub async fn connect(self, servers: &str) -> Result<Client, Error> {
        let ConnectString { hosts, chroot } = servers.parse()?;
        let chroot = Chroot::new(&chroot)?;
        let dialer = self.way_to_servers();
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
        let mut core = Core::new(config, seed);
        if let Some(ticket) = &self.resume {
            core.resume(ticket);
        }
        let servers = Servers::new(hosts, dialer, self.sasl);
        let limit = self.frame_limit;
        let client = Client::start(core, limit, servers, chroot, self.follow_ensemble, self.seed);
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
