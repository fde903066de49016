//! The znodes: a table by path in copy-on-write shards, and the child lists beside it.
//!
//! Freezing the tree for a snapshot clones one pointer a shard. While a frozen copy lives, the first change in
//! each shard copies that shard; nothing else slows down and nothing stops. Owns the rules of applying a change
//! to nodes (versions, zxids, child counters); knows nothing of requests, permissions or watches.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use zk_proto::stat::StatPersisted;
use zk_proto::storage::Owner;
use zk_proto::storage::snapshot::OPEN_ACL;
use zk_proto::{Acl, ErrorCode, SessionId, Stat, Zxid, path};

use super::acl_table::AclTable;
use super::digest;

/// Copy-on-write units. With a million nodes a shard holds a thousand, copied in some tens of microseconds.
const SHARDS: usize = 1024;

/// A znode's data; null and empty are kept apart.
pub type Data = Option<Arc<[u8]>>;

/// A znode, without its path and its children.
#[derive(Debug, Clone)]
pub struct ZNode {
    /// Its data.
    pub data: Data,
    /// Its ACL's id in the [`AclTable`].
    pub acl: i64,
    /// How many children it has.
    pub children: u32,
    /// Its metadata, as persisted.
    pub stat: StatPersisted,
}

impl ZNode {
    /// What kind of node it is.
    #[must_use]
    pub fn owner(&self) -> Owner {
        Owner::from_field(self.stat.ephemeral_owner, true)
    }

    /// The metadata as clients see it.
    #[must_use]
    pub fn stat(&self) -> Stat {
        client_stat(&self.stat, self.data.as_ref().map_or(0, |d| d.len()), self.children)
    }
}

/// Persisted metadata as clients see it: `cversion` counts deletions too, and only sessions show as owners.
#[must_use]
pub fn client_stat(stat: &StatPersisted, data_length: usize, children: u32) -> Stat {
    let num_children = i32::try_from(children).unwrap_or(i32::MAX);
    Stat {
        czxid: stat.czxid,
        mzxid: stat.mzxid,
        ctime: stat.ctime,
        mtime: stat.mtime,
        version: stat.version,
        cversion: stat.cversion.wrapping_mul(2).wrapping_sub(num_children),
        aversion: stat.aversion,
        ephemeral_owner: match Owner::from_field(stat.ephemeral_owner, true) {
            Owner::Session(id) => SessionId(id),
            _ => SessionId::NONE,
        },
        data_length: i32::try_from(data_length).unwrap_or(i32::MAX),
        num_children,
        pzxid: stat.pzxid,
    }
}

#[derive(Debug, Clone)]
struct Entry {
    path: Arc<str>,
    node: ZNode,
}

type Shard = HashTable<Entry>;

/// A new node, as a transaction describes it.
#[derive(Debug, Clone, Copy)]
pub struct NewNode<'a> {
    /// Where.
    pub path: &'a str,
    /// Its data.
    pub data: Option<&'a [u8]>,
    /// Its ACL.
    pub acl: &'a [Acl],
    /// Its kind.
    pub owner: Owner,
    /// The parent's count of creations afterwards; -1 for one more than before.
    pub parent_cversion: i32,
    /// The transaction.
    pub zxid: Zxid,
    /// Its time, in milliseconds since the Unix epoch.
    pub time_ms: i64,
}

/// All znodes.
#[derive(Debug)]
pub struct Tree {
    shards: Vec<Arc<Shard>>,
    hasher: FixedState,
    /// Full paths of the children, by parent; in path order, which is name order within one parent.
    children: HashMap<Arc<str>, BTreeSet<Arc<str>>, FixedState>,
    ephemerals: BTreeMap<SessionId, BTreeSet<Arc<str>>>,
    /// Containers and nodes with a time to live: what may have to be removed.
    passing: BTreeSet<Arc<str>>,
    acls: AclTable,
    digest: i64,
    nodes: usize,
    data_bytes: usize,
}

/// A tree at one moment, for a snapshot. Cheap to make; see the module's head.
#[derive(Debug)]
pub struct FrozenTree {
    shards: Vec<Arc<Shard>>,
    /// The ACL table of that moment.
    pub acls: AclTable,
    /// The digest of that moment.
    pub digest: i64,
}

