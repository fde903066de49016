//! What is in flight: for every path that a transaction on its way will change, the node as it will be. Requests
//! are checked against this before the tree, so that writes need not wait for each other's fsync.

use std::collections::{HashMap, VecDeque};
use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use zk_proto::stat::StatPersisted;
use zk_proto::storage::Owner;
use zk_proto::{SessionId, Zxid};

use super::acl_table::AclRef;
use super::digest;
use super::tree::Tree;

/// Data as it is in the tree, or in the request that will put it there.
#[derive(Debug, Clone)]
pub enum Value {
    /// Of a node in the tree.
    Stored(Arc<[u8]>),
    /// Of a request in flight.
    Coming(Bytes),
}

impl Deref for Value {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Stored(data) => data,
            Self::Coming(data) => data,
        }
    }
}

/// A node as it will be.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its metadata.
    pub stat: StatPersisted,
    /// Its data.
    pub data: Option<Value>,
    /// Its ACL.
    pub acl: AclRef,
    /// How many children it will have.
    pub children: u32,
}

#[derive(Debug, Clone)]
struct Change {
    zxid: Zxid,
    /// `None` when the node will be gone.
    node: Option<Record>,
}

/// Everything in flight, and the digest the tree will have after it.
#[derive(Debug)]
pub struct Changes {
    latest: HashMap<Arc<str>, Change>,
    order: VecDeque<(Zxid, Arc<str>)>,
    digest: i64,
    /// While a multi is prepared: what to put back if it fails.
    undo: Option<Undo>,
}

#[derive(Debug)]
struct Undo {
    before: Vec<(Arc<str>, Option<Change>)>,
    order_len: usize,
    digest: i64,
}

impl Changes {
    /// Nothing in flight on top of a tree with this digest.
    #[must_use]
    pub fn new(digest: i64) -> Self {
        Self { latest: HashMap::new(), order: VecDeque::new(), digest, undo: None }
    }

    /// The node as it will be when everything in flight is applied; `None` when it will not be there.
    #[must_use]
    pub fn get(&self, tree: &Tree, path: &str) -> Option<Record> {
        if let Some(change) = self.latest.get(path) {
            return change.node.clone();
        }
        tree.get(path).map(|node| Record {
            stat: node.stat,
            data: node.data.clone().map(Value::Stored),
            acl: tree.acls().get(node.acl),
            children: node.children,
        })
    }

    /// Notes the node as transaction `zxid` will leave it; `before` is what [`Changes::get`] gave.
    pub fn put(&mut self, zxid: Zxid, path: &str, before: Option<&Record>, after: Option<Record>) {
        let of = |r: &Record| digest::of_node(path, r.data.as_deref(), &r.stat);
        self.digest =
            self.digest.wrapping_sub(before.map_or(0, of)).wrapping_add(after.as_ref().map_or(0, of));
        let path: Arc<str> =
            self.latest.get_key_value(path).map_or_else(|| path.into(), |(p, _)| Arc::clone(p));
        let old = self.latest.insert(Arc::clone(&path), Change { zxid, node: after });
        if let Some(undo) = &mut self.undo {
            undo.before.push((Arc::clone(&path), old));
        }
        self.order.push_back((zxid, path));
    }

    /// The digest of the tree when everything in flight is applied.
    #[must_use]
    pub fn digest(&self) -> i64 {
        self.digest
    }

    /// From here on, changes can be taken back.
    pub fn begin(&mut self) {
        self.undo = Some(Undo { before: Vec::new(), order_len: self.order.len(), digest: self.digest });
    }

    /// Keeps the changes since [`Changes::begin`].
    pub fn keep(&mut self) {
        self.undo = None;
    }

    /// Takes back the changes since [`Changes::begin`].
    pub fn take_back(&mut self) {
        let Some(undo) = self.undo.take() else { return };
        for (path, before) in undo.before.into_iter().rev() {
            match before {
                Some(change) => self.latest.insert(path, change),
                None => self.latest.remove(&path),
            };
        }
        self.order.truncate(undo.order_len);
        self.digest = undo.digest;
    }

    /// Everything up to `zxid` is in the tree now.
    pub fn applied(&mut self, zxid: Zxid) {
        while self.order.front().is_some_and(|(z, _)| *z <= zxid) {
            let Some((_, path)) = self.order.pop_front() else { return };
            if self.latest.get(&path).is_some_and(|change| change.zxid <= zxid) {
                self.latest.remove(&path);
            }
        }
    }

    /// The ephemeral nodes that `session` will own, in path order.
    #[must_use]
    pub fn ephemerals(&self, tree: &Tree, session: SessionId) -> Vec<String> {
        let owner = Owner::Session(session.0).to_field();
        let in_tree = tree.ephemerals(session).filter(|p| !self.latest.contains_key(*p)).map(str::to_owned);
        let coming = self.latest.iter().filter_map(|(path, change)| {
            let node = change.node.as_ref()?;
            (node.stat.ephemeral_owner == owner).then(|| path.to_string())
        });
        let mut paths: Vec<String> = in_tree.chain(coming).collect();
        paths.sort_unstable();
        paths
    }

    /// How many changes are in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing is in flight.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}
