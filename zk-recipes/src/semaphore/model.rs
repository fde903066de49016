//! The core against a small model of ZooKeeper: several acquirers, every interleaving that chance brings, lost
//! connections and answers, expiry, cancellation, vanishing parents, a size that changes, operators who delete nodes;
//! and among them peers that follow Curator's algorithm to the letter. The oracle:
//!
//! - never more permits out than the size that the last to get one went by;
//! - whoever gets in from the line was its head;
//! - a lease that goes wakes at most one who waits;
//! - when all is well again, everybody who waits gets in;
//! - when all have released or given up, no node is left.

mod curator;
mod network;
mod tree;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng as _};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use zk_proto::{SessionId, Zxid};

use super::core::Core;
use super::layout::Layout;
use super::messages::{Answer, Input, Options, Output};
use crate::contender::{Leftover, Parents, Patience, RequestId};
use curator::Curator;
use tree::{Tree, Wire};

const TIMEOUT: Duration = Duration::from_secs(10);
const LOCKS: &str = "/s/locks";
const LEASES: &str = "/s/leases";

#[derive(Debug)]
enum Back {
    /// The answer to the request sent at this time.
    Answer(Duration, Wire, Option<Answer>),
    /// A watch of this name went off.
    Event(String),
}

/// What somebody has got.
#[derive(Debug, Clone)]
struct Permits {
    session: SessionId,
    paths: Vec<String>,
    token: Zxid,
    /// The size that was gone by.
    size: u32,
    /// The how-many-th grant of all.
    turn: usize,
}

struct Peer {
    core: Core,
    permits: Option<Permits>,
    session: Option<SessionId>,
    up: bool,
    until: Duration,
    to_server: VecDeque<(Duration, Wire)>,
    to_client: VecDeque<Back>,
    /// Names of watches, and what they saw last.
    watching: BTreeMap<RequestId, (String, u64)>,
    arming: BTreeMap<RequestId, (String, u64)>,
    /// Whether the last acquisition had to wait.
    waited: bool,
    /// The greatest size that this acquisition has seen.
    most: u32,
}

struct World {
    now: Duration,
    rng: StdRng,
    layout: Layout,
    /// Whether the size is in a node, and changes.
    shared: bool,
    tree: Tree,
    peers: Vec<Peer>,
    curators: Vec<Curator>,
    grants: usize,
    quick: usize,
    /// An operator has deleted nodes.
    operated: bool,
}

impl World {
    fn new(seed: u64, peers: usize, curators: usize, layout: Layout, shared: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let first_counter = [0, i32::MAX - 3, -4][rng.random_range(0..3)];
        let size = rng.random_range(1..5);
        let tree = Tree { first_counter, size, layout, ..Tree::default() };
        let curators = (0..curators).map(|_| Curator::default()).collect();
        let now = Duration::ZERO;
        let mut world = Self {
            now,
            rng,
            layout,
            shared,
            tree,
            peers: vec![],
            curators,
            grants: 0,
            quick: 0,
            operated: false,
        };
        for _ in 0..peers {
            let core = world.core(false);
            world.peers.push(Peer {
                core,
                permits: None,
                session: None,
                up: false,
                until: Duration::ZERO,
                to_server: VecDeque::new(),
                to_client: VecDeque::new(),
                watching: BTreeMap::new(),
                arming: BTreeMap::new(),
                waited: false,
                most: 0,
            });
        }
        world
    }

    fn core(&mut self, waited: bool) -> Core {
        let patience = match self.rng.random_range(0..6) {
            0 => Patience::None,
            1 => Patience::Until(self.now + Duration::from_secs(self.rng.random_range(1..30))),
            _ => Patience::Forever,
        };
        let most = self.tree.size.clamp(1, 3);
        Core::new(Options {
            layout: self.layout,
            locks: LOCKS.into(),
            leases: LEASES.into(),
            permits: self.rng.random_range(1..=most) as usize,
            size: (!self.shared).then_some(self.tree.size),
            patience,
            parents: Parents::Container,
            quick: !waited,
        })
    }

