//! A process that acquires a lock, holds it for a while and releases it, again and again: the production contender
//! core over the client core, glued as the lock's shell glues them. Notes every holding; decides nothing of its
//! own but when to acquire, give up and release.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zk_client::core::{Failure, OpId};
use zk_client::{SessionId, SessionState};
use zk_proto::ErrorCode;
use zk_recipes::contender::{
    Answer, Core, Grant, HoldState, Input, Options, Output, Parents, Patience, Refusal, RequestId, Rule,
};
use zk_recipes::identity::Uuid;
use zk_recipes::sequence::{MUTEX, curator_lock_prefix};
use zk_recipes::{LossPolicy, LossReason};

use super::client::Client;
use super::draw::Draw;
use super::history::Holding;
use super::kernel::Kernel;
use super::leftovers::Leftovers;
use super::lock_requests::{answer, request};
use super::world::Event;

/// The lock's path.
pub(super) const LOCK: &str = "/lock";

/// One attempt at the lock, from the first request to the release.
#[derive(Debug)]
struct Place {
    core: Core,
    session: SessionId,
    flights: BTreeMap<OpId, RequestId>,
    armed: BTreeMap<OpId, RequestId>,
    /// When the future or the guard is dropped, whatever has become of it.
    drop_at: Option<Duration>,
    verify_at: Option<Duration>,
    /// The holding, by its place in the history.
    holding: Option<usize>,
}

/// See the module's head.
#[derive(Debug)]
pub(super) struct Contender {
    state: SessionState,
    place: Option<Place>,
    /// When the next attempt begins; never after the healing.
    begin_at: Option<Duration>,
    /// Reads whose watch nobody wants any more.
    dropped: BTreeSet<OpId>,
    leftovers: Leftovers,
    pause: Duration,
    look_at: Option<Duration>,
}

impl Contender {
    pub(super) fn new(k: &mut Kernel, pause: Duration) -> Self {
        let begin_at = Some(k.now + k.draw.between(Duration::ZERO, pause));
        Self {
            state: SessionState::Connecting,
            place: None,
            begin_at,
            dropped: BTreeSet::new(),
            leftovers: Leftovers::default(),
            pause,
            look_at: None,
        }
    }

    /// No further attempts. One that stands in line waits for its turn.
    pub(super) fn wind_down(&mut self) {
        self.begin_at = None;
        if let Some(place) = &mut self.place {
            place.drop_at = place.drop_at.filter(|_| place.holding.is_some());
        }
    }

    /// Whether nothing is held, waited for or left behind.
    pub(super) fn is_idle(&self) -> bool {
        self.place.is_none() && self.leftovers.is_empty()
    }

    /// Time has passed.
    pub(super) fn look(&mut self, k: &mut Kernel, client: &mut Client) {
        self.look_at = None;
        if self.begin_at.is_some_and(|at| at <= k.now) && self.place.is_none() {
            self.begin(k, client);
        }
        if self.place.as_ref().is_some_and(|p| p.drop_at.is_some_and(|at| at <= k.now)) {
            self.give_up(k, client);
        }
        if self.place.as_mut().and_then(|p| p.verify_at.take_if(|at| *at <= k.now)).is_some() {
            self.hear(k, client);
            self.input(k, client, Input::Connected);
        }
        if self.place.as_ref().and_then(|p| p.core.deadline()).is_some_and(|at| at <= k.now) {
            self.hear(k, client);
            self.input(k, client, Input::Tick);
        }
        self.leftovers.look(k, client);
        self.settle(k, client);
    }

    /// An operation of the client has ended.
    pub(super) fn ended(&mut self, k: &mut Kernel, client: &mut Client, op: OpId) {
        let who = client.who;
        let found = k.history.operations.get(&(who, op)).and_then(|o| Some((&o.request, o.end.as_ref()?)));
        let Some((asked, end)) = found else { return };
        let (given, watching) = (answer(asked, &end.result, classify), end.watching);
        if self.dropped.remove(&op) {
            client.forget(k, op);
        }
        if let Some(id) = self.place.as_mut().and_then(|place| place.flights.remove(&op)) {
            if let Some(place) =
                self.place.as_mut().filter(|_| watching && matches!(given, Answer::Seen(Ok(_))))
            {
                place.armed.insert(op, id);
            } else if watching {
                client.forget(k, op);
            }
            self.hear(k, client);
            self.input(k, client, Input::Answer { request: id, answer: given });
        } else {
            self.leftovers.ended(k, client, op, &given);
        }
        self.settle(k, client);
    }

