//! A life of the client's session core, played from a script of bytes: what the server sends (well formed or not),
//! what the application asks, how the connection goes, and how time passes.
//!
//! Held after every step: each operation ends at most once, and not after it was cancelled; answers come in the
//! order of submission; a write is sent at most once, and fails as sent only if it was; nothing is announced that
//! was not asked for; time always moves on; and what is held in memory is in proportion to what was asked, whatever
//! the server sends. At the end everything that was asked has ended.

use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use zk_client::SessionState;
use zk_client::core::{Completion, Config, Core, Credentials, Failure, OpId, Output, Request, opcode};
use zk_proto::connect::{ConnectRequest, ConnectResponse, Password, ReadOnlyFlag};
use zk_proto::event::KeeperState;
use zk_proto::header::{ReplyHeader, RequestHeader, XID_AUTH, XID_NOTIFICATION, XID_PING, XID_SET_WATCHES};
use zk_proto::ops::auth::AuthPacket;
use zk_proto::ops::data::{ExistsRequest, GetChildrenRequest, GetDataRequest, SetDataRequest};
use zk_proto::ops::watches::AddWatchRequest;
use zk_proto::{
    Decode as _, Encode, ErrorCode, EventType, OpCode, Reader, SessionId, WatcherEvent, Zxid, frame,
};

use crate::heap;

const FRAME_LIMIT: usize = 4096;
/// Servers at most.
const HOSTS_MAX: usize = 4;
/// Bytes that the core may hold whatever has happened.
const HELD_ALWAYS: usize = 64 * 1024;
/// Bytes that it may hold for each operation under way and each watch.
const HELD_EACH: usize = 2 * 1024;
/// How often a step may be repeated by the script.
const REPEAT_MAX: usize = 200;

/// What is left of the script.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// So many bytes as the next one says.
    fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    Dialing,
    /// How many frames the core has sent on it.
    Up(usize),
}

/// What is known of an operation.
struct Asked {
    write: bool,
    auth: bool,
    bytes: usize,
}

struct Life {
    core: Core,
    now: Duration,
    link: Link,
    zxid: i64,
    asked: BTreeMap<OpId, Asked>,
    /// Operations that are under way, and what they weigh.
    open: BTreeSet<OpId>,
    open_bytes: usize,
    cancelled: BTreeSet<OpId>,
    ended: BTreeSet<OpId>,
    last_answered: Option<OpId>,
    /// Ordinary requests of this connection without an answer.
    unanswered: VecDeque<i32>,
    /// Writes that were sent, by the number in their data.
    sent: BTreeSet<u64>,
    watching: BTreeSet<OpId>,
    stopped: bool,
    writes: u64,
    /// The number in the data of a write.
    number: BTreeMap<OpId, u64>,
    heap_before: usize,
    script_bytes: usize,
}

/// Plays `script` to its end, closes the core, and sees everything through.
pub fn play(script: &[u8]) {
    let heap_before = heap::held();
    let mut script = Script(script);
    let flags = script.byte();
    let mut config = Config { frame_limit: FRAME_LIMIT, ..Config::default() };
    config.hosts = usize::from(flags) % HOSTS_MAX + 1;
    config.read_only = flags & 4 != 0;
    config.expiry_is_terminal = flags & 8 != 0;
    if flags & 16 != 0 {
        config.credentials.push(Credentials::new("digest", "a:b"));
    }
    let mut life = Life {
        core: Core::new(config, u64::from(script.byte())),
        now: Duration::ZERO,
        link: Link::Down,
        zxid: 100,
        asked: BTreeMap::new(),
        open: BTreeSet::new(),
        open_bytes: 0,
        cancelled: BTreeSet::new(),
        ended: BTreeSet::new(),
        last_answered: None,
        unanswered: VecDeque::new(),
        sent: BTreeSet::new(),
        watching: BTreeSet::new(),
        stopped: false,
        writes: 0,
        number: BTreeMap::new(),
        heap_before,
        script_bytes: script.0.len(),
    };
    while !script.0.is_empty() {
        life.step(&mut script);
    }
    life.end();
}

