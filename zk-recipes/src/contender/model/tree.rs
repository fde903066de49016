//! The model's server: one parent and its children, sessions, and who watches what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use zk_proto::{SessionId, Zxid, path};

use super::PARENT;
use crate::contender::{Answer, Claimed, Made, Refusal, Request, RequestId, Seen};
use crate::sequence;

/// The server: one parent, its children, and sessions.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) zxid: i64,
    pub(super) parent: bool,
    pub(super) counter: i32,
    pub(super) first_counter: i32,
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) sessions: BTreeMap<SessionId, Duration>,
    pub(super) next_session: i64,
    /// Sessions whose connections watch a path.
    pub(super) watches: BTreeMap<String, BTreeSet<SessionId>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) owner: SessionId,
    pub(super) czxid: Zxid,
    version: i32,
}

#[derive(Debug, Clone)]
pub(super) enum Wire {
    Core(RequestId, Request),
    Ping,
    Delete(Vec<String>),
    /// Sync, list and delete of what has these prefixes, as the reaper does it.
    FindAndDelete(Vec<String>),
    /// A writer becomes a reader.
    StepDown {
        writer: Vec<String>,
        reader: Vec<String>,
    },
    /// Whether it has become one.
    LookForReader(String),
}

impl Tree {
    pub(super) fn serve(&mut self, session: SessionId, wire: &Wire) -> (Option<Answer>, Vec<String>) {
        let mut gone = Vec::new();
        let answer = match wire {
            Wire::Ping => None,
            Wire::Delete(paths) => {
                for path in paths {
                    gone.extend(self.remove(path));
                }
                None
            }
            Wire::FindAndDelete(prefixes) => {
                let names = self.names();
                let found = prefixes.iter().filter_map(|prefix| sequence::find(&names, path::name(prefix)));
                for path in found.map(|name| path::join(PARENT, name)).collect::<Vec<_>>() {
                    gone.extend(self.remove(&path));
                }
                None
            }
            Wire::StepDown { writer, reader } => {
                Some(Answer::Synced(self.step_down(session, writer, reader)))
            }
            Wire::LookForReader(path) => Some(Answer::Seen(self.look(path))),
            Wire::Core(_, request) => Some(match request {
                Request::Create { prefixes, durable } => {
                    let owner = if *durable { SessionId::NONE } else { session };
                    Answer::Created(self.create(owner, prefixes))
                }
                Request::Claim { path, version } => {
                    let claimed = self.claim(path, *version);
                    if claimed.is_ok() {
                        gone.push(path.clone());
                    }
                    Answer::Claimed(claimed)
                }
                Request::MakeParents { .. } => {
                    self.zxid += 1;
                    if !std::mem::replace(&mut self.parent, true) {
                        self.counter = self.first_counter;
                    }
                    Answer::ParentsMade(Ok(()))
                }
                Request::List { .. } => {
                    Answer::Listed(if self.parent { Ok(self.names()) } else { Err(Refusal::NoNode) })
                }
                Request::Sync { .. } => Answer::Synced(Ok(())),
                Request::Look { path } => Answer::Seen(self.look(path)),
                Request::WatchPredecessor { path } | Request::WatchOwn { path } => {
                    let seen = self.look(path);
                    if seen.is_ok() {
                        self.watches.entry(path.clone()).or_default().insert(session);
                    }
                    Answer::Seen(seen)
                }
            }),
        };
        (answer, gone)
    }

    pub(super) fn create(&mut self, owner: SessionId, prefixes: &[String]) -> Result<Made, Refusal> {
        if !self.parent {
            return Err(Refusal::NoNode);
        }
        self.zxid += 1;
        let czxid = Zxid(self.zxid);
        let mut paths = Vec::new();
        for prefix in prefixes {
            let path = path::sequential(prefix, self.counter);
            self.counter = self.counter.wrapping_add(1);
            self.nodes.insert(path.clone(), Node { owner, czxid, version: 0 });
            paths.push(path);
        }
        Ok(Made { paths, czxid })
    }

    fn step_down(&mut self, owner: SessionId, writer: &[String], reader: &[String]) -> Result<(), Refusal> {
        if !writer.iter().all(|path| self.nodes.contains_key(path)) {
            return Err(Refusal::NoNode);
        }
        if reader.iter().any(|path| self.nodes.contains_key(path)) {
            return Err(Refusal::Never);
        }
        self.zxid += 1;
        let node = Node { owner, czxid: Zxid(self.zxid), version: 0 };
        self.nodes.extend(reader.iter().map(|path| (path.clone(), node)));
        Ok(())
    }

    fn claim(&mut self, path: &str, version: i32) -> Result<Claimed, Refusal> {
        let node = self.nodes.get_mut(path).ok_or(Refusal::NoNode)?;
        if node.version != version {
            return Err(Refusal::Changed);
        }
        self.zxid += 1;
        node.version += 1;
        Ok(Claimed { version: node.version, mzxid: Zxid(self.zxid) })
    }

    pub(super) fn look(&self, path: &str) -> Result<Seen, Refusal> {
        self.nodes
            .get(path)
            .map(|Node { owner, czxid, version }| Seen {
                czxid: *czxid,
                owner: *owner,
                version: *version,
                revoked: false,
            })
            .ok_or(Refusal::NoNode)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.nodes.keys().map(|path| path::name(path).to_owned()).collect()
    }

    pub(super) fn remove(&mut self, path: &str) -> Option<String> {
        self.zxid += 1;
        self.nodes.remove(path).map(|_| path.to_owned())
    }
}
