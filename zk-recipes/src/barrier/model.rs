//! Random interleavings of participants at a double barrier, one request at a time, against a model of the server:
//! nobody passes early, nobody leaves alone, and there is always somebody who goes on.
//!
//! The steps are those of `double`, `ticket` and `stale`, and decide by `decision`. What a network does to them is
//! for tests against servers.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet};
use zk_proto::Zxid;

use super::decision::{Entering, LATE, Leaving, READY, counts, entering, goes_on, leaving};
use super::ticket::Opened;

/// What the server knows: the barrier's children with their ages, and the version of its data.
#[derive(Debug, Default)]
struct Server {
    children: BTreeMap<String, Zxid>,
    version: u32,
    zxid: i64,
    changed: Zxid,
    /// When as many as it takes were last there.
    full: Zxid,
}

impl Server {
    fn write(&mut self) -> Zxid {
        self.zxid += 1;
        self.changed = Zxid(self.zxid);
        self.changed
    }

    fn create(&mut self, name: &str) -> Option<Zxid> {
        if self.children.contains_key(name) {
            return None;
        }
        let zxid = self.write();
        self.children.insert(name.to_owned(), zxid);
        Some(zxid)
    }

    fn delete(&mut self, name: &str) -> bool {
        let there = self.children.remove(name).is_some();
        if there {
            self.write();
        }
        there
    }

    fn ready(&self) -> Option<Zxid> {
        self.children.get(READY).copied()
    }

    fn members(&self) -> Vec<String> {
        self.children.keys().filter(|name| *name != READY).cloned().collect()
    }
}

/// Where one is. Each is followed by one request, or by an event.
#[derive(Debug, Clone)]
enum At {
    Outside,
    LookReady,
    /// The answer to the look, with a watch on `ready`.
    List(Option<Zxid>),
    /// Until `ready` is made or goes.
    Waiting,
    Opening,
    Weighing {
        ready: Zxid,
        names: Vec<String>,
        ages: Vec<Zxid>,
    },
    /// Coming late: the version read first, then whether it is still the same round.
    Joining {
        ready: Zxid,
        version: Option<u32>,
        still: bool,
    },
    Removing(Removing),
    Inside,
    Leave(Departure),
}

/// Removing a stale `ready`: the version read first, then whether it is still the one.
#[derive(Debug, Clone)]
struct Removing {
    age: Zxid,
    version: Option<u32>,
    still: bool,
    /// Goes on leaving after it; else entering.
    then: Option<Box<Departure>>,
}

#[derive(Debug, Clone)]
struct Departure {
    node: bool,
    round: Option<BTreeSet<String>>,
    as_of: Zxid,
    /// At the last listing.
    version: u32,
    step: Step,
}

