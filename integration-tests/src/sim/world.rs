//! The loop: one server and three clients in one thread, driven by an ordered queue of events. First faults
//! happen while clients work; then all is healed, and every client must get its last write and read answered.

use std::time::Duration;

use bytes::Bytes;
use zk_client::core::{Failure, OpId, Request};
use zk_client::{Acl, CreateMode};
use zk_proto::Decode as _;
use zk_proto::ops::create::{Create2Response, CreateRequest, CreateResponse};
use zk_proto::ops::data::GetDataRequest;

use super::client::{Client, Told};
use super::contender::Contender;
use super::faults::{self, Fault};
use super::history::Who;
use super::kernel::Kernel;
use super::network::{End, LinkId, Network};
use super::options::Options;
use super::oracle;
use super::report::Report;
use super::server::{Down, Server, Turn};
use super::workload::Workload;

/// Clients at work side by side.
const CLIENTS: usize = 3;
/// Steps after which a simulation is taken to stand still.
const STEPS_MAX: u64 = 2_000_000;
/// Time after the healing, besides six session timeouts, within which everybody must have been served. A
/// partition may last for three timeouts.
const SERVED_WITHIN: Duration = Duration::from_secs(10);
/// Pauses between two attempts at the lock, in pauses between operations.
const LOCK_PAUSE: u32 = 4;
/// Wait before a last write or read that failed is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
/// Operations sent at once, at most.
const BURST: u64 = 4;

/// Something that happens at a time.
#[derive(Debug)]
pub(crate) enum Event {
    /// Bytes arrive at an end of a connection.
    Deliver { link: LinkId, to: End, bytes: Bytes },
    /// An end learns that its connection is gone.
    Learn { link: LinkId, end: End },
    /// An attempt to connect reaches the server.
    Dialled { link: LinkId },
    /// A client's core wants a look at the clock.
    Tick { slot: usize },
    /// A contender wants a look at the clock.
    Look { slot: usize },
    /// A client's application does something.
    Act { slot: usize },
    /// A client process begins in place of one that has ended.
    Begin { slot: usize },
    /// A client tries its last write.
    Last { slot: usize },
    /// A thread of the server has its turn.
    Server { life: u64, turn: Turn },
    /// The server comes up.
    Start,
    /// Something goes wrong.
    Fault,
    /// All faults end.
    Heal,
    /// Everybody must have been served by now.
    Finish,
}

/// A client's place.
#[derive(Debug)]
struct Slot {
    client: Client,
    workload: Workload,
    contender: Contender,
    paused: Duration,
    last: Last,
}

/// How far a client is with its last write and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    NotYet,
    Writing(OpId),
    Reading(OpId),
    Done,
}

struct World {
    options: Options,
    network: Network,
    server: Server,
    slots: Vec<Slot>,
    next_who: Who,
    healed: bool,
    finished: bool,
}

/// Runs one simulation from beginning to end.
#[must_use]
pub fn run(options: &Options) -> Report {
    let mut k = Kernel::new(options.seed);
    let mut world = World {
        network: Network::new(options.delay, options.pieces),
        server: Server::new(options),
        slots: Vec::new(),
        next_who: 0,
        healed: false,
        finished: false,
        options: options.clone(),
    };
    world.begin(&mut k);
    while k.violation.is_none() && !world.finished {
        let Some((sequence, event)) = k.take() else { break };
        k.counters.steps += 1;
        if k.counters.steps > STEPS_MAX {
            k.violated("liveness", "the simulation stands still".to_owned());
        }
        if let Some(until) = world.not_now(&k, &event) {
            k.postpone(until, sequence, event);
        } else {
            world.step(&mut k, event);
        }
    }
    if k.violation.is_none() {
        world.check(&mut k);
    }
    k.counters.virtual_ms = u64::try_from(k.now.as_millis()).unwrap_or(0);
    let Kernel { violation, trace, counters, .. } = k;
    Report { options: options.clone(), violation, trace, counters }
}

