//! One client process: the production session core with its connection, and what goes in and out of it noted.
//! What it does is the workload's; what the bytes mean is the core's.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use zk_client::core::{Completion, Config, Core, OpId, Output, Request};
use zk_client::{SessionId, SessionState};
use zk_proto::connect::ConnectResponse;
use zk_proto::header::{ReplyHeader, RequestHeader, XID_NOTIFICATION};
use zk_proto::limits::FRAME_BYTES_DEFAULT;
use zk_proto::{Decode as _, Reader, WatcherEvent, frame};

use super::history::{Answer, Call, End, Established, Heard, Notice, Operation, Who};
use super::kernel::Kernel;
use super::network::{self, LinkId, Network};
use super::options::Options;
use super::world::Event;

/// Something the application hears.
#[derive(Debug)]
pub(super) enum Told {
    /// An operation has ended; its end is in the history.
    Ended(OpId),
    /// Watches fired.
    Fired(Vec<OpId>),
    /// The session's state changed.
    State(SessionState),
    /// The core has ended.
    Stopped,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) who: Who,
    pub(super) slot: usize,
    pub(super) core: Core,
    link: Option<LinkId>,
    /// Whether the handshake's answer has arrived on the connection, and for which session.
    session: Option<SessionId>,
    sessions: BTreeMap<SessionId, u64>,
    input: BytesMut,
    flying: VecDeque<usize>,
    answered: Option<usize>,
    tick_at: Option<Duration>,
    /// No new work is begun.
    pub(super) winding_down: bool,
    pub(super) told: VecDeque<Told>,
}

impl Client {
    pub(super) fn new(k: &mut Kernel, who: Who, slot: usize, options: &Options) -> Self {
        let config = Config { session_timeout: options.timeout, ..Config::default() };
        let core = Core::new(config, k.draw.bits());
        Self {
            who,
            slot,
            core,
            link: None,
            session: None,
            sessions: BTreeMap::new(),
            input: BytesMut::new(),
            flying: VecDeque::new(),
            answered: None,
            tick_at: None,
            winding_down: false,
            told: VecDeque::new(),
        }
    }

    /// Submits an operation, in a given session or in whichever there is.
    pub(super) fn submit(&mut self, k: &mut Kernel, request: Request, pin: Option<SessionId>) -> OpId {
        let kept = request.clone();
        let op = self.core.submit(k.now, request, pin);
        k.note(format_args!("c{} op {} {kept:?}", self.who, op.0));
        let operation = Operation { who: self.who, request: kept, end: None };
        k.history.operations.insert((self.who, op), operation);
        op
    }

    /// Nobody waits for a watch any more.
    pub(super) fn forget(&mut self, k: &mut Kernel, watch: OpId) {
        self.core.forget(watch);
        let order = k.history.order();
        k.history.forgotten.insert((self.who, watch), order);
    }

    /// Lets the core act on whatever has changed, and sends what it has to send.
    pub(super) fn drive(&mut self, k: &mut Kernel, network: &mut Network) {
        loop {
            while let Some(output) = self.core.poll_output() {
                self.carry_out(k, network, output);
            }
            let Some(link) = self.link.filter(|_| self.core.wants_transmit()) else { break };
            let mut out = BytesMut::new();
            self.core.transmit(k.now, &mut out, FRAME_BYTES_DEFAULT);
            let out = out.freeze();
            self.note_sent(k, link, out.clone());
            network.send(k, link, network::End::Client, out);
        }
        if let Some(deadline) = self.core.deadline()
            && self.tick_at.is_none_or(|at| at > deadline || at <= k.now)
        {
            self.tick_at = Some(deadline);
            k.at(deadline, Event::Tick { slot: self.slot });
        }
    }

    pub(super) fn tick(&mut self, k: &mut Kernel, network: &mut Network) {
        self.tick_at = None;
        self.core.tick(k.now);
        self.drive(k, network);
    }

    pub(super) fn dialled(&mut self, k: &mut Kernel, network: &mut Network, link: LinkId, taken: bool) {
        if self.link != Some(link) {
            return;
        }
        if taken {
            self.core.connected(k.now);
        } else {
            self.link = None;
            self.core.disconnected(k.now);
        }
        self.drive(k, network);
    }

    pub(super) fn lost(&mut self, k: &mut Kernel, network: &mut Network, link: LinkId) {
        if self.link == Some(link) {
            k.note(format_args!("c{} lost link {link}", self.who));
            self.unlink();
            self.core.disconnected(k.now);
            self.drive(k, network);
        }
    }

    /// Bytes of the server have arrived.
    pub(super) fn read(&mut self, k: &mut Kernel, network: &mut Network, link: LinkId, bytes: &[u8]) {
        if self.link != Some(link) {
            return;
        }
        self.input.extend_from_slice(bytes);
        while self.link == Some(link) {
            let Ok(Some(frame)) = frame::take(&mut self.input, FRAME_BYTES_DEFAULT) else { break };
            self.note_received(k, link, frame.clone());
            self.core.received(k.now, frame);
            while let Some(output) = self.core.poll_output() {
                self.carry_out(k, network, output);
            }
            self.answered = None;
        }
        self.drive(k, network);
    }

    fn unlink(&mut self) {
        self.link = None;
        self.session = None;
        self.input.clear();
        self.flying.clear();
    }