impl Departure {
    fn without(&mut self, name: &str) {
        if let Some(round) = &mut self.round {
            round.remove(name);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    List,
    /// One who came late asks whether the round is still the same.
    OfOurRound(Vec<String>, bool),
    /// If the barrier's data still have this version.
    Close(u32),
    Go(String),
    Look(String),
    /// Until the node of this age goes.
    Until(String, Zxid),
    Clear,
}

#[derive(Debug)]
struct Participant {
    at: At,
    name: String,
    czxid: Zxid,
    opened: Opened,
    /// What happens at `ready` since the look, in order: made, or gone.
    heard: Vec<Option<Zxid>>,
    entered: u32,
    wants_out: u32,
    left: u32,
}

struct World {
    rng: StdRng,
    server: Server,
    quantity: usize,
    all: Vec<Participant>,
    crashes: bool,
}

impl World {
    fn new(seed: u64, quantity: usize, crashes: bool) -> Self {
        let start = |_| Participant {
            at: At::Outside,
            name: String::new(),
            czxid: Zxid(0),
            opened: Opened { at: None, late: false },
            heard: Vec::new(),
            entered: 0,
            wants_out: 0,
            left: 0,
        };
        let all = (0..quantity).map(start).collect();
        Self { rng: StdRng::seed_from_u64(seed), server: Server::default(), quantity, all, crashes }
    }

    /// Those who can do something; the others wait for an event.
    fn able(&self) -> Vec<usize> {
        let waits = |p: &Participant| match &p.at {
            At::Waiting => p.heard.is_empty(),
            At::Leave(Departure { step: Step::Until(name, age), .. }) => {
                let closed = p.opened.at.is_some_and(|at| *age > at) && self.server.ready() != p.opened.at;
                self.server.children.get(name) == Some(age) && !closed
            }
            _ => false,
        };
        (0..self.all.len()).filter(|n| !waits(&self.all[*n])).collect()
    }

    /// Someone's session ends, and he begins anew.
    fn crash(&mut self, n: usize) {
        let name = std::mem::take(&mut self.all[n].name);
        self.server.delete(&name);
        self.all[n].at = At::Outside;
    }

    fn ready_is(&mut self, made: Option<Zxid>) {
        self.all.iter_mut().for_each(|p| p.heard.push(made));
    }

    fn step(&mut self, pick: u8) {
        let able = self.able();
        assert!(!able.is_empty(), "all wait for each other: {:?} {:?}", self.server, self.all);
        let n = able[usize::from(pick) % able.len()];
        let at = std::mem::replace(&mut self.all[n].at, At::Outside);
        let next = match at {
            At::Outside => self.come(n),
            At::LookReady => {
                self.all[n].heard.clear();
                At::List(self.server.ready())
            }
            At::List(ready) => self.decide(n, ready),
            At::Waiting => match self.all[n].heard.first().copied() {
                Some(Some(made)) => self.pass(n, Some(made), false),
                _ => At::LookReady,
            },
            At::Opening => self.open(n),
            At::Weighing { ready, names, ages } => self.weigh(ready, names, ages),
            At::Joining { ready, version, still } => self.join(n, ready, version, still),
            At::Removing(removing) => self.remove(removing),
            At::Inside => {
                self.all[n].wants_out += 1;
                let (round, as_of) = (None, Zxid(0));
                At::Leave(Departure { node: true, round, as_of, version: 0, step: Step::List })
            }
            At::Leave(departure) => self.leave(n, departure),
        };
        self.all[n].at = next;
    }

    fn come(&mut self, n: usize) -> At {
        let name = format!("{:08x}", self.rng.next_u32());
        let czxid = self.server.create(&name);
        self.note_full();
        let p = &mut self.all[n];
        p.name = name;
        p.czxid = czxid.unwrap_or(Zxid(0));
        At::LookReady
    }

    fn decide(&mut self, n: usize, ready: Option<Zxid>) -> At {
        let names = self.server.members();
        let names: Vec<String> = names.into_iter().filter(|name| counts(name)).collect();
        match (entering(self.all[n].czxid, ready, names.len(), self.quantity), ready) {
            (Entering::In, opened) => self.pass(n, opened, false),
            (Entering::Open, _) => At::Opening,
            (Entering::Wait, _) => At::Waiting,
            (Entering::Weigh, ready) => {
                At::Weighing { ready: ready.unwrap_or(Zxid(0)), names, ages: Vec::new() }
            }
        }
    }

    fn note_full(&mut self) {
        if self.server.members().iter().filter(|name| counts(name)).count() >= self.quantity {
            self.server.full = self.server.changed;
        }
    }

    fn open(&mut self, n: usize) -> At {
        assert!(self.server.full >= self.all[n].czxid, "there were never enough since it came");
        let Some(made) = self.server.create(READY) else { return At::LookReady };
        let inside = |p: &Participant| matches!(p.at, At::Inside);
        assert!(!self.all.iter().any(inside), "somebody is still at work in another round");
        self.ready_is(Some(made));
        self.pass(n, Some(made), false)
    }

    fn weigh(&self, ready: Zxid, mut names: Vec<String>, mut ages: Vec<Zxid>) -> At {
        match names.pop() {
            Some(name) => {
                ages.extend(self.server.children.get(&name));
                At::Weighing { ready, names, ages }
            }
            None if goes_on(ready, &ages) => {
                assert!(ages.into_iter().min() < Some(ready), "a round without anybody");
                At::Joining { ready, version: None, still: false }
            }
            None => At::Removing(Removing { age: ready, version: None, still: false, then: None }),
        }
    }

    fn join(&mut self, n: usize, ready: Zxid, version: Option<u32>, still: bool) -> At {
        let Some(read) = version else {
            return At::Joining { ready, version: Some(self.server.version), still };
        };
        if !still && self.server.ready() == Some(ready) {
            return At::Joining { ready, version, still: true };
        }
        let own = self.all[n].name.clone();
        self.server.delete(&own);
        if !still || self.server.version != read {
            // Another round, another name.
            return At::Outside;
        }
        self.all[n].name = own + LATE;
        let czxid = self.server.create(&self.all[n].name);
        self.all[n].czxid = czxid.unwrap_or(Zxid(0));
        self.pass(n, Some(ready), true)
    }

    fn remove(&mut self, mut removing: Removing) -> At {
        let Some(version) = removing.version else {
            removing.version = Some(self.server.version);
            return At::Removing(removing);
        };
        if !removing.still && self.server.ready() == Some(removing.age) {
            removing.still = true;
            return At::Removing(removing);
        }
        if removing.still && self.server.version == version && self.server.delete(READY) {
            self.server.version += 1;
            self.ready_is(None);
        }
        match removing.then {
            Some(departure) => At::Leave(*departure),
            None => At::LookReady,
        }
    }

    /// Inside. Without crashes the rounds are the same for all.
    fn pass(&mut self, n: usize, at: Option<Zxid>, late: bool) -> At {
        let p = &mut self.all[n];
        p.opened = Opened { at, late };
        p.entered += 1;
        let round = p.entered;
        assert!(late || at > Some(p.czxid), "let in by a round before");
        if !self.crashes {
            assert!(!late, "nobody comes late who does not come anew");
            let out = self.all.iter().map(|p| p.left).min();
            assert_eq!(out, Some(round - 1), "somebody is still in the round before");
            let waiting = |p: &Participant| self.server.children.contains_key(&p.name) || p.entered >= round;
            assert!(self.all.iter().all(waiting), "somebody has not come yet");
        }
        At::Inside
    }

    fn out(&mut self, n: usize) -> At {
        self.all[n].left += 1;
        assert!(!self.server.children.contains_key(&self.all[n].name), "its node is left");
        if !self.crashes {
            let round = self.all[n].left;
            assert!(self.all.iter().all(|p| p.wants_out >= round), "somebody is still at work");
        }
        At::Outside
    }

    fn leave(&mut self, n: usize, mut d: Departure) -> At {
        let own = self.all[n].name.clone();
        match d.step.clone() {
            Step::List => {
                d.version = self.server.version;
                let members = self.server.members();
                let round = d.round.get_or_insert_with(|| {
                    d.as_of = self.server.changed;
                    members.iter().cloned().collect()
                });
                let of_round = members.into_iter().filter(|name| round.contains(name)).collect();
                let ready = self.server.ready().is_some();
                d.step = Step::OfOurRound(of_round, ready);
                // Only those who came late ask.
                if !self.all[n].opened.late || !d.node { self.choose(n, d) } else { At::Leave(d) }
            }
            Step::OfOurRound(..) if self.all[n].opened.at != self.server.ready() => {
                self.server.delete(&own);
                self.out(n)
            }
            Step::OfOurRound(..) => self.choose(n, d),
            Step::Close(version) if version != self.server.version => {
                d.step = Step::List;
                At::Leave(d)
            }
            Step::Close(_) => {
                self.server.delete(&own);
                if self.server.delete(READY) {
                    self.server.version += 1;
                    self.ready_is(None);
                }
                self.out(n)
            }
            Step::Go(lowest) => {
                self.server.delete(&own);
                d.node = false;
                d.step = Step::Look(lowest);
                At::Leave(d)
            }
            Step::Look(name) => {
                d.step = match self.server.children.get(&name) {
                    Some(age) if *age > d.as_of => {
                        d.without(&name);
                        Step::List
                    }
                    // The look at `ready` that follows it is part of waiting.
                    Some(age) => Step::Until(name, *age),
                    None => Step::List,
                };
                At::Leave(d)
            }
            Step::Until(name, age) => {
                if self.server.children.get(&name) == Some(&age) {
                    // He has closed the round.
                    d.without(&name);
                }
                d.step = Step::List;
                At::Leave(d)
            }
            Step::Clear => match self.server.ready() {
                Some(age) if age <= d.as_of => {
                    At::Removing(Removing { age, version: None, still: false, then: Some(Box::new(d)) })
                }
                _ => self.out(n),
            },
        }
    }

    fn choose(&mut self, n: usize, mut d: Departure) -> At {
        let Step::OfOurRound(of_round, ready) = &d.step else { return At::Leave(d) };
        d.step = match leaving(&self.all[n].name, of_round) {
            Leaving::Gone if *ready => Step::Clear,
            Leaving::Gone => return self.out(n),
            Leaving::CloseRound => Step::Close(d.version),
            Leaving::WaitFor(highest) => Step::Look(highest.to_owned()),
            Leaving::GoAndWaitFor(lowest) => Step::Go(lowest.to_owned()),
            Leaving::Linger(lowest) => Step::Look(lowest.to_owned()),
        };
        At::Leave(d)
    }
}

/// As many as `PROPTEST_CASES` says; without it enough to find what was put in on purpose.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn nobody_passes_early_and_all_go_on(
        seed: u64,
        quantity in 1_usize..5,
        steps in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut world = World::new(seed, quantity, false);
        for step in steps {
            world.step(step);
        }
        // From anywhere there is a way on, whoever is slow.
        let rounds = world.all.iter().map(|p| p.left).min().unwrap_or(0);
        for turn in 0..quantity * 200 {
            world.step(u8::try_from(turn % 251).unwrap_or(0));
        }
        prop_assert!(world.all.iter().all(|p| p.left > rounds));
    }

    #[test]
    fn whoever_dies_keeps_nobody_for_ever(
        seed: u64,
        quantity in 1_usize..5,
        steps in proptest::collection::vec((any::<u8>(), 0_u8..20), 0..400),
    ) {
        let mut world = World::new(seed, quantity, true);
        for (step, fate) in steps {
            if fate == 0 {
                world.crash(usize::from(step) % quantity);
            }
            world.step(step);
        }
        let rounds: u32 = world.all.iter().map(|p| p.left).sum();
        for turn in 0..quantity * 400 {
            world.step(u8::try_from(turn % 251).unwrap_or(0));
        }
        let later: u32 = world.all.iter().map(|p| p.left).sum();
        prop_assert!(later > rounds, "{:?} {:?}", world.server, world.all);
    }
}
