//! The threads behind the connections: one owns the node and puts writes in order, one owns the log and makes
//! them durable, one writes snapshots. While a batch is being synced the next one gathers: one fsync covers all
//! that has queued.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use zk_proto::connect::ConnectRequest;
use zk_proto::{SessionId, Zxid};

use super::clock::SystemClock;
use super::mailbox::Mailbox;
use crate::core::committed::Frozen;
use crate::core::connection::Connection;
use crate::core::intake::Submission;
use crate::core::node::{LogBatch, Node};
use crate::limits::LOG_BATCH_BYTES;
use crate::storage::disk::Disk;
use crate::storage::log_writer::LogWriter;
use crate::storage::snapshots;
use crate::storage::trigger::SnapshotTrigger;

/// Something for the node to do.
#[derive(Debug)]
pub enum Work {
    /// A client's first frame.
    Connect {
        /// Whose.
        connection: Arc<Connection>,
        /// What it says.
        request: ConnectRequest,
    },
    /// A write in its place.
    Submit(Submission),
    /// A connection is gone.
    Disconnected(Arc<Connection>),
    /// Everything up to here is on disk.
    Durable(Zxid),
    /// The log could not be written or synced: nothing after this is ever acknowledged.
    LogFailed(String),
    /// A snapshot is due.
    Snapshot,
    /// A snapshot was written, or not.
    SnapshotDone(io::Result<()>),
    /// End this session as if its time had passed; answered when it has ended.
    Expire(SessionId, oneshot::Sender<bool>),
    /// Finish what is in flight, then stop.
    Stop,
}

enum LogWork {
    Append(LogBatch),
    Stop,
}

enum SnapshotWork {
    Write(Frozen),
    Stop,
}

/// Where transactions and snapshots go.
#[derive(Debug)]
pub struct Disks {
    /// Appends to the log.
    pub log: LogWriter,
    /// Says when a snapshot is due.
    pub trigger: SnapshotTrigger,
    /// Where snapshots go.
    pub snapshots: Arc<dyn Disk>,
    /// Where logs are, for the purge.
    pub logs: Arc<dyn Disk>,
    /// Snapshots to keep after each new one; `None` keeps all.
    pub keep: Option<usize>,
}

/// The running threads.
#[derive(Debug)]
pub struct Pipeline {
    work: Mailbox<Work>,
    threads: Vec<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts the threads. `failed` is called with the reason when the server can go on no longer: its log cannot be
    /// written, or one of the threads has panicked.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        node: Node,
        clock: SystemClock,
        disks: Disks,
        failed: impl Fn(String) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let work = Mailbox::default();
        let log_work = Mailbox::default();
        let snapshot_work = Mailbox::default();
        let core = Core {
            node,
            clock,
            log: log_work.clone(),
            snapshots: snapshot_work.clone(),
            snapshot_running: false,
            ending: Vec::new(),
        };
        let (keep, snapshots, logs) = (disks.keep, Arc::clone(&disks.snapshots), Arc::clone(&disks.logs));
        let failed: Arc<Failed> = Arc::new(failed);
        let spawn = |name: &'static str, run: Box<dyn FnOnce() + Send>| {
            let failed = Arc::clone(&failed);
            thread::Builder::new().name(name.to_owned()).spawn(move || report_panic(name, run, &*failed))
        };
        let (inbox, log_out, snapshot_out) = (work.clone(), work.clone(), work.clone());
        let stopped = Arc::clone(&failed);
        let threads = vec![
            spawn("zk-node", Box::new(move || core.run(&inbox, &*stopped)))?,
            spawn("zk-log", Box::new(move || write_log(disks.log, disks.trigger, &log_work, &log_out)))?,
            spawn(
                "zk-snapshot",
                Box::new(move || {
                    write_snapshots(&*snapshots, &*logs, keep, &snapshot_work, &snapshot_out);
                }),
            )?,
        ];
        Ok(Self { work, threads })
    }

    /// Where work goes.
    #[must_use]
    pub fn work(&self) -> &Mailbox<Work> {
        &self.work
    }

    /// Asks the threads to finish what is in flight and stop.
    pub fn stop(&self) {
        self.work.send(Work::Stop);
    }

    /// Waits until the threads have stopped. Blocks.
    pub fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // A panic was reported when it happened; there is nothing left to stop.
            let _panicked = thread.join();
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Called when the server can go on no longer.
type Failed = dyn Fn(String) + Send + Sync;

/// A panic is a mistake of ours; a server that lives on without one of its threads would answer nobody and let
/// nobody know.
fn report_panic(thread: &str, run: impl FnOnce(), failed: &Failed) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        failed(format!("thread {thread} panicked; its message is on standard error"));
    }
}

struct Core {
    node: Node,
    clock: SystemClock,
    log: Mailbox<LogWork>,
    snapshots: Mailbox<SnapshotWork>,
    snapshot_running: bool,
    /// Sessions that somebody asked to end, and who waits for it.
    ending: Vec<(SessionId, oneshot::Sender<bool>)>,
}

