//! Everything outside of the processes: the events of network and server in virtual time, what has arrived for each
//! client, and the faults that wait for a chosen frame. Shared by the conductor and the processes' connections, which
//! never run at the same time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use zk_proto::connect::ConnectRequest;
use zk_proto::header::RequestHeader;
use zk_proto::jute::{Decode as _, Reader};
use zk_proto::limits::FRAME_BYTES_DEFAULT;
use zk_proto::{OpCode, Request, frame};

use super::conditions::Conditions;
use crate::sim::Draw;
use crate::sim::kernel::Kernel;
use crate::sim::network::{End, LinkId, Network};
use crate::sim::server::Server;
use crate::sim::world::Event;

/// Characters of a request in the trace.
const SHOWN_CHARS: usize = 220;

/// What arrives at a client's end, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The server has taken the connection, or nobody listens.
    Dialled(bool),
    Bytes(Bytes),
    /// The connection is gone.
    Gone,
}

/// A client's end of a connection.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pub(super) slot: usize,
    pub(super) arrivals: VecDeque<(Duration, Arrival)>,
    pub(super) reader: Option<Waker>,
    /// Sent, but not a whole frame yet.
    unframed: BytesMut,
    greeted: bool,
    /// A fault has cut it: what is sent from now on is lost.
    cut: bool,
}

/// A fault that waits for a process's next write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    Request,
    Reply,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) k: Kernel,
    pub(super) network: Network,
    pub(super) server: Server,
    /// For the conductor's faults: the kernel's chance is that of network and server.
    pub(super) draw: Draw,
    pub(super) inboxes: BTreeMap<LinkId, Inbox>,
    pub(super) losses: BTreeMap<usize, Loss>,
    pub(super) frames: u64,
    pub(super) lost_requests: u64,
    pub(super) lost_replies: u64,
}

/// The stage, as everybody holds it.
#[derive(Debug, Clone)]
pub(super) struct Shared(Arc<Mutex<Stage>>);

