//! Picks and rules: which frame is meant, what is done to it, and how a test hears of it.

use bytes::BytesMut;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use zk_proto::OpCode;

use super::front::{Proxy, Shared};
use super::message::{Direction, Kind, Message};

type Predicate = Box<dyn Fn(&Message) -> bool + Send + Sync>;
type Change = Arc<dyn Fn(&mut BytesMut) + Send + Sync>;

/// What is done to a frame.
#[derive(Clone)]
pub(super) enum Action {
    Notice,
    Swallow,
    Delay(Duration),
    Hold,
    Corrupt(Change),
    HalfOpen,
    CutBefore,
    CutAfter,
    /// Behind so many bytes of the frame, prefix included.
    CutAt(usize),
}

/// The frames of a proxy that a rule is to act on. Ends in a [`Rule`].
#[must_use = "a pick does nothing before it is said what is to be done"]
pub struct Pick<'a> {
    shared: &'a Arc<Shared>,
    predicates: Vec<Predicate>,
    nth: u64,
    times: u64,
    reset: bool,
}

impl<'a> Pick<'a> {
    fn new(shared: &'a Arc<Shared>, predicate: impl Fn(&Message) -> bool + Send + Sync + 'static) -> Self {
        Self { shared, predicates: vec![Box::new(predicate)], nth: 1, times: 1, reset: false }
    }

    /// Those of this path, as the server knows it.
    pub fn path(self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.matching(move |message| message.path.as_deref() == Some(&path))
    }

    /// Those of this connection, counted from 1.
    pub fn connection(self, number: u64) -> Self {
        self.matching(move |message| message.connection == number)
    }

    /// Those for which this holds. It is asked while the proxy decides, so it must not call the proxy.
    pub fn matching(mut self, predicate: impl Fn(&Message) -> bool + Send + Sync + 'static) -> Self {
        self.predicates.push(Box::new(predicate));
        self
    }

    /// From the `nth` one that matches, counted from 1 and from now; only that one, unless `times` or `every` is
    /// said too.
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth.max(1);
        self
    }

    /// So many of those that match.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// All that match.
    pub fn every(self) -> Self {
        self.times(u64::MAX)
    }

    /// A cut is a reset: what went through just before may be lost, on either side, as when a machine vanishes.
    pub fn by_reset(mut self) -> Self {
        self.reset = true;
        self
    }

    /// Nothing is done; the rule tells that it has passed.
    pub fn notice(self) -> Rule {
        self.rule(Action::Notice)
    }

    /// It does not go through, and the connection lives on.
    pub fn swallow(self) -> Rule {
        self.rule(Action::Swallow)
    }

    /// It waits so long, and everything behind it waits too: a stream does not overtake itself.
    pub fn delay(self, time: Duration) -> Rule {
        self.rule(Action::Delay(time))
    }

    /// It waits until [`Rule::release`], or until the rule is dropped; everything behind it waits too.
    pub fn hold(self) -> Rule {
        self.rule(Action::Hold)
    }

    /// Its bytes are changed; `how` gets all of them, the four of the prefix included, and may make it shorter or
    /// longer.
    pub fn corrupt(self, how: impl Fn(&mut BytesMut) + Send + Sync + 'static) -> Rule {
        self.rule(Action::Corrupt(Arc::new(how)))
    }

    /// From here on its connection is dead without saying so: this frame and all bytes of both sides vanish.
    pub fn half_open(self) -> Rule {
        self.rule(Action::HalfOpen)
    }

    /// It does not go through; its connection is cut.
    pub fn cut_before(self) -> Rule {
        self.rule(Action::CutBefore)
    }

    /// It goes through; then its connection is cut.
    pub fn cut_after(self) -> Rule {
        self.rule(Action::CutAfter)
    }

    /// So many of its bytes go through, the four of the prefix included; then its connection is cut.
    pub fn cut_at(self, bytes: usize) -> Rule {
        self.rule(Action::CutAt(bytes))
    }

    fn rule(self, action: Action) -> Rule {
        let Self { shared, predicates, nth, times, reset } = self;
        let holds = matches!(action, Action::Hold);
        let state = Arc::new(RuleState {
            predicates,
            action,
            reset,
            count: Mutex::new(Count { before: nth - 1, left: times, times: 0 }),
            acted: watch::Sender::new(Vec::new()),
            released: watch::Sender::new(false),
        });
        shared.add_rule(Arc::clone(&state));
        Rule { state, holds }
    }
}

