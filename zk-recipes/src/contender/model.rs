//! The core against a small model of ZooKeeper: several contenders, every interleaving that chance brings, lost
//! connections and answers, expiry, cancellation, vanishing parents, clocks that run at one rate. The oracle:
//!
//! - never two holders that count themselves in, of those whose dialects exclude each other; of readers and writers,
//!   one writer or readers, also while a writer becomes a reader;
//! - tokens rise from grant to grant, a writer's above all before it, a reader's above all writers before it;
//! - when all have been cancelled and all is quiet, no node is left;
//! - a node that goes or changes wakes at most one who waits; a writer's, also the readers behind it;
//! - when all is well again, everybody who waits gets in, in the order of the line; readers together.

mod network;
mod readers;
mod tree;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng as _};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use zk_proto::{SessionId, Zxid};

use super::*;
use crate::dialect::Dialect;
use crate::loss::LossPolicy;
use crate::sequence::{CURATOR_LOCK, KAZOO_LOCK, MUTEX};
use readers::{Side, SteppingDown};
use tree::{Tree, Wire};

const TIMEOUT: Duration = Duration::from_secs(10);
const PARENT: &str = "/locks";

#[derive(Debug)]
enum Back {
    /// The answer to the request sent at this time.
    Answer(Duration, Wire, Option<Answer>),
    Event(String),
}

/// Whose code a peer runs, as far as its place in line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Make {
    /// Ours: reads every dialect.
    Ours(Dialect),
    /// Reads and writes Curator's alone.
    StockCurator,
    /// Reads and writes Kazoo's alone.
    StockKazoo,
}

impl Make {
    fn prefixes(self) -> Vec<Prefix> {
        match self {
            Self::Ours(dialect) => dialect.mutex(),
            Self::StockCurator => Dialect::Curator.mutex(),
            Self::StockKazoo => Dialect::Kazoo.mutex(),
        }
    }

    fn rule(self) -> Rule {
        match self {
            Self::Ours(_) => Rule::exclusive(&MUTEX),
            Self::StockCurator => Rule::exclusive(&[CURATOR_LOCK]),
            Self::StockKazoo => Rule::exclusive(&[KAZOO_LOCK]),
        }
    }

    /// Whether each of the two waits for the other.
    fn excludes(self, other: Self) -> bool {
        let writes = |make: Self| match make {
            Self::Ours(dialect) => dialect,
            Self::StockCurator => Dialect::Curator,
            Self::StockKazoo => Dialect::Kazoo,
        };
        let sees = |reader: Self, writer: Self| match reader {
            Self::Ours(_) => true,
            Self::StockCurator => writes(writer) != Dialect::Kazoo,
            Self::StockKazoo => writes(writer) != Dialect::Curator,
        };
        sees(self, other) && sees(other, self)
    }
}

struct Peer {
    core: Core,
    make: Make,
    side: Side,
    /// On its way from writer to reader.
    stepping_down: Option<SteppingDown>,
    session: Option<SessionId>,
    up: bool,
    last_grant: Option<Zxid>,
    until: Duration,
    to_server: VecDeque<(Duration, Wire)>,
    to_client: VecDeque<Back>,
    /// Served, answer not delivered yet; needed to tell what a lost connection loses.
    watching: BTreeMap<RequestId, String>,
    arming: BTreeMap<RequestId, String>,
}

struct World {
    now: Duration,
    rng: StdRng,
    tree: Tree,
    peers: Vec<Peer>,
    /// Stock peers of both other libraries are about, who do not exclude each other.
    stock: bool,
    /// Everybody reads or writes.
    sides: bool,
    /// The last token of each make.
    last_tokens: Vec<(Make, Zxid)>,
    /// The greatest token of a writer, and of anybody.
    of_writers: Zxid,
    of_all: Zxid,
    grants: usize,
    downgrades: usize,
}

impl World {
    fn new(seed: u64, peers: usize, stock: bool, sides: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let first_counter = [0, i32::MAX - 3, -4][rng.random_range(0..3)];
        let tree = Tree { first_counter, ..Tree::default() };
        let mut world = Self {
            now: Duration::ZERO,
            rng,
            tree,
            peers: vec![],
            stock: stock && !sides,
            sides,
            last_tokens: vec![],
            of_writers: Zxid(0),
            of_all: Zxid(0),
            grants: 0,
            downgrades: 0,
        };
        for _ in 0..peers {
            let (make, side) = (world.make(), world.side());
            let core = world.core(make, side);
            world.peers.push(Peer {
                core,
                make,
                side,
                stepping_down: None,
                session: None,
                up: false,
                last_grant: None,
                until: Duration::ZERO,
                to_server: VecDeque::new(),
                to_client: VecDeque::new(),
                watching: BTreeMap::new(),
                arming: BTreeMap::new(),
            });
        }
        world
    }

