//! ZooKeeper's data model once more, as simply as possible and sharing no code with the server: a map of paths.
//! What the oracles compare results with. Driven by what clients asked, in the order of the log.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use zk_client::core::Request;
use zk_client::{CreateMode, ErrorCode, EventType, SessionId, Stat, Zxid};
use zk_proto::ops::create::CreateRequest;
use zk_proto::ops::multi::MultiOp;

/// What a reply shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    Path(String),
    Stat(Stat),
    Made(String, Stat),
    Data(Option<Bytes>, Stat),
    /// Names in alphabetical order, and the stat where the request asks for it.
    Names(Vec<String>, Option<Stat>),
    Parts(Vec<Result<Box<Self>, Result<(), ErrorCode>>>),
}

#[derive(Debug, Clone)]
struct Node {
    data: Option<Bytes>,
    stat: Stat,
    /// Children ever created below it: the next sequence number.
    created: i32,
}

/// A moment of a transaction: who asked, its place and its time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) session: SessionId,
    pub(super) zxid: Zxid,
    pub(super) time_ms: i64,
}

/// A change that watches may be set on.
pub(super) type Effect = (EventType, String);

/// See the module's head.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    nodes: BTreeMap<String, Node>,
    pub(super) sessions: BTreeSet<SessionId>,
    effects: Vec<Effect>,
}

impl Reference {
    /// The tree of a new server.
    pub(super) fn new() -> Self {
        let mut nodes = BTreeMap::new();
        for (path, children, aversion) in
            [("/", 1, 0), ("/zookeeper", 2, 0), ("/zookeeper/quota", 0, 0), ("/zookeeper/config", 0, -1)]
        {
            // Java made these before it counted; its formula for cversion then shows it.
            let stat = Stat { num_children: children, cversion: -children, aversion, ..Stat::default() };
            nodes.insert(path.to_owned(), Node { data: Some(Bytes::new()), stat, created: 0 });
        }
        Self { nodes, sessions: BTreeSet::new(), effects: Vec::new() }
    }