impl fmt::Debug for Pick<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pick").field("nth", &self.nth).field("times", &self.times).finish_non_exhaustive()
    }
}

/// Picks. Each means the first frame that matches from now on, once, unless more is said.
impl Proxy {
    /// Requests of this operation.
    pub fn on_request(&self, op: OpCode) -> Pick<'_> {
        self.pick(move |message| message.kind == Kind::Request(op))
    }

    /// Answers to requests of this operation.
    pub fn on_reply(&self, op: OpCode) -> Pick<'_> {
        self.pick(move |message| message.kind == Kind::Reply(op))
    }

    /// Events.
    pub fn on_event(&self) -> Pick<'_> {
        self.pick(Message::is_event)
    }

    /// The first frame of a client: its `ConnectRequest`.
    pub fn on_greeting(&self) -> Pick<'_> {
        self.pick(|message| message.kind == Kind::Greeting)
    }

    /// The first frame of the server: its `ConnectResponse`.
    pub fn on_welcome(&self) -> Pick<'_> {
        self.pick(|message| message.kind == Kind::Welcome)
    }

    /// Every frame in this direction.
    pub fn on_any(&self, direction: Direction) -> Pick<'_> {
        self.pick(move |message| message.direction == direction)
    }

    fn pick(&self, predicate: impl Fn(&Message) -> bool + Send + Sync + 'static) -> Pick<'_> {
        Pick::new(self.shared(), predicate)
    }
}

/// A rule in force. Dropping it leaves it in force; only what it holds is let go.
pub struct Rule {
    state: Arc<RuleState>,
    holds: bool,
}

pub(super) struct RuleState {
    predicates: Vec<Predicate>,
    action: Action,
    reset: bool,
    count: Mutex<Count>,
    acted: watch::Sender<Vec<Message>>,
    released: watch::Sender<bool>,
}

#[derive(Debug)]
struct Count {
    /// Matches to let by before the first that counts.
    before: u64,
    /// How often it may still act.
    left: u64,
    /// How often it was due, and acts or has acted.
    times: usize,
}

impl Rule {
    /// Waits until it has acted, and says on which frame first: the cut is made, the frame is held, or what was let
    /// through has been written. What the other side makes of it may take longer.
    pub async fn acted(&self) -> Message {
        self.acted_times(1).await.swap_remove(0)
    }

    /// Waits until it has acted so often, and says on which frames.
    pub async fn acted_times(&self, times: usize) -> Vec<Message> {
        let mut acted = self.state.acted.subscribe();
        // The sender lives in `self`.
        match acted.wait_for(|acted| acted.len() >= times).await {
            Ok(acted) => acted.clone(),
            Err(_) => std::future::pending().await,
        }
    }

    /// How often it has acted. Whoever sees what it has done finds it counted, sooner than [`Rule::acted`] ends.
    #[must_use]
    pub fn times(&self) -> usize {
        self.state.lock().times
    }

    /// Lets go what it holds, now and from now on.
    pub fn release(&self) {
        self.state.released.send_replace(true);
    }

    /// It acts no more. What it holds stays held.
    pub fn withdraw(&self) {
        self.state.lock().left = 0;
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        if self.holds {
            self.release();
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule").field("times", &self.times()).finish_non_exhaustive()
    }
}

impl RuleState {
    /// Counts the frame; whether it is due. `taken` says that another rule acts already.
    pub(super) fn due(&self, message: &Message, taken: bool) -> bool {
        if !self.predicates.iter().all(|holds| holds(message)) {
            return false;
        }
        let mut count = self.lock();
        if count.before > 0 {
            count.before -= 1;
            return false;
        }
        if taken || count.left == 0 {
            return false;
        }
        count.left -= 1;
        count.times += 1;
        true
    }

    /// Whether it will never act again.
    pub(super) fn is_spent(&self) -> bool {
        self.lock().left == 0
    }

    pub(super) fn action(&self) -> Action {
        self.action.clone()
    }

    pub(super) fn is_reset(&self) -> bool {
        self.reset
    }

    /// It has acted on this frame.
    pub(super) fn tell(&self, message: Message) {
        self.acted.send_modify(|acted| acted.push(message));
    }

    pub(super) async fn released(&self) {
        // The sender lives in `self`.
        let _ = self.released.subscribe().wait_for(|released| *released).await;
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
