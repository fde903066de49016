//! The model's server: one parent and its children, sessions, and who watches what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use zk_proto::{SessionId, Zxid, path};

use super::PARENT;
use crate::contender::{Answer, Made, Refusal, Request, RequestId, Seen};
use crate::sequence;

/// The server: one parent, its children, and sessions.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) zxid: i64,
    pub(super) parent: bool,
    pub(super) counter: i32,
    pub(super) first_counter: i32,
    pub(super) nodes: BTreeMap<String, (SessionId, Zxid)>,
    pub(super) sessions: BTreeMap<SessionId, Duration>,
    pub(super) next_session: i64,
    /// Sessions whose connections watch a path.
    pub(super) watches: BTreeMap<String, BTreeSet<SessionId>>,
}

#[derive(Debug, Clone)]
pub(super) enum Wire {
    Core(RequestId, Request),
    Ping,
    Delete(String),
    /// Sync, list and delete of what has this prefix, as the reaper does it.
    FindAndDelete(String),
}

impl Tree {
    pub(super) fn serve(&mut self, session: SessionId, wire: &Wire) -> (Option<Answer>, Vec<String>) {
        let mut gone = Vec::new();
        let answer = match wire {
            Wire::Ping => None,
            Wire::Delete(path) => {
                gone.extend(self.remove(path));
                None
            }
            Wire::FindAndDelete(prefix) => {
                let found =
                    sequence::find(&self.names(), path::name(prefix)).map(|name| path::join(PARENT, name));
                gone.extend(found.and_then(|path| self.remove(&path)));
                None
            }
            Wire::Core(_, request) => Some(match request {
                Request::Create { prefix } => Answer::Created(self.create(session, prefix)),
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

    pub(super) fn create(&mut self, session: SessionId, prefix: &str) -> Result<Made, Refusal> {
        if !self.parent {
            return Err(Refusal::NoNode);
        }
        self.zxid += 1;
        let path = path::sequential(prefix, self.counter);
        self.counter = self.counter.wrapping_add(1);
        self.nodes.insert(path.clone(), (session, Zxid(self.zxid)));
        Ok(Made { path, czxid: Zxid(self.zxid) })
    }

    pub(super) fn look(&self, path: &str) -> Result<Seen, Refusal> {
        self.nodes
            .get(path)
            .map(|(owner, czxid)| Seen { czxid: *czxid, owner: *owner })
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
