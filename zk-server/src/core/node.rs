//! One server: composes preparation, the pipeline of what is in flight, application, sessions and delivery.
//!
//! A write goes through `submit` (validated, given its zxid, put in the log batch), leaves with
//! [`Node::take_log`], and is applied, answered and announced when [`Node::durable`] says that it is safe. An
//! ensemble's quorum will stand between those two, and nothing else will move.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bytes::BytesMut;
use zk_proto::connect::{ConnectRequest, ConnectResponse, Password, ReadOnlyFlag};
use zk_proto::jute::Encode;
use zk_proto::ops::multi::MultiResponse;
use zk_proto::txn::{Txn, TxnEntry};
use zk_proto::{ErrorCode, Request, SessionId, Zxid, storage};

use super::apply::{Outcome, Trigger, apply};
use super::committed::{Committed, Frozen};
use super::connection::{Ask, Connection, event_frame};
use super::intake::Submission;
use super::prep::{Origin, Prep, Rules};
use super::read;
use super::sessions::Sessions;
use crate::auth;
use crate::limits::REAPED_AT_ONCE_MAX;

/// The moment something happens: monotonic time since an arbitrary origin, and the calendar's milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// For timeouts.
    pub now: Duration,
    /// For timestamps on nodes.
    pub wall_ms: i64,
}

/// How a node behaves; the configuration in the core's own terms.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// Rules for requests.
    pub rules: Rules,
    /// The grain of session expiry.
    pub tick: Duration,
    /// Shortest session timeout granted.
    pub session_timeout_min: Duration,
    /// Longest session timeout granted.
    pub session_timeout_max: Duration,
    /// The first session id is one above this; see [`first_session_id`].
    pub session_id_base: i64,
    /// Digest of the super user's credentials, if there is one.
    pub super_digest: Option<String>,
    /// How often empty containers and outlived nodes are removed (`znode.container.checkIntervalMs`).
    pub reap_every: Duration,
}

/// The base of a server's session ids: its own number in the top byte, the time below, so that ids are not used
/// again after a restart.
#[must_use]
pub fn first_session_id(server: u8, wall_ms: i64) -> i64 {
    (i64::from(server) << 56) | (((wall_ms as u64) << 24 >> 8) as i64)
}

/// The part of a node that connections read without passing the pipeline.
#[derive(Debug)]
pub struct Shared {
    state: RwLock<Committed>,
    /// How the node behaves.
    pub options: NodeOptions,
}

impl Shared {
    /// Holds the state for reading.
    pub fn read(&self) -> RwLockReadGuard<'_, Committed> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Committed> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a read on its connection, now.
    pub fn serve(&self, state: &Committed, connection: &Arc<Connection>, xid: i32, ask: &Ask) {
        read::serve(state, connection, xid, ask, self.options.rules.skip_acl);
    }
}

/// Entries that must be durable before what follows them.
#[derive(Debug, Default)]
pub struct LogBatch {
    /// The entries, framed and checksummed as the log holds them.
    pub bytes: BytesMut,
    /// The first one's zxid.
    pub first: Zxid,
    /// The last one's zxid.
    pub last: Zxid,
    /// How many there are.
    pub entries: usize,
}

#[derive(Debug)]
enum ReplyTo {
    /// Nobody: an expiry, or a client that is gone does not matter here.
    Nobody,
    /// A request of this connection.
    Request(Arc<Connection>, i32),
    /// The handshake of this connection.
    Handshake(Arc<Connection>, ConnectResponse),
}

#[derive(Debug)]
struct InFlight {
    entry: TxnEntry,
    reply: ReplyTo,
    /// Syncs to be answered right behind it.
    syncs: Vec<Submission>,
    /// Handshakes to be answered right behind it.
    welcomes: Vec<(Arc<Connection>, ConnectResponse)>,
}

/// See the module's head.
#[derive(Debug)]
pub struct Node {
    shared: Arc<Shared>,
    prep: Prep,
    sessions: Sessions,
    next_session: i64,
    next_reap: Duration,
    in_flight: VecDeque<InFlight>,
    log: LogBatch,
    triggers: Vec<Trigger>,
    /// Connections that got something and must be woken.
    touched: Vec<Arc<Connection>>,
}

