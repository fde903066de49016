//! One server: the production node, intake, log writer, snapshots and recovery, glued as `zk_server::shell` glues
//! them, with a disk that takes drawn time and loses what was not synced. Decides nothing of its own.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use zk_client::{SessionId, Zxid};
use zk_proto::connect::ConnectRequest;
use zk_proto::limits::FRAME_BYTES_DEFAULT;
use zk_server::core::committed::Frozen;
use zk_server::core::connection::{ConnId, Connection, Wake};
use zk_server::core::intake::{self, Submission};
use zk_server::core::node::{Clock, LogBatch, Node, NodeOptions, first_session_id};
use zk_server::core::prep::Rules;
use zk_server::storage::trigger::TriggerOptions;
use zk_server::storage::{Disk, LogOptions, LogWriter, MemoryDisk, SnapshotTrigger, purge, write_snapshot};

use super::draw::micros;
use super::kernel::Kernel;
use super::network::{End, LinkId, Network};
use super::options::{Bug, Options};
use super::recovery::{mirror, recover_checked};
use super::world::Event;

/// The calendar at the start of every simulation, in milliseconds.
pub(crate) const WALL_START_MS: i64 = 1_700_000_000_000;
/// Wait before a start that the disk refused is tried again.
const RESTART_AFTER: Duration = Duration::from_millis(300);
/// Snapshots that purging leaves.
const SNAPSHOTS_KEPT: usize = 3;

/// Both clocks at a moment.
pub(crate) fn clock(now: Duration) -> Clock {
    Clock { now, wall_ms: wall_ms(now) }
}

/// What the calendar says at a moment.
pub(crate) fn wall_ms(now: Duration) -> i64 {
    WALL_START_MS + i64::try_from(now.as_millis()).unwrap_or(0)
}

/// A turn of one of the server's threads, in one life of the server.
#[derive(Debug)]
pub(crate) enum Turn {
    /// The node takes what is in its inbox.
    Inbox,
    /// A connection's task has been woken.
    Task(LinkId),
    /// The log's thread has synced.
    Synced,
    /// A snapshot is on the disk.
    SnapshotWritten,
    /// The node looks for expired sessions.
    Tick,
}

#[derive(Debug)]
enum Work {
    Connect(Arc<Connection>, ConnectRequest),
    Submit(Submission),
    Disconnected(Arc<Connection>),
    Durable(Zxid),
    Snapshot,
}

/// Remembers that a connection's task was woken.
#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a connection's task holds.
#[derive(Debug)]
struct Peer {
    connection: Arc<Connection>,
    woken: Arc<Flag>,
    input: BytesMut,
    greeted: bool,
}

/// What is lost when the process ends.
#[derive(Debug)]
struct Running {
    node: Node,
    peers: BTreeMap<LinkId, Peer>,
    inbox: VecDeque<Work>,
    inbox_due: bool,
    tick_at: Option<Duration>,
    log: LogWriter,
    trigger: SnapshotTrigger,
    /// Handed to the log's thread while it syncs.
    batches: Vec<LogBatch>,
    syncing: Option<Zxid>,
    snapshot_due: bool,
    frozen: Option<Frozen>,
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Server {
    options: Options,
    disk: MemoryDisk,
    life: u64,
    running: Option<Running>,
}

/// How a server goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Down {
    /// The machine loses power: what was not synced is lost, more or less.
    Power,
    /// The process dies and the machine goes on: what was written is there, though not synced.
    Process,
}

impl Server {
    pub(crate) fn new(options: &Options) -> Self {
        Self { options: options.clone(), disk: MemoryDisk::new(), life: 0, running: None }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.running.is_some()
    }

    /// The node, while the server is up.
    pub(crate) fn node(&self) -> Option<&Node> {
        self.running.as_ref().map(|running| &running.node)
    }

    /// Lets the log's next sync but a few fail.
    pub(crate) fn fail_a_sync(&self, k: &mut Kernel) {
        self.disk.fail_sync_after(k.draw.below(4));
    }

    /// Takes back faults of the disk that have not happened.
    pub(crate) fn heal(&self) {
        self.disk.heal();
    }

    pub(crate) fn start(&mut self, k: &mut Kernel) {
        if self.running.is_some() {
            return;
        }
        self.life += 1;
        let Some(state) = recover_checked(k, &self.disk) else {
            return k.after(RESTART_AFTER, Event::Start);
        };
        let logs: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let log_options = LogOptions { preallocate_bytes: self.options.preallocate, force_sync: true };
        let log = LogWriter::new(logs, log_options, state.last_zxid);
        let snapshot = TriggerOptions { snap_count: self.options.snap_count, snap_size_bytes: 0 };
        let options = NodeOptions {
            rules: Rules { skip_acl: false, extended_types: true },
            tick: self.options.tick,
            session_timeout_min: Duration::from_millis(1),
            session_timeout_max: Duration::from_secs(600),
            session_id_base: first_session_id(1, wall_ms(k.now)),
            super_digest: None,
            reap_every: Duration::from_secs(3),
        };
        k.note(format_args!("server up, life {}, at {}", self.life, state.last_zxid));
        let mut node = Node::new(state, options, k.now);
        node.end_orphans(clock(k.now));
        k.history.starts.push(k.now);
        self.running = Some(Running {
            node,
            peers: BTreeMap::new(),
            inbox: VecDeque::new(),
            inbox_due: false,
            tick_at: None,
            log,
            trigger: SnapshotTrigger::new(snapshot, k.draw.bits()),
            batches: Vec::new(),
            syncing: None,
            snapshot_due: false,
            frozen: None,
        });
        self.hand_over(k);
    }