impl World {
    fn begin(&mut self, k: &mut Kernel) {
        self.server.start(k);
        for slot in 0..CLIENTS {
            let client = self.new_client(k, slot);
            let contender = Contender::new(k, self.options.act * LOCK_PAUSE);
            let workload = Workload::default();
            let slot = Slot { client, workload, contender, paused: Duration::ZERO, last: Last::NotYet };
            self.slots.push(slot);
        }
        for slot in 0..CLIENTS {
            self.drive(k, slot);
            k.at(Duration::ZERO, Event::Act { slot });
            k.at(Duration::ZERO, Event::Look { slot });
        }
        let first = faults::wait(&mut k.draw, &self.options);
        k.at(first, Event::Fault);
        k.at(self.options.faulty, Event::Heal);
    }

    fn new_client(&mut self, k: &mut Kernel, slot: usize) -> Client {
        self.next_who += 1;
        Client::new(k, self.next_who, slot, &self.options)
    }

    /// Until when an event has to wait, because nothing passes on its connection or its process stands still.
    fn not_now(&mut self, k: &Kernel, event: &Event) -> Option<Duration> {
        let paused = |slot: usize| self.slots.get(slot).map(|s| s.paused).filter(|until| *until > k.now);
        let (link, end) = match event {
            Event::Deliver { link, to, .. } => (*link, *to),
            Event::Learn { link, end } => (*link, *end),
            Event::Dialled { link } => (*link, End::Client),
            Event::Tick { slot } | Event::Look { slot } | Event::Act { slot } => return paused(*slot),
            _ => return None,
        };
        match (self.network.blocked(link, end, k.now), end) {
            (Some(until), _) => Some(until),
            (None, End::Server) => None,
            (None, End::Client) => paused(self.network.slot(link)?),
        }
    }

    fn step(&mut self, k: &mut Kernel, event: Event) {
        match event {
            Event::Deliver { link, to, bytes } => {
                if !self.network.arrives(k, link, to) {
                    return;
                }
                match (to, self.network.slot(link)) {
                    (End::Server, _) => self.server.read(k, &mut self.network, link, &bytes),
                    (End::Client, Some(slot)) => {
                        self.with(k, slot, |client, k, network| client.read(k, network, link, &bytes));
                    }
                    _ => {}
                }
            }
            Event::Learn { link, end } => match (end, self.network.learned(link, end)) {
                (End::Server, Some(_)) => self.server.gone(k, link),
                (End::Client, Some(slot)) => {
                    self.with(k, slot, |client, k, network| client.lost(k, network, link));
                }
                _ => {}
            },
            Event::Dialled { link } => {
                let Some(slot) = self.network.slot_if_up(link, End::Client) else { return };
                let taken = self.server.accept(k, link);
                if taken {
                    self.network.accepted(link);
                } else {
                    self.network.learned(link, End::Client);
                }
                self.with(k, slot, |client, k, network| client.dialled(k, network, link, taken));
            }
            Event::Tick { slot } => self.with(k, slot, Client::tick),
            Event::Look { slot } => self.look(k, slot),
            Event::Act { slot } => self.act(k, slot),
            Event::Begin { slot } => {
                let client = self.new_client(k, slot);
                let contender = Contender::new(k, self.options.act * LOCK_PAUSE);
                if let Some(place) = self.slots.get_mut(slot) {
                    (place.client, place.contender) = (client, contender);
                    if self.healed {
                        place.client.winding_down = true;
                        place.contender.wind_down();
                    }
                }
                self.drive(k, slot);
                k.after(Duration::ZERO, Event::Look { slot });
                k.after(Duration::ZERO, Event::Last { slot });
            }
            Event::Last { slot } => self.begin_last(k, slot),
            Event::Server { life, turn } => self.server.turn(k, &mut self.network, life, &turn),
            Event::Start => self.server.start(k),
            Event::Fault => self.fault(k),
            Event::Heal => self.heal(k),
            Event::Finish => self.finished = true,
        }
    }

