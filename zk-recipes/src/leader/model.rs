//! Latches against a small model of ZooKeeper: several candidates, each a [`Life`] over contenders' cores as the shell
//! runs them, in every interleaving that chance brings: lost connections and answers, expiry, nodes deleted by hand,
//! stepping down, closing, late reports of earlier attempts. The oracle:
//!
//! - at most one candidate shows itself as leader, and it counts itself in, unless somebody deleted a leader's node
//!   and it has not heard of that yet;
//! - a leader's node is its session's, and the first of the line;
//! - generations never go back, and no state is shown twice;
//! - a later leader has a greater token, or the one it had before;
//! - when all is well again one leads, all others follow, and nobody's node is left over.

mod network;
mod server;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use zk_proto::SessionId;

use super::life::{Action, Attempt, Event, Life};
use super::status::{LeaderState, LeaderStatus};
use crate::contender::{
    Answer, Core, Grant, HoldState, Input, Leftover, Options, Output, Parents, Patience, Request, RequestId,
    Rule,
};
use crate::fence::FencingToken;
use crate::identity::Uuid;
use crate::loss::LossPolicy;
use crate::sequence::{CURATOR_LATCH, curator_latch_prefix};
use server::Server;

pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
pub(super) const PARENT: &str = "/latch";

/// Who asked: a candidate's attempt, or its reaper.
type From = Option<(Attempt, RequestId)>;

#[derive(Debug, Clone)]
enum Frame {
    Ask(From, Request),
    Delete(Vec<String>),
    FindAndDelete(Vec<String>),
    Ping,
}

#[derive(Debug)]
enum Back {
    Answer { sent: Duration, frame: Frame, answer: Option<Answer> },
    Event(String),
}

struct Peer {
    life: Life,
    core: Core,
    /// The attempt that the core stands for.
    attempt: Attempt,
    closed: bool,
    shown: LeaderStatus,
    last_token: Option<FencingToken>,
    /// Somebody deleted the node it leads by.
    robbed: bool,
    session: Option<SessionId>,
    up: bool,
    until: Duration,
    to_server: VecDeque<(Duration, Frame)>,
    to_client: VecDeque<Back>,
    watching: BTreeMap<(Attempt, RequestId), String>,
    /// Told before, and told again some time later.
    stale: Vec<Event>,
}

struct World {
    now: Duration,
    rng: StdRng,
    server: Server,
    peers: Vec<Peer>,
    highest: Option<FencingToken>,
    /// Nodes that were deleted by hand.
    by_hand: BTreeSet<String>,
    terms: usize,
}

fn options(rng: &mut StdRng) -> Options {
    Options {
        parent: PARENT.into(),
        rule: Rule::exclusive(&[CURATOR_LATCH]),
        prefixes: vec![curator_latch_prefix],
        durable: None,
        patience: Patience::Forever,
        parents: Parents::Container,
        loss: if rng.random() { LossPolicy::Standard } else { LossPolicy::Session },
        keeps_place: true,
    }
}

impl World {
    fn new(seed: u64, peers: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let server = Server::new([0, i32::MAX - 3, -4][rng.random_range(0..3)]);
        let mut world = Self {
            now: Duration::ZERO,
            rng,
            server,
            peers: vec![],
            highest: None,
            by_hand: BTreeSet::new(),
            terms: 0,
        };
        for _ in 0..peers {
            let peer = world.peer();
            world.peers.push(peer);
        }
        world
    }

    fn peer(&mut self) -> Peer {
        let (life, _) = Life::begin(false);
        Peer {
            attempt: life.attempt(),
            life,
            core: Core::new(options(&mut self.rng)),
            closed: false,
            shown: LeaderStatus::first(),
            last_token: None,
            robbed: false,
            session: None,
            up: false,
            until: Duration::ZERO,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            watching: BTreeMap::new(),
            stale: Vec::new(),
        }
    }