impl Node {
    /// A server with this state. Sessions in it live on, with their full timeout from now.
    #[must_use]
    pub fn new(state: Committed, options: NodeOptions, now: Duration) -> Self {
        let prep = Prep::new(options.rules, &state.tree, state.last_zxid);
        let mut sessions = Sessions::new(options.tick);
        for (id, timeout_ms) in &state.sessions {
            sessions.open(*id, millis(*timeout_ms), None, now);
        }
        Self {
            prep,
            sessions,
            next_session: options.session_id_base,
            next_reap: now + options.reap_every,
            shared: Arc::new(Shared { state: RwLock::new(state), options }),
            in_flight: VecDeque::new(),
            log: LogBatch::default(),
            triggers: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// What connections read without passing the pipeline.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Ends sessions that own ephemeral nodes but no longer live. To be called at start: an old snapshot can hold
    /// such nodes.
    pub fn end_orphans(&mut self, clock: Clock) {
        let orphans: Vec<SessionId> = {
            let state = self.shared.read();
            let orphan = |(id, _): (SessionId, usize)| (!state.sessions.contains_key(&id)).then_some(id);
            state.tree.ephemeral_owners().filter_map(orphan).collect()
        };
        for id in orphans {
            self.close_session(clock, id, ReplyTo::Nobody, 0);
        }
    }

    /// A client's first frame. A new session is answered when its transaction is safe, one that goes on when its
    /// writes in flight are, a refusal at once.
    pub fn connect(&mut self, clock: Clock, connection: &Arc<Connection>, request: &ConnectRequest) {
        let options = &self.shared.options;
        if request.last_zxid_seen > self.shared.read().last_zxid {
            tracing::info!(peer = %connection.peer, last_seen = %request.last_zxid_seen,
                "client has seen a later state than this server; it must try another");
            connection.close();
            connection.notify();
            return;
        }
        let timeout =
            millis(request.timeout_ms).clamp(options.session_timeout_min, options.session_timeout_max);
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let read_only = match request.read_only {
            ReadOnlyFlag::Absent => ReadOnlyFlag::Absent,
            ReadOnlyFlag::Present(_) => ReadOnlyFlag::Present(false),
        };
        let answer = |id: SessionId| ConnectResponse {
            protocol_version: 0,
            timeout_ms,
            session_id: id,
            password: Password::of_session(id),
            read_only,
        };
        if request.session_id == SessionId::NONE {
            self.next_session += 1;
            let id = SessionId(self.next_session);
            self.sessions.open(id, timeout, Some(Arc::clone(connection)), clock.now);
            let entry = self.prep.create_session(id, timeout_ms, clock.wall_ms);
            self.push(entry, ReplyTo::Handshake(Arc::clone(connection), answer(id)));
            return;
        }
        let id = request.session_id;
        let password_fits = request.password == Password::of_session(id);
        match password_fits.then(|| self.sessions.attach(id, timeout, connection, clock.now)) {
            Some(Ok(replaced)) => {
                if let Some(old) = replaced.filter(|old| old.id != connection.id) {
                    old.close();
                    old.notify();
                }
                // What came over the old connection counts before what comes over this one: a read must not miss
                // a write of its own session that is done later.
                let of_session = |f: &&mut InFlight| f.entry.header.client_id == id;
                if let Some(last) = self.in_flight.iter_mut().rev().find(of_session) {
                    last.welcomes.push((Arc::clone(connection), answer(id)));
                    return;
                }
                connection.establish(Some(id), &answer(id));
            }
            Some(Err(())) | None => {
                tracing::info!(peer = %connection.peer, session = %id, "session refused: expired, or not the caller's");
                connection.establish(None, &ConnectResponse::refused(read_only));
            }
        }
        connection.notify();
    }

    /// A write or a sync, in the place that [`Connection::admit_write`] gave it.
    pub fn submit(&mut self, clock: Clock, submission: Submission) {
        let Submission { connection, xid, request } = &submission;
        let xid = *xid;
        if matches!(request, Request::Sync(_)) {
            return self.sync(clock, submission);
        }
        let session = connection.session();
        if matches!(request, Request::CloseSession) {
            let reply = ReplyTo::Request(Arc::clone(connection), xid);
            if self.sessions.begin_close(session) {
                self.close_session(clock, session, reply, xid);
                return;
            }
        }
        let refused = if !self.sessions.is_live(session) {
            Some(ErrorCode::SessionExpired)
        } else if !self.sessions.is_served_by(session, connection) {
            // Its client has given it up for lost and goes on over another connection.
            Some(ErrorCode::SessionMoved)
        } else {
            None
        };
        let ids = connection.ids();
        let from = Origin { session, cxid: xid, ids: &ids, time_ms: clock.wall_ms };
        let entry = {
            let state = self.shared.read();
            self.prep.request(&state.tree, from, request, refused)
        };
        self.push(entry, ReplyTo::Request(Arc::clone(connection), xid));
    }

    /// A barrier: answered when everything before it is, so that a client which lost a reply and then does not
    /// find what it wrote knows that it never will.
    fn sync(&mut self, clock: Clock, submission: Submission) {
        if let Some(last) = self.in_flight.back_mut() {
            last.syncs.push(submission);
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.answer_sync(clock, &shared.read(), submission);
        self.wake_touched();
    }

    /// The connection is gone: its watches go with it, its session stays.
    pub fn disconnected(&mut self, connection: &Connection) {
        self.sessions.detach(connection);
        self.shared.read().watches().drop_connection(connection.id);
    }

    /// Ends sessions whose time has passed, and now and then removes empty containers and outlived nodes.
    pub fn tick(&mut self, clock: Clock) {
        for id in self.sessions.expired(clock.now) {
            self.hang_up(id);
            // What came and was answered until then counts.
            if self.sessions.is_silent(id, clock.now) {
                self.expire(clock, id);
            }
        }
        if clock.now >= self.next_reap {
            self.next_reap = clock.now + self.shared.options.reap_every;
            self.reap(clock);
        }
    }

    /// At most [`REAPED_AT_ONCE_MAX`]; the rest waits for the next time.
    fn reap(&mut self, clock: Clock) {
        let shared = Arc::clone(&self.shared);
        let state = shared.read();
        let outlived: Vec<&str> = state.tree.outlived(clock.wall_ms).take(REAPED_AT_ONCE_MAX).collect();
        for path in outlived {
            if let Some(entry) = self.prep.delete_container(&state.tree, path, clock.wall_ms) {
                self.push(entry, ReplyTo::Nobody);
            }
        }
    }

    /// Ends a session as if its time had passed; `false` when it is not live.
    pub fn expire(&mut self, clock: Clock, id: SessionId) -> bool {
        let live = self.sessions.begin_close(id);
        if live {
            tracing::info!(session = %id, "session expired");
            self.hang_up(id);
            self.close_session(clock, id, ReplyTo::Nobody, 0);
        }
        live
    }

    /// Answers nothing more on a session's connection. A client counts on its session for one timeout after whatever
    /// is answered, so a session that ends must answer nothing, be it reads, which pass the pipeline, or pings.
    fn hang_up(&self, id: SessionId) {
        if let Some(connection) = self.sessions.connection(id) {
            connection.close();
            connection.notify();
        }
    }

    /// When [`Node::tick`] is next worth a call.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.sessions.deadline().map_or(self.next_reap, |due| due.min(self.next_reap))
    }

    /// Entries to be written and synced since the last call; `None` when there are none.
    pub fn take_log(&mut self) -> Option<LogBatch> {
        (self.log.entries > 0).then(|| mem::take(&mut self.log))
    }

    /// Bytes of entries not taken yet.
    #[must_use]
    pub fn log_bytes(&self) -> usize {
        self.log.bytes.len()
    }

    /// Transactions that are not safe yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Everything up to `zxid` is safe: apply it, tell watchers, answer, and serve the reads that waited behind.
    pub fn durable(&mut self, clock: Clock, zxid: Zxid) {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.write();
        while self.in_flight.front().is_some_and(|f| f.entry.header.zxid <= zxid) {
            let Some(InFlight { entry, reply, syncs, welcomes }) = self.in_flight.pop_front() else { break };
            let outcome = apply(&mut state, &entry, &mut self.triggers);
            self.announce(&state, entry.header.zxid);
            let ended = match entry.txn {
                Txn::CloseSession(_) => self.sessions.remove(entry.header.client_id),
                _ => None,
            };
            self.answer(clock, &state, reply, &entry, &outcome);
            for sync in syncs {
                self.answer_sync(clock, &state, sync);
            }
            for (connection, answer) in welcomes {
                connection.establish(Some(answer.session_id), &answer);
                self.touched.push(connection);
            }
            if let Some(connection) = ended {
                connection.close();
                self.touched.push(connection);
            }
        }
        let applied = state.last_zxid;
        drop(state);
        self.prep.applied(applied);
        self.wake_touched();
    }

    /// To be called with no hold of the state.
    fn wake_touched(&mut self) {
        for connection in self.touched.drain(..) {
            connection.notify();
        }
    }

    /// This moment, for a snapshot.
    #[must_use]
    pub fn freeze(&self) -> Frozen {
        self.shared.read().freeze()
    }

    fn push(&mut self, entry: TxnEntry, reply: ReplyTo) {
        let zxid = entry.header.zxid;
        if self.log.entries == 0 {
            self.log.first = zxid;
        }
        self.log.last = zxid;
        self.log.entries += 1;
        storage::log::put_entry(&mut self.log.bytes, &entry);
        self.in_flight.push_back(InFlight { entry, reply, syncs: Vec::new(), welcomes: Vec::new() });
    }

    fn close_session(&mut self, clock: Clock, id: SessionId, reply: ReplyTo, xid: i32) {
        let entry = {
            let state = self.shared.read();
            self.prep.close_session(&state.tree, id, xid, clock.wall_ms)
        };
        self.push(entry, reply);
    }

    /// Events leave before anything that shows their effect.
    fn announce(&mut self, state: &Committed, zxid: Zxid) {
        if self.triggers.is_empty() {
            return;
        }
        let skip_acl = self.shared.options.rules.skip_acl;
        let mut watches = state.watches();
        for trigger in self.triggers.drain(..) {
            let mut frame = None;
            watches.trigger(trigger.event, &trigger.path, |connection| {
                let may_read =
                    skip_acl || auth::allows(&trigger.acl, zk_proto::Perms::READ, &connection.ids());
                if may_read {
                    let frame = frame.get_or_insert_with(|| event_frame(trigger.event, &trigger.path, zxid));
                    connection.event(frame);
                    self.touched.push(Arc::clone(connection));
                }
            });
        }
    }

    fn answer(
        &mut self,
        clock: Clock,
        state: &Committed,
        reply: ReplyTo,
        entry: &TxnEntry,
        outcome: &Outcome,
    ) {
        let (connection, xid) = match reply {
            ReplyTo::Nobody => return,
            ReplyTo::Handshake(connection, answer) => {
                connection.establish(Some(answer.session_id), &answer);
                self.touched.push(connection);
                return;
            }
            ReplyTo::Request(connection, xid) => (connection, xid),
        };
        connection.write_answered(clock.now);
        let result = match outcome {
            Outcome::Failed(code) => Err(*code),
            _ => Ok(()),
        };
        connection.reply(xid, entry.header.zxid, result, |out| encode_outcome(outcome, out));
        self.serve_reads_behind(state, connection);
    }

    fn answer_sync(&mut self, clock: Clock, state: &Committed, submission: Submission) {
        let Submission { connection, xid, request } = submission;
        connection.write_answered(clock.now);
        self.shared.serve(state, &connection, xid, &Ok(request));
        self.serve_reads_behind(state, connection);
    }

    fn serve_reads_behind(&mut self, state: &Committed, connection: Arc<Connection>) {
        while let Some((xid, ask)) = connection.next_read() {
            self.shared.serve(state, &connection, xid, &ask);
        }
        self.touched.push(connection);
    }
}

fn encode_outcome(outcome: &Outcome, out: &mut BytesMut) {
    match outcome {
        Outcome::Created(r) => r.encode(out),
        Outcome::Created2(r) => r.encode(out),
        Outcome::Stat(r) => r.encode(out),
        Outcome::Multi(results) => MultiResponse { results: results.clone() }.encode(out),
        Outcome::Done | Outcome::Failed(_) => {}
    }
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests;