    fn tell(&mut self, at: usize, input: Input) {
        let peer = &mut self.peers[at];
        let lock = peer.core.lock.clone();
        // Without an order among leases the decision falls before they are made, and a size read later is none of it.
        let counted = peer.core.size().filter(|_| self.layout == Layout::Kazoo).unwrap_or_default();
        peer.most = peer.most.max(counted);
        for output in peer.core.handle(self.now, input) {
            match output {
                Output::Send(id, request) => peer.to_server.push_back((self.now, Wire::Core(id, request))),
                Output::Forget(id) => {
                    peer.watching.remove(&id);
                    peer.arming.remove(&id);
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
                Output::Grant { grant, waited } => {
                    assert!(peer.permits.is_none());
                    assert!(self.tree.sessions.contains_key(&grant.session), "granted after its session");
                    assert_eq!(grant.paths.len(), peer.core.options.permits);
                    let size = peer.core.size().expect("counted without a size").max(peer.most);
                    self.grants += 1;
                    self.quick += usize::from(lock.is_none());
                    let (session, token, turn) = (grant.session, grant.token, self.grants);
                    for path in &grant.paths {
                        let node = self.tree.nodes.get(path);
                        assert!(node.is_none_or(|node| (node.owner, node.czxid) == (session, token)));
                    }
                    peer.permits = Some(Permits { session, paths: grant.paths, token, size, turn });
                    peer.waited = waited;
                    if let Some(lock) = &lock {
                        self.tree.assert_head(lock);
                    }
                }
                Output::Leave(leftover) => {
                    let (session, wire) = match leftover {
                        Leftover::Named { paths, session } => (session, Wire::Delete(paths)),
                        Leftover::Claimed { paths, .. } => (None, Wire::Delete(paths)),
                        Leftover::Unnamed { prefixes, session } => (session, Wire::FindAndDelete(prefixes)),
                        // Nobody here shares a name.
                        Leftover::Marked { .. } => continue,
                    };
                    if peer.session == session {
                        peer.to_server.push_back((self.now, wire));
                    }
                }
                Output::Requeued | Output::Foreign(..) | Output::Fail(_) => {}
            }
        }
        self.check();
    }

    /// Who has permits whose nodes the server still has.
    fn out(&self) -> Vec<&Permits> {
        let curators = self.curators.iter().filter_map(|curator| curator.permits.as_ref());
        // Who has lost a lease to an operator hears it by the watch on it.
        let alive = |permits: &&Permits| {
            self.tree.sessions.contains_key(&permits.session)
                && permits.paths.iter().all(|path| self.tree.nodes.contains_key(path))
        };
        self.peers.iter().filter_map(|peer| peer.permits.as_ref()).chain(curators).filter(alive).collect()
    }

    fn check(&self) {
        let out = self.out();
        let count: usize = out.iter().map(|permits| permits.paths.len()).sum();
        let by_order = |permits: &&&Permits| match self.layout {
            Layout::Curator => (permits.token.0, 0),
            Layout::Kazoo => (0, permits.turn),
        };
        let size = out.iter().max_by_key(by_order).map_or(0, |last| last.size);
        assert!(count <= size as usize, "{count} permits out of {size}: {out:?}");
    }

    /// Time passes, and nobody oversleeps.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let next = self.peers.iter().filter_map(|peer| peer.core.deadline()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            for at in 0..self.peers.len() {
                let until = self.peers[at].until;
                if self.peers[at].core.deadline().is_some_and(|deadline| deadline <= self.now) {
                    self.tell(at, Input::Heard { until });
                    self.tell(at, Input::Tick);
                }
            }
        }
        self.now = end;
        let expired: Vec<_> =
            self.tree.sessions.iter().filter(|(_, at)| **at <= self.now).map(|(id, _)| *id).collect();
        for session in expired {
            self.expire(session);
        }
    }

    fn expire(&mut self, session: SessionId) {
        let events = self.tree.expire(session);
        self.notify(events);
    }

    fn release(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        if let Some(permits) = peer.permits.take()
            && peer.session == Some(permits.session)
        {
            peer.to_server.push_back((self.now, Wire::Delete(permits.paths)));
        }
    }

    /// An acquisition that has ended makes room for a fresh one in the same client.
    fn renew(&mut self, at: usize) {
        let lost = |peer: &Peer| {
            let session = peer.permits.as_ref().map(|permits| permits.session);
            session.is_some_and(|session| peer.session != Some(session))
        };
        if lost(&self.peers[at]) {
            self.peers[at].permits = None;
        }
        if !self.peers[at].core.is_over() || self.peers[at].permits.is_some() {
            return;
        }
        let core = self.core(self.peers[at].waited);
        let peer = &mut self.peers[at];
        // Requests of another core carry the same numbers: whatever is on its way is not for this one.
        for (_, wire) in &mut peer.to_server {
            wire.disown();
        }
        for back in &mut peer.to_client {
            if let Back::Answer(_, wire, _) = back {
                *wire = Wire::Ping;
            }
        }
        peer.watching.clear();
        peer.arming.clear();
        (peer.core, peer.most) = (core, 0);
        if let Some(session) = peer.session {
            self.enter(at, session);
            if !self.peers[at].up {
                self.tell(at, Input::Suspended);
            }
        }
    }

    fn step(&mut self, choice: u8) {
        let at = self.rng.random_range(0..self.peers.len());
        match choice % 40 {
            0..=9 => self.serve(at),
            10..=19 => self.deliver(at),
            20 | 21 => self.connect(at),
            22 => self.disconnect(at),
            23 => self.tell(at, Input::Cancel),
            24 | 25 => self.release(at),
            26 | 27 => self.renew(at),
            28 => {
                let now = self.now;
                if self.peers[at].up {
                    self.peers[at].to_server.push_back((now, Wire::Ping));
                }
            }
            29 => self.tree.reap_containers(),
            30 => {
                if let Some(session) = self.peers[at].session.filter(|_| self.rng.random_range(0..4) == 0) {
                    // Expired ahead of its time, as by an operator: only of who has nothing and will not believe it
                    // has, as no clock could tell it.
                    self.disconnect(at);
                    if self.peers[at].permits.is_none() {
                        self.expire(session);
                    }
                }
            }
            31 => {
                let span = Duration::from_millis(self.rng.random_range(1..3000));
                self.pass(span);
            }
            32 => self.operate(),
            33 if self.shared => {
                let size = self.rng.random_range(0..5);
                let events = self.tree.resize(size);
                self.notify(events);
            }
            34..=38 if !self.curators.is_empty() => {
                let which = self.rng.random_range(0..self.curators.len());
                self.curate(which);
            }
            _ => self.pass(Duration::from_millis(50)),
        }
    }

    /// An operator deletes a node, of somebody who has no permits by it.
    fn operate(&mut self) {
        let out: Vec<&String> = self.out().into_iter().flat_map(|permits| &permits.paths).collect();
        let others: Vec<String> =
            self.tree.nodes.keys().filter(|path| !out.contains(path)).cloned().collect();
        if others.is_empty() || self.rng.random_range(0..6) > 0 {
            return;
        }
        // In Kazoo's layout the lock alone keeps others out; and two Curators that both believe to have it may wait
        // for each other for ever.
        let path = &others[self.rng.random_range(0..others.len())];
        let owner = self.tree.nodes.get(path).map(|node| node.owner);
        let ours = self.peers.iter().any(|peer| peer.session == owner);
        if self.layout == Layout::Curator && ours {
            self.operated = true;
            let events = self.tree.remove(path);
            self.notify(events);
        }
    }

    /// Everybody is connected and heard, until nothing moves.
    fn settle(&mut self) {
        for _ in 0..300 {
            for at in 0..self.peers.len() {
                self.connect(at);
                // Whoever has lost a lease gives up the others of the same holding.
                let gone = |path| !self.tree.nodes.contains_key(path);
                if self.peers[at].permits.as_ref().is_some_and(|permits| permits.paths.iter().any(gone)) {
                    self.release(at);
                }
                let mut frames = 0;
                while self.peers[at].up
                    && !(self.peers[at].to_server.is_empty() && self.peers[at].to_client.is_empty())
                {
                    self.serve(at);
                    self.deliver(at);
                    frames += 1;
                    assert!(frames < 1000, "it talks for ever: {:?}", self.peers[at].core);
                }
            }
            let mut moved = false;
            for which in 0..self.curators.len() {
                moved |= !self.curators[which].is_at_rest() && self.curate(which);
            }
            self.pass(Duration::from_millis(110));
            for at in 0..self.peers.len() {
                let now = self.now;
                if self.peers[at].up {
                    self.peers[at].to_server.push_back((now, Wire::Ping));
                }
            }
            let quiet = |peer: &Peer| peer.up && peer.to_client.is_empty() && peer.to_server.len() == 1;
            if !moved && self.peers.iter().all(quiet) {
                for at in 0..self.peers.len() {
                    self.serve(at);
                    self.deliver(at);
                }
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// When all is well: everybody who waits gets in, and leaves nothing.
    fn drain(&mut self) {
        if self.shared {
            let events = self.tree.resize(4);
            self.notify(events);
        }
        let everybody = self.peers.len() + self.curators.len();
        for _ in 0..=everybody {
            for _ in 0..3 {
                self.settle();
            }
            let waits = self.peers.iter().filter(|peer| !peer.core.is_over()).count()
                + self.curators.iter().filter(|curator| curator.waits()).count();
            let out = self.out().len();
            assert!(out > 0 || waits == 0, "nobody of {waits} gets in: {:?}", self.tree.nodes.keys());
            if waits == 0 {
                break;
            }
            for at in 0..self.peers.len() {
                self.release(at);
            }
            for which in 0..self.curators.len() {
                self.let_go(which);
            }
        }
        assert!(self.peers.iter().all(|peer| peer.core.is_over()), "somebody waits for ever");
        for at in 0..self.peers.len() {
            self.tell(at, Input::Cancel);
            self.release(at);
        }
        for which in 0..self.curators.len() {
            self.let_go(which);
        }
        self.settle();
        assert_eq!(self.tree.nodes.keys().collect::<Vec<_>>(), Vec::<&String>::new(), "left behind");
    }
}

fn play(seed: u64, peers: usize, curators: usize, layout: Layout, shared: bool, choices: &[u8]) -> World {
    let mut world = World::new(seed, peers, curators, layout, shared);
    for at in 0..peers {
        world.connect(at);
    }
    for choice in choices {
        world.step(*choice);
    }
    world.drain();
    world
}

/// As many as `PROPTEST_CASES` says; without it enough to find what was put in on purpose.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn never_too_many_and_nothing_left(
        seed: u64,
        peers in 1usize..6,
        curators in 0usize..4,
        shared: bool,
        choices in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        play(seed, peers, curators, Layout::Curator, shared, &choices);
    }

    #[test]
    fn neither_in_kazoos_layout(
        seed: u64,
        peers in 1usize..6,
        shared: bool,
        choices in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        play(seed, peers, 0, Layout::Kazoo, shared, &choices);
    }
}

/// A fixed set of seeds, so that every run covers the same ground; and that ground is not barren.
#[test]
fn many_seeds() {
    let (mut grants, mut quick, mut curators) = (0, 0, 0);
    for seed in 0..6_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let choices: Vec<u8> = (0..400).map(|_| rng.random()).collect();
        let layout = if seed % 4 == 3 { Layout::Kazoo } else { Layout::Curator };
        let peers = if layout == Layout::Kazoo { 0 } else { (seed % 3) as usize };
        let world = play(seed, 1 + (seed % 5) as usize, peers, layout, seed % 2 == 0, &choices);
        grants += world.grants;
        quick += world.quick;
        curators += world.curators.iter().map(|curator| curator.grants).sum::<usize>();
    }
    assert!(grants > 10_000 && quick > 3_000 && curators > 3_000, "{grants} {quick} {curators}");
}
