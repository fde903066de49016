//! The model's server: one parent, its children, and sessions.

use std::collections::BTreeMap;
use std::time::Duration;
use zk_proto::{SessionId, Zxid, path};

use super::PARENT;
use crate::contender::{Answer, Made, Refusal, Request, Rule, Seen, Standing};
use crate::sequence::{self, CURATOR_LATCH};

pub(super) struct Server {
    zxid: i64,
    parent: bool,
    counter: i32,
    first_counter: i32,
    next_session: i64,
    pub(super) nodes: BTreeMap<String, (SessionId, Zxid)>,
    pub(super) sessions: BTreeMap<SessionId, Duration>,
}

impl Server {
    pub(super) fn new(first_counter: i32) -> Self {
        let (nodes, sessions) = (BTreeMap::new(), BTreeMap::new());
        Self { zxid: 0, parent: false, counter: 0, first_counter, next_session: 0, nodes, sessions }
    }

    pub(super) fn begin(&mut self, expires: Duration) -> SessionId {
        self.next_session += 1;
        let session = SessionId(self.next_session);
        self.sessions.insert(session, expires);
        session
    }

    pub(super) fn due(&self, now: Duration) -> Vec<SessionId> {
        self.sessions.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect()
    }

    /// Ends a session; returns the nodes that went with it.
    pub(super) fn expire(&mut self, session: SessionId) -> Vec<String> {
        self.sessions.remove(&session);
        let owned = self.nodes.iter().filter(|(_, (owner, _))| *owner == session);
        let owned: Vec<String> = owned.map(|(path, _)| path.clone()).collect();
        for path in &owned {
            self.remove(path);
        }
        owned
    }

    pub(super) fn remove(&mut self, path: &str) -> bool {
        self.zxid += 1;
        self.nodes.remove(path).is_some()
    }

    pub(super) fn remove_empty_parent(&mut self) {
        self.parent &= !self.nodes.is_empty();
    }

    pub(super) fn find(&self, prefixes: &[String]) -> Vec<String> {
        let names = self.names();
        let found = prefixes.iter().filter_map(|prefix| sequence::find(&names, path::name(prefix)));
        found.map(|name| path::join(PARENT, name)).collect()
    }

    /// Whether these nodes are there, this session's, and the first of the line.
    pub(super) fn is_first(&self, own: &[String], session: Option<SessionId>) -> bool {
        let Some(node) = own.first() else { return false };
        let owner = self.nodes.get(node).map(|(owner, _)| *owner);
        let names = self.names();
        let rule = Rule::exclusive(&[CURATOR_LATCH]);
        owner.is_some()
            && owner == session
            && rule.survey(&names, &[path::name(node)]).standing == Standing::Admitted
    }

    pub(super) fn serve(&mut self, session: SessionId, request: &Request) -> Answer {
        match request {
            Request::Create { prefixes, .. } => Answer::Created(self.create(session, prefixes)),
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
            Request::Look { path } | Request::WatchPredecessor { path } | Request::WatchOwn { path } => {
                let seen = self.nodes.get(path);
                let seen = seen.map(|(owner, czxid)| Seen {
                    czxid: *czxid,
                    owner: *owner,
                    version: 0,
                    revoked: false,
                });
                Answer::Seen(seen.ok_or(Refusal::NoNode))
            }
            Request::Claim { .. } => Answer::Claimed(Err(Refusal::Never)),
        }
    }

    fn create(&mut self, owner: SessionId, prefixes: &[String]) -> Result<Made, Refusal> {
        if !self.parent {
            return Err(Refusal::NoNode);
        }
        self.zxid += 1;
        let czxid = Zxid(self.zxid);
        let mut paths = Vec::new();
        for prefix in prefixes {
            let path = path::sequential(prefix, self.counter);
            self.counter = self.counter.wrapping_add(1);
            self.nodes.insert(path.clone(), (owner, czxid));
            paths.push(path);
        }
        Ok(Made { paths, czxid })
    }

    fn names(&self) -> Vec<String> {
        self.nodes.keys().map(|path| path::name(path).to_owned()).collect()
    }
}