    pub(crate) fn stop(&mut self, k: &mut Kernel, network: &mut Network, how: Down) {
        if self.running.take().is_none() {
            return;
        }
        k.note(format_args!("server down: {how:?}"));
        match how {
            Down::Power => self.disk.crash(k.draw.bits()),
            Down::Process => self.disk.kill(),
        }
        network.server_gone(k);
        let pause = k.draw.mostly_short(Duration::from_millis(2_500));
        k.after(pause, Event::Start);
    }

    pub(crate) fn accept(&mut self, k: &Kernel, link: LinkId) -> bool {
        let Some(running) = &mut self.running else { return false };
        let woken = Arc::new(Flag::default());
        let wake = Arc::clone(&woken) as Arc<dyn Wake>;
        let peer = ([127, 0, 0, 1], 1).into();
        let connection = Arc::new(Connection::new(ConnId(link), peer, k.now, wake));
        let peer = Peer { connection, woken, input: BytesMut::new(), greeted: false };
        running.peers.insert(link, peer);
        true
    }

    /// Bytes of a client have arrived.
    pub(crate) fn read(&mut self, k: &mut Kernel, network: &mut Network, link: LinkId, bytes: &[u8]) {
        let Some(running) = &mut self.running else { return };
        if let Some(peer) = running.peers.get_mut(&link) {
            peer.input.extend_from_slice(bytes);
            running.pump(k, network, link, self.life, self.options.inbox);
        }
    }

    /// A client's end of a connection is gone.
    pub(crate) fn gone(&mut self, k: &mut Kernel, link: LinkId) {
        if let Some(running) = &mut self.running {
            running.forget(k, link, self.life, self.options.inbox);
        }
    }

    pub(crate) fn turn(&mut self, k: &mut Kernel, network: &mut Network, life: u64, turn: &Turn) {
        if life != self.life {
            return;
        }
        let Some(running) = &mut self.running else { return };
        match turn {
            // Whatever wakes the node, it takes what has come before it looks at the clock.
            Turn::Inbox | Turn::Tick => {
                match turn {
                    Turn::Inbox => running.inbox_due = false,
                    _ => running.tick_at = None,
                }
                while let Some(work) = running.inbox.pop_front() {
                    if matches!(work, Work::Snapshot) && running.frozen.is_none() {
                        running.frozen = Some(running.node.freeze());
                        let wait = k.draw.mostly_short(self.options.sync * 20);
                        k.after(wait, Event::Server { life, turn: Turn::SnapshotWritten });
                    } else {
                        running.handle(k, work);
                    }
                }
                running.node.tick(clock(k.now));
                running.wake_all(k, life, self.options.inbox);
            }
            Turn::Task(link) => running.pump(k, network, *link, life, self.options.inbox),
            Turn::Synced => {
                let last = running.syncing.take();
                let synced = running.log.sync();
                if synced.is_err() || !running.finish_sync(k, last, life, &self.options) {
                    k.counters.sync_failures += 1;
                    let how = if k.draw.chance(1, 2) { Down::Power } else { Down::Process };
                    return self.stop(k, network, how);
                }
            }
            Turn::SnapshotWritten => self.write_snapshot(k),
        }
        if !self.hand_over(k) {
            k.counters.sync_failures += 1;
            self.stop(k, network, Down::Power);
        }
    }

    fn write_snapshot(&mut self, k: &mut Kernel) {
        let Some(frozen) = self.running.as_mut().and_then(|running| running.frozen.take()) else { return };
        let mut written = write_snapshot(&self.disk, &frozen).is_ok();
        if written && self.options.purge {
            written = purge(&self.disk, &self.disk, SNAPSHOTS_KEPT).is_ok();
        }
        k.counters.snapshots += u64::from(written);
        k.note(format_args!("server snapshot {} written={written}", frozen.zxid));
    }