    fn with(&mut self, k: &mut Kernel, slot: usize, f: impl FnOnce(&mut Client, &mut Kernel, &mut Network)) {
        if let Some(place) = self.slots.get_mut(slot) {
            f(&mut place.client, k, &mut self.network);
            self.hear(k, slot);
        }
    }

    fn drive(&mut self, k: &mut Kernel, slot: usize) {
        self.with(k, slot, Client::drive);
    }

    /// The application takes in what its client tells it.
    fn hear(&mut self, k: &mut Kernel, slot: usize) {
        while let Some(told) = self.slots.get_mut(slot).and_then(|place| place.client.told.pop_front()) {
            match told {
                Told::Ended(op) => {
                    self.with_contender(k, slot, |c, k, client| c.ended(k, client, op));
                    self.ended(k, slot, op);
                }
                Told::Stopped => {
                    let wait = k.draw.mostly_short(Duration::from_secs(1));
                    k.after(wait, Event::Begin { slot });
                }
                Told::Fired(ops) => self.with_contender(k, slot, |c, k, client| c.fired(k, client, &ops)),
                Told::State(state) => self.with_contender(k, slot, |c, k, client| c.state(k, client, state)),
            }
        }
    }

    fn look(&mut self, k: &mut Kernel, slot: usize) {
        self.with_contender(k, slot, Contender::look);
        self.hear(k, slot);
    }

    fn with_contender(
        &mut self,
        k: &mut Kernel,
        slot: usize,
        f: impl FnOnce(&mut Contender, &mut Kernel, &mut Client),
    ) {
        if let Some(place) = self.slots.get_mut(slot) {
            f(&mut place.contender, k, &mut place.client);
            place.client.drive(k, &mut self.network);
        }
    }

    fn ended(&mut self, k: &mut Kernel, slot: usize, op: OpId) {
        let Some(place) = self.slots.get_mut(slot) else { return };
        let Some(operation) = k.history.operations.get(&(place.client.who, op)) else { return };
        let Some(end) = &operation.end else { return };
        if let Ok(reply) = &end.result {
            let body = reply.body.clone();
            let made = match &operation.request {
                Request::Create(_) => CreateResponse::from_bytes(body).ok().map(|r| r.path),
                Request::Create2(_) => Create2Response::from_bytes(body).ok().map(|r| r.path),
                _ => None,
            };
            if let Some(path) = made {
                place.workload.made(path);
            }
        }
        let done = matches!(end.result, Ok(_) | Err(Failure::Refused { .. }));
        place.last = match place.last {
            Last::Writing(writing) if writing == op && done => {
                let read = GetDataRequest { path: last_path(place.client.who), watch: false };
                Last::Reading(place.client.submit(k, Request::GetData(read), None))
            }
            Last::Reading(reading) if reading == op && done => Last::Done,
            Last::Writing(last) | Last::Reading(last) if last == op => {
                k.after(AGAIN_AFTER, Event::Last { slot });
                Last::NotYet
            }
            other => other,
        };
        place.client.drive(k, &mut self.network);
    }

    /// After the healing: the write that must be answered.
    fn begin_last(&mut self, k: &mut Kernel, slot: usize) {
        let Some(place) = self.slots.get_mut(slot).filter(|_| self.healed) else { return };
        if place.client.core.is_over() || place.last != Last::NotYet {
            return;
        }
        let create = CreateRequest {
            path: last_path(place.client.who),
            data: Some(Bytes::from_static(b"last")),
            acl: Acl::open(),
            flags: CreateMode::Persistent.flags(),
        };
        place.last = Last::Writing(place.client.submit(k, Request::Create2(create), None));
        self.drive(k, slot);
    }