    /// Watches have fired.
    pub(super) fn fired(&mut self, k: &mut Kernel, client: &mut Client, ops: &[OpId]) {
        for op in ops {
            if let Some(id) = self.place.as_mut().and_then(|place| place.armed.remove(op)) {
                self.hear(k, client);
                self.input(k, client, Input::Fired(id));
            }
        }
        self.settle(k, client);
    }

    /// The session's state has changed.
    pub(super) fn state(&mut self, k: &mut Kernel, client: &mut Client, state: SessionState) {
        self.state = state;
        if matches!(state, SessionState::Expired(_) | SessionState::Closed) {
            self.leftovers.clear();
        }
        self.session_is(k, client);
        self.settle(k, client);
    }

    fn begin(&mut self, k: &mut Kernel, client: &mut Client) {
        self.begin_at = None;
        let draw = &mut k.draw;
        let patience = match draw.below(6) {
            0 => Patience::None,
            1 => Patience::Until(k.now + draw.between(Duration::ZERO, self.pause * 4)),
            _ => Patience::Forever,
        };
        let pick = |draw: &mut Draw| draw.chance(1, 2);
        let options = Options {
            parent: LOCK.to_owned(),
            rule: Rule::exclusive(&MUTEX),
            prefixes: vec![curator_lock_prefix],
            durable: None,
            patience,
            parents: if pick(draw) { Parents::Container } else { Parents::Persistent },
            loss: if pick(draw) { LossPolicy::Standard } else { LossPolicy::Session },
            keeps_place: false,
        };
        let drop_at = draw.chance(1, 6).then(|| k.now + draw.between(Duration::ZERO, self.pause * 2));
        k.note(format_args!("c{} lock {patience:?} {:?}", client.who, options.loss));
        self.place = Some(Place {
            core: Core::new(options),
            session: SessionId::NONE,
            flights: BTreeMap::new(),
            armed: BTreeMap::new(),
            drop_at,
            verify_at: None,
            holding: None,
        });
        self.session_is(k, client);
    }

    /// Tells the core what has become of its session, and of a new one.
    fn session_is(&mut self, k: &mut Kernel, client: &mut Client) {
        let (state, jitter) = (self.state, self.pause / 4);
        let Some(place) = &mut self.place else { return };
        let live = state.session();
        if live.is_some_and(|info| info.id == place.session) {
            let suspect = matches!(place.core.hold(), Some(HoldState::Suspect { .. }));
            place.verify_at = None;
            if state.is_connected() && suspect {
                place.verify_at = Some(k.now + k.draw.between(Duration::ZERO, jitter));
                return self.hear(k, client);
            }
            self.hear(k, client);
            let input = if state.is_connected() { Input::Connected } else { Input::Suspended };
            return self.input(k, client, input);
        }
        if place.session != SessionId::NONE || matches!(state, SessionState::Closed) {
            place.session = SessionId::NONE;
            self.input(k, client, Input::SessionOver(reason(state)));
        }
        let Some((place, info)) = self.place.as_mut().zip(live) else { return };
        if place.core.is_over() || place.core.hold().is_some() {
            return;
        }
        place.session = info.id;
        let bits = (u128::from(k.draw.bits()) << 64) | u128::from(k.draw.bits());
        let identity = Uuid::from_random(bits);
        self.input(k, client, Input::Session { id: info.id, timeout: info.timeout, identity });
        if !state.is_connected() {
            self.input(k, client, Input::Suspended);
        }
    }

    /// How far the session's local deadline has moved.
    fn hear(&mut self, k: &mut Kernel, client: &mut Client) {
        let Some(place) = &self.place else { return };
        match client.core.session_deadline() {
            Some((session, until)) if session == place.session => {
                if let Some(holding) = place.holding.and_then(|at| k.history.holdings.get_mut(at)) {
                    holding.until = holding.until.max(until);
                }
                self.input(k, client, Input::Heard { until });
            }
            _ if place.core.hold().is_some() => {
                let over = Input::SessionOver(reason(self.state));
                self.input(k, client, over);
            }
            _ => {}
        }
    }

