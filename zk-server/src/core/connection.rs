//! One client's place at the server: who it is, the order of its requests, and the bytes that wait to be sent.
//!
//! Shared by the task that reads its socket, the pipeline that answers its writes, and whoever triggers a watch
//! of it. Whatever is pushed here leaves in the order it was pushed; the lock is held for a push or a swap only,
//! and no other lock is ever taken while it is held.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use zk_proto::acl::AuthId;
use zk_proto::header::{ReplyHeader, XID_NOTIFICATION};
use zk_proto::jute::Encode;
use zk_proto::{ErrorCode, EventType, KeeperState, Request, SessionId, WatcherEvent, Zxid, frame};

use crate::limits::{OUTBOX_BYTES_HIGH, OUTBOX_BYTES_MAX, PENDING_REQUESTS_MAX};

/// A connection's number, unique within a server's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Wakes whoever sends a connection's bytes.
pub trait Wake: Send + Sync {
    /// There are bytes to send, or the connection is to be closed.
    fn wake(&self);
}

/// What to answer without a transaction: a read, or why its bytes are none.
pub type Ask = Result<Request, ErrorCode>;

/// A request in its session's order.
#[derive(Debug)]
enum Pending {
    /// A write, or a sync, on its way through the pipeline, and when it arrived.
    Write(Duration),
    /// A read that waits behind such a write.
    Read(i32, Ask),
}

/// What is to be done with a read.
#[derive(Debug)]
pub enum Admission {
    /// A read with no write before it: serve it now.
    Now(Ask),
    /// A read behind a write: it will be served right after that write.
    Queued,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Handshake,
    Open,
    /// What is in the outbox still goes out; nothing more is read or added.
    Closing,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    session: SessionId,
    ids: Arc<[AuthId]>,
    order: VecDeque<Pending>,
    out: BytesMut,
    woken: bool,
    received: u64,
    sent: u64,
    latency: Latency,
}

/// Times from a request's arrival to its reply, in milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Latency {
    /// Requests answered.
    pub count: u64,
    /// The sum of their times.
    pub sum_ms: u64,
    /// The longest.
    pub max_ms: u64,
}

impl Latency {
    /// Counts one answer.
    pub fn add(&mut self, took: Duration) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.count += 1;
        self.sum_ms += ms;
        self.max_ms = self.max_ms.max(ms);
    }

    /// Adds another's answers.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum_ms += other.sum_ms;
        self.max_ms = self.max_ms.max(other.max_ms);
    }
}

/// See the module's head.
pub struct Connection {
    /// Its number.
    pub id: ConnId,
    /// The other end.
    pub peer: SocketAddr,
    heard_ms: AtomicU64,
    state: Mutex<State>,
    wake: Arc<dyn Wake>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// What `stat` and `cons` print of a connection.
#[derive(Debug, Clone)]
pub struct ConnectionStats {
    /// The other end.
    pub peer: SocketAddr,
    /// Its session, or none yet.
    pub session: SessionId,
    /// Requests not answered yet.
    pub queued: usize,
    /// Requests received.
    pub received: u64,
    /// Replies and events sent.
    pub sent: u64,
    /// How long its requests took.
    pub latency: Latency,
}

impl Connection {
    /// A connection before its handshake, heard of now.
    #[must_use]
    pub fn new(id: ConnId, peer: SocketAddr, now: Duration, wake: Arc<dyn Wake>) -> Self {
        let connection = Self {
            id,
            peer,
            heard_ms: AtomicU64::new(0),
            state: Mutex::new(State {
                stage: Stage::Handshake,
                session: SessionId::NONE,
                ids: Arc::from([AuthId::new("ip", peer.ip().to_string())]),
                order: VecDeque::new(),
                out: BytesMut::new(),
                woken: false,
                received: 0,
                sent: 0,
                latency: Latency::default(),
            }),
            wake,
        };
        connection.heard(now);
        connection
    }

    #[cfg(test)]
    pub(crate) fn for_tests(id: u64) -> Arc<Self> {
        struct Nobody;
        impl Wake for Nobody {
            fn wake(&self) {}
        }
        Arc::new(Self::new(ConnId(id), ([127, 0, 0, 1], 1).into(), Duration::ZERO, Arc::new(Nobody)))
    }

