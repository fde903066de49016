//! Random lives of a session: whatever happens, order is kept and every operation ends once.

use bytes::Bytes;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use zk_proto::connect::ReadOnlyFlag;
use zk_proto::event::AddWatchMode;
use zk_proto::{ErrorCode, EventType, SessionId};

use super::testkit::{Rig, TIMEOUT, get, set, watch};
use super::{Completion, Config, Failure, OpId, Output, Request, opcode};

#[derive(Debug, Clone)]
enum Step {
    Read { watch: bool, pinned: bool },
    Stream { recursive: bool, pinned: bool },
    Write,
    Cancel(u8),
    Forget(u8),
    Send,
    Answer { ok: bool },
    WrongAnswer,
    Event(u8),
    Disconnect,
    Connect { expired: bool },
    Tick,
    Hosts(Vec<usize>),
    Garbage(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<(bool, bool)>().prop_map(|(watch, pinned)| Step::Read { watch, pinned }),
        1 => any::<(bool, bool)>().prop_map(|(recursive, pinned)| Step::Stream { recursive, pinned }),
        3 => Just(Step::Write),
        1 => any::<u8>().prop_map(Step::Cancel),
        1 => any::<u8>().prop_map(Step::Forget),
        5 => Just(Step::Send),
        6 => any::<bool>().prop_map(|ok| Step::Answer { ok }),
        1 => Just(Step::WrongAnswer),
        2 => any::<u8>().prop_map(Step::Event),
        1 => Just(Step::Disconnect),
        2 => (0u8..4).prop_map(|n| Step::Connect { expired: n == 0 }),
        1 => Just(Step::Tick),
        1 => proptest::collection::vec(0_usize..5, 0..4).prop_map(Step::Hosts),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Garbage),
    ]
}

/// What must hold of one core, watched from outside.
struct Life {
    rig: Rig,
    sessions: i64,
    /// Requests of this connection that the server has not answered.
    unanswered: VecDeque<i32>,
    last_sent: Option<u64>,
    submitted: Vec<OpId>,
    writes_sent: BTreeSet<u64>,
    ended: BTreeSet<OpId>,
    cancelled: BTreeSet<OpId>,
    watching: BTreeMap<OpId, String>,
    streaming: BTreeMap<OpId, String>,
}

impl Life {
    fn new() -> Self {
        let config = Config { session_timeout: TIMEOUT, ..Config::default() };
        Self {
            rig: Rig::new(config),
            sessions: 0,
            unanswered: VecDeque::new(),
            last_sent: None,
            submitted: Vec::new(),
            writes_sent: BTreeSet::new(),
            ended: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            watching: BTreeMap::new(),
            streaming: BTreeMap::new(),
        }
    }

    fn take(&mut self, step: Step) {
        let path = format!("/{}", self.submitted.len());
        let now = self.rig.now;
        match step {
            Step::Read { watch, pinned } => {
                let pin = pinned.then(|| self.rig.core.session().map(|info| info.id)).flatten();
                let op = self.rig.core.submit(now, get(&path, watch), pin);
                self.submitted.push(op);
            }
            Step::Stream { recursive, pinned } => {
                let mode =
                    if recursive { AddWatchMode::PersistentRecursive } else { AddWatchMode::Persistent };
                let pin = pinned.then(|| self.rig.core.session().map(|info| info.id)).flatten();
                let op = self.rig.core.submit(now, watch(&path, mode), pin);
                self.submitted.push(op);
            }
            Step::Write => {
                let op = self.rig.submit(set(&path, "x"));
                self.submitted.push(op);
            }
            Step::Cancel(at) => {
                if let Some(op) = self.pick(at)
                    && self.rig.core.cancel(op)
                {
                    assert!(!self.ended.contains(&op) && self.cancelled.insert(op));
                }
            }
            Step::Forget(at) => {
                if let Some(op) = self.pick(at) {
                    self.rig.core.forget(op);
                    self.watching.remove(&op);
                    self.streaming.remove(&op);
                }
            }
            Step::Send => self.send(),
            Step::Answer { ok } => {
                if let Some(xid) = self.unanswered.pop_front() {
                    self.rig.reply(xid, 1, if ok { Ok(()) } else { Err(ErrorCode::NoNode) });
                }
            }
            Step::WrongAnswer => {
                if let Some(xid) = self.unanswered.back() {
                    self.rig.reply(xid + 1, 1, Ok(()));
                }
            }
            Step::Event(at) => {
                if let Some(op) = self.pick(at) {
                    let path = format!("/{}", self.number(op));
                    self.rig.event(EventType::NodeDataChanged, &path);
                }
            }
            Step::Disconnect => self.rig.disconnect(),
            Step::Connect { expired } => self.connect(expired),
            Step::Tick => self.rig.tick(),
            Step::Hosts(hosts) => self.rig.core.update_hosts(now, &hosts),
            Step::Garbage(bytes) => self.rig.core.received(now, Bytes::from(bytes)),
        }
        self.look();
    }