    fn input(&mut self, k: &mut Kernel, client: &mut Client, input: Input) {
        let Some(place) = &mut self.place else { return };
        for output in place.core.handle(k.now, input) {
            match output {
                Output::Send(id, asked) => {
                    let op = client.submit(k, request(asked), Some(place.session));
                    place.flights.insert(op, id);
                }
                Output::Forget(id) => {
                    let unwanted = |(op, have): (&OpId, &RequestId)| (*have == id).then_some(*op);
                    if let Some(op) = place.armed.iter().find_map(unwanted) {
                        place.armed.remove(&op);
                        client.forget(k, op);
                    } else if let Some(op) = place.flights.iter().find_map(unwanted) {
                        place.flights.remove(&op);
                        self.dropped.insert(op);
                    }
                }
                Output::Leave(left) => {
                    let created = place.flights.keys().copied().find(|op| is_create(k, client, *op));
                    self.leftovers.adopt(k, client, left, created);
                }
                Output::Grant(grant) => {
                    let hold_for = k.draw.mostly_short(self.pause * 4);
                    place.drop_at = Some(place.drop_at.unwrap_or(k.now + hold_for).max(k.now));
                    place.holding = Some(granted(k, client, &grant));
                }
                Output::Requeued | Output::Foreign(_) => {}
                Output::Fail(failure) => {
                    k.note(format_args!("c{} lock ends: {failure:?}", client.who));
                }
            }
        }
        if let Some(HoldState::Lost(reason)) = place.core.hold() {
            end_holding(k, client, place.holding, reason);
        }
    }

    fn give_up(&mut self, k: &mut Kernel, client: &mut Client) {
        let Some(place) = &self.place else { return };
        end_holding(k, client, place.holding, LossReason::Released);
        self.input(k, client, Input::Cancel);
    }

    /// An attempt that is over is dropped, and the next one is planned.
    fn settle(&mut self, k: &mut Kernel, client: &mut Client) {
        let lost = |place: &Place| matches!(place.core.hold(), Some(HoldState::Lost(_)));
        if self.place.as_ref().is_some_and(lost) {
            self.input(k, client, Input::Cancel);
        }
        if self.place.as_ref().is_some_and(|place| place.core.is_over())
            && let Some(place) = self.place.take()
        {
            for op in place.armed.into_keys() {
                client.forget(k, op);
            }
            self.dropped.extend(place.flights.into_keys());
            if !client.winding_down {
                self.begin_at = Some(k.now + k.draw.between(Duration::ZERO, self.pause));
            }
        }
        let place = self.place.as_ref();
        let times = [
            self.begin_at,
            place.and_then(|p| p.drop_at),
            place.and_then(|p| p.verify_at),
            place.and_then(|p| p.core.deadline()),
            self.leftovers.deadline(),
        ];
        if let Some(at) = times.into_iter().flatten().min()
            && self.look_at.is_none_or(|look| look > at || look < k.now)
        {
            self.look_at = Some(at.max(k.now));
            k.at(at, Event::Look { slot: client.slot });
        }
    }
}

fn is_create(k: &Kernel, client: &Client, op: OpId) -> bool {
    let operation = k.history.operations.get(&(client.who, op));
    operation.is_some_and(|o| matches!(o.request, zk_client::core::Request::Create2(_)))
}

fn granted(k: &mut Kernel, client: &Client, grant: &Grant) -> usize {
    k.note(format_args!("c{} LOCKED {} as {}", client.who, grant.path(), grant.token));
    k.counters.grants += 1;
    let until = client.core.session_deadline().map_or(k.now, |(_, until)| until);
    let (path, czxid, sequence) = (grant.path().to_owned(), grant.token, grant.sequence);
    let holding = Holding { who: client.who, path, czxid, sequence, from: k.now, until, end: None };
    k.history.holdings.push(holding);
    k.history.holdings.len() - 1
}

fn end_holding(k: &mut Kernel, client: &Client, holding: Option<usize>, why: LossReason) {
    let now = k.now;
    let Some(holding) = holding.and_then(|at| k.history.holdings.get_mut(at)) else { return };
    if holding.end.is_none() {
        holding.end = Some(now);
        k.counters.locks_lost += u64::from(why != LossReason::Released);
        k.note(format_args!("c{} UNLOCKED: {why}", client.who));
    }
}

const fn reason(state: SessionState) -> LossReason {
    match state {
        SessionState::Closed => LossReason::ClientClosed,
        _ => LossReason::SessionExpired,
    }
}

/// What a failure means to a contender, as the lock's shell sees it.
fn classify(failure: Failure, is_write: bool) -> Refusal {
    match failure {
        Failure::SessionExpired { .. } => Refusal::SessionOver,
        Failure::ConnectionLoss if is_write => Refusal::Unknown,
        Failure::ConnectionLoss => Refusal::NotNow,
        Failure::Closed { sent: true } if is_write => Refusal::Unknown,
        Failure::Refused { code, .. } => match code {
            ErrorCode::SessionExpired => Refusal::SessionOver,
            ErrorCode::NoNode => Refusal::NoNode,
            ErrorCode::Unimplemented => Refusal::Unsupported,
            ErrorCode::OperationTimeout | ErrorCode::RequestTimeout => Refusal::Unknown,
            ErrorCode::SessionMoved | ErrorCode::ThrottledOp => Refusal::NotNow,
            _ => Refusal::Never,
        },
        _ => Refusal::Never,
    }
}
