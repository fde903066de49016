//! The state after one exact transaction: tree, sessions and watches together.
//!
//! Readers share it; only the pipeline changes it. A watch is set while the state is held for reading and fires
//! while it is held for writing, and a reply is pushed before the hold ends: so a client hears of a change before
//! it can see it, and never of a change it has seen already.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zk_proto::storage::snapshot::{SnapshotAcl, SnapshotSession};
use zk_proto::{SessionId, Zxid};

use super::tree::{FrozenTree, Tree};
use super::watches::Watches;

/// See the module's head.
#[derive(Debug)]
pub struct Committed {
    /// The znodes.
    pub tree: Tree,
    /// Live sessions and their timeouts in milliseconds, as snapshots hold them.
    pub sessions: BTreeMap<SessionId, i32>,
    /// The last transaction in it.
    pub last_zxid: Zxid,
    /// Transactions after which the tree's digest was not the logged one.
    pub digest_mismatches: u64,
    watches: Mutex<Watches>,
}

/// The state at one moment, for a snapshot.
#[derive(Debug)]
pub struct Frozen {
    /// The znodes.
    pub tree: FrozenTree,
    /// The last transaction in it.
    pub zxid: Zxid,
    sessions: Vec<SnapshotSession>,
}

impl Committed {
    /// The state every ZooKeeper starts with. `seed` keys the hash of paths.
    #[must_use]
    pub fn initial(seed: u64) -> Self {
        Self::with_tree(Tree::initial(seed))
    }

    /// A state with this tree and nothing else.
    #[must_use]
    pub fn with_tree(tree: Tree) -> Self {
        Self {
            tree,
            sessions: BTreeMap::new(),
            last_zxid: Zxid::ZERO,
            digest_mismatches: 0,
            watches: Mutex::default(),
        }
    }

    /// The watches. Held for moments only, and never while a connection's own lock is.
    pub fn watches(&self) -> MutexGuard<'_, Watches> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This moment, for a snapshot.
    #[must_use]
    pub fn freeze(&self) -> Frozen {
        let sessions = self.sessions.iter().map(|(id, ms)| SnapshotSession { id: *id, timeout_ms: *ms });
        Frozen { tree: self.tree.freeze(), zxid: self.last_zxid, sessions: sessions.collect() }
    }
}

impl Frozen {
    /// The sessions, as a snapshot lists them.
    #[must_use]
    pub fn sessions(&self) -> &[SnapshotSession] {
        &self.sessions
    }

    /// The ACL table, as a snapshot lists it.
    #[must_use]
    pub fn acls(&self) -> Vec<SnapshotAcl> {
        self.tree.acls.iter().map(|(id, acl)| SnapshotAcl { id, acl: acl.to_vec() }).collect()
    }
}
