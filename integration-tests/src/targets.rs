//! The servers a test runs against: the embedded one always, Apache ZooKeeper when it is installed, and whatever
//! `ZK_CONNECT` names.
//!
//! Every scenario gets a client inside a root of its own, so that it may run on a server that holds other data.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use zk_client::Client;
use zk_proto::SessionId;
use zk_server::EmbeddedServer;

use crate::peers::{JavaServer, JavaVersion, Peers, or_skip, skipped};

/// What a scenario may fail with.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long anything may take that takes milliseconds on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A server to run scenarios against.
#[derive(Debug)]
pub struct Target {
    hosts: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Embedded(EmbeddedServer),
    Java { _server: JavaServer, _dir: TempDir },
    Given,
}

impl Target {
    /// A new embedded server.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn embedded() -> Result<Self, Failure> {
        let server = EmbeddedServer::start().await?;
        Ok(Self { hosts: server.connect_string(), kind: Kind::Embedded(server) })
    }

    /// A new Apache ZooKeeper of this version.
    ///
    /// # Errors
    /// When it does not start.
    pub fn java(peers: &Peers, version: JavaVersion) -> Result<Self, Failure> {
        let dir = tempfile::tempdir()?;
        let server = JavaServer::start(peers, version, dir.path(), None)?;
        Ok(Self { hosts: server.hosts(), kind: Kind::Java { _server: server, _dir: dir } })
    }

    /// As [`Target::java`]; `None`, with the reason printed, when this version is not installed.
    ///
    /// # Errors
    /// When it does not start, or is missing though `ZK_REQUIRE_PEERS` asks for peers.
    pub fn java_or_skip(version: JavaVersion) -> Result<Option<Self>, Failure> {
        let Some(peers) = or_skip(Peers::find())? else { return Ok(None) };
        if !peers.versions().any(|v| v == version) {
            skipped(format_args!("no Apache ZooKeeper {} on this machine", version.name()));
            return Ok(None);
        }
        Self::java(&peers, version).map(Some)
    }

    /// The server of `ZK_CONNECT`, when that is set.
    #[must_use]
    pub fn given() -> Option<Self> {
        let hosts = std::env::var("ZK_CONNECT").ok().filter(|hosts| !hosts.is_empty())?;
        Some(Self { hosts, kind: Kind::Given })
    }

    /// The embedded server, for what only it can do.
    #[must_use]
    pub fn as_embedded(&self) -> Option<&EmbeddedServer> {
        match &self.kind {
            Kind::Embedded(server) => Some(server),
            _ => None,
        }
    }

    /// A place of its own for one scenario.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn place(&self, scenario: &str) -> Result<Place, Failure> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let root = format!("/t-{}-{}-{scenario}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let zk = Client::connect(&self.hosts).await?;
        zk.create(&root, "").await?;
        zk.close().await;
        Ok(Place { hosts: format!("{}{root}", self.hosts), server: self.hosts.clone(), root })
    }
}

/// Where one scenario works.
#[derive(Debug, Clone)]
pub struct Place {
    /// The connect string, with the scenario's own root as chroot.
    pub hosts: String,
    /// The server without the chroot.
    pub server: String,
    /// The root.
    pub root: String,
}

impl Place {
    /// A new client here.
    ///
    /// # Errors
    /// When no session can be opened.
    pub async fn client(&self) -> Result<Client, Failure> {
        Ok(Client::builder().session_timeout(Duration::from_secs(10)).connect(&self.hosts).await?)
    }

    /// Ends a session as its own client would, from a second connection: the client finds out as it would of an
    /// expiry. Works on every server.
    ///
    /// # Errors
    /// When the server cannot be reached.
    pub async fn end_session(&self, id: SessionId) -> Result<(), Failure> {
        crate::session_killer::end(&self.server, id).await
    }
}