    /// What the shell tells the core, and what follows from it for the life.
    fn tell(&mut self, at: usize, input: Input) {
        let (now, peer) = (self.now, &mut self.peers[at]);
        let mut events = Vec::new();
        let was_held = is_held(&peer.core);
        for output in peer.core.handle(now, input) {
            match output {
                Output::Send(id, request) => {
                    peer.to_server.push_back((now, Frame::Ask(Some((peer.attempt, id)), request)));
                }
                Output::Forget(id) => {
                    let attempt = peer.attempt;
                    peer.forget(|from| from == (attempt, id));
                }
                Output::Grant(Grant { token, .. }) => {
                    events.push(Event::Granted(peer.attempt, FencingToken::from_zxid(token)));
                }
                Output::Leave(leftover) => peer.leave(now, leftover),
                Output::Fail(failure) => events.push(Event::Failed(peer.attempt, failure)),
                Output::Requeued | Output::Foreign(_) => {}
            }
        }
        if was_held && let Some(HoldState::Lost(reason)) = peer.core.hold() {
            events.push(Event::Lost(peer.attempt, reason));
        }
        if !peer.life.is_placed()
            && let (Some(1..), Some(node)) = (peer.core.ahead(), peer.core.own_paths().first())
        {
            events.push(Event::Placed(peer.attempt, node.clone()));
        }
        for event in events {
            self.happens(at, event);
        }
        self.check();
    }

    fn happens(&mut self, at: usize, event: Event) {
        if matches!(event, Event::Placed(..) | Event::Granted(..) | Event::Lost(..) | Event::Failed(..)) {
            self.peers[at].stale.push(event.clone());
        }
        for action in self.peers[at].life.handle(event) {
            self.act(at, action);
        }
    }

    fn act(&mut self, at: usize, action: Action) {
        let now = self.now;
        let fresh = Core::new(options(&mut self.rng));
        let identity = Uuid::from_random(self.rng.random());
        let peer = &mut self.peers[at];
        match action {
            Action::Show(status) => {
                assert!(!peer.closed || status.state == LeaderState::Closed);
                assert_eq!(status.generation, peer.shown.generation + 1);
                assert_ne!(status.state, peer.shown.state);
                if let LeaderState::Leader { token } = status.state {
                    assert!(is_held(&peer.core), "shown as a leader, and holds nothing");
                    let own = peer.core.own_paths();
                    peer.robbed = own.iter().any(|path| self.by_hand.contains(path));
                    if !peer.robbed {
                        assert!(self.server.is_first(own, peer.session), "admitted past another");
                        let rises = Some(token) > self.highest || peer.last_token == Some(token);
                        assert!(rises, "{token} after {:?}", self.highest);
                        self.highest = self.highest.max(Some(token));
                        peer.last_token = Some(token);
                    }
                    self.terms += 1;
                }
                peer.shown = status;
            }
            Action::GiveUp => self.cancel(at),
            Action::Stand(attempt) => {
                assert!(attempt > peer.attempt && !peer.shown.is_leader());
                if peer.core.keeps_place() {
                    peer.core.handle(now, Input::Again);
                    peer.attempt = attempt;
                    // What was under way for the holding is forgotten with it.
                    peer.watching.clear();
                    let input = if peer.up { Input::Connected } else { Input::Suspended };
                    return self.tell(at, input);
                }
                self.cancel(at);
                let peer = &mut self.peers[at];
                (peer.core, peer.attempt) = (fresh, attempt);
                peer.watching.clear();
                if let Some(id) = peer.session {
                    let up = peer.up;
                    self.tell(at, Input::Session { id, timeout: TIMEOUT, identity });
                    let until = self.peers[at].until;
                    self.tell(at, Input::Heard { until });
                    if !up {
                        self.tell(at, Input::Suspended);
                    }
                }
            }
            Action::End(_) => peer.closed = true,
        }
    }

    fn cancel(&mut self, at: usize) {
        let (now, peer) = (self.now, &mut self.peers[at]);
        for output in peer.core.handle(now, Input::Cancel) {
            if let Output::Leave(leftover) = output {
                peer.leave(now, leftover);
            }
        }
    }

