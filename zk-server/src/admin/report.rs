//! The values that answers are made of: a picture of the server at one moment, filled in by the shell. No logic.

use std::net::SocketAddr;

use zk_proto::{SessionId, Zxid};

/// The version that words and metrics show: the ZooKeeper whose protocol and files this server speaks, then our
/// own. Clients parse the leading digits.
pub const VERSION: &str =
    concat!("3.9.0-zk-rs-", env!("CARGO_PKG_VERSION"), ", built on an unspecified date");

/// A server's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the roles of ZooKeeper")]
pub enum Mode {
    #[default]
    Standalone,
    Leader,
    Follower,
    Observer,
    ReadOnly,
}

impl Mode {
    /// As it is shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Observer => "observer",
            Self::ReadOnly => "read-only",
        }
    }
}

/// How long requests took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[allow(missing_docs, reason = "minimum, mean and maximum, all in milliseconds")]
pub struct Latency {
    pub min_ms: i64,
    pub avg_ms: f64,
    pub max_ms: i64,
}

/// Sizes of replies in bytes; -1 before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "last, smallest and largest, all in bytes")]
pub struct ResponseSizes {
    pub last: i64,
    pub min: i64,
    pub max: i64,
}

impl Default for ResponseSizes {
    fn default() -> Self {
        Self { last: -1, min: -1, max: -1 }
    }
}

/// One client connection.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionReport {
    /// The client's address.
    pub peer: SocketAddr,
    /// What the connection waits for: 1 for readable, 4 for writable, 0 for neither, as Java's selectors say.
    pub interest: u32,
    /// Requests not answered yet.
    pub queued: u64,
    /// Packets received.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// What is known once it has a session.
    pub session: Option<SessionReport>,
}

/// The session part of a connection's line.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionReport {
    /// Which.
    pub id: SessionId,
    /// The last operation, by ZooKeeper's short names (`GETD`, `PING`), `NA` for none.
    pub last_operation: &'static str,
    /// When the connection was established: milliseconds since the Unix epoch.
    pub established_ms: i64,
    /// The session's timeout in milliseconds.
    pub timeout_ms: i32,
    /// The last xid; negative ones (pings) are not shown.
    pub last_cxid: i64,
    /// The zxid of the last reply; -1 for none.
    pub last_zxid: Zxid,
    /// When the last reply was sent, milliseconds of an arbitrary origin.
    pub last_response_ms: i64,
    /// How long the last request took, in milliseconds.
    pub last_latency_ms: i64,
    /// How long the connection's requests took.
    pub latency: Latency,
}

/// The configuration as `conf` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "named as the keys that are shown")]
pub struct ConfReport {
    pub client_port: u16,
    /// With `version-2`.
    pub data_dir: String,
    /// Bytes in it.
    pub data_dir_size: u64,
    /// With `version-2`.
    pub data_log_dir: String,
    /// Bytes in it.
    pub data_log_size: u64,
    pub tick_time_ms: u32,
    pub max_client_cnxns: u32,
    pub min_session_timeout_ms: i32,
    pub max_session_timeout_ms: i32,
    /// -1 for the system's default.
    pub listen_backlog: i64,
    pub server_id: u8,
}

/// Who expires when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpiryReport {
    /// Milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The sessions.
    pub sessions: Vec<SessionId>,
}

/// A picture of the server. Lists are shown in the order they are given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServerReport {
    /// The role.
    pub mode: Mode,
    /// How long requests took since the start.
    pub latency: Latency,
    /// Packets received from clients.
    pub received: u64,
    /// Packets sent to clients.
    pub sent: u64,
    /// Connections open, the asking one included.
    pub connections: u64,
    /// Requests not answered yet.
    pub outstanding: u64,
    /// The last transaction applied.
    pub zxid: Zxid,
    /// Nodes as ZooKeeper counts them: an empty tree has five.
    pub nodes: u64,
    /// Ephemeral nodes.
    pub ephemerals: u64,
    /// Bytes of paths and data.
    pub data_bytes: u64,
    /// Sessions alive.
    pub sessions: u64,
    /// Watches set.
    pub watches: u64,
    /// Connections with watches.
    pub watching_connections: u64,
    /// Paths with watches.
    pub watched_paths: u64,
    /// Milliseconds since the start.
    pub uptime_ms: u64,
    /// Sizes of replies.
    pub responses: ResponseSizes,
    /// Failed authentications.
    pub auth_failures: u64,
    /// Open and allowed file descriptors, where the system tells.
    pub file_descriptors: Option<(u64, u64)>,
    /// What else is measured, by ZooKeeper's names without `zk_`.
    pub metrics: Vec<(String, String)>,
    /// For `conf` and `dirs`.
    pub conf: ConfReport,
    /// For `envi`: without `zookeeper.version`, which comes first.
    pub environment: Vec<(String, String)>,
    /// For `stat` and `cons`.
    pub connection_list: Vec<ConnectionReport>,
    /// For `dump`: when sessions expire.
    pub expiries: Vec<ExpiryReport>,
    /// For `dump`: the ephemeral nodes of each session that has any.
    pub ephemeral_paths: Vec<(SessionId, Vec<String>)>,
}