    /// Something arrived from the client.
    pub fn heard(&self, now: Duration) {
        self.heard_ms.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// When something last arrived from the client.
    #[must_use]
    pub fn last_heard(&self) -> Duration {
        Duration::from_millis(self.heard_ms.load(Ordering::Relaxed))
    }

    /// The ids it has authenticated as.
    #[must_use]
    pub fn ids(&self) -> Arc<[AuthId]> {
        Arc::clone(&self.lock().ids)
    }

    /// Adds ids, without doubles.
    pub fn add_ids(&self, new: Vec<AuthId>) {
        let mut state = self.lock();
        let mut ids = state.ids.to_vec();
        ids.extend(new);
        let mut unique: Vec<AuthId> = Vec::new();
        for id in ids {
            if !unique.contains(&id) {
                unique.push(id);
            }
        }
        state.ids = unique.into();
    }

    /// Its session, or [`SessionId::NONE`] before the handshake is answered.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.lock().session
    }

    /// Whether its handshake has been answered and it is not closing.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.lock().stage == Stage::Open
    }

    /// Whether it is to be closed once its outbox is sent.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.lock().stage == Stage::Closing
    }

    /// Requests that are not answered yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.lock().order.len()
    }

    /// Bytes that wait to be sent.
    fn outbox_bytes(&self) -> usize {
        self.lock().out.len()
    }

    /// What `stat` and `cons` print.
    #[must_use]
    pub fn stats(&self) -> ConnectionStats {
        let state = self.lock();
        ConnectionStats {
            peer: self.peer,
            session: state.session,
            queued: state.order.len(),
            received: state.received,
            sent: state.sent,
            latency: state.latency,
        }
    }

    /// Whether so much waits for this client that no more of its requests should be read.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let state = self.lock();
        state.order.len() >= PENDING_REQUESTS_MAX || state.out.len() >= OUTBOX_BYTES_HIGH
    }

    /// Gives a read its place in the session's order.
    pub fn admit_read(&self, xid: i32, ask: Ask) -> Admission {
        let mut state = self.lock();
        state.received += 1;
        if state.order.is_empty() {
            state.latency.add(Duration::ZERO);
            Admission::Now(ask)
        } else {
            state.order.push_back(Pending::Read(xid, ask));
            Admission::Queued
        }
    }

    /// Gives a write its place in the session's order; it must then be submitted.
    pub fn admit_write(&self, now: Duration) {
        let mut state = self.lock();
        state.received += 1;
        state.order.push_back(Pending::Write(now));
    }

    /// The write at the head of the order has been answered. On a connection that is closing nothing is: its
    /// reads are not served any more, and no longer stand in order with its writes.
    pub fn write_answered(&self, now: Duration) {
        let mut state = self.lock();
        if state.stage == Stage::Closing {
            state.order.clear();
            return;
        }
        match state.order.pop_front() {
            Some(Pending::Write(arrived)) => state.latency.add(now.saturating_sub(arrived)),
            other => debug_assert!(false, "a write was answered out of order: {other:?}"),
        }
    }

    /// The read at the head of the order, if it is one: it is to be served now.
    pub fn next_read(&self) -> Option<(i32, Ask)> {
        let mut state = self.lock();
        if !matches!(state.order.front(), Some(Pending::Read(..))) || state.stage == Stage::Closing {
            return None;
        }
        state.latency.add(Duration::ZERO);
        match state.order.pop_front() {
            Some(Pending::Read(xid, ask)) => Some((xid, ask)),
            _ => None,
        }
    }

    /// Answers a request.
    pub fn reply(
        &self,
        xid: i32,
        zxid: Zxid,
        outcome: Result<(), ErrorCode>,
        body: impl FnOnce(&mut BytesMut),
    ) {
        self.push(|out| {
            frame::put(out, |out| {
                ReplyHeader { xid, zxid, outcome }.encode(out);
                body(out);
            });
        });
    }

    /// Sends a watch event made by [`event_frame`]. A client that leaves too much unread is closed: it arms its
    /// watches again when it comes back, and nobody else pays for it.
    pub fn event(&self, event: &Bytes) {
        if self.outbox_bytes() > OUTBOX_BYTES_MAX {
            self.close();
        }
        self.push(|out| out.put_slice(event));
    }

    /// Answers the handshake. `session` is the session it now serves; `None` refuses it and closes.
    pub fn establish(&self, session: Option<SessionId>, answer: &impl Encode) {
        let mut state = self.lock();
        if state.stage != Stage::Handshake {
            return;
        }
        frame::put(&mut state.out, |out| answer.encode(out));
        state.session = session.unwrap_or_default();
        state.stage = if session.is_some() { Stage::Open } else { Stage::Closing };
    }

    /// To be closed once its outbox is sent.
    pub fn close(&self) {
        self.lock().stage = Stage::Closing;
    }

    /// Wakes the sender, once until it takes the outbox. To be called after whatever was pushed, with no lock of
    /// the state held.
    pub fn notify(&self) {
        let first = !std::mem::replace(&mut self.lock().woken, true);
        if first {
            self.wake.wake();
        }
    }

    /// Swaps the outbox into `empty`; `false` when there was nothing.
    pub fn take_output(&self, empty: &mut BytesMut) -> bool {
        let mut state = self.lock();
        state.woken = false;
        std::mem::swap(&mut state.out, empty);
        !empty.is_empty()
    }

    /// Appends the outbox behind what a sender still holds.
    pub fn take_output_behind(&self, unsent: &mut BytesMut) {
        unsent.extend_from_slice(&self.lock().out.split());
    }

    fn push(&self, write: impl FnOnce(&mut BytesMut)) {
        let mut state = self.lock();
        if state.stage != Stage::Closing {
            state.sent += 1;
            write(&mut state.out);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A watch event as a frame, made once for all who hear it. `zxid` is the transaction's; -1 in the events that
/// answer a re-arming request.
#[must_use]
pub fn event_frame(event_type: EventType, path: &str, zxid: Zxid) -> Bytes {
    let mut out = BytesMut::with_capacity(32 + path.len());
    frame::put(&mut out, |out| {
        ReplyHeader { xid: XID_NOTIFICATION, zxid, outcome: Ok(()) }.encode(out);
        WatcherEvent { event_type, state: KeeperState::SyncConnected, path: path.to_owned() }.encode(out);
    });
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_wait_behind_writes_and_follow_them_at_once() {
        let c = Connection::for_tests(1);
        let ms = Duration::from_millis;
        assert!(matches!(c.admit_read(1, Ok(Request::Ping)), Admission::Now(_)));
        c.admit_write(ms(10));
        assert!(matches!(c.admit_read(3, Ok(Request::Ping)), Admission::Queued));
        c.admit_write(ms(10));
        assert!(c.next_read().is_none());
        c.write_answered(ms(14));
        assert_eq!(c.next_read().unwrap().0, 3);
        assert!(c.next_read().is_none(), "the next write has not been answered");
        c.write_answered(ms(15));
        assert_eq!(c.pending(), 0);
        let latency = c.stats().latency;
        assert_eq!((latency.count, latency.sum_ms, latency.max_ms), (4, 9, 5));
    }

    #[test]
    fn writes_of_a_closing_connection_end_whatever_waits_between_them() {
        let c = Connection::for_tests(1);
        c.admit_write(Duration::ZERO);
        assert!(matches!(c.admit_read(2, Ok(Request::Ping)), Admission::Queued));
        c.admit_write(Duration::ZERO);
        c.close();
        c.write_answered(Duration::ZERO);
        assert!(c.next_read().is_none());
        c.write_answered(Duration::ZERO);
        assert_eq!(c.pending(), 0);
    }

    #[test]
    fn the_sender_is_woken_once_until_it_looks() {
        struct Count(AtomicU64);
        impl Wake for Count {
            fn wake(&self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::new(Count(AtomicU64::new(0)));
        let c = Connection::new(
            ConnId(1),
            ([127, 0, 0, 1], 1).into(),
            Duration::ZERO,
            Arc::clone(&count) as Arc<dyn Wake>,
        );
        for xid in 1..=2 {
            c.reply(xid, Zxid(1), Ok(()), |_| {});
            c.notify();
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        let mut out = BytesMut::new();
        assert!(c.take_output(&mut out));
        assert_eq!(out.len(), 40);
        c.notify();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_client_that_does_not_read_its_events_is_closed() {
        let c = Connection::for_tests(1);
        let event = Bytes::from(vec![0; 1 << 20]);
        for _ in 0..=OUTBOX_BYTES_MAX >> 20 {
            c.event(&event);
        }
        assert!(!c.is_closing());
        c.event(&event);
        assert!(c.is_closing());
    }
}