    fn check(&self) {
        let leads = |peer: &&Peer| peer.shown.is_leader() && is_held(&peer.core) && !peer.robbed;
        let leaders: Vec<_> = self.peers.iter().filter(leads).map(|peer| &peer.shown).collect();
        assert!(leaders.len() <= 1, "{leaders:?}");
        for peer in &self.peers {
            assert!(!peer.shown.is_leader() || is_held(&peer.core), "still shown: {:?}", peer.shown);
        }
    }

    fn expire(&mut self, session: SessionId) {
        let gone = self.server.expire(session);
        self.notify(&gone);
    }

    /// Time passes, and nobody oversleeps: clocks run at one rate, and deadlines come before expiry.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let next = self.peers.iter().filter_map(|peer| peer.core.deadline()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.tick();
        }
        self.now = end;
        for session in self.server.due(end) {
            self.expire(session);
        }
    }

    fn tick(&mut self) {
        for at in 0..self.peers.len() {
            let until = self.peers[at].until;
            if self.peers[at].core.deadline().is_some_and(|deadline| deadline <= self.now) {
                self.tell(at, Input::Heard { until });
                self.tell(at, Input::Tick);
            }
        }
    }

    fn delete_by_hand(&mut self) {
        let nodes: Vec<String> = self.server.nodes.keys().cloned().collect();
        if nodes.is_empty() {
            return;
        }
        let path = nodes[self.rng.random_range(0..nodes.len())].clone();
        for peer in &mut self.peers {
            peer.robbed |= peer.shown.is_leader() && peer.core.own_paths().contains(&path);
        }
        self.server.remove(&path);
        self.by_hand.insert(path.clone());
        self.notify(&[path]);
    }

    fn step(&mut self, choice: u8) {
        let at = self.rng.random_range(0..self.peers.len());
        match choice % 32 {
            0..=9 => self.serve(at),
            10..=19 => self.deliver(at),
            20 | 21 => self.connect(at),
            22 => self.disconnect(at),
            23 => self.happens(at, Event::StepDown),
            24 if self.rng.random_range(0..3) == 0 => {
                self.happens(at, Event::Close);
                assert!(self.peers[at].closed && self.peers[at].core.is_over());
            }
            25 if self.peers[at].closed => self.replace(at),
            26 => {
                let now = self.now;
                self.peers[at].to_server.push_back((now, Frame::Ping));
            }
            27 if self.rng.random_range(0..3) == 0 => self.delete_by_hand(),
            // An empty container is removed.
            28 => self.server.remove_empty_parent(),
            29 => {
                // A report of long ago comes late.
                let attempt = self.peers[at].attempt;
                let stale = &self.peers[at].stale;
                if !stale.is_empty() {
                    let event = stale[self.rng.random_range(0..stale.len())].clone();
                    if of(&event) < Some(attempt) {
                        assert_eq!(self.peers[at].life.handle(event), []);
                    }
                }
            }
            30 => {
                let span = Duration::from_millis(self.rng.random_range(1..3000));
                self.pass(span);
            }
            _ => self.pass(Duration::from_millis(50)),
        }
    }

    /// A closed candidate's process starts another one, by the client it has.
    fn replace(&mut self, at: usize) {
        let mut fresh = self.peer();
        let identity = Uuid::from_random(self.rng.random());
        let peer = &mut self.peers[at];
        // Of the old one's requests only its reaper's go on.
        for (_, frame) in &mut peer.to_server {
            if let Frame::Ask(from, _) = frame {
                *from = None;
            }
        }
        for back in &mut peer.to_client {
            if let Back::Answer { frame: Frame::Ask(from, _), .. } = back {
                *from = None;
            }
        }
        fresh.session = peer.session;
        (fresh.up, fresh.until) = (peer.up, peer.until);
        std::mem::swap(&mut fresh.to_server, &mut peer.to_server);
        std::mem::swap(&mut fresh.to_client, &mut peer.to_client);
        *peer = fresh;
        let (up, until, session) = (peer.up, peer.until, peer.session);
        self.happens(at, Event::Connected(up));
        if let Some(id) = session {
            self.tell(at, Input::Session { id, timeout: TIMEOUT, identity });
            self.tell(at, Input::Heard { until });
            if !up {
                self.tell(at, Input::Suspended);
            }
        }
    }

    /// All is well again: who should follow follows, and one leads.
    fn heal(&mut self) {
        self.settle();
        // A follower whose node was deleted by hand does not know before it looks.
        for at in 0..self.peers.len() {
            if self.peers[at].core.own_paths().iter().any(|path| self.by_hand.contains(path)) {
                self.disconnect(at);
            }
        }
        self.settle();
        self.check_peace();
    }

    /// Everybody is connected and heard, until nothing moves.
    fn settle(&mut self) {
        for _ in 0..100 {
            for at in 0..self.peers.len() {
                self.connect(at);
                let now = self.now;
                self.peers[at].to_server.push_back((now, Frame::Ping));
                while !self.peers[at].to_server.is_empty() && self.peers[at].up {
                    self.serve(at);
                }
                while !self.peers[at].to_client.is_empty() {
                    self.deliver(at);
                }
            }
            self.pass(Duration::from_millis(110));
        }
    }

    fn check_peace(&self) {
        let open: Vec<_> = self.peers.iter().filter(|peer| !peer.closed).collect();
        let leaders = open.iter().filter(|peer| peer.shown.is_leader() && is_held(&peer.core)).count();
        let follows = |peer: &&&Peer| matches!(peer.shown.state, LeaderState::Follower { .. });
        let followers = open.iter().filter(follows).count();
        let shown: Vec<_> = self.peers.iter().map(|peer| &peer.shown.state).collect();
        assert_eq!(leaders, usize::from(!open.is_empty()), "{shown:?}");
        assert_eq!(leaders + followers, open.len(), "{shown:?}");
        assert_eq!(self.server.nodes.len(), open.len(), "nobody's nodes: {:?}", self.server.nodes);
    }
}

