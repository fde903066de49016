//! The model's server: locks and leases, sessions, the size, and who watches what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use zk_proto::{SessionId, Zxid, path};

use super::{LEASES, LOCKS};
use crate::contender::{Made, Refusal, RequestId, Seen};
use crate::semaphore::layout::Layout;
use crate::semaphore::messages::{Answer, Request};
use crate::sequence;

#[derive(Default)]
pub(super) struct Tree {
    pub(super) layout: Layout,
    pub(super) zxid: i64,
    /// The parents that are there, and their counters.
    pub(super) parents: BTreeMap<String, i32>,
    pub(super) first_counter: i32,
    pub(super) nodes: BTreeMap<String, Node>,
    pub(super) sessions: BTreeMap<SessionId, Duration>,
    pub(super) next_session: i64,
    /// Sessions whose connections watch, by the name of the watch.
    pub(super) watches: BTreeMap<String, BTreeSet<SessionId>>,
    /// How often watches of a name have gone off.
    pub(super) versions: BTreeMap<String, u64>,
    pub(super) size: u32,
    /// Changes with the size and the children of the leases' node: what wakes a Curator that waits.
    pub(super) leases_version: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) owner: SessionId,
    pub(super) czxid: Zxid,
}

#[derive(Debug, Clone)]
pub(super) enum Wire {
    Core(RequestId, Request),
    Ping,
    Delete(Vec<String>),
    /// Sync, list and delete of what has these prefixes, as the reaper does it.
    FindAndDelete(Vec<String>),
}

impl Wire {
    /// Nobody waits for its answer any more; writes happen all the same.
    pub(super) fn disown(&mut self) {
        match self {
            Self::Core(id, Request::MakeLeases { .. } | Request::MakeLock { .. }) => {
                *id = RequestId(u64::MAX);
            }
            Self::Core(..) => *self = Self::Ping,
            _ => {}
        }
    }

    /// The watch that a request leaves if it is not refused.
    pub(super) fn watch(&self) -> Option<String> {
        match self {
            Self::Core(_, Request::List { path, watch: true }) => Some(format!("children of {path}")),
            Self::Core(_, Request::ReadSize { watch: true }) => Some("size".into()),
            Self::Core(_, Request::WatchPlace { path }) => Some(path.clone()),
            _ => None,
        }
    }
}

impl Tree {
    /// Answers, and names the watches that go off.
    pub(super) fn serve(&mut self, session: SessionId, wire: &Wire) -> (Option<Answer>, Vec<String>) {
        let mut events = Vec::new();
        let answer = match wire {
            Wire::Ping => None,
            Wire::Delete(paths) => {
                events.extend(paths.iter().flat_map(|path| self.remove(path)));
                None
            }
            Wire::FindAndDelete(prefixes) => {
                for prefix in prefixes {
                    let parent = path::split(prefix).map_or("", |(parent, _)| parent);
                    let names = self.names(parent).unwrap_or_default();
                    let found = sequence::find(&names, path::name(prefix));
                    if let Some(path) = found.map(|name| path::join(parent, name)) {
                        events.extend(self.remove(&path));
                    }
                }
                None
            }
            Wire::Core(_, request) => Some(match request {
                Request::MakeLeases { under: Some(lock), .. } if !self.nodes.contains_key(lock) => {
                    Answer::Made(Err(Refusal::Changed))
                }
                Request::MakeLeases { paths, .. } => {
                    Answer::Made(self.create(session, paths, self.layout == Layout::Curator, &mut events))
                }
                Request::MakeLock { prefix } => {
                    Answer::Made(self.create(session, std::slice::from_ref(prefix), true, &mut events))
                }
                Request::MakeParent { path, .. } => {
                    self.parents.entry(path.clone()).or_insert(self.first_counter);
                    Answer::ParentMade(Ok(()))
                }
                Request::List { path, .. } => Answer::Listed(self.names(path).ok_or(Refusal::NoNode)),
                Request::ReadSize { .. } => Answer::Sized(Ok(self.size)),
                Request::Sync { .. } => Answer::Synced(Ok(())),
                Request::Look { path } | Request::WatchPlace { path } => Answer::Seen(self.look(path)),
            }),
        };
        if let Some(watch) = wire.watch()
            && matches!(answer, Some(Answer::Listed(Ok(_)) | Answer::Sized(Ok(_)) | Answer::Seen(Ok(_))))
        {
            self.watches.entry(watch).or_default().insert(session);
        }
        (answer, events)
    }

