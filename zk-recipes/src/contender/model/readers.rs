//! The model's readers and writers: their sides of the lock, and the way from one to the other, by the decisions
//! that production makes.

use rand::RngExt as _;
use zk_proto::{SessionId, path};

use super::tree::Wire;
use super::{Back, Make, TIMEOUT, World};
use crate::contender::{Core, Grant, HoldState, Input, Output, Prefix, Rule};
use crate::identity::Uuid;
use crate::rw_lock::downgrade::{Downgrade, Step, Told};
use crate::rw_lock::rules;
use crate::sequence::{Sequence, WRITERS};

/// What a peer came for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// There are no sides.
    Mutex,
    Reader,
    Writer,
}

impl Side {
    pub(super) fn rule(self) -> Option<Rule> {
        match self {
            Self::Mutex => None,
            Self::Reader => Some(rules::reader()),
            Self::Writer => Some(rules::writer()),
        }
    }

    pub(super) fn prefixes(self, make: Make) -> Option<Vec<Prefix>> {
        match (self, make) {
            (Self::Reader, Make::Ours(dialect)) => Some(dialect.reader()),
            (Self::Writer, Make::Ours(dialect)) => Some(dialect.writer()),
            _ => None,
        }
    }
}

/// A downgrade under way.
#[derive(Debug)]
pub(super) struct SteppingDown {
    decisions: Downgrade,
    session: SessionId,
    writer: Vec<String>,
    reader: Vec<String>,
    resting: bool,
}

impl World {
    pub(super) fn side(&mut self) -> Side {
        match (self.sides, self.rng.random_range(0..5)) {
            (false, _) => Side::Mutex,
            (true, 0..3) => Side::Reader,
            (true, _) => Side::Writer,
        }
    }

    /// A writer that holds begins to become a reader; one that rests on the way goes on.
    pub(super) fn step_down(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        if let Some(stepping) = &mut peer.stepping_down {
            if std::mem::replace(&mut stepping.resting, false) {
                self.told(at, Told::Rested);
            }
            return;
        }
        let Some(session) = peer.session else { return };
        let held = matches!(peer.core.hold(), Some(HoldState::Held | HoldState::Suspect { .. }));
        if !held || peer.side != Side::Writer {
            return;
        }
        let writer = peer.core.own_paths().to_vec();
        let reader = rules::read_nodes(&writer, Uuid::from_random(self.rng.random())).unwrap();
        let wire = Wire::StepDown { writer: writer.clone(), reader: reader.clone() };
        peer.to_server.push_back((self.now, wire));
        let decisions = Downgrade::new(session);
        peer.stepping_down = Some(SteppingDown { decisions, session, writer, reader, resting: false });
    }

    /// An answer on the way down.
    pub(super) fn told(&mut self, at: usize, told: Told) {
        let until = self.peers[at].until;
        self.tell(at, Input::Heard { until });
        self.tell(at, Input::Check);
        let peer = &mut self.peers[at];
        let Some(stepping) = &mut peer.stepping_down else { return };
        let wire = match stepping.decisions.next(told) {
            Step::Create => {
                Wire::StepDown { writer: stepping.writer.clone(), reader: stepping.reader.clone() }
            }
            Step::Look => Wire::LookForReader(stepping.reader[0].clone()),
            Step::Rest => {
                stepping.resting = true;
                return;
            }
            Step::Done => return self.arrive(at),
            // The guard is dropped.
            Step::Lost | Step::Refused => return self.cancel(at),
        };
        peer.to_server.push_back((self.now, wire));
    }

    /// Held by the reader's nodes from here on, and only then the writer's go.
    fn arrive(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        let Some(SteppingDown { reader, session, writer, .. }) = peer.stepping_down.take() else { return };
        let options = {
            let make = peer.make;
            self.core(make, Side::Reader).options.clone()
        };
        let peer = &mut self.peers[at];
        let token = peer.last_grant.unwrap();
        assert!(writer.iter().all(|path| WRITERS.iter().any(|marker| path.contains(marker))));
        let grant = Grant { paths: reader, token, sequence: Sequence(0), session, version: None };
        let (core, outputs) = Core::holding_already(options, &grant, TIMEOUT, peer.until);
        let up = peer.up;
        self.replace(at, core);
        self.peers[at].side = Side::Reader;
        for output in outputs {
            if let Output::Send(id, request) = output {
                self.peers[at].to_server.push_back((self.now, Wire::Core(id, request)));
            }
        }
        self.peers[at].to_server.push_back((self.now, Wire::Delete(writer)));
        self.downgrades += 1;
        self.tell(at, if up { Input::Connected } else { Input::Suspended });
    }

    /// What is not held any more does not become anything; what may be there of it is deleted.
    pub(super) fn mind_stepping_down(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        if matches!(peer.core.hold(), Some(HoldState::Held | HoldState::Suspect { .. })) {
            return;
        }
        let Some(SteppingDown { reader, session, .. }) = peer.stepping_down.take() else { return };
        // Nobody listens to what is still on its way.
        for back in &mut peer.to_client {
            if let Back::Answer(_, wire @ (Wire::StepDown { .. } | Wire::LookForReader(_)), _) = back {
                *wire = Wire::Ping;
            }
        }
        if peer.session == Some(session) {
            peer.to_server.push_back((self.now, Wire::Delete(reader)));
        }
    }

    /// When all is quiet: who waits has reason to, and who is in came before whoever it would have to wait for.
    pub(super) fn check_turns(&self) {
        let writes = |path: &str| WRITERS.iter().any(|marker| path::name(path).contains(marker));
        for peer in &self.peers {
            let Some(own) = peer.core.own_paths().first().and_then(|path| self.tree.nodes.get(path)) else {
                continue;
            };
            let token = match peer.core.hold() {
                Some(HoldState::Held) => peer.last_grant.unwrap(),
                Some(_) => continue,
                None => own.czxid,
            };
            let before = self
                .tree
                .nodes
                .iter()
                .filter(|(path, node)| node.czxid < token && (peer.side == Side::Writer || writes(path)));
            let (in_the_way, held) = (before.count(), peer.core.hold().is_some());
            assert!(!held || in_the_way == 0, "{:?} out of turn", peer.side);
            assert!(held || in_the_way > 0 || peer.side == Side::Writer, "a reader waits for nobody");
        }
    }
}
