//! What the server says of itself: the figures behind four-letter words, gathered when somebody asks.

use std::sync::Arc;

use zk_proto::Zxid;

use super::clock::SystemClock;
use super::listener::{Connections, Traffic};
use crate::core::connection::ConnectionStats;
use crate::core::node::Shared;

/// A moment's figures.
#[derive(Debug, Clone)]
pub struct Report {
    /// Open connections, oldest first.
    pub connections: Vec<ConnectionStats>,
    /// What went over all connections.
    pub traffic: Traffic,
    /// The last transaction.
    pub zxid: Zxid,
    /// Znodes, the root included.
    pub nodes: usize,
    /// Ephemeral znodes.
    pub ephemerals: usize,
    /// Bytes of paths and data.
    pub data_bytes: usize,
    /// Live sessions.
    pub sessions: usize,
    /// Connections that watch, watched paths, watches.
    pub watches: (usize, usize, usize),
    /// Milliseconds since the server started.
    pub uptime_ms: u64,
    /// Transactions after which the digest was not the logged one.
    pub digest_mismatches: u64,
}

/// Where figures come from.
#[derive(Debug, Clone)]
pub struct Reporter {
    shared: Arc<Shared>,
    connections: Arc<Connections>,
    clock: SystemClock,
}

impl Reporter {
    /// A reporter on these.
    #[must_use]
    pub fn new(shared: Arc<Shared>, connections: Arc<Connections>, clock: SystemClock) -> Self {
        Self { shared, connections, clock }
    }

    /// The figures now.
    #[must_use]
    pub fn report(&self) -> Report {
        let connections = self.connections.all().iter().map(|c| c.stats()).collect();
        let traffic = self.connections.traffic();
        let state = self.shared.read();
        let watches = state.watches().summary();
        Report {
            connections,
            traffic,
            zxid: state.last_zxid,
            nodes: state.tree.node_count(),
            ephemerals: state.tree.ephemeral_owners().map(|(_, n)| n).sum(),
            data_bytes: state.tree.data_bytes(),
            sessions: state.sessions.len(),
            watches,
            uptime_ms: u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX),
            digest_mismatches: state.digest_mismatches,
        }
    }
}
