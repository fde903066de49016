//! A server inside your process: one line in a test, nothing to install.
//!
//! ```
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = zk_server::EmbeddedServer::start().await?;
//! println!("connect a client to {}", server.connect_string());
//! # Ok(()) }
//! ```

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zk_proto::SessionId;

use crate::admin::Whitelist;
use crate::admin::report::ConfReport;
use crate::config::server_config::VERSION_DIR;
use crate::core::prep::Rules;
use crate::limits::LISTEN_BACKLOG;
use crate::shell::listener::AcceptLimits;
use crate::shell::server::{Server, ServerOptions, StartError};
use crate::storage::disk::Disk;
use crate::storage::log_writer::LogOptions;
use crate::storage::memory_disk::MemoryDisk;
use crate::storage::real_disk::RealDisk;
use crate::storage::recovery::RecoveryOptions;
use crate::storage::trigger::TriggerOptions;

/// What an embedded server is told. The defaults suit tests: a free port on loopback, in memory, session
/// timeouts from 100 ms.
#[derive(Debug, Clone)]
pub struct EmbeddedBuilder {
    data_dir: Option<PathBuf>,
    disk: Option<Arc<dyn Disk>>,
    port: u16,
    tick: Duration,
    extended_types: bool,
    frame_bytes_max: usize,
}

impl Default for EmbeddedBuilder {
    fn default() -> Self {
        Self {
            data_dir: None,
            disk: None,
            port: 0,
            tick: Duration::from_millis(50),
            extended_types: true,
            frame_bytes_max: zk_proto::limits::FRAME_BYTES_DEFAULT,
        }
    }
}

impl EmbeddedBuilder {
    /// Keeps the data in this directory, as a `zk-server` with this `dataDir` would. Without it everything is in
    /// memory, and survives [`EmbeddedServer::restart`] but not the process.
    #[must_use]
    pub fn data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// Keeps the data on this disk instead: a [`MemoryDisk`] that fails when a test says so.
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = Some(disk);
        self
    }

    /// Listens on this port of 127.0.0.1; 0, the default, picks a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The grain of session expiry (`tickTime`); sessions live at least two ticks. Default 50 ms.
    #[must_use]
    pub fn tick(mut self, tick: Duration) -> Self {
        self.tick = tick;
        self
    }

    /// Whether nodes with a time to live may be created. Default true.
    #[must_use]
    pub fn extended_types(mut self, enabled: bool) -> Self {
        self.extended_types = enabled;
        self
    }

    /// The largest frame accepted, in bytes (`jute.maxbuffer`).
    #[must_use]
    pub fn frame_bytes_max(mut self, bytes: usize) -> Self {
        self.frame_bytes_max = bytes;
        self
    }

    /// Starts the server on the current tokio runtime.
    ///
    /// # Errors
    /// [`EmbedError`] says what to mend.
    pub async fn start(self) -> Result<EmbeddedServer, EmbedError> {
        let disk: Arc<dyn Disk> = match (&self.disk, &self.data_dir) {
            (Some(disk), _) => Arc::clone(disk),
            (None, Some(dir)) => {
                Arc::new(RealDisk::open(dir.join(VERSION_DIR)).map_err(EmbedError::DataDir)?)
            }
            (None, None) => Arc::new(MemoryDisk::new()),
        };
        let server = self.run(&disk).await?;
        Ok(EmbeddedServer { builder: Self { port: server.address().port(), ..self }, disk, server })
    }

    async fn run(&self, disk: &Arc<dyn Disk>) -> Result<Server, EmbedError> {
        let options = ServerOptions {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)),
            listen_backlog: LISTEN_BACKLOG,
            tick: self.tick,
            session_timeout_min: self.tick * 2,
            session_timeout_max: Duration::from_secs(600),
            accept: AcceptLimits { per_address: 0, total: 0 },
            frame_bytes_max: self.frame_bytes_max,
            rules: Rules { skip_acl: false, extended_types: self.extended_types },
            super_digest: None,
            log: LogOptions { preallocate_bytes: 0, ..Default::default() },
            snapshot: TriggerOptions::default(),
            keep_snapshots: Some(3),
            recovery: RecoveryOptions::default(),
            words: Whitelist::all(),
            conf: ConfReport::default(),
        };
        Ok(Server::start(options, Arc::clone(disk), Arc::clone(disk)).await?)
    }
}

/// Why an embedded server did not start.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The data directory cannot be used.
    #[error("cannot use the data directory: {0}")]
    DataDir(#[source] io::Error),
    /// The server did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// A running server. Stops when dropped.
#[derive(Debug)]
pub struct EmbeddedServer {
    builder: EmbeddedBuilder,
    disk: Arc<dyn Disk>,
    server: Server,
}

impl EmbeddedServer {
    /// Starts one with the defaults of [`EmbeddedBuilder`].
    ///
    /// # Errors
    /// As [`EmbeddedBuilder::start`].
    pub async fn start() -> Result<Self, EmbedError> {
        Self::builder().start().await
    }

    /// Options for one.
    #[must_use]
    pub fn builder() -> EmbeddedBuilder {
        EmbeddedBuilder::default()
    }

    /// `host:port`, as clients take it.
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.server.address().to_string()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The server itself.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Ends a session as if its time had passed, and waits until its ephemeral nodes are gone; `false` when it is not
    /// live.
    pub async fn expire_session(&self, id: SessionId) -> bool {
        self.server.expire_session(id).await
    }

    /// Cuts every connection; sessions live on.
    pub fn drop_connections(&self) {
        self.server.drop_connections();
    }

    /// Stops and starts again with the same data on the same port. Sessions live on.
    ///
    /// # Errors
    /// As [`EmbeddedBuilder::start`].
    pub async fn restart(self) -> Result<Self, EmbedError> {
        let Self { builder, disk, server } = self;
        server.stop().await;
        let server = builder.run(&disk).await?;
        Ok(Self { builder, disk, server })
    }

    /// Stops, and waits until everything has stopped.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}
