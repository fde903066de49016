//! Random interleavings of takers of one queue, one request at a time, with lost answers, lost requests, sessions that
//! end, strangers that delete, and takers that are dropped, against a model of the server: an item is done once, by
//! who is told so, and no claim is left behind.
//!
//! The steps are those of `taker`, `delivery` and the reaper, and decide by `decision`.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use zk_proto::SessionId;

use super::decision::{Fate, is_ours, of_acknowledgement};

type Item = u32;

/// A claim, or the making of one: the mark tells it from all others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    item: Item,
    session: SessionId,
    mark: String,
}

#[derive(Debug, Default)]
struct Server {
    items: BTreeSet<Item>,
    claims: BTreeMap<Item, Claim>,
    live: BTreeSet<SessionId>,
    /// By which claims items were done.
    done: Vec<Claim>,
    /// Deleted by a stranger.
    lost: usize,
}

/// Where a taker is; each is followed by one request.
#[derive(Debug, Clone)]
enum At {
    ListItems,
    ListClaims(Vec<Item>),
    Next(VecDeque<Item>),
    Claim(Claim),
    Find(Claim),
    Read(Claim),
    Hold(Claim),
    Acknowledge(Claim),
    AskFate(Claim),
    GiveBack(Claim),
}

/// What the reaper has to delete.
#[derive(Debug, Clone)]
enum Reaping {
    Look(Claim),
    Delete(Claim),
}

#[derive(Debug)]
struct Taker {
    session: SessionId,
    at: At,
    reaping: VecDeque<Reaping>,
}

/// What becomes of a request on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wire {
    Good,
    RequestLost,
    ReplyLost,
}

/// The answer to a request.
enum Answer<T> {
    Got(T),
    /// The session is over.
    Expired,
    Lost,
}

struct World {
    server: Server,
    takers: Vec<Taker>,
    made: u32,
}

impl World {
    fn new(items: u32, takers: usize) -> Self {
        let server = Server { items: (0..items).collect(), ..Server::default() };
        let mut world = Self { server, takers: Vec::new(), made: 0 };
        for _ in 0..takers {
            let session = world.session();
            world.takers.push(Taker { session, at: At::ListItems, reaping: VecDeque::new() });
        }
        world
    }