impl Peer {
    fn forget(&mut self, is: impl Fn((Attempt, RequestId)) -> bool) {
        self.watching.retain(|from, _| !is(*from));
        let waiting = self.to_server.iter_mut().map(|(_, frame)| frame);
        let answered = self.to_client.iter_mut().filter_map(|back| match back {
            Back::Answer { frame, .. } => Some(frame),
            Back::Event(_) => None,
        });
        for frame in waiting.chain(answered) {
            if matches!(frame, Frame::Ask(Some(from), _) if is(*from)) {
                *frame = Frame::Ping;
            }
        }
    }

    fn leave(&mut self, now: Duration, leftover: Leftover) {
        let (session, frame) = match leftover {
            Leftover::Named { paths, session } => (session, Frame::Delete(paths)),
            Leftover::Claimed { paths, .. } => (None, Frame::Delete(paths)),
            Leftover::Unnamed { prefixes, session } => (session, Frame::FindAndDelete(prefixes)),
            // Nobody here shares a name.
            Leftover::Marked { .. } => return,
        };
        if self.session == session {
            self.to_server.push_back((now, frame));
        }
    }
}

fn is_held(core: &Core) -> bool {
    matches!(core.hold(), Some(HoldState::Held | HoldState::Suspect { .. }))
}

const fn of(event: &Event) -> Option<Attempt> {
    match event {
        Event::Placed(at, _) | Event::Granted(at, _) | Event::Lost(at, _) | Event::Failed(at, _) => Some(*at),
        _ => None,
    }
}

/// As many as `PROPTEST_CASES` says; without it enough to find what was put in on purpose.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(3000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn one_leads(seed: u64, peers in 1_usize..5, steps in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut world = World::new(seed, peers);
        for step in steps {
            world.step(step);
        }
        world.heal();
    }
}

/// The model is worth nothing if nobody ever leads in it.
#[test]
fn leadership_changes_hands_in_the_model() {
    let mut terms = 0;
    for seed in 0..50 {
        let mut world = World::new(seed, 3);
        for _ in 0..2000 {
            let choice = world.rng.random();
            world.step(choice);
        }
        world.heal();
        terms += world.terms;
    }
    assert!(terms > 200, "{terms} terms only");
}