    pub(super) fn create(
        &mut self,
        owner: SessionId,
        paths: &[String],
        numbered: bool,
        events: &mut Vec<String>,
    ) -> Result<Made, Refusal> {
        let parent =
            paths.first().and_then(|path| path::split(path)).map_or("", |(parent, _)| parent).to_owned();
        let Some(counter) = self.parents.get_mut(&parent) else { return Err(Refusal::NoNode) };
        self.zxid += 1;
        let czxid = Zxid(self.zxid);
        let mut made = Vec::new();
        for path in paths {
            let path = if numbered { path::sequential(path, *counter) } else { path.clone() };
            *counter = counter.wrapping_add(1);
            self.nodes.insert(path.clone(), Node { owner, czxid });
            made.push(path);
        }
        events.extend(self.changed(&parent));
        Ok(Made { paths: made, czxid })
    }

    fn changed(&mut self, parent: &str) -> Option<String> {
        self.leases_version += u64::from(parent == LEASES);
        Some(format!("children of {parent}"))
    }

    pub(super) fn remove(&mut self, path: &str) -> Vec<String> {
        self.zxid += 1;
        if self.nodes.remove(path).is_none() {
            return Vec::new();
        }
        let parent = path::split(path).map_or("", |(parent, _)| parent);
        std::iter::once(path.to_owned()).chain(self.changed(parent)).collect()
    }

    pub(super) fn expire(&mut self, session: SessionId) -> Vec<String> {
        self.sessions.remove(&session);
        for watchers in self.watches.values_mut() {
            watchers.remove(&session);
        }
        let owned = self.nodes.iter().filter(|(_, node)| node.owner == session);
        let owned: Vec<String> = owned.map(|(path, _)| path.clone()).collect();
        owned.iter().flat_map(|path| self.remove(path)).collect()
    }

    pub(super) fn resize(&mut self, size: u32) -> Vec<String> {
        self.size = size;
        self.leases_version += 1;
        vec!["size".into()]
    }

    /// Empty containers are removed.
    pub(super) fn reap_containers(&mut self) {
        for parent in [LOCKS, LEASES] {
            if self.names(parent).is_some_and(|names| names.is_empty()) {
                self.parents.remove(parent);
            }
        }
    }

    fn look(&self, path: &str) -> Result<Seen, Refusal> {
        let node = self.nodes.get(path).ok_or(Refusal::NoNode)?;
        Ok(Seen { czxid: node.czxid, owner: node.owner, version: 0, revoked: false })
    }

    pub(super) fn names(&self, parent: &str) -> Option<Vec<String>> {
        self.parents.get(parent)?;
        let children = self.nodes.keys().filter(|path| path::split(path).is_some_and(|(p, _)| p == parent));
        Some(children.map(|path| path::name(path).to_owned()).collect())
    }

    pub(super) fn version(&self, watch: &str) -> u64 {
        self.versions.get(watch).copied().unwrap_or_default()
    }

    pub(super) fn assert_head(&self, lock: &str) {
        let Some(own) = self.nodes.get(lock) else { return };
        let line = self.nodes.iter().filter(|(path, _)| path.starts_with(LOCKS));
        assert!(line.map(|(_, node)| node.czxid).min() == Some(own.czxid), "in out of turn");
    }
}