impl Shared {
    pub(super) fn new(conditions: &Conditions) -> Self {
        let options = &conditions.server;
        let mut k = Kernel::new(conditions.seed);
        let mut server = Server::new(options);
        server.start(&mut k);
        Self(Arc::new(Mutex::new(Stage {
            network: Network::new(options.delay, options.pieces),
            server,
            draw: Draw::new(conditions.seed.wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ 3),
            k,
            inboxes: BTreeMap::new(),
            losses: BTreeMap::new(),
            frames: 0,
            lost_requests: 0,
            lost_replies: 0,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage {
    /// Lets happen what is due before `until`. What a client is to see is put into its inbox.
    pub(super) fn run_until(&mut self, from: Duration, until: Duration) {
        while self.k.due().is_some_and(|due| due < until) {
            let Some((sequence, event)) = self.k.take() else { return };
            self.k.now = self.k.now.max(from);
            match self.blocked(&event) {
                Some(later) => self.k.postpone(later, sequence, event),
                None => self.step(event),
            }
        }
        self.k.now = until;
    }

    /// Until when an event has to wait, because nothing passes on its connection.
    fn blocked(&self, event: &Event) -> Option<Duration> {
        let (link, end) = match event {
            Event::Deliver { link, to, .. } => (*link, *to),
            Event::Learn { link, end } => (*link, *end),
            Event::Dialled { link } => (*link, End::Client),
            _ => return None,
        };
        self.network.blocked(link, end, self.k.now)
    }

    fn step(&mut self, event: Event) {
        let Self { k, network, server, .. } = self;
        match event {
            Event::Deliver { link, to, bytes } => {
                if network.arrives(k, link, to) {
                    match to {
                        End::Server => server.read(k, network, link, &bytes),
                        End::Client => self.arrived(link, Arrival::Bytes(bytes)),
                    }
                }
            }
            Event::Learn { link, end } => match (end, network.learned(link, end)) {
                (End::Server, Some(_)) => server.gone(k, link),
                (End::Client, Some(_)) => self.arrived(link, Arrival::Gone),
                _ => {}
            },
            Event::Dialled { link } => {
                if network.slot_if_up(link, End::Client).is_none() {
                    return;
                }
                let taken = server.accept(k, link);
                if taken {
                    network.accepted(link);
                } else {
                    network.learned(link, End::Client);
                }
                self.arrived(link, Arrival::Dialled(taken));
            }
            Event::Server { life, turn } => server.turn(k, network, life, &turn),
            Event::Start => server.start(k),
            // The simulation's own.
            Event::Tick { .. }
            | Event::Look { .. }
            | Event::Act { .. }
            | Event::Begin { .. }
            | Event::Last { .. }
            | Event::Fault
            | Event::Heal
            | Event::Finish => {}
        }
    }

    fn arrived(&mut self, link: LinkId, arrival: Arrival) {
        let now = self.k.now;
        if let Some(inbox) = self.inboxes.get_mut(&link) {
            inbox.arrivals.push_back((now, arrival));
            if let Some(reader) = inbox.reader.take() {
                reader.wake();
            }
        }
    }

    /// A process begins to open a connection.
    pub(super) fn dial(&mut self, now: Duration, slot: usize) -> LinkId {
        self.k.now = now;
        let link = self.network.dial(&mut self.k, slot);
        self.inboxes.insert(link, Inbox { slot, ..Inbox::default() });
        link
    }

    /// A process gives a connection up.
    pub(super) fn hang_up(&mut self, now: Duration, link: LinkId) {
        self.k.now = now;
        self.inboxes.remove(&link);
        self.network.close(&mut self.k, link, End::Client);
    }

    /// A process has written bytes. They leave as whole frames.
    pub(super) fn send(&mut self, now: Duration, link: LinkId, bytes: &[u8]) {
        self.k.now = now;
        let Some(inbox) = self.inboxes.get_mut(&link) else { return };
        inbox.unframed.extend_from_slice(bytes);
        loop {
            let Some(inbox) = self.inboxes.get_mut(&link) else { return };
            // The client's own frames are within the limit.
            let Ok(Some(body)) = frame::take(&mut inbox.unframed, FRAME_BYTES_DEFAULT) else { return };
            let first = !std::mem::replace(&mut inbox.greeted, true);
            self.send_frame(link, &body, first);
        }
    }

    fn send_frame(&mut self, link: LinkId, body: &Bytes, first: bool) {
        let Some(inbox) = self.inboxes.get_mut(&link) else { return };
        let slot = inbox.slot;
        if inbox.cut {
            return;
        }
        let (shown, write) = describe(body, first);
        let loss = if write { self.losses.remove(&slot) } else { None };
        self.frames += 1;
        let mark = match loss {
            None => "",
            Some(Loss::Request) => " (request lost)",
            Some(Loss::Reply) => " (reply lost)",
        };
        self.k.note(format_args!("p{slot} link {link} > {shown}{mark}"));
        if loss != Some(Loss::Request) {
            let mut framed = BytesMut::with_capacity(frame::PREFIX_BYTES + body.len());
            frame::put(&mut framed, |out| out.extend_from_slice(body));
            self.network.send(&mut self.k, link, End::Client, framed.freeze());
        }
        if let Some(loss) = loss {
            if let Some(inbox) = self.inboxes.get_mut(&link) {
                inbox.cut = true;
            }
            match loss {
                Loss::Request => self.lost_requests += 1,
                Loss::Reply => self.lost_replies += 1,
            }
            self.network.cut_behind(&mut self.k, link);
        }
    }
}

/// What a frame asks, for the trace, and whether it writes.
fn describe(body: &Bytes, first: bool) -> (String, bool) {
    if first {
        let shown = match ConnectRequest::from_bytes(body.clone()) {
            Ok(request) => format!("connect {} seen {}", request.session_id, request.last_zxid_seen),
            Err(why) => format!("connect? {why}"),
        };
        return (shown, false);
    }
    let mut reader = Reader::new(body.clone());
    let Ok(RequestHeader { xid, op }) = reader.read() else { return ("no request".to_owned(), false) };
    let write = OpCode::from_code(op).is_some_and(OpCode::is_write);
    let mut shown = match Request::decode(op, reader.take_rest()) {
        Ok(request) => format!("{xid} {request:?}"),
        Err(why) => format!("{xid} op {op}: {why}"),
    };
    if let Some((at, _)) = shown.char_indices().nth(SHOWN_CHARS) {
        shown.truncate(at);
    }
    (shown, write)
}