    fn pick(&self, at: u8) -> Option<OpId> {
        (!self.submitted.is_empty()).then(|| self.submitted[usize::from(at) % self.submitted.len()])
    }

    /// The place of an operation among those submitted; its path bears it. The core names operations of its own too.
    fn number(&self, op: OpId) -> u64 {
        self.submitted.binary_search(&op).unwrap_or(self.submitted.len()) as u64
    }

    fn connect(&mut self, expired: bool) {
        self.rig.disconnect();
        self.look();
        let asked = self.rig.greet().session_id;
        self.unanswered.clear();
        self.last_sent = None;
        if asked == SessionId::NONE {
            self.sessions += 1;
            self.rig.answer(SessionId(self.sessions), TIMEOUT, ReadOnlyFlag::Present(false));
        } else if expired {
            self.rig.answer(SessionId::NONE, Duration::ZERO, ReadOnlyFlag::Present(false));
        } else {
            self.rig.answer(asked, TIMEOUT, ReadOnlyFlag::Present(false));
        }
    }

    /// Sends what is due: each connection sees operations in the order of their submission, a write only once.
    fn send(&mut self) {
        for (xid, request) in self.rig.sent() {
            let path = match &request {
                Request::GetData(r) => &r.path,
                Request::SetData(r) => &r.path,
                Request::AddWatch(r) => &r.path,
                // A removal is the core's own: answered in its turn, awaited by nobody.
                Request::RemoveWatches(_) => {
                    self.unanswered.push_back(xid);
                    continue;
                }
                _ => continue,
            };
            self.unanswered.push_back(xid);
            let number: u64 = path[1..].parse().unwrap();
            assert!(self.last_sent.is_none_or(|last| last < number), "{number} after {:?}", self.last_sent);
            self.last_sent = Some(number);
            assert!(!self.cancelled.contains(&self.submitted[number as usize]));
            if opcode(&request).is_write() {
                assert!(self.writes_sent.insert(number), "write {number} was sent twice");
            }
        }
    }

    fn look(&mut self) {
        for output in self.rig.outputs() {
            match output {
                Output::Complete(completion) => self.end(&completion),
                Output::Event { watches, streams, event } => {
                    for watch in watches {
                        assert_eq!(self.watching.remove(&watch), Some(event.path.clone()));
                    }
                    for stream in streams {
                        assert!(event.path.starts_with(&self.streaming[&stream]));
                    }
                }
                Output::Resync { streams } => {
                    assert!(streams.iter().all(|stream| self.streaming.contains_key(stream)));
                }
                Output::WatchesLost { watches, .. } => {
                    for watch in watches {
                        let known = self.watching.remove(&watch).or(self.streaming.remove(&watch));
                        assert!(known.is_some(), "{watch:?} was lost twice");
                    }
                }
                _ => {}
            }
        }
    }

    fn end(&mut self, completion: &Completion) {
        let op = completion.op;
        assert!(self.ended.insert(op), "{op:?} ended twice");
        assert!(!self.cancelled.contains(&op), "{op:?} was cancelled");
        let sent = self.writes_sent.contains(&self.number(op));
        if completion.result == Err(Failure::ConnectionLoss) {
            assert!(!opcode(&completion.request).is_write() || sent, "{op:?} was not sent");
        }
        if completion.watching
            && let Request::GetData(r) = &*completion.request
        {
            self.watching.insert(op, r.path.clone());
        }
        if completion.watching
            && let Request::AddWatch(r) = &*completion.request
        {
            self.streaming.insert(op, r.path.clone());
        }
    }

    /// Closed, everything ends.
    fn close(mut self) {
        self.rig.core.close(self.rig.now);
        self.look();
        while !self.rig.core.is_over() {
            self.rig.tick();
            self.rig.disconnect();
            self.look();
        }
        self.look();
        for op in self.submitted {
            // A submission to a session that is over fails at once, under the same name.
            assert!(self.ended.contains(&op) != self.cancelled.contains(&op), "{op:?}");
        }
        assert!(self.watching.is_empty() && self.streaming.is_empty());
        assert_eq!(self.rig.core.deadline(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn order_is_kept_and_every_operation_ends_once(steps in proptest::collection::vec(step(), 0..120)) {
        let mut life = Life::new();
        for step in steps {
            life.take(step);
        }
        life.close();
    }

    #[test]
    fn any_answer_to_the_handshake_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let mut life = Life::new();
        life.rig.greet();
        life.take(Step::Garbage(bytes));
        life.take(Step::Write);
        life.close();
    }
}
