//! Starts a server from its options and stops it: recovery, the pipeline's threads, the listener.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use zk_proto::SessionId;

use super::client_io::{Context, Words};
use super::clock::{SystemClock, wall_ms};
use super::listener::{self, AcceptLimits, Connections};
use super::mailbox::Mailbox;
use super::pipeline::{Disks, Pipeline, Work};
use super::report::Reporter;
use crate::admin::Whitelist;
use crate::admin::report::ConfReport;
use crate::core::node::{Node, NodeOptions, first_session_id};
use crate::core::persist::Rebuild;
use crate::core::prep::Rules;
use crate::limits::REAP_EVERY_MS;
use crate::storage::disk::Disk;
use crate::storage::log_writer::{LogOptions, LogWriter};
use crate::storage::recovery::{RecoveryError, RecoveryOptions, recover};
use crate::storage::snapshots;
use crate::storage::trigger::{SnapshotTrigger, TriggerOptions};

/// Everything a standalone server is told.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Connections that wait to be accepted.
    pub listen_backlog: u32,
    /// The unit of time: session expiry is this exact.
    pub tick: Duration,
    /// Shortest session timeout granted.
    pub session_timeout_min: Duration,
    /// Longest session timeout granted.
    pub session_timeout_max: Duration,
    /// How many connections are let in.
    pub accept: AcceptLimits,
    /// The largest frame accepted, in bytes (`jute.maxbuffer`).
    pub frame_bytes_max: usize,
    /// Rules for requests.
    pub rules: Rules,
    /// Digest of the super user's credentials, if there is one.
    pub super_digest: Option<String>,
    /// How the log is written.
    pub log: LogOptions,
    /// When snapshots are taken.
    pub snapshot: TriggerOptions,
    /// Snapshots to keep after each new one; `None` keeps all.
    pub keep_snapshots: Option<usize>,
    /// Whether logs without any snapshot are trusted (`snapshot.trust.empty`).
    pub recovery: RecoveryOptions,
    /// The four-letter words that are answered.
    pub words: Whitelist,
    /// What the word `conf` shows.
    pub conf: ConfReport,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be trusted.
    #[error("cannot recover the data directory: {0}")]
    Recovery(#[from] RecoveryError),
    /// A file cannot be written.
    #[error("cannot write the first snapshot: {0}")]
    Snapshot(#[source] io::Error),
    /// The port is taken, or not ours to use.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}

/// A running server. Stops when dropped; [`Server::stop`] also waits for it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    failed: watch::Receiver<Option<String>>,
    listener: Option<JoinHandle<()>>,
    pipeline: Pipeline,
    work: Mailbox<Work>,
    connections: Arc<Connections>,
    reporter: Reporter,
}

impl Server {
    /// Takes the port, recovers the state, then serves. Dropping the future gives up, and leaves files as a crash would.
    ///
    /// # Errors
    /// [`StartError`] says what to mend.
    pub async fn start(
        options: ServerOptions,
        snap_disk: Arc<dyn Disk>,
        log_disk: Arc<dyn Disk>,
    ) -> Result<Self, StartError> {
        let clock = SystemClock::start();
        let listener = listen(options.listen, options.listen_backlog)
            .map_err(|source| StartError::Listen { address: options.listen, source })?;
        let address =
            listener.local_addr().map_err(|source| StartError::Listen { address: options.listen, source })?;

        let (snapshots_from, logs_from) = (Arc::clone(&snap_disk), Arc::clone(&log_disk));
        let recovery = options.recovery;
        // Reading a large directory takes seconds, which the runtime's threads must not spend.
        let recovered = tokio::task::spawn_blocking(move || {
            let mut rebuild = Rebuild::new(rand::random());
            recover(&*snapshots_from, &*logs_from, recovery, &mut rebuild)
                .map(|found| (found, rebuild.finish()))
        });
        let (recovered, state) = recovered.await.map_err(|e| StartError::Thread(io::Error::other(e)))??;
        for skipped in &recovered.skipped {
            tracing::warn!(?skipped, "a snapshot could not be read; an older one was");
        }
        if let Some((file, bytes)) = &recovered.cut {
            tracing::warn!(file, bytes, "the log ended in a torn entry, never acknowledged; it was cut");
        }
        if recovered.is_fresh() {
            // Java refuses logs without a snapshot, and so do we: the first one is of the empty tree.
            snapshots::write_snapshot(&*snap_disk, &state.freeze()).map_err(StartError::Snapshot)?;
        }
        tracing::info!(zxid = %state.last_zxid, nodes = state.tree.node_count(), sessions = state.sessions.len(),
            took = ?clock.now(), "recovered");
        let log = LogWriter::new(Arc::clone(&log_disk), options.log, state.last_zxid);
        let mut node = Node::new(
            state,
            NodeOptions {
                rules: options.rules,
                tick: options.tick,
                session_timeout_min: options.session_timeout_min,
                session_timeout_max: options.session_timeout_max,
                session_id_base: first_session_id(STANDALONE_ID, wall_ms()),
                super_digest: options.super_digest,
                reap_every: Duration::from_millis(REAP_EVERY_MS),
            },
            clock.now(),
        );
        node.end_orphans(clock.moment());

        let shared = Arc::clone(node.shared());
        let (stop, stopped) = watch::channel(false);
        let (fail, failed) = watch::channel(None);
        let disks = Disks {
            log,
            trigger: SnapshotTrigger::new(options.snapshot, rand::random()),
            snapshots: snap_disk,
            logs: log_disk,
            keep: options.keep_snapshots,
        };
        let stop_listener = stop.clone();
        let on_failure = move |reason| {
            fail.send_replace(Some(reason));
            stop_listener.send_replace(true);
        };
        let pipeline = Pipeline::start(node, clock, disks, on_failure).map_err(StartError::Thread)?;
        let connections = Arc::new(Connections::default());
        let reporter = Reporter::new(Arc::clone(&shared), Arc::clone(&connections), clock, options.conf);
        let (asked, whitelist) = (reporter.clone(), options.words);
        let words: Arc<Words> = Arc::new(move |first| asked.answer(first, &whitelist));
        let context = Context {
            shared,
            pipeline: pipeline.work().clone(),
            clock,
            frame_bytes_max: options.frame_bytes_max,
            words,
        };
        let work = pipeline.work().clone();
        let accepting = listener::run(listener, context, Arc::clone(&connections), options.accept, stopped);
        let listener = Some(tokio::spawn(accepting));
        tracing::info!(%address, "serving");
        Ok(Self { address, stop, failed, listener, pipeline, work, connections, reporter })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its figures come from.
    #[must_use]
    pub fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    /// Cuts every connection. Sessions stay, and clients come back into them.
    pub fn drop_connections(&self) {
        for connection in self.connections.all() {
            connection.close();
            connection.notify();
        }
    }

    /// Ends a session as if its time had passed, and waits until it has ended and its ephemeral nodes are gone;
    /// `false` when it is not live.
    pub async fn expire_session(&self, id: SessionId) -> bool {
        let (answer, answered) = oneshot::channel();
        self.work.send(Work::Expire(id, answer));
        answered.await.unwrap_or(false)
    }

    /// Completes when the server has stopped by itself, with the reason: its log cannot be written.
    pub async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        let reason = failed.wait_for(Option::is_some).await.ok().and_then(|r| r.clone());
        match reason {
            Some(reason) => reason,
            // Stopped in good order, without a failure: this never completes.
            None => std::future::pending().await,
        }
    }

    /// Stops accepting, finishes what is in flight, closes every connection. Sessions stay: clients continue
    /// them at the next start.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(listener) = self.listener.take() {
            let _panicked = listener.await;
        }
        self.pipeline.stop();
        let mut pipeline = self.pipeline;
        // The threads end by themselves; waiting for them must not hold up the runtime.
        let _cancelled = tokio::task::spawn_blocking(move || pipeline.join()).await;
    }
}

/// The number in the session ids of a server without an ensemble, as Java has it.
const STANDALONE_ID: u8 = 1;

fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let bound = bind(address, backlog);
    match bound {
        // A machine without IPv6: all addresses are then those of IPv4.
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            bind((Ipv4Addr::UNSPECIFIED, address.port()).into(), backlog)
        }
        bound => bound,
    }
}

fn bind(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}