    /// What the last change did, in order.
    pub(super) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Every node with its data and stat.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Option<&Bytes>, &Stat)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node.data.as_ref(), &node.stat))
    }

    /// A write of a client.
    pub(super) fn write(&mut self, at: Moment, request: &Request) -> Result<Shown, ErrorCode> {
        if !self.sessions.contains(&at.session) {
            return Err(ErrorCode::SessionExpired);
        }
        match request {
            Request::Create(r) => self.create(at, r).map(|(path, _)| Shown::Path(path)),
            Request::Create2(r) | Request::CreateContainer(r) => {
                self.create(at, r).map(|(path, stat)| Shown::Made(path, stat))
            }
            Request::Delete(r) => self.delete(at, &r.path, r.version),
            Request::SetData(r) => self.set(at, &r.path, r.data.as_ref(), r.version),
            Request::Multi(r) => Ok(self.multi(at, &r.ops)),
            Request::CloseSession => {
                self.end_session(at);
                Ok(Shown::Nothing)
            }
            _ => Err(ErrorCode::Unimplemented),
        }
    }

    /// The session ends, and its ephemeral nodes with it.
    pub(super) fn end_session(&mut self, at: Moment) {
        let owned =
            |(path, node): (&String, &Node)| (node.stat.ephemeral_owner == at.session).then(|| path.clone());
        let gone: Vec<String> = self.nodes.iter().filter_map(owned).collect();
        for path in gone {
            self.remove(at, &path);
        }
        self.sessions.remove(&at.session);
    }

    /// The server removes a container by itself: refused unless it is there and empty.
    pub(super) fn reap(&mut self, at: Moment, path: &str) -> Result<(), ErrorCode> {
        self.delete(at, path, -1).map(|_| ())
    }

    /// A read of the state as it is now.
    pub(super) fn read(&self, request: &Request) -> Result<Shown, ErrorCode> {
        let node = |path: &str| self.nodes.get(path).ok_or(ErrorCode::NoNode);
        Ok(match request {
            Request::GetData(r) => {
                let node = node(&r.path)?;
                Shown::Data(node.data.clone(), node.stat)
            }
            Request::Exists(r) => Shown::Stat(node(&r.path)?.stat),
            Request::GetChildren(r) => {
                node(&r.path)?;
                Shown::Names(self.names(&r.path), None)
            }
            Request::GetChildren2(r) => Shown::Names(self.names(&r.path), Some(node(&r.path)?.stat)),
            Request::Sync(r) => Shown::Path(r.path.clone()),
            Request::MultiRead(r) => {
                let part = |op: &MultiOp| {
                    let node = node(op.path())?;
                    Ok(Box::new(match op {
                        MultiOp::GetData(_) => Shown::Data(node.data.clone(), node.stat),
                        _ => Shown::Names(self.names(op.path()), None),
                    }))
                };
                Shown::Parts(r.ops.iter().map(|op| part(op).map_err(Err)).collect())
            }
            _ => return Err(ErrorCode::Unimplemented),
        })
    }

    fn names(&self, path: &str) -> Vec<String> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let below = |candidate: &String| {
            let name = candidate.strip_prefix(&prefix)?;
            (!name.is_empty() && !name.contains('/')).then(|| name.to_owned())
        };
        self.nodes.keys().filter_map(below).collect()
    }

    fn multi(&mut self, at: Moment, ops: &[MultiOp]) -> Shown {
        let before = self.clone();
        let mut parts = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            match self.part(at, op) {
                Ok(shown) => parts.push(Ok(Box::new(shown))),
                Err(code) => {
                    *self = before;
                    let outcome = |i: usize| match i.cmp(&index) {
                        std::cmp::Ordering::Less => Ok(()),
                        std::cmp::Ordering::Equal => Err(code),
                        std::cmp::Ordering::Greater => Err(ErrorCode::RuntimeInconsistency),
                    };
                    return Shown::Parts((0..ops.len()).map(|i| Err(outcome(i))).collect());
                }
            }
        }
        Shown::Parts(parts)
    }

    fn part(&mut self, at: Moment, op: &MultiOp) -> Result<Shown, ErrorCode> {
        match op {
            MultiOp::Create(r) => self.create(at, r).map(|(path, _)| Shown::Path(path)),
            MultiOp::Create2(r) => self.create(at, r).map(|(path, stat)| Shown::Made(path, stat)),
            MultiOp::Delete(r) => self.delete(at, &r.path, r.version),
            MultiOp::SetData(r) => self.set(at, &r.path, r.data.as_ref(), r.version),
            MultiOp::Check(r) => self.expect(&r.path, r.version).map(|()| Shown::Nothing),
            _ => Err(ErrorCode::Unimplemented),
        }
    }

    fn create(&mut self, at: Moment, r: &CreateRequest) -> Result<(String, Stat), ErrorCode> {
        let mode = CreateMode::from_flags(r.flags).ok_or(ErrorCode::BadArguments)?;
        let parent_path = parent(&r.path);
        let parent = self.nodes.get(parent_path).ok_or(ErrorCode::NoNode)?;
        let path = match mode.is_sequential() {
            true => format!("{}{:010}", r.path, parent.created),
            false => r.path.clone(),
        };
        // Of the paths used here only the root's is not one that can be made.
        if path == "/" {
            return Err(ErrorCode::NodeExists);
        }
        if self.nodes.contains_key(&path) {
            return Err(ErrorCode::NodeExists);
        }
        if parent.stat.ephemeral_owner != SessionId::NONE {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let stat = Stat {
            czxid: at.zxid,
            mzxid: at.zxid,
            pzxid: at.zxid,
            ctime: at.time_ms,
            mtime: at.time_ms,
            ephemeral_owner: if mode.is_ephemeral() { at.session } else { SessionId::NONE },
            data_length: r.data.as_ref().map_or(0, |d| i32::try_from(d.len()).unwrap_or(0)),
            ..Stat::default()
        };
        self.nodes.insert(path.clone(), Node { data: r.data.clone(), stat, created: 0 });
        if let Some(parent) = self.nodes.get_mut(parent_path) {
            parent.created += 1;
            parent.stat.cversion += 1;
            parent.stat.num_children += 1;
            parent.stat.pzxid = at.zxid;
        }
        self.effects.push((EventType::NodeCreated, path.clone()));
        self.effects.push((EventType::NodeChildrenChanged, parent_path.to_owned()));
        Ok((path, stat))
    }

    fn delete(&mut self, at: Moment, path: &str, version: i32) -> Result<Shown, ErrorCode> {
        if path == "/" {
            return Err(ErrorCode::BadArguments);
        }
        self.expect(path, version)?;
        if self.nodes.get(path).is_some_and(|node| node.stat.num_children > 0) {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(at, path);
        Ok(Shown::Nothing)
    }

    fn remove(&mut self, at: Moment, path: &str) {
        self.nodes.remove(path);
        let parent_path = parent(path);
        if let Some(parent) = self.nodes.get_mut(parent_path) {
            parent.stat.cversion += 1;
            parent.stat.num_children -= 1;
            parent.stat.pzxid = at.zxid;
        }
        self.effects.push((EventType::NodeDeleted, path.to_owned()));
        self.effects.push((EventType::NodeChildrenChanged, parent_path.to_owned()));
    }

    fn set(
        &mut self,
        at: Moment,
        path: &str,
        data: Option<&Bytes>,
        version: i32,
    ) -> Result<Shown, ErrorCode> {
        self.expect(path, version)?;
        let node = self.nodes.get_mut(path).ok_or(ErrorCode::NoNode)?;
        node.data = data.cloned();
        node.stat.data_length = data.map_or(0, |d| i32::try_from(d.len()).unwrap_or(0));
        node.stat.version += 1;
        node.stat.mzxid = at.zxid;
        node.stat.mtime = at.time_ms;
        let stat = node.stat;
        self.effects.push((EventType::NodeDataChanged, path.to_owned()));
        Ok(Shown::Stat(stat))
    }

    fn expect(&self, path: &str, version: i32) -> Result<(), ErrorCode> {
        let node = self.nodes.get(path).ok_or(ErrorCode::NoNode)?;
        if version == -1 || version == node.stat.version { Ok(()) } else { Err(ErrorCode::BadVersion) }
    }
}

fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}