impl FrozenTree {
    /// Every node with its path, parents before their children.
    #[must_use]
    pub fn nodes(&self) -> Vec<(&str, &ZNode)> {
        let mut all: Vec<_> =
            self.shards.iter().flat_map(|s| s.iter()).map(|e| (e.path.as_ref(), &e.node)).collect();
        all.sort_unstable_by_key(|(path, _)| *path);
        all
    }
}

impl Tree {
    /// A tree with nothing in it, to be filled from a snapshot. `seed` keys the hash of paths.
    #[must_use]
    pub fn empty(seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        Self {
            shards: (0..SHARDS).map(|_| Arc::default()).collect(),
            hasher: hasher.clone(),
            children: HashMap::with_hasher(hasher),
            ephemerals: BTreeMap::new(),
            passing: BTreeSet::new(),
            acls: AclTable::default(),
            digest: 0,
            nodes: 0,
            data_bytes: 0,
        }
    }

    /// The tree every ZooKeeper starts with.
    #[must_use]
    pub fn initial(seed: u64) -> Self {
        let mut tree = Self::empty(seed);
        let zero = StatPersisted::default();
        // Empty, not null: Curator's EnsembleTracker stumbles over a null configuration.
        let empty: Data = Some([].into());
        for path in ["/", "/zookeeper", "/zookeeper/quota"] {
            tree.insert(path, ZNode { data: empty.clone(), acl: OPEN_ACL, children: 0, stat: zero });
        }
        let acl = tree.acls.retain(&Acl::read_only());
        // Java sets this ACL with version -1, and it shows.
        let stat = StatPersisted { aversion: -1, ..zero };
        tree.insert("/zookeeper/config", ZNode { data: empty, acl, children: 0, stat });
        tree
    }