    fn number(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    fn session(&mut self) -> SessionId {
        let session = SessionId(i64::from(self.number()));
        self.server.live.insert(session);
        session
    }

    fn expire(&mut self, n: usize) {
        let session = self.takers[n].session;
        self.server.live.remove(&session);
        self.server.claims.retain(|_, claim| claim.session != session);
    }

    /// A request that is pinned to a session.
    fn ask<T>(&mut self, session: SessionId, wire: Wire, work: impl FnOnce(&mut Server) -> T) -> Answer<T> {
        if wire == Wire::RequestLost {
            return Answer::Lost;
        }
        if !self.server.live.contains(&session) {
            return Answer::Expired;
        }
        let done = work(&mut self.server);
        if wire == Wire::ReplyLost { Answer::Lost } else { Answer::Got(done) }
    }

    /// The taker's future is dropped, or its delivery.
    fn drop_it(&mut self, n: usize) {
        let taker = &mut self.takers[n];
        match std::mem::replace(&mut taker.at, At::ListItems) {
            At::Claim(claim)
            | At::Find(claim)
            | At::Read(claim)
            | At::Hold(claim)
            | At::Acknowledge(claim)
            | At::AskFate(claim)
            | At::GiveBack(claim) => taker.reaping.push_back(Reaping::Look(claim)),
            At::ListItems | At::ListClaims(_) | At::Next(_) => {}
        }
    }

    fn step(&mut self, n: usize, wire: Wire, keep: bool) {
        if let Some(reaping) = self.takers[n].reaping.pop_front() {
            if let Some(more) = self.reap(reaping, wire) {
                self.takers[n].reaping.push_back(more);
            }
            if !keep {
                return;
            }
        }
        let session = self.takers[n].session;
        let at = std::mem::replace(&mut self.takers[n].at, At::ListItems);
        let next = match at {
            At::ListItems => At::ListClaims(self.server.items.iter().copied().collect()),
            At::ListClaims(items) => {
                let free = items.into_iter().filter(|item| !self.server.claims.contains_key(item));
                At::Next(free.collect())
            }
            At::Next(mut items) => match items.pop_front() {
                Some(item) if self.server.live.contains(&session) => {
                    let mark = self.number().to_string();
                    At::Claim(Claim { item, session, mark })
                }
                Some(_) => {
                    self.takers[n].session = self.session();
                    At::Next(items)
                }
                None => At::ListItems,
            },
            At::Claim(claim) => self.claim(claim, wire),
            At::Find(claim) => {
                let there = self.server.claims.get(&claim.item);
                let ours = there
                    .is_some_and(|it| is_ours(it.session, it.mark.as_bytes(), claim.session, &claim.mark));
                if ours { At::Read(claim) } else { At::Claim(claim) }
            }
            At::Read(claim) => match self.ask(session, wire, |server| server.items.contains(&claim.item)) {
                Answer::Got(true) => At::Hold(claim),
                Answer::Got(false) => {
                    self.takers[n].reaping.push_back(Reaping::Look(claim));
                    At::ListItems
                }
                Answer::Expired => At::ListItems,
                Answer::Lost => At::Read(claim),
            },
            At::Hold(claim) if keep => At::Acknowledge(claim),
            At::Hold(claim) => At::GiveBack(claim),
            At::Acknowledge(claim) => self.acknowledge(claim, wire),
            At::AskFate(claim) => self.ask_fate(n, claim),
            At::GiveBack(claim) => {
                match self.ask(session, wire, |server| server.claims.remove(&claim.item)) {
                    Answer::Got(there) => {
                        assert!(there.is_none_or(|there| there == claim), "somebody else's claim");
                        At::ListItems
                    }
                    Answer::Expired => At::ListItems,
                    Answer::Lost => {
                        self.takers[n].reaping.push_back(Reaping::Look(claim));
                        At::ListItems
                    }
                }
            }
        };
        self.takers[n].at = next;
    }

    fn claim(&mut self, claim: Claim, wire: Wire) -> At {
        let made = self.ask(claim.session, wire, |server| {
            let free = !server.claims.contains_key(&claim.item);
            if free {
                server.claims.insert(claim.item, claim.clone());
            }
            free
        });
        match made {
            Answer::Got(true) => At::Read(claim),
            Answer::Got(false) | Answer::Expired => At::ListItems,
            Answer::Lost => At::Find(claim),
        }
    }

    fn acknowledge(&mut self, claim: Claim, wire: Wire) -> At {
        let answer = self.ask(claim.session, wire, |server| {
            let both = server.claims.contains_key(&claim.item) && server.items.contains(&claim.item);
            if both {
                assert_eq!(server.claims.remove(&claim.item).as_ref(), Some(&claim), "another's claim");
                server.items.remove(&claim.item);
                server.done.push(claim.clone());
            }
            both
        });
        match answer {
            Answer::Got(true) => {
                self.told(&claim, true);
                At::ListItems
            }
            Answer::Got(false) | Answer::Expired => {
                self.told(&claim, false);
                At::GiveBack(claim)
            }
            Answer::Lost => At::AskFate(claim),
        }
    }

    fn ask_fate(&mut self, n: usize, claim: Claim) -> At {
        let item = self.server.items.contains(&claim.item);
        let ours = self.server.claims.get(&claim.item) == Some(&claim);
        match of_acknowledgement(item, ours, self.server.live.contains(&claim.session)) {
            Fate::Done => self.told(&claim, true),
            Fate::NotDone => return At::Acknowledge(claim),
            Fate::Lost(_) => {
                self.told(&claim, false);
                self.takers[n].reaping.push_back(Reaping::Look(claim));
            }
            Fate::Unknown => {}
        }
        At::ListItems
    }

    /// A taker is told what became of its item.
    fn told(&self, claim: &Claim, done: bool) {
        assert_eq!(self.server.done.contains(claim), done, "{claim:?}");
    }

    fn reap(&mut self, reaping: Reaping, wire: Wire) -> Option<Reaping> {
        match reaping {
            Reaping::Look(claim) => {
                match self.ask(claim.session, wire, |server| server.claims.get(&claim.item).cloned()) {
                    Answer::Got(Some(there))
                        if is_ours(there.session, there.mark.as_bytes(), claim.session, &claim.mark) =>
                    {
                        Some(Reaping::Delete(claim))
                    }
                    Answer::Got(_) | Answer::Expired => None,
                    Answer::Lost => Some(Reaping::Look(claim)),
                }
            }
            Reaping::Delete(claim) => {
                match self.ask(claim.session, wire, |server| server.claims.remove(&claim.item)) {
                    Answer::Got(there) => {
                        assert!(there.is_none_or(|there| there == claim), "somebody else's claim");
                        None
                    }
                    Answer::Expired => None,
                    Answer::Lost => Some(Reaping::Look(claim)),
                }
            }
        }
    }
}

/// As many as `PROPTEST_CASES` says; without it enough to find what was put in on purpose.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn an_item_is_done_once_by_who_is_told_so(
        items in 1_u32..6,
        takers in 1_usize..5,
        stranger: bool,
        steps in proptest::collection::vec((any::<u8>(), 0_u8..40), 0..300),
    ) {
        let mut world = World::new(items, takers);
        for (who, what) in steps {
            let n = usize::from(who) % takers;
            let item = u32::from(who) % items;
            match what {
                0 => world.expire(n),
                1 | 2 => world.drop_it(n),
                3 if stranger => world.server.lost += usize::from(world.server.items.remove(&item)),
                4..8 => world.step(n, Wire::RequestLost, true),
                8..12 => world.step(n, Wire::ReplyLost, true),
                12..15 => world.step(n, Wire::Good, false),
                _ => world.step(n, Wire::Good, true),
            }
        }
        for turn in 0..takers * 200 {
            world.step(turn % takers, Wire::Good, true);
        }
        let done: BTreeSet<Item> = world.server.done.iter().map(|claim| claim.item).collect();
        prop_assert_eq!(done.len(), world.server.done.len(), "done twice");
        prop_assert_eq!(done.len() + world.server.lost, items as usize, "none is forgotten");
        prop_assert!(world.server.claims.is_empty(), "{:?}", world.server);
    }
}
