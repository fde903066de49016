//! What the server says of itself: the figures behind four-letter words, gathered when somebody asks.

use std::sync::Arc;

use zk_proto::EventType;

use super::clock::SystemClock;
use super::listener::Connections;
use crate::admin::report::ConfReport;
use crate::admin::words::refusal;
use crate::admin::{ConnectionReport, Latency, ServerReport, Whitelist, Word, answer};
use crate::core::committed::Committed;
use crate::core::connection::{self, ConnectionStats};
use crate::core::node::Shared;
use crate::core::watches::Fired;

/// Where figures come from.
#[derive(Debug, Clone)]
pub struct Reporter {
    shared: Arc<Shared>,
    connections: Arc<Connections>,
    clock: SystemClock,
    conf: ConfReport,
}

impl Reporter {
    /// A reporter on these; `conf` is what the word `conf` shows.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        connections: Arc<Connections>,
        clock: SystemClock,
        conf: ConfReport,
    ) -> Self {
        Self { shared, connections, clock, conf }
    }

    /// The answer to a four-letter word; `None` when `first` is none.
    #[must_use]
    pub fn answer(&self, first: [u8; 4], whitelist: &Whitelist) -> Option<String> {
        let word = Word::parse(u32::from_be_bytes(first))?;
        Some(if whitelist.allows(word) { answer(word, Some(&self.report())) } else { refusal(word) })
    }

    /// How often watches fired, by what happened.
    #[must_use]
    pub fn fired(&self, event: EventType) -> Fired {
        self.shared.read().watches().fired(event)
    }

    /// The figures now.
    #[must_use]
    pub fn report(&self) -> ServerReport {
        let open: Vec<ConnectionStats> = self.connections.all().iter().map(|c| c.stats()).collect();
        let traffic = self.connections.traffic();
        let state = self.shared.read();
        let (watching_connections, watched_paths, watches) = state.watches().summary();
        ServerReport {
            latency: latency(&traffic.latency),
            received: traffic.received,
            sent: traffic.sent,
            connections: open.len() as u64,
            outstanding: open.iter().map(|c| c.queued as u64).sum(),
            zxid: state.last_zxid,
            // Java counts its alias of the root, too.
            nodes: state.tree.node_count() as u64 + 1,
            ephemerals: state.tree.ephemeral_owners().map(|(_, n)| n as u64).sum(),
            data_bytes: state.tree.data_bytes() as u64,
            sessions: state.sessions.len() as u64,
            watches: watches as u64,
            watching_connections: watching_connections as u64,
            watched_paths: watched_paths as u64,
            uptime_ms: u64::try_from(self.clock.now().as_millis()).unwrap_or(u64::MAX),
            metrics: metrics(&state),
            conf: self.conf.clone(),
            connection_list: open.iter().map(connection_report).collect(),
            ..ServerReport::default()
        }
    }
}

fn latency(of: &connection::Latency) -> Latency {
    // Reads are answered within the millisecond they arrive in, so the least is 0 as soon as there was one.
    let avg_ms = if of.count == 0 { 0.0 } else { of.sum_ms as f64 / of.count as f64 };
    Latency { min_ms: 0, avg_ms, max_ms: i64::try_from(of.max_ms).unwrap_or(i64::MAX) }
}

fn connection_report(of: &ConnectionStats) -> ConnectionReport {
    ConnectionReport {
        peer: of.peer,
        interest: 1,
        queued: of.queued as u64,
        received: of.received,
        sent: of.sent,
        session: None,
    }
}

fn metrics(state: &Committed) -> Vec<(String, String)> {
    let watches = state.watches();
    let mut metrics = vec![("digest_mismatches_count".to_owned(), state.digest_mismatches.to_string())];
    for (event, name) in [
        (EventType::NodeCreated, "node_created_watch_count"),
        (EventType::NodeDeleted, "node_deleted_watch_count"),
        (EventType::NodeDataChanged, "node_changed_watch_count"),
        (EventType::NodeChildrenChanged, "node_children_watch_count"),
    ] {
        let fired = watches.fired(event);
        metrics.push((format!("cnt_{name}"), fired.triggers.to_string()));
        metrics.push((format!("sum_{name}"), fired.events.to_string()));
    }
    metrics
}
