//! Random lives of watches against a server that keeps its tables by ZooKeeper's rules, those of 3.9 and those of
//! 3.6 to 3.8: whoever waits is watched for, and nothing is watched for nobody.

use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use zk_proto::event::AddWatchMode;
use zk_proto::header::XID_SET_WATCHES;
use zk_proto::ops::data::ExistsRequest;
use zk_proto::ops::delete::DeleteRequest;
use zk_proto::ops::multi::{MultiOp, MultiRequest};
use zk_proto::{ErrorCode, EventType};

use super::testkit::{Rig, SESSION, children, get, watch};
use super::{Completion, OpId, Output, Request};

/// Persistent watches lie on these, recursive ones on the root: in one path they disturb each other before 3.9.
const PATHS: [&str; 2] = ["/a", "/a/b"];

#[derive(Debug, Clone, Copy)]
enum Step {
    Submit { what: u8, path: usize },
    Send,
    Serve { found: bool },
    Forget(u8),
    Change { event: EventType, path: usize },
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    let events = prop_oneof![
        Just(EventType::NodeCreated),
        Just(EventType::NodeDataChanged),
        Just(EventType::NodeDeleted),
        Just(EventType::NodeChildrenChanged),
    ];
    prop_oneof![
        6 => (0u8..8, 0..PATHS.len()).prop_map(|(what, path)| Step::Submit { what, path }),
        5 => Just(Step::Send),
        7 => (0u8..4).prop_map(|n| Step::Serve { found: n > 0 }),
        4 => any::<u8>().prop_map(Step::Forget),
        2 => (events, 0..PATHS.len()).prop_map(|(event, path)| Step::Change { event, path }),
        1 => Just(Step::Reconnect),
    ]
}

fn deletion(path: &str) -> MultiOp {
    MultiOp::Delete(DeleteRequest { path: path.into(), version: -1 })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Standard,
    Persistent,
    Recursive,
}

/// One of the server's two tables, for this connection.
#[derive(Debug, Default)]
struct Table(BTreeMap<String, BTreeSet<Mode>>);

impl Table {
    fn add(&mut self, path: &str, mode: Mode, one_mode: bool) {
        let modes = self.0.entry(path.to_owned()).or_default();
        if one_mode {
            modes.clear();
        }
        modes.insert(mode);
    }

    fn has(&self, path: &str, mode: Mode) -> bool {
        self.0.get(path).is_some_and(|modes| modes.contains(&mode))
    }

    fn hears(&self, path: &str) -> bool {
        self.0.get(path).is_some_and(|modes| !modes.is_empty())
    }

    fn fire(&mut self, path: &str) {
        if let Some(modes) = self.0.get_mut(path) {
            modes.remove(&Mode::Standard);
        }
    }

    fn paths(&self) -> impl Iterator<Item = &String> {
        self.0.iter().filter(|(_, modes)| !modes.is_empty()).map(|(path, _)| path)
    }
}

struct Life {
    rig: Rig,
    one_mode: bool,
    data: Table,
    child: Table,
    unanswered: VecDeque<(i32, Request)>,
    submitted: Vec<OpId>,
    interests: BTreeMap<OpId, Request>,
    forgotten: BTreeSet<OpId>,
}