    fn make(&mut self) -> Make {
        match self.rng.random_range(0..if self.stock { 5 } else { 3 }) {
            0 => Make::Ours(Dialect::Curator),
            1 => Make::Ours(Dialect::Kazoo),
            2 => Make::Ours(Dialect::Both),
            3 => Make::StockCurator,
            _ => Make::StockKazoo,
        }
    }

    fn core(&mut self, make: Make, side: Side) -> Core {
        let patience = match self.rng.random_range(0..6) {
            0 => Patience::None,
            1 => Patience::Until(self.now + Duration::from_secs(self.rng.random_range(1..30))),
            _ => Patience::Forever,
        };
        let loss = if self.rng.random() { LossPolicy::Standard } else { LossPolicy::Session };
        Core::new(Options {
            parent: PARENT.into(),
            rule: side.rule().unwrap_or_else(|| make.rule()),
            prefixes: side.prefixes(make).unwrap_or_else(|| make.prefixes()),
            durable: None,
            patience,
            parents: Parents::Container,
            loss,
            keeps_place: !self.sides && self.rng.random(),
        })
    }

    fn tell(&mut self, at: usize, input: Input) {
        let peer = &mut self.peers[at];
        let was_granted = peer.core.hold().is_some();
        for output in peer.core.handle(self.now, input) {
            match output {
                Output::Send(id, request) => peer.to_server.push_back((self.now, Wire::Core(id, request))),
                Output::Forget(id) => {
                    peer.watching.remove(&id);
                    peer.arming.remove(&id);
                    // Dropped before it is sent, or its answer is passed over.
                    let waiting = peer.to_server.iter_mut().map(|(_, wire)| wire);
                    let answered = peer.to_client.iter_mut().filter_map(|back| match back {
                        Back::Answer(_, wire, _) => Some(wire),
                        Back::Event(_) => None,
                    });
                    for wire in waiting.chain(answered) {
                        if matches!(wire, Wire::Core(request, _) if *request == id) {
                            *wire = Wire::Ping;
                        }
                    }
                }
                Output::Grant(grant) => {
                    assert!(!was_granted);
                    if self.sides {
                        let below = if peer.side == Side::Reader { self.of_writers } else { self.of_all };
                        assert!(grant.token > below, "{:?} by {}, after {below}", peer.side, grant.token);
                        self.of_all = self.of_all.max(grant.token);
                        if peer.side == Side::Writer {
                            self.of_writers = self.of_writers.max(grant.token);
                        }
                    }
                    for (make, last) in self.last_tokens.iter().filter(|_| !self.sides) {
                        // Who stood again on the node that was kept holds by the token it had.
                        let mine = peer.last_grant == Some(grant.token);
                        assert!(
                            grant.token > *last || mine || !make.excludes(peer.make),
                            "{:?} holds by {}, {make:?} has by {last}",
                            peer.make,
                            grant.token,
                        );
                    }
                    peer.last_grant = Some(grant.token);
                    self.last_tokens.retain(|(make, _)| *make != peer.make);
                    self.last_tokens.push((peer.make, grant.token));
                    self.grants += 1;
                }
                Output::Leave(leftover) => {
                    let (session, wire) = match leftover {
                        Leftover::Named { paths, session } => (session, Wire::Delete(paths)),
                        Leftover::Claimed { paths, .. } => (None, Wire::Delete(paths)),
                        Leftover::Unnamed { prefixes, session } => (session, Wire::FindAndDelete(prefixes)),
                        Leftover::Marked { .. } => continue,
                    };
                    if peer.session == session {
                        peer.to_server.push_back((self.now, wire));
                    }
                }
                Output::Requeued | Output::Foreign(_) | Output::Fail(_) => {}
            }
        }
        self.mind_stepping_down(at);
        self.check();
    }

