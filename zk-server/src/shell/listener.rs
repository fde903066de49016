//! Accepts connections on the client port and keeps the list of those that are open, within their limits.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::client_io::{self, Closed, Context, TaskWake};
use super::pipeline::Work;
use crate::core::connection::{ConnId, Connection, Latency, Wake};

/// How many connections are let in; 0 is no limit.
#[derive(Debug, Clone, Copy)]
pub struct AcceptLimits {
    /// From one address (`maxClientCnxns`).
    pub per_address: usize,
    /// In all (`maxCnxns`).
    pub total: usize,
}

#[derive(Debug, Default)]
struct Open {
    by_id: BTreeMap<ConnId, Arc<Connection>>,
    per_address: HashMap<IpAddr, usize>,
    past: Traffic,
}

/// What went over connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct Traffic {
    /// Requests received.
    pub received: u64,
    /// Replies and events sent.
    pub sent: u64,
    /// How long requests took.
    pub latency: Latency,
}

impl Traffic {
    fn add(&mut self, connection: &Connection) {
        let stats = connection.stats();
        self.received += stats.received;
        self.sent += stats.sent;
        self.latency.merge(&stats.latency);
    }
}

/// The open connections.
#[derive(Debug, Default)]
pub struct Connections {
    open: Mutex<Open>,
    next: AtomicU64,
}

impl Connections {
    /// The open ones, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Connection>> {
        self.lock().by_id.values().cloned().collect()
    }

    /// What went over all connections, closed ones too.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let open = self.lock();
        let mut traffic = open.past;
        for connection in open.by_id.values() {
            traffic.add(connection);
        }
        traffic
    }

    /// Lets a new connection in, unless a limit forbids it.
    fn admit(
        &self,
        peer: SocketAddr,
        now: Duration,
        wake: Arc<TaskWake>,
        limits: AcceptLimits,
    ) -> Option<Arc<Connection>> {
        let mut open = self.lock();
        let here = open.per_address.get(&peer.ip()).copied().unwrap_or(0);
        let full = |limit: usize, count: usize| limit > 0 && count >= limit;
        if full(limits.per_address, here) || full(limits.total, open.by_id.len()) {
            return None;
        }
        let id = ConnId(self.next.fetch_add(1, Ordering::Relaxed));
        let connection = Arc::new(Connection::new(id, peer, now, wake as Arc<dyn Wake>));
        open.by_id.insert(id, Arc::clone(&connection));
        *open.per_address.entry(peer.ip()).or_insert(0) += 1;
        Some(connection)
    }

    fn forget(&self, connection: &Connection) {
        let mut open = self.lock();
        open.by_id.remove(&connection.id);
        let ip = connection.peer.ip();
        if let Some(count) = open.per_address.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                open.per_address.remove(&ip);
            }
        }
        open.past.add(connection);
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts connections until `stop` says true, then waits for their tasks to end.
pub async fn run(
    listener: TcpListener,
    context: Context,
    connections: Arc<Connections>,
    limits: AcceptLimits,
    mut stop: watch::Receiver<bool>,
) {
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            // A client of ours over IPv4 is one, also where the port is bound for both families.
            Ok((stream, peer)) => (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port())),
            Err(e) => {
                pause_after(&e).await;
                continue;
            }
        };
        let wake = Arc::new(TaskWake::default());
        let Some(connection) = connections.admit(peer, context.clock.now(), Arc::clone(&wake), limits) else {
            tracing::warn!(%peer, per_address = limits.per_address, total = limits.total, "too many connections; refused");
            continue;
        };
        let (context, connections) = (context.clone(), Arc::clone(&connections));
        tasks.spawn(async move {
            let pipeline = context.pipeline.clone();
            let ended = client_io::serve(stream, Arc::clone(&connection), wake, context).await;
            match ended {
                Ok(()) | Err(Closed::Normally) => tracing::debug!(%peer, "connection closed"),
                Err(reason) => tracing::info!(%peer, %reason, "connection closed"),
            }
            connections.forget(&connection);
            connection.close();
            pipeline.send(Work::Disconnected(connection));
        });
    }
    drop(listener);
    for connection in connections.all() {
        connection.close();
        connection.notify();
    }
    // Tasks that still wait for a handshake or a slow client are not waited for.
    let _late = tokio::time::timeout(Duration::from_millis(500), async {
        while tasks.join_next().await.is_some() {}
    })
    .await;
}

/// Running out of file descriptors passes; accepting again at once would only spin.
async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(Duration::from_millis(50)).await;
}