impl Life {
    fn new(one_mode: bool) -> Self {
        Self {
            rig: Rig::live(),
            one_mode,
            data: Table::default(),
            child: Table::default(),
            unanswered: VecDeque::new(),
            submitted: Vec::new(),
            interests: BTreeMap::new(),
            forgotten: BTreeSet::new(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Submit { what, path } => {
                let path = PATHS[path];
                let request = match what {
                    0 => get(path, true),
                    1 => children(path, true),
                    2 => Request::Exists(ExistsRequest { path: path.into(), watch: true }),
                    3 => watch(path, AddWatchMode::Persistent),
                    4 => watch("/", AddWatchMode::PersistentRecursive),
                    5 => Request::Delete(DeleteRequest { path: path.into(), version: -1 }),
                    6 => Request::Multi(MultiRequest { ops: PATHS.map(deletion).into() }),
                    _ => get("/", true),
                };
                let op = self.rig.submit(request);
                self.submitted.push(op);
            }
            Step::Send => self.send(),
            Step::Serve { found } => self.serve(found),
            Step::Forget(at) if !self.submitted.is_empty() => {
                let op = self.submitted[usize::from(at) % self.submitted.len()];
                // The shell forgets what it was told of, and cancels or lets go the rest.
                if self.interests.remove(&op).is_some() {
                    self.rig.core.forget(op);
                } else {
                    self.forgotten.insert(op);
                }
            }
            Step::Forget(_) => {}
            Step::Change { event, path } => self.change(event, PATHS[path]),
            Step::Reconnect => {
                self.rig.disconnect();
                self.look();
                self.rig.establish(SESSION);
                self.data = Table::default();
                self.child = Table::default();
                self.unanswered.clear();
            }
        }
        self.look();
    }

    fn send(&mut self) {
        self.unanswered.extend(self.rig.sent());
    }

    /// The server carries out its oldest request and answers it.
    fn serve(&mut self, found: bool) {
        let Some((xid, request)) = self.unanswered.pop_front() else { return };
        let outcome = if found { Ok(()) } else { Err(ErrorCode::NoNode) };
        let old = self.one_mode;
        match &request {
            Request::GetData(r) if r.watch && found => self.data.add(&r.path, Mode::Standard, old),
            Request::Exists(r) if r.watch => self.data.add(&r.path, Mode::Standard, old),
            Request::GetChildren2(r) if r.watch && found => self.child.add(&r.path, Mode::Standard, old),
            Request::AddWatch(r) if r.mode == AddWatchMode::Persistent.code() => {
                self.data.add(&r.path, Mode::Persistent, old);
                self.child.add(&r.path, Mode::Persistent, old);
            }
            Request::AddWatch(r) => {
                self.data.add(&r.path, Mode::Recursive, old);
                if old {
                    self.child.add(&r.path, Mode::Recursive, old);
                }
            }
            // Its event leaves before its answer.
            Request::Delete(r) if found => self.change(EventType::NodeDeleted, &r.path),
            Request::Multi(_) if found => {
                PATHS.into_iter().for_each(|path| self.change(EventType::NodeDeleted, path));
            }
            Request::RemoveWatches(r) => {
                let removed = [self.data.0.remove(&r.path), self.child.0.remove(&r.path)];
                let any = removed.into_iter().flatten().any(|modes| !modes.is_empty());
                return self.rig.reply(xid, 1, if any { Ok(()) } else { Err(ErrorCode::NoWatcher) });
            }
            Request::SetWatches(r) => {
                for path in r.data_watches.iter().chain(&r.exist_watches) {
                    self.data.add(path, Mode::Standard, old);
                }
                for path in &r.child_watches {
                    self.child.add(path, Mode::Standard, old);
                }
                for path in &r.persistent_watches {
                    self.data.add(path, Mode::Persistent, old);
                    self.child.add(path, Mode::Persistent, old);
                }
                for path in &r.persistent_recursive_watches {
                    self.data.add(path, Mode::Recursive, old);
                    if old {
                        self.child.add(path, Mode::Recursive, old);
                    }
                }
                assert_eq!(xid, XID_SET_WATCHES);
                return self.rig.ok(xid);
            }
            _ => {}
        }
        let outcome = if matches!(request, Request::AddWatch(_)) { Ok(()) } else { outcome };
        self.rig.reply(xid, 1, outcome);
    }

    /// Something happens on the server, which tells this connection if it watches.
    fn change(&mut self, event: EventType, path: &str) {
        let above = self.data.has("/", Mode::Recursive) && event != EventType::NodeChildrenChanged;
        let child = self.child.has(path, Mode::Standard) || self.child.has(path, Mode::Persistent);
        let (data, child) = match event {
            EventType::NodeChildrenChanged => (false, child),
            EventType::NodeDeleted => (self.data.hears(path), child),
            _ => (self.data.hears(path), false),
        };
        if !(above || data || child) {
            return;
        }
        if event != EventType::NodeChildrenChanged {
            self.data.fire(path);
        }
        if matches!(event, EventType::NodeChildrenChanged | EventType::NodeDeleted) {
            self.child.fire(path);
        }
        // Every reply before it is on the wire already.
        self.rig.event(event, path);
    }

    fn look(&mut self) {
        for output in self.rig.outputs() {
            match output {
                Output::Complete(Completion { op, request, watching: true, .. }) => {
                    if self.forgotten.contains(&op) {
                        self.rig.core.forget(op);
                    } else {
                        self.interests.insert(op, *request);
                    }
                }
                Output::Event { watches, .. } => {
                    for watch in watches {
                        assert!(self.interests.remove(&watch).is_some(), "{watch:?} heard twice");
                    }
                }
                Output::WatchesLost { watches, .. } => panic!("{watches:?} were lost in one session"),
                _ => {}
            }
        }
    }

    /// Everything on its way arrives; then both sides must agree.
    fn settle(mut self) {
        for _ in 0..4 {
            self.send();
            while !self.unanswered.is_empty() {
                self.serve(true);
                self.look();
            }
        }
        for (op, request) in &self.interests {
            let watched = match request {
                Request::GetData(r) => self.data.hears(&r.path),
                Request::Exists(r) => self.data.hears(&r.path),
                Request::GetChildren2(r) => {
                    self.child.has(&r.path, Mode::Standard) || self.child.has(&r.path, Mode::Persistent)
                }
                Request::AddWatch(r) if r.mode == AddWatchMode::Persistent.code() => {
                    self.data.has(&r.path, Mode::Persistent) && self.child.has(&r.path, Mode::Persistent)
                }
                Request::AddWatch(r) => self.data.has(&r.path, Mode::Recursive),
                _ => true,
            };
            assert!(watched, "{op:?} waits for {request:?} in vain");
        }
        let wanted: BTreeSet<&str> = self.interests.values().filter_map(path_of).collect();
        for path in self.data.paths().chain(self.child.paths()) {
            assert!(wanted.contains(path.as_str()), "{path} is watched for nobody");
        }
    }
}

fn path_of(request: &Request) -> Option<&str> {
    Some(match request {
        Request::GetData(r) => &r.path,
        Request::Exists(r) => &r.path,
        Request::GetChildren2(r) => &r.path,
        Request::AddWatch(r) => &r.path,
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5000))]

    #[test]
    fn whoever_waits_is_watched_for(
        one_mode in any::<bool>(),
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        let mut life = Life::new(one_mode);
        for step in steps {
            life.take(step);
        }
        life.settle();
    }
}