    fn carry_out(&mut self, k: &mut Kernel, network: &mut Network, output: Output) {
        match output {
            Output::Connect { .. } => self.link = Some(network.dial(k, self.slot)),
            Output::Disconnect { why } => {
                k.note(format_args!("c{} drops its connection: {why}", self.who));
                if let Some(link) = self.link {
                    network.close(k, link, network::End::Client);
                }
                self.unlink();
            }
            Output::Complete(completion) => self.complete(k, completion),
            Output::Event { watches, event, .. } => {
                k.note(format_args!("c{} event {event:?} for {watches:?}", self.who));
                k.counters.events += watches.len() as u64;
                k.counters.catch_ups += u64::from(event.zxid.is_none());
                let order = k.history.order();
                k.history.heard.push((order, self.who, Heard::Fired(watches.clone(), event)));
                self.told.push_back(Told::Fired(watches));
            }
            Output::WatchesLost { .. } => {
                let order = k.history.order();
                k.history.heard.push((order, self.who, Heard::Lost));
            }
            Output::State(state) => {
                k.note(format_args!("c{} {state:?}", self.who));
                if let SessionState::Expired(session) = state {
                    k.counters.told_expired += 1;
                    let order = k.history.order();
                    k.history.told_expired.push((order, session));
                }
                self.told.push_back(Told::State(state));
            }
            Output::Stopped => self.told.push_back(Told::Stopped),
            other => k.violated("protocol", format!("an output the glue does not know: {other:?}")),
        }
    }

    fn complete(&mut self, k: &mut Kernel, completion: Completion) {
        let Completion { op, result, watching, .. } = completion;
        match &result {
            Ok(reply) => k.note(format_args!("c{} end {} ok {}", self.who, op.0, reply.zxid)),
            Err(failure) => k.note(format_args!("c{} end {} {failure:?}", self.who, op.0)),
        }
        let order = k.history.order();
        let end = End { order, result, watching, call: self.answered };
        match k.history.operations.get_mut(&(self.who, op)) {
            Some(operation) if operation.end.is_none() => {
                operation.end = Some(end);
                self.told.push_back(Told::Ended(op));
            }
            _ => k.violated("completion", format!("operation {op:?} of client {} ends twice", self.who)),
        }
    }

    /// Notes every request in the bytes that leave.
    fn note_sent(&mut self, k: &mut Kernel, link: LinkId, bytes: Bytes) {
        let mut bytes = BytesMut::from(bytes);
        while let Ok(Some(frame)) = frame::take(&mut bytes, FRAME_BYTES_DEFAULT) {
            // Before the session stands there is only the handshake.
            let Some(session) = self.session else { continue };
            let mut reader = Reader::new(frame);
            let Ok(RequestHeader { xid, op }) = reader.read() else { continue };
            if xid <= 0 {
                k.note(format_args!("c{} sends xid={xid}", self.who));
                continue;
            }
            let Ok(request) = Request::decode(op, reader.take_rest()) else {
                k.violated("protocol", format!("client {} sends what is no request", self.who));
                continue;
            };
            k.note(format_args!("c{} sends xid={xid} {:?}", self.who, zk_client::core::opcode(&request)));
            let order = k.history.order();
            self.flying.push_back(k.history.calls.len());
            let call = Call { who: self.who, session, link, xid, request, order, answer: None };
            k.history.calls.push(call);
        }
    }

    fn note_received(&mut self, k: &mut Kernel, link: LinkId, frame: Bytes) {
        if self.session.is_none() {
            return self.note_greeting(k, link, frame);
        }
        let mut reader = Reader::new(frame);
        let Ok(header) = reader.read::<ReplyHeader>() else {
            return k.violated("protocol", "a frame of the server has no header".to_owned());
        };
        k.history.seen = k.history.seen.max(header.zxid);
        let order = k.history.order();
        k.note(format_args!("c{} gets xid={} {} {:?}", self.who, header.xid, header.zxid, header.outcome));
        if header.xid == XID_NOTIFICATION {
            let Ok(event) = reader.read::<WatcherEvent>() else {
                return k.violated("protocol", "an event of the server does not decode".to_owned());
            };
            let WatcherEvent { event_type, path, .. } = event;
            let zxid = header.zxid;
            return k.history.notices.push(Notice { link, order, zxid, event_type, path });
        }
        if header.xid <= 0 {
            return;
        }
        let due = self.flying.pop_front();
        let Some(call) = due.and_then(|due| k.history.calls.get_mut(due)).filter(|c| c.xid == header.xid)
        else {
            let why = format!("client {} gets the reply to xid {} out of order", self.who, header.xid);
            return k.violated("fifo", why);
        };
        let body = reader.take_rest();
        call.answer = Some(Answer { order, zxid: header.zxid, outcome: header.outcome, body });
        self.answered = due;
    }

    fn note_greeting(&mut self, k: &mut Kernel, link: LinkId, frame: Bytes) {
        let Ok(greeting) = ConnectResponse::from_bytes(frame) else {
            return k.violated("protocol", "a handshake of the server does not decode".to_owned());
        };
        k.note(format_args!(
            "c{} greeted on link {link}: {} {} ms",
            self.who, greeting.session_id, greeting.timeout_ms
        ));
        if greeting.timeout_ms == 0 {
            return;
        }
        let session = greeting.session_id;
        self.session = Some(session);
        let times = self.sessions.entry(session).or_insert(0);
        *times += 1;
        let again = *times > 1;
        k.counters.resumed += u64::from(again);
        let order = k.history.order();
        k.history.established.push(Established { who: self.who, order, again });
    }
}