impl Core {
    fn run(mut self, inbox: &Mailbox<Work>, failed: &Failed) {
        let mut work = Vec::new();
        let mut stopping = false;
        while !(stopping && self.node.in_flight() == 0) {
            let until_tick = self.node.deadline().saturating_sub(self.clock.now());
            inbox.wait(&mut work, Some(until_tick));
            for item in work.drain(..) {
                match item {
                    Work::Stop => stopping = true,
                    Work::LogFailed(reason) => {
                        tracing::error!(
                            reason,
                            "the log cannot be written: stopping, nothing more is acknowledged"
                        );
                        self.log.send(LogWork::Stop);
                        self.snapshots.send(SnapshotWork::Stop);
                        failed(reason);
                        return;
                    }
                    item => self.handle(item),
                }
                if self.node.log_bytes() >= LOG_BATCH_BYTES {
                    self.hand_over();
                }
            }
            if !stopping {
                self.node.tick(self.clock.moment());
            }
            self.hand_over();
        }
        self.log.send(LogWork::Stop);
        self.snapshots.send(SnapshotWork::Stop);
    }

    fn handle(&mut self, item: Work) {
        let clock = self.clock.moment();
        match item {
            Work::Connect { connection, request } => self.node.connect(clock, &connection, &request),
            Work::Submit(submission) => self.node.submit(clock, submission),
            Work::Disconnected(connection) => self.node.disconnected(&connection),
            Work::Durable(zxid) => {
                self.node.durable(clock, zxid);
                self.tell_ended();
            }
            Work::Expire(session, answer) => {
                if self.node.expire(clock, session) {
                    self.ending.push((session, answer));
                } else {
                    // Whoever asked may have gone away.
                    let _gone = answer.send(false);
                }
            }
            Work::Snapshot if self.snapshot_running => {}
            Work::Snapshot => {
                self.snapshot_running = true;
                self.snapshots.send(SnapshotWork::Write(self.node.freeze()));
            }
            Work::SnapshotDone(result) => {
                self.snapshot_running = false;
                if let Err(e) = result {
                    // The log still holds everything: the server goes on, and tries again at the next one.
                    tracing::error!(error = %e, "snapshot failed");
                }
            }
            Work::LogFailed(_) | Work::Stop => {}
        }
    }

    fn tell_ended(&mut self) {
        if self.ending.is_empty() {
            return;
        }
        let state = self.node.shared().read();
        for (_, answer) in self.ending.extract_if(.., |(id, _)| !state.sessions.contains_key(id)) {
            let _gone = answer.send(true);
        }
    }

    fn hand_over(&mut self) {
        if let Some(batch) = self.node.take_log() {
            self.log.send(LogWork::Append(batch));
        }
    }
}

fn write_log(
    mut log: LogWriter,
    mut trigger: SnapshotTrigger,
    inbox: &Mailbox<LogWork>,
    out: &Mailbox<Work>,
) {
    let mut work = Vec::new();
    loop {
        inbox.wait(&mut work, None);
        let mut last = None;
        let mut due = false;
        let mut stop = false;
        for item in work.drain(..) {
            match item {
                LogWork::Stop => stop = true,
                LogWork::Append(batch) => {
                    if let Err(e) = log.append(&batch.bytes, batch.first, batch.last) {
                        return out.send(Work::LogFailed(e.to_string()));
                    }
                    due |= trigger.appended(batch.entries as u64, batch.bytes.len() as u64);
                    last = Some(batch.last);
                }
            }
        }
        if let Some(last) = last {
            if let Err(e) = log.sync() {
                return out.send(Work::LogFailed(e.to_string()));
            }
            out.send(Work::Durable(last));
        }
        if due {
            if let Err(e) = log.roll() {
                return out.send(Work::LogFailed(e.to_string()));
            }
            trigger.reset(rand::random());
            out.send(Work::Snapshot);
        }
        if stop {
            return;
        }
    }
}

fn write_snapshots(
    disk: &dyn Disk,
    logs: &dyn Disk,
    keep: Option<usize>,
    inbox: &Mailbox<SnapshotWork>,
    out: &Mailbox<Work>,
) {
    let mut work = Vec::new();
    loop {
        inbox.wait(&mut work, None);
        for item in work.drain(..) {
            let SnapshotWork::Write(frozen) = item else { return };
            let zxid = frozen.zxid;
            let mut result = snapshots::write_snapshot(disk, &frozen);
            drop(frozen);
            if let (Ok(()), Some(keep)) = (&result, keep) {
                result = snapshots::purge(disk, logs, keep).map(|_| ());
            }
            tracing::info!(%zxid, ok = result.is_ok(), "snapshot");
            out.send(Work::SnapshotDone(result));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_panicking_thread_stops_the_server() {
        let told = Mutex::new(Vec::new());
        let told = Arc::new(told);
        let listener = Arc::clone(&told);
        let failed = move |reason| listener.lock().unwrap().push(reason);
        report_panic("zk-fine", || {}, &failed);
        report_panic("zk-node", || panic!("a bug"), &failed);
        let told = told.lock().unwrap();
        assert!(matches!(told.as_slice(), [reason] if reason.contains("zk-node")), "{told:?}");
    }
}
