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
    /// The log could not be written or synced, or a thread has panicked: nothing after this is ever acknowledged.
    ThreadFailed(String),
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
        let (inbox, log_out, snapshot_out) = (work.clone(), work.clone(), work.clone());
        let tell_node = work.clone();
        let spawn = |name: &'static str, run: Box<dyn FnOnce() + Send>| {
            let tell_node = tell_node.clone();
            let failed = move |reason| tell_node.send(Work::ThreadFailed(reason));
            thread::Builder::new().name(name.to_owned()).spawn(move || report_panic(name, run, &failed))
        };
        let node = thread::Builder::new().name("zk-node".to_owned());
        let threads = vec![
            node.spawn(move || report_panic("zk-node", || core.run(&inbox, &failed), &failed))?,
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

/// However the node's thread ends, by a panic too, the others end with it: whoever stops the server waits for them.
impl Drop for Core {
    fn drop(&mut self) {
        self.log.send(LogWork::Stop);
        self.snapshots.send(SnapshotWork::Stop);
    }
}

impl Core {
    fn run(mut self, inbox: &Mailbox<Work>, failed: &Failed) {
        let mut work = Vec::new();
        let mut stopping = false;
        while !(stopping && self.node.in_flight() == 0) {
            // While it stops nothing ticks, so a deadline that has passed must not keep the thread spinning.
            let until_tick = (!stopping).then(|| self.node.deadline().saturating_sub(self.clock.now()));
            inbox.wait(&mut work, until_tick);
            for item in work.drain(..) {
                match item {
                    Work::Stop => stopping = true,
                    Work::ThreadFailed(reason) => {
                        tracing::error!(reason, "stopping: nothing more is acknowledged");
                        return failed(reason);
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
            Work::ThreadFailed(_) | Work::Stop => {}
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
                        return out.send(Work::ThreadFailed(e.to_string()));
                    }
                    due |= trigger.appended(batch.entries as u64, batch.bytes.len() as u64);
                    last = Some(batch.last);
                }
            }
        }
        if let Some(last) = last {
            if let Err(e) = log.sync() {
                return out.send(Work::ThreadFailed(e.to_string()));
            }
            out.send(Work::Durable(last));
        }
        if due {
            if let Err(e) = log.roll() {
                return out.send(Work::ThreadFailed(e.to_string()));
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
    use crate::core::committed::Committed;
    use crate::core::connection::{ConnId, Wake};
    use crate::core::node::NodeOptions;
    use crate::core::prep::Rules;
    use crate::storage::MemoryDisk;
    use crate::storage::log_writer::LogOptions;
    use crate::storage::trigger::TriggerOptions;
    use std::sync::{Mutex, mpsc};
    use std::time::Duration;
    use zk_proto::connect::{Password, ReadOnlyFlag};

    struct Bug;

    impl Wake for Bug {
        fn wake(&self) {
            panic!("a bug");
        }
    }

    #[test]
    fn a_panicking_thread_stops_the_server_and_leaves_nobody_waiting() {
        let clock = SystemClock::start();
        let options = NodeOptions {
            rules: Rules::default(),
            tick: Duration::from_secs(1),
            session_timeout_min: Duration::from_secs(1),
            session_timeout_max: Duration::from_secs(9),
            session_id_base: 1,
            super_digest: None,
            reap_every: Duration::from_secs(60),
        };
        let node = Node::new(Committed::initial(1), options, clock.now());
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let disks = Disks {
            log: LogWriter::new(Arc::clone(&disk), LogOptions::default(), Zxid::ZERO),
            trigger: SnapshotTrigger::new(TriggerOptions::default(), 1),
            snapshots: Arc::clone(&disk),
            logs: disk,
            keep: None,
        };
        let (tell, told) = mpsc::channel();
        let tell = Mutex::new(tell);
        let failed = move |reason| tell.lock().unwrap().send(reason).unwrap();
        let mut pipeline = Pipeline::start(node, clock, disks, failed).unwrap();
        // Closing this connection wakes its sender, on the node's thread.
        let peer = ([127, 0, 0, 1], 1).into();
        let connection = Arc::new(Connection::new(ConnId(1), peer, clock.now(), Arc::new(Bug)));
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid(99),
            timeout_ms: 1000,
            session_id: SessionId::NONE,
            password: Password::default(),
            read_only: ReadOnlyFlag::Absent,
        };
        pipeline.work().send(Work::Connect { connection, request });
        let reason = told.recv().unwrap();
        assert!(reason.contains("zk-node"), "{reason}");
        // Ends because the other threads do.
        pipeline.join();
    }
}