    /// The node at `path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&ZNode> {
        let hash = self.hasher.hash_one(path);
        self.shards[shard_of(hash)].find(hash, |e| &*e.path == path).map(|e| &e.node)
    }

    /// The names of the children of `path`, in order.
    pub fn children<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name_at = if path == "/" { 1 } else { path.len() + 1 };
        self.children.get(path).into_iter().flatten().map(move |child| &child[name_at..])
    }

    /// The ephemeral nodes of a session, in path order.
    pub fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = &str> {
        self.ephemerals.get(&session).into_iter().flatten().map(AsRef::as_ref)
    }

    /// Sessions that own ephemeral nodes, each with how many.
    pub fn ephemeral_owners(&self) -> impl Iterator<Item = (SessionId, usize)> + '_ {
        self.ephemerals.iter().map(|(session, paths)| (*session, paths.len()))
    }

    /// Containers that have lost their last child, and nodes whose time to live has passed, in path order.
    /// `now_ms` is on the clock that stamps transactions.
    pub fn outlived(&self, now_ms: i64) -> impl Iterator<Item = &str> {
        self.passing.iter().map(AsRef::as_ref).filter(move |path| {
            self.get(path).is_some_and(|node| {
                node.children == 0
                    && match node.owner() {
                        // One that never had a child may be about to get its first.
                        Owner::Container => node.stat.cversion > 0,
                        Owner::Ttl(ttl_ms) => now_ms.saturating_sub(node.stat.mtime) > ttl_ms,
                        Owner::Persistent | Owner::Session(_) => false,
                    }
            })
        })
    }

    /// Number of nodes below `path`.
    #[must_use]
    pub fn count_below(&self, path: &str) -> usize {
        let mut todo: Vec<&str> = vec![path];
        let mut count = 0;
        while let Some(next) = todo.pop() {
            let children = self.children.get(next);
            count += children.map_or(0, BTreeSet::len);
            todo.extend(children.into_iter().flatten().map(AsRef::as_ref));
        }
        count
    }

    /// The ACLs in use.
    #[must_use]
    pub fn acls(&self) -> &AclTable {
        &self.acls
    }

    /// The ACLs in use, to be filled from a snapshot.
    pub fn acls_mut(&mut self) -> &mut AclTable {
        &mut self.acls
    }

    /// The digest of all nodes.
    #[must_use]
    pub fn digest(&self) -> i64 {
        self.digest
    }

    /// How many nodes there are, the root included.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.nodes
    }

    /// Bytes of paths and data held.
    #[must_use]
    pub fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    /// This moment, for a snapshot.
    #[must_use]
    pub fn freeze(&self) -> FrozenTree {
        FrozenTree { shards: self.shards.clone(), acls: self.acls.clone(), digest: self.digest }
    }

    /// Puts a node of a snapshot in place; its parent must be there already.
    ///
    /// # Errors
    /// What makes the snapshot unusable, in words.
    pub fn restore(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl: i64,
        stat: StatPersisted,
    ) -> Result<(), String> {
        if let Some((parent, _)) = path::split(path)
            && self.get(parent).is_none()
        {
            return Err(format!("{path} comes before its parent"));
        }
        if self.get(path).is_some() {
            return Err(format!("{path} is there twice"));
        }
        self.acls.retain_id(acl).map_err(|e| format!("{path}: {e}"))?;
        self.insert(path, ZNode { data: data.map(Into::into), acl, children: 0, stat });
        Ok(())
    }

    /// Creates a node.
    ///
    /// # Errors
    /// `NoNode` without its parent. `NodeExists` when it is there: then, as a replay needs it, the parent's
    /// counters are raised and the node's ACL is set, and nothing else changes.
    pub fn create(&mut self, new: NewNode<'_>) -> Result<(), ErrorCode> {
        let parent = path::parent(new.path).ok_or(ErrorCode::BadArguments)?;
        let exists = self.get(new.path).is_some();
        let raised = self.change(parent, |node| {
            let cversion = match new.parent_cversion {
                -1 => node.stat.cversion.wrapping_add(1),
                given => given,
            };
            if cversion > node.stat.cversion {
                node.stat.cversion = cversion;
                node.stat.pzxid = new.zxid;
            }
        });
        if !raised {
            return Err(ErrorCode::NoNode);
        }
        let acl = self.acls.retain(new.acl);
        if exists {
            let mut old = acl;
            self.change(new.path, |node| old = std::mem::replace(&mut node.acl, acl));
            self.acls.release(old);
            return Err(ErrorCode::NodeExists);
        }
        let stat = StatPersisted {
            czxid: new.zxid,
            mzxid: new.zxid,
            pzxid: new.zxid,
            ctime: new.time_ms,
            mtime: new.time_ms,
            ephemeral_owner: new.owner.to_field(),
            ..StatPersisted::default()
        };
        self.insert(new.path, ZNode { data: new.data.map(Into::into), acl, children: 0, stat });
        Ok(())
    }

    /// Deletes a node and answers with what it was.
    ///
    /// # Errors
    /// `NoNode` when it, or its parent, is not there.
    pub fn delete(&mut self, path: &str, zxid: Zxid) -> Result<ZNode, ErrorCode> {
        let parent = path::parent(path).ok_or(ErrorCode::BadArguments)?;
        let found = self.change(parent, |node| node.stat.pzxid = node.stat.pzxid.max(zxid));
        if !found {
            return Err(ErrorCode::NoNode);
        }
        self.remove(path).ok_or(ErrorCode::NoNode)
    }

    /// Replaces a node's data.
    ///
    /// # Errors
    /// `NoNode` when it is not there.
    pub fn set_data(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
        zxid: Zxid,
        time_ms: i64,
    ) -> Result<(), ErrorCode> {
        let data: Data = data.map(Into::into);
        let new_len = data.as_ref().map_or(0, |d| d.len());
        let mut old_len = new_len;
        let found = self.change(path, |node| {
            old_len = node.data.as_ref().map_or(0, |d| d.len());
            node.data = data;
            node.stat.version = version;
            node.stat.mzxid = zxid;
            node.stat.mtime = time_ms;
        });
        self.data_bytes = self.data_bytes + new_len - old_len;
        if found { Ok(()) } else { Err(ErrorCode::NoNode) }
    }

    /// Replaces a node's ACL.
    ///
    /// # Errors
    /// `NoNode` when it is not there.
    pub fn set_acl(&mut self, path: &str, acl: &[Acl], aversion: i32) -> Result<(), ErrorCode> {
        if self.get(path).is_none() {
            return Err(ErrorCode::NoNode);
        }
        let id = self.acls.retain(acl);
        let mut old = id;
        self.change(path, |node| {
            old = std::mem::replace(&mut node.acl, id);
            node.stat.aversion = aversion;
        });
        self.acls.release(old);
        Ok(())
    }

    /// Changes a node in place and keeps the digest right; `false` when it is not there.
    fn change(&mut self, path: &str, f: impl FnOnce(&mut ZNode)) -> bool {
        let hash = self.hasher.hash_one(path);
        let shard = Arc::make_mut(&mut self.shards[shard_of(hash)]);
        let Some(entry) = shard.find_mut(hash, |e| &*e.path == path) else { return false };
        let before = digest::of_node(path, entry.node.data.as_deref(), &entry.node.stat);
        f(&mut entry.node);
        let after = digest::of_node(path, entry.node.data.as_deref(), &entry.node.stat);
        self.digest = self.digest.wrapping_sub(before).wrapping_add(after);
        true
    }

    fn insert(&mut self, path: &str, node: ZNode) {
        let name: Arc<str> = path.into();
        self.digest = self.digest.wrapping_add(digest::of_node(path, node.data.as_deref(), &node.stat));
        self.nodes += 1;
        self.data_bytes += path.len() + node.data.as_ref().map_or(0, |d| d.len());
        match node.owner() {
            Owner::Session(session) => {
                self.ephemerals.entry(SessionId(session)).or_default().insert(Arc::clone(&name));
            }
            Owner::Container | Owner::Ttl(_) => {
                self.passing.insert(Arc::clone(&name));
            }
            Owner::Persistent => {}
        }
        if let Some(parent) = path::parent(path) {
            if let Some(siblings) = self.children.get_mut(parent) {
                siblings.insert(Arc::clone(&name));
            } else {
                self.children.insert(parent.into(), BTreeSet::from([Arc::clone(&name)]));
            }
            self.count_child(parent, 1);
        }
        let hash = self.hasher.hash_one(path);
        let hasher = &self.hasher;
        Arc::make_mut(&mut self.shards[shard_of(hash)]).insert_unique(
            hash,
            Entry { path: name, node },
            |e| hasher.hash_one(&*e.path),
        );
    }

    fn remove(&mut self, path: &str) -> Option<ZNode> {
        let hash = self.hasher.hash_one(path);
        // Looked up first, so that a miss does not copy a frozen shard.
        self.get(path)?;
        let shard = Arc::make_mut(&mut self.shards[shard_of(hash)]);
        let (Entry { node, .. }, _) = shard.find_entry(hash, |e| &*e.path == path).ok()?.remove();
        self.digest = self.digest.wrapping_sub(digest::of_node(path, node.data.as_deref(), &node.stat));
        self.nodes -= 1;
        self.data_bytes -= path.len() + node.data.as_ref().map_or(0, |d| d.len());
        self.acls.release(node.acl);
        self.passing.remove(path);
        if let Owner::Session(session) = node.owner() {
            let session = SessionId(session);
            if let Some(paths) = self.ephemerals.get_mut(&session) {
                paths.remove(path);
                if paths.is_empty() {
                    self.ephemerals.remove(&session);
                }
            }
        }
        if let Some(parent) = path::parent(path) {
            if let Some(siblings) = self.children.get_mut(parent) {
                siblings.remove(path);
                if siblings.is_empty() {
                    self.children.remove(parent);
                }
            }
            self.count_child(parent, -1);
        }
        Some(node)
    }

    /// The child counter is not in the digest, so this needs no re-hashing of the node.
    fn count_child(&mut self, parent: &str, by: i32) {
        let hash = self.hasher.hash_one(parent);
        let shard = Arc::make_mut(&mut self.shards[shard_of(hash)]);
        if let Some(entry) = shard.find_mut(hash, |e| &*e.path == parent) {
            entry.node.children = entry.node.children.saturating_add_signed(by);
        }
    }
}

fn shard_of(hash: u64) -> usize {
    // Neither the low bits (the bucket) nor the top ones (the tag) that the table itself uses.
    (hash >> 32) as usize % SHARDS
}

#[cfg(test)]
mod tests;