    fn act(&mut self, k: &mut Kernel, slot: usize) {
        let Some(place) = self.slots.get_mut(slot).filter(|_| !self.healed) else { return };
        if !place.client.core.is_over() {
            let burst = if k.draw.chance(1, 3) { 1 + k.draw.below(BURST) } else { 1 };
            for _ in 0..burst {
                let request = place.workload.next(&mut k.draw, place.client.who);
                let session = place.client.core.session().map(|info| info.id);
                let pin = session.filter(|_| k.draw.chance(1, 4));
                place.client.submit(k, request, pin);
            }
            if k.draw.chance(1, 150) {
                k.note(format_args!("c{} closes", place.client.who));
                k.counters.closes += 1;
                place.client.core.close(k.now);
            }
            self.drive(k, slot);
        }
        let wait = k.draw.between(Duration::from_micros(100), self.options.act);
        k.after(wait, Event::Act { slot });
    }

    fn fault(&mut self, k: &mut Kernel) {
        if self.healed {
            return;
        }
        let fault = faults::draw(&mut k.draw, &self.options);
        k.note(format_args!("fault {fault:?}"));
        match fault {
            Some(Fault::Cut) => {
                if let Some(link) = self.network.any_open(k) {
                    self.network.cut(k, link);
                    k.counters.cuts += 1;
                }
            }
            Some(Fault::CutAll) => {
                while let Some(link) = self.network.any_open(k) {
                    self.network.cut(k, link);
                    k.counters.cuts += 1;
                }
            }
            Some(Fault::Partition) => {
                let until = k.now + faults::length(&mut k.draw, &self.options);
                self.network.block(k.draw.index(CLIENTS), until);
                k.counters.partitions += 1;
            }
            Some(Fault::Pause) => {
                let until = k.now + faults::length(&mut k.draw, &self.options);
                let slot = k.draw.index(CLIENTS);
                if let Some(place) = self.slots.get_mut(slot) {
                    place.paused = place.paused.max(until);
                }
                k.counters.pauses += 1;
            }
            Some(Fault::Power) if self.server.is_up() => {
                k.counters.crashes += 1;
                self.server.stop(k, &mut self.network, Down::Power);
            }
            Some(Fault::Kill) if self.server.is_up() => {
                k.counters.kills += 1;
                self.server.stop(k, &mut self.network, Down::Process);
            }
            Some(Fault::SyncFails) => self.server.fail_a_sync(k),
            _ => {}
        }
        let wait = faults::wait(&mut k.draw, &self.options);
        k.after(wait, Event::Fault);
    }

    /// No more faults. Partitions and pauses under way end by themselves; an end that did not learn of a cut
    /// still must find out.
    fn heal(&mut self, k: &mut Kernel) {
        k.note(format_args!("heal"));
        self.healed = true;
        self.server.heal();
        for slot in 0..CLIENTS {
            if let Some(place) = self.slots.get_mut(slot) {
                place.client.winding_down = true;
                place.contender.wind_down();
            }
            k.after(Duration::ZERO, Event::Last { slot });
        }
        k.after(SERVED_WITHIN + self.options.timeout * 6, Event::Finish);
    }

    /// Everything is over: liveness first, then every oracle over the whole history.
    fn check(&self, k: &mut Kernel) {
        for place in &self.slots {
            if place.last != Last::Done {
                let why = format!("client {} has no answer to its last operations", place.client.who);
                k.violated("liveness", why);
            }
            if !place.contender.is_idle() {
                let why = format!("client {} still waits for the lock, or cleans up", place.client.who);
                k.violated("liveness", why);
            }
        }
        if let Some((key, _)) = k.history.operations.iter().find(|(_, o)| o.end.is_none()) {
            let why = format!("operation {:?} of client {} never ended", key.1, key.0);
            k.violated("liveness", why);
        }
        let live: Vec<_> = self.slots.iter().filter_map(|p| p.client.core.session()).map(|s| s.id).collect();
        match self.server.node() {
            Some(node) => oracle::check(k, node, &live, &self.options),
            None => k.violated("liveness", "the server is down".to_owned()),
        }
    }
}

fn last_path(who: Who) -> String {
    format!("/last-{who}")
}