impl Life {
    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 20 {
            0 => {
                let bytes = Bytes::copy_from_slice(script.bytes());
                self.hear(bytes);
            }
            1 => {
                let times = usize::from(script.byte()).min(REPEAT_MAX);
                let bytes = Bytes::copy_from_slice(script.bytes());
                for _ in 0..times {
                    self.hear(bytes.clone());
                }
            }
            2 | 3 => self.answer(script),
            4 => self.welcome(script),
            5 => self.event(script),
            6 => {
                let xid = [XID_AUTH, XID_PING, XID_SET_WATCHES, 0][usize::from(script.byte() % 4)];
                let outcome = outcome(script.byte());
                self.reply(xid, outcome, &[]);
            }
            7 => {
                if self.link == Link::Dialing {
                    self.link = Link::Up(0);
                    self.core.connected(self.now);
                }
            }
            8 => self.disconnect(),
            9 => {
                self.now += Duration::from_millis(u64::from(script.byte()) * 50);
                self.core.tick(self.now);
            }
            10 => self.tick_when_due(),
            11 | 12 => {
                let byte = script.byte();
                let (path, watch) = (format!("/{}", byte % 8), byte & 8 != 0);
                let request = match byte >> 6 {
                    0 => Request::GetData(GetDataRequest { path, watch }),
                    1 => Request::Exists(ExistsRequest { path, watch }),
                    2 => Request::GetChildren2(GetChildrenRequest { path, watch }),
                    // One byte says both: whether a read watches, and what a watch that stays is like.
                    _ => Request::AddWatch(AddWatchRequest { path, mode: i32::from(watch) }),
                };
                self.submit(request, byte & 16 != 0);
            }
            13 => {
                let byte = script.byte();
                self.write(usize::from(byte) * 40, byte & 1 != 0);
            }
            14 => {
                // Any request at all, as its bytes have it.
                let op = OpCode::ALL[usize::from(script.byte()) % OpCode::ALL.len()];
                let body = Bytes::copy_from_slice(script.bytes());
                if let Ok(request) = Request::decode(op.code(), body)
                    && !matches!(
                        request,
                        Request::SetData(_) | Request::CloseSession | Request::SetWatches(_)
                    )
                {
                    self.submit(request, false);
                }
            }
            15 => {
                let auth = Bytes::copy_from_slice(&[script.byte() % 4]).into();
                let scheme = "digest".to_owned();
                self.submit(Request::Auth(AuthPacket { auth_type: 0, scheme, auth }), false);
            }
            16 => {
                let pick = script.byte();
                if let Some(op) = self.pick(pick)
                    && self.core.cancel(op)
                {
                    assert!(!self.ended.contains(&op) && self.cancelled.insert(op), "{op:?} cancelled twice");
                    self.put_down(op);
                }
            }
            17 => {
                let pick = script.byte();
                if let Some(op) = self.pick(pick) {
                    self.core.forget(op);
                    self.watching.remove(&op);
                }
            }
            18 => {
                let enough = usize::from(script.byte()) * 16;
                self.transmit(enough);
            }
            _ => match script.byte() {
                0 => self.core.close(self.now),
                declared => {
                    if matches!(self.link, Link::Up(_)) {
                        self.core.oversized(self.now, usize::from(declared) << 20);
                    }
                }
            },
        }
        self.look();
    }

    fn pick(&self, at: u8) -> Option<OpId> {
        let at = usize::from(at) % self.asked.len().max(1);
        self.asked.keys().nth_back(at).copied()
    }

    fn submit(&mut self, request: Request, pinned: bool) -> OpId {
        let asked = Asked {
            write: opcode(&request).is_write(),
            auth: matches!(request, Request::Auth(_)),
            bytes: zk_client::core::units(&request) * 1024,
        };
        let pin = if pinned { self.core.session().map(|info| info.id) } else { None };
        let op = self.core.submit(self.now, request, pin);
        self.open.insert(op);
        self.open_bytes += asked.bytes;
        assert!(self.asked.insert(op, asked).is_none(), "{op:?} was given out twice");
        op
    }

    fn write(&mut self, bytes: usize, pinned: bool) {
        let mut data = self.writes.to_be_bytes().to_vec();
        self.writes += 1;
        data.resize(8 + bytes, 0);
        let data = Some(data.into());
        let op =
            self.submit(Request::SetData(SetDataRequest { path: "/w".into(), data, version: -1 }), pinned);
        self.number.insert(op, self.writes - 1);
    }

    fn hear(&mut self, bytes: Bytes) {
        if matches!(self.link, Link::Up(_)) {
            self.core.received(self.now, bytes);
            self.look();
        }
    }

    fn reply(&mut self, xid: i32, outcome: Result<(), ErrorCode>, body: &[u8]) {
        self.zxid += 1;
        let mut out = BytesMut::new();
        ReplyHeader { xid, zxid: Zxid(self.zxid), outcome }.encode(&mut out);
        out.extend_from_slice(body);
        self.hear(out.freeze());
    }

    /// Answers the oldest request of the connection.
    fn answer(&mut self, script: &mut Script<'_>) {
        if let Some(xid) = self.unanswered.pop_front() {
            let outcome = outcome(script.byte());
            let body = script.bytes();
            self.reply(xid, outcome, body);
        }
    }

    fn welcome(&mut self, script: &mut Script<'_>) {
        let byte = script.byte();
        let timeout_ms = [-1, 0, 400, 6_000, 30_000, i32::MAX][usize::from(byte & 7).min(5)];
        let id = match (byte >> 3) & 3 {
            // What it asked for, most of the time.
            0 | 1 => self.core.session().map_or(SessionId(7), |info| info.id),
            2 => SessionId(i64::from(script.byte())),
            _ => SessionId::NONE,
        };
        let read_only = match byte >> 6 {
            0 => ReadOnlyFlag::Absent,
            flag => ReadOnlyFlag::Present(flag == 3),
        };
        let password = Password([byte; 16]);
        let response =
            ConnectResponse { protocol_version: 0, timeout_ms, session_id: id, password, read_only };
        self.hear(response.to_bytes());
    }

    fn event(&mut self, script: &mut Script<'_>) {
        let byte = script.byte();
        let types = [
            EventType::NodeCreated,
            EventType::NodeDeleted,
            EventType::NodeDataChanged,
            EventType::NodeChildrenChanged,
        ];
        let event = WatcherEvent {
            event_type: types[usize::from(byte >> 6)],
            state: KeeperState::SyncConnected,
            path: format!("/{}", byte % 8),
        };
        self.reply(XID_NOTIFICATION, Ok(()), &event.to_bytes());
    }

    fn disconnect(&mut self) {
        if self.link != Link::Down {
            self.link = Link::Down;
            self.core.disconnected(self.now);
            self.look();
        }
    }

    /// Time goes on to the core's own deadline, and must then go on beyond it.
    fn tick_when_due(&mut self) {
        let Some(due) = self.core.deadline() else { return };
        self.now = self.now.max(due);
        // A close tries one server after the other, without a rest between them.
        for _ in 0..=2 * HOSTS_MAX {
            self.core.tick(self.now);
            self.look();
            self.transmit(usize::MAX);
            self.look();
            if self.core.deadline().is_none_or(|next| next > self.now) {
                return;
            }
        }
        panic!("it would spin at {:?}", self.now);
    }

    fn transmit(&mut self, enough: usize) {
        let Link::Up(mut frames) = self.link else { return };
        let mut out = BytesMut::new();
        if self.core.wants_transmit() {
            self.core.transmit(self.now, &mut out, enough);
        }
        while let Some(frame) = frame::take(&mut out, 1 << 20).expect("its own prefix") {
            frames += 1;
            if frames == 1 {
                assert_eq!(frame.len(), 45, "16 bytes of password and the read-only byte");
                ConnectRequest::from_bytes(frame).expect("its own handshake");
                continue;
            }
            let mut reader = Reader::new(frame);
            let header: RequestHeader = reader.read().expect("its own header");
            if header.xid > 0 {
                self.unanswered.push_back(header.xid);
            }
            let body = reader.take_rest();
            if header.op == OpCode::SetData.code() {
                let Ok(Request::SetData(r)) = Request::decode(header.op, body) else {
                    panic!("its own write")
                };
                let data = r.data.expect("data");
                let number = u64::from_be_bytes(data[..8].try_into().expect("8 bytes"));
                assert!(self.sent.insert(number), "write {number} was sent twice");
            }
        }
        assert!(out.is_empty(), "half a frame");
        self.link = Link::Up(frames);
    }

    fn look(&mut self) {
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Connect { host } => {
                    assert!(self.link == Link::Down && host < 4 && !self.stopped);
                    self.link = Link::Dialing;
                    self.unanswered.clear();
                }
                Output::Disconnect { .. } => {
                    assert_ne!(self.link, Link::Down, "there is nothing to drop");
                    self.link = Link::Down;
                }
                Output::Complete(completion) => self.ended(&completion),
                Output::State(SessionState::Connected(_)) => assert!(matches!(self.link, Link::Up(_))),
                Output::Stopped => assert!(!std::mem::replace(&mut self.stopped, true), "stopped twice"),
                other => self.watched(other),
            }
        }
        assert_eq!(self.stopped, self.core.is_over());
        if let Some((_, until)) = self.core.session_deadline() {
            let timeout = self.core.session().expect("a deadline has a session").timeout;
            assert!(until <= self.now + timeout, "a promise about the future");
        }
        self.weigh();
    }

    fn watched(&mut self, output: Output) {
        match output {
            Output::Event { watches, streams, .. } => {
                assert!(streams.iter().all(|stream| self.watching.contains(stream)));
                for watch in watches {
                    assert!(self.watching.remove(&watch), "{watch:?} heard what it did not wait for");
                }
            }
            Output::Resync { streams } => {
                assert!(streams.iter().all(|stream| self.watching.contains(stream)));
            }
            Output::WatchesLost { watches, .. } => {
                for watch in watches {
                    assert!(self.watching.remove(&watch), "{watch:?} was lost, and was not there");
                }
            }
            _ => {}
        }
    }

    fn ended(&mut self, completion: &Completion) {
        let op = completion.op;
        let asked = self.asked.get(&op).expect("an end without a beginning");
        assert!(self.ended.insert(op), "{op:?} ended twice");
        assert!(!self.cancelled.contains(&op), "{op:?} was cancelled");
        let answered = matches!(&completion.result, Ok(_) | Err(Failure::Refused { .. }));
        if answered && !asked.auth {
            assert!(self.last_answered < Some(op), "{op:?} after {:?}", self.last_answered);
            self.last_answered = Some(op);
        }
        if let Some(number) = self.number.get(&op) {
            let sent = self.sent.contains(number);
            match &completion.result {
                Ok(_) | Err(Failure::Refused { .. } | Failure::ConnectionLoss) => {
                    assert!(asked.write && sent, "{op:?} was not sent: {completion:?}");
                }
                Err(
                    Failure::SessionExpired { sent: said }
                    | Failure::Closed { sent: said }
                    | Failure::AuthFailed { sent: said },
                ) => assert!(*said || !sent, "{op:?} was sent: {completion:?}"),
                Err(Failure::FrameTooLarge { reply, .. }) => assert_eq!(*reply, sent, "{op:?}"),
                Err(_) => {}
            }
        }
        self.put_down(op);
        if completion.watching {
            assert!(self.watching.insert(op));
        }
    }

    /// It weighs nothing any more.
    fn put_down(&mut self, op: OpId) {
        if self.open.remove(&op) {
            self.open_bytes -= self.asked.get(&op).map_or(0, |asked| asked.bytes);
        }
    }

    /// What is held is in proportion to what was asked and is not over.
    fn weigh(&self) {
        let (count, bytes) = (self.open.len() + self.watching.len(), self.open_bytes);
        // What this very model remembers grows with the script.
        let model = 64 * self.script_bytes + 512 * self.asked.len();
        let most = HELD_ALWAYS + HELD_EACH * count + 2 * bytes + model;
        let held = heap::held().saturating_sub(self.heap_before);
        assert!(held <= most, "{held} bytes are held for {count} operations and watches of {bytes} bytes");
    }

    fn end(&mut self) {
        self.core.close(self.now);
        self.look();
        let mut turns = 0;
        while !self.core.is_over() {
            turns += 1;
            assert!(turns < 100, "it does not come to an end");
            self.tick_when_due();
        }
        assert_eq!(self.core.deadline(), None);
        let late = self.submit(Request::WhoAmI, false);
        self.look();
        assert!(self.ended.contains(&late), "nobody ends it any more");
        for op in self.asked.keys() {
            assert!(self.ended.contains(op) != self.cancelled.contains(op), "{op:?} has not ended");
        }
        assert!(self.watching.is_empty(), "{:?} wait for ever", self.watching);
    }
}

fn outcome(byte: u8) -> Result<(), ErrorCode> {
    match byte % 4 {
        0 | 1 => Ok(()),
        2 => Err(ErrorCode::NoNode),
        _ => Err(ErrorCode::NoAuth),
    }
}