    /// Gives the log's thread what there is, and the clock its next tick; false when the log cannot be written.
    fn hand_over(&mut self, k: &mut Kernel) -> bool {
        let life = self.life;
        let Some(running) = &mut self.running else { return true };
        running.batches.extend(running.node.take_log());
        let deadline = running.node.deadline();
        if running.tick_at != Some(deadline) {
            running.tick_at = Some(deadline);
            k.at(deadline, Event::Server { life, turn: Turn::Tick });
        }
        if running.syncing.is_some() || running.batches.is_empty() {
            return true;
        }
        for batch in std::mem::take(&mut running.batches) {
            if running.log.append(&batch.bytes, batch.first, batch.last).is_err() {
                return false;
            }
            mirror(k, &batch);
            running.snapshot_due |= running.trigger.appended(batch.entries as u64, batch.bytes.len() as u64);
            running.syncing = Some(batch.last);
        }
        if let (Some(Bug::ReplyBeforeFsync), Some(last)) = (self.options.bug, running.syncing) {
            running.put(k, Work::Durable(last), life, self.options.inbox);
        }
        let wait = k.draw.mostly_short(self.options.sync);
        k.after(wait, Event::Server { life, turn: Turn::Synced });
        true
    }
}

impl Running {
    /// Puts work in the node's inbox, which it will look into after a drawn time.
    fn put(&mut self, k: &mut Kernel, work: Work, life: u64, inbox: Duration) {
        self.inbox.push_back(work);
        if !std::mem::replace(&mut self.inbox_due, true) {
            let wait = Duration::from_micros(k.draw.below(micros(inbox) + 1));
            k.after(wait, Event::Server { life, turn: Turn::Inbox });
        }
    }

    fn handle(&mut self, k: &mut Kernel, work: Work) {
        let clock = clock(k.now);
        match work {
            Work::Connect(connection, request) => self.node.connect(clock, &connection, &request),
            Work::Submit(submission) => self.node.submit(clock, submission),
            Work::Disconnected(connection) => self.node.disconnected(&connection),
            Work::Durable(zxid) => self.node.durable(clock, zxid),
            Work::Snapshot => {}
        }
    }

    fn finish_sync(&mut self, k: &mut Kernel, last: Option<Zxid>, life: u64, options: &Options) -> bool {
        if let Some(last) = last
            && options.bug != Some(Bug::ReplyBeforeFsync)
        {
            self.put(k, Work::Durable(last), life, options.inbox);
        }
        if std::mem::take(&mut self.snapshot_due) {
            if self.log.roll().is_err() {
                return false;
            }
            self.trigger.reset(k.draw.bits());
            self.put(k, Work::Snapshot, life, options.inbox);
        }
        true
    }

    /// Tasks that were woken have their turns after drawn times, as the node has with its inbox.
    fn wake_all(&mut self, k: &mut Kernel, life: u64, inbox: Duration) {
        for (link, peer) in &self.peers {
            if peer.woken.0.swap(false, Ordering::Relaxed) {
                let wait = Duration::from_micros(k.draw.below(micros(inbox) + 1));
                k.after(wait, Event::Server { life, turn: Turn::Task(*link) });
            }
        }
    }

    /// A turn of a connection's task.
    fn pump(&mut self, k: &mut Kernel, network: &mut Network, link: LinkId, life: u64, inbox: Duration) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        peer.woken.0.store(false, Ordering::Relaxed);
        let connection = Arc::clone(&peer.connection);
        let mut work = Vec::new();
        let mut refused = false;
        if !peer.greeted {
            match intake::handshake(&mut peer.input) {
                Ok(Some(request)) => {
                    peer.greeted = true;
                    connection.heard(k.now);
                    contact(k, request.session_id);
                    k.history.claims.push((link, request.session_id));
                    work.push(Work::Connect(Arc::clone(&connection), request));
                }
                Ok(None) => {}
                Err(_) => refused = true,
            }
        }
        if connection.is_open() {
            let waiting = peer.input.len();
            let mut submit = Vec::new();
            let shared = Arc::clone(self.node.shared());
            let taken = intake::requests(
                &mut peer.input,
                FRAME_BYTES_DEFAULT,
                &connection,
                &shared,
                k.now,
                &mut submit,
            );
            if peer.input.len() < waiting {
                contact(k, connection.session());
            }
            work.extend(submit.into_iter().map(Work::Submit));
            if let Err(why) = taken {
                k.violated("protocol", format!("the server refuses our own client's bytes: {why}"));
                refused = true;
            }
        }
        for work in work {
            self.put(k, work, life, inbox);
        }
        let mut out = BytesMut::new();
        if connection.take_output(&mut out) {
            network.send(k, link, End::Server, out.freeze());
        }
        if refused || connection.is_closing() {
            network.close(k, link, End::Server);
            self.forget(k, link, life, inbox);
        }
    }

    fn forget(&mut self, k: &mut Kernel, link: LinkId, life: u64, inbox: Duration) {
        if let Some(peer) = self.peers.remove(&link) {
            peer.connection.close();
            self.put(k, Work::Disconnected(peer.connection), life, inbox);
        }
    }
}

/// Notes that the server heard from a session.
fn contact(k: &mut Kernel, session: SessionId) {
    let now = k.now;
    k.history.contacts.entry(session).or_default().push(now);
}