    fn check(&self) {
        let held =
            |peer: &&Peer| matches!(peer.core.hold(), Some(HoldState::Held | HoldState::Suspect { .. }));
        let holders: Vec<_> = self.peers.iter().filter(held).map(|peer| (peer.make, peer.side)).collect();
        for (n, (holder, side)) in holders.iter().enumerate() {
            let excludes = |(other, other_side): &&(Make, Side)| {
                holder.excludes(*other) && (*side, *other_side) != (Side::Reader, Side::Reader)
            };
            let other = holders[n + 1..].iter().find(excludes);
            assert_eq!(other, None, "two holders, one of them {holder:?} {side:?}");
        }
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
        let expired: Vec<_> =
            self.tree.sessions.iter().filter(|(_, at)| **at <= self.now).map(|(id, _)| *id).collect();
        for session in expired {
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

    fn expire(&mut self, session: SessionId) {
        self.tree.sessions.remove(&session);
        for watchers in self.tree.watches.values_mut() {
            watchers.remove(&session);
        }
        let owned = self.tree.nodes.iter().filter(|(_, node)| node.owner == session);
        let owned: Vec<String> = owned.map(|(path, _)| path.clone()).collect();
        for path in owned {
            let gone = self.tree.remove(&path).into_iter().collect();
            self.notify(gone);
        }
    }

    fn cancel(&mut self, at: usize) {
        self.tell(at, Input::Cancel);
    }

    /// A contender that has ended makes room for a fresh one in the same client.
    fn renew(&mut self, at: usize) {
        let ended =
            self.peers[at].core.is_over() || matches!(self.peers[at].core.hold(), Some(HoldState::Lost(_)));
        if !ended {
            return;
        }
        if self.peers[at].core.keeps_place() && self.rng.random() {
            // Some stand again on the node they kept, in the session as it is.
            self.tell(at, Input::Again);
            let input = if self.peers[at].up { Input::Connected } else { Input::Suspended };
            return self.tell(at, input);
        }
        self.cancel(at);
        let (make, side) = (self.peers[at].make, self.side());
        let core = self.core(make, side);
        self.peers[at].side = side;
        self.replace(at, core);
        if let Some(session) = self.peers[at].session {
            self.enter(at, session);
            if !self.peers[at].up {
                self.tell(at, Input::Suspended);
            }
        }
    }

    fn replace(&mut self, at: usize, core: Core) {
        let peer = &mut self.peers[at];
        // Requests of another core carry the same numbers: whatever is on its way is not for this one.
        for (_, wire) in &mut peer.to_server {
            match wire {
                Wire::Core(id, Request::Create { .. }) => *id = RequestId(u64::MAX),
                Wire::Core(..) => *wire = Wire::Ping,
                _ => {}
            }
        }
        for back in &mut peer.to_client {
            if let Back::Answer(_, wire, _) = back {
                *wire = Wire::Ping;
            }
        }
        peer.watching.clear();
        peer.arming.clear();
        peer.core = core;
    }

    fn step(&mut self, choice: u8) {
        let at = self.rng.random_range(0..self.peers.len());
        match choice % 36 {
            0..=9 => self.serve(at),
            10..=19 => self.deliver(at),
            20 | 21 => self.connect(at),
            22 => self.disconnect(at),
            23 => self.cancel(at),
            24 => {
                // Released as soon as it is held.
                if self.peers[at].core.hold().is_some() {
                    self.cancel(at);
                }
            }
            25 | 26 => self.renew(at),
            27 => {
                let now = self.now;
                if self.peers[at].up {
                    self.peers[at].to_server.push_back((now, Wire::Ping));
                }
            }
            28 => {
                // An empty container is removed.
                if self.tree.nodes.is_empty() {
                    self.tree.parent = false;
                }
            }
            29 => {
                if let Some(session) = self.peers[at].session.filter(|_| self.rng.random_range(0..4) == 0) {
                    // Expired ahead of its time, as by an operator: only who does not hold and will not learn that
                    // it does, as no clock could tell it.
                    self.disconnect(at);
                    if self.peers[at].core.hold().is_none_or(|hold| matches!(hold, HoldState::Lost(_))) {
                        self.expire(session);
                    }
                }
            }
            30 => {
                let span = Duration::from_millis(self.rng.random_range(1..3000));
                self.pass(span);
            }
            31 => {
                // Somebody writes to a node: watches go off, and nothing is gone.
                let nodes: Vec<String> = self.tree.nodes.keys().cloned().collect();
                if !nodes.is_empty() {
                    let path = nodes[self.rng.random_range(0..nodes.len())].clone();
                    self.notify(vec![path]);
                }
            }
            32..=34 if self.sides => self.step_down(at),
            _ => self.pass(Duration::from_millis(50)),
        }
    }

    /// Everybody is connected and heard, until nothing moves.
    fn settle(&mut self) {
        for _ in 0..200 {
            for at in 0..self.peers.len() {
                self.connect(at);
                while self.peers[at].up
                    && !(self.peers[at].to_server.is_empty() && self.peers[at].to_client.is_empty())
                {
                    self.serve(at);
                    self.deliver(at);
                }
            }
            self.pass(Duration::from_millis(110));
            for at in 0..self.peers.len() {
                let now = self.now;
                if self.peers[at].up {
                    self.peers[at].to_server.push_back((now, Wire::Ping));
                }
            }
            let quiet = |peer: &Peer| peer.up && peer.to_client.is_empty() && peer.to_server.len() == 1;
            if self.peers.iter().all(quiet) {
                for at in 0..self.peers.len() {
                    self.serve(at);
                    self.deliver(at);
                }
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// When all is well: everybody who waits gets in, in turn.
    fn drain(&mut self) {
        for _ in 0..self.peers.len() {
            for at in 0..self.peers.len() {
                // Whoever has kept its place stands on it again.
                if self.peers[at].core.keeps_place() {
                    self.tell(at, Input::Again);
                    let input = if self.peers[at].up { Input::Connected } else { Input::Suspended };
                    self.tell(at, input);
                }
            }
            for _ in 0..3 {
                self.settle();
            }
            let waits = |peer: &Peer| !peer.core.is_over() && peer.core.hold().is_none();
            let held = |peer: &Peer| matches!(peer.core.hold(), Some(HoldState::Held));
            let holder = self.peers.iter().position(held);
            assert!(holder.is_some() || !self.peers.iter().any(waits), "nobody gets in");
            let Some(holder) = holder else { break };
            if self.sides {
                self.check_turns();
            }
            let lowest = self.tree.nodes.values().map(|node| node.czxid).min();
            let own = self.peers[holder].core.own_paths().first().and_then(|path| self.tree.nodes.get(path));
            assert!(self.stock || self.sides || own.map(|node| node.czxid) == lowest, "out of turn");
            self.cancel(holder);
        }
        for at in 0..self.peers.len() {
            self.cancel(at);
        }
        self.settle();
        assert_eq!(self.tree.nodes.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "left behind");
    }
}

fn play(seed: u64, peers: usize, stock: bool, sides: bool, choices: &[u8]) -> (usize, usize) {
    let mut world = World::new(seed, peers, stock, sides);
    for at in 0..peers {
        world.connect(at);
    }
    for choice in choices {
        world.step(*choice);
    }
    world.drain();
    (world.grants, world.downgrades)
}

/// As many as `PROPTEST_CASES` says; without it enough to find what was put in on purpose.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn never_two_holders_and_nothing_left(
        seed: u64,
        peers in 1usize..6,
        stock: bool,
        choices in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        play(seed, peers, stock, false, &choices);
    }

    #[test]
    fn readers_or_one_writer_and_nothing_left(
        seed: u64,
        peers in 1usize..7,
        choices in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        play(seed, peers, false, true, &choices);
    }
}

/// A fixed set of seeds, so that every run covers the same ground; and that ground is not barren.
#[test]
fn many_seeds() {
    let mut grants = 0;
    for seed in 0..20_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let choices: Vec<u8> = (0..400).map(|_| rng.random()).collect();
        grants += play(seed, 1 + (seed % 5) as usize, seed % 3 == 0, false, &choices).0;
    }
    assert!(grants > 50_000, "{grants} grants");
}

#[test]
fn many_seeds_of_readers_and_writers() {
    let (mut grants, mut downgrades) = (0, 0);
    for seed in 0..15_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let choices: Vec<u8> = (0..400).map(|_| rng.random()).collect();
        let played = play(seed, 1 + (seed % 6) as usize, false, true, &choices);
        (grants, downgrades) = (grants + played.0, downgrades + played.1);
    }
    assert!(grants > 40_000 && downgrades > 1_500, "{grants} grants, {downgrades} downgrades");
}
