//! The state as snapshots and logs hold it: rebuilt from them at start, handed to them at a snapshot.

use std::io;

use zk_proto::acl::Acl;
use zk_proto::stat::StatPersisted;
use zk_proto::storage::snapshot::{SnapshotAcl, SnapshotDigest, SnapshotNode, SnapshotSession};
use zk_proto::txn::{DIGEST_VERSION, TxnEntry};
use zk_proto::{SessionId, Zxid};

use super::apply::apply;
use super::committed::{Committed, Frozen};
use super::tree::Tree;
use crate::storage::recovery::Restore;
use crate::storage::snapshots::SnapshotSource;

/// A state being rebuilt.
#[derive(Debug)]
pub struct Rebuild {
    state: Committed,
    seed: u64,
    /// The digest a fuzzy snapshot must have once the log has been replayed up to its zxid.
    expected: Option<SnapshotDigest>,
}

impl Rebuild {
    /// Nothing rebuilt yet. `seed` keys the hash of paths.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: Committed::initial(seed), seed, expected: None }
    }

    /// What was rebuilt.
    #[must_use]
    pub fn finish(self) -> Committed {
        self.state
    }
}

impl Restore for Rebuild {
    fn reset(&mut self) {
        self.state = Committed::with_tree(Tree::empty(self.seed));
        self.expected = None;
    }

    fn initial(&mut self) {
        self.state = Committed::initial(self.seed);
        self.expected = None;
    }

    fn session(&mut self, id: SessionId, timeout_ms: i32) {
        self.state.sessions.insert(id, timeout_ms);
    }

    fn acl(&mut self, id: i64, acl: Vec<Acl>) {
        self.state.tree.acls_mut().restore(id, acl);
    }

    fn node(&mut self, path: &str, node: SnapshotNode) -> Result<(), String> {
        let path = if path.is_empty() { "/" } else { path };
        self.state.tree.restore(path, node.data.as_deref(), node.acl_id, node.stat)
    }

    fn snapshot_done(&mut self, zxid: Zxid, digest: Option<SnapshotDigest>) -> Result<(), String> {
        if self.state.tree.get("/zookeeper").is_none() {
            return Err("the snapshot has no /zookeeper node".to_owned());
        }
        self.state.tree.acls_mut().purge();
        self.state.last_zxid = zxid;
        // A digest at zxid 0 is one that Java had not computed yet.
        self.expected =
            digest.filter(|d| d.version == DIGEST_VERSION && d.zxid > Zxid::ZERO && d.zxid >= zxid);
        self.check_digest(zxid)
    }

    fn replay(&mut self, entry: TxnEntry) -> Result<(), String> {
        // Until a fuzzy snapshot is caught up with, entries find some of their work done, and digests differ.
        let mismatches = self.state.digest_mismatches;
        apply(&mut self.state, &entry, &mut Vec::new());
        if self.expected.is_some() {
            self.state.digest_mismatches = mismatches;
        }
        self.check_digest(entry.header.zxid)
    }
}

impl Rebuild {
    fn check_digest(&mut self, zxid: Zxid) -> Result<(), String> {
        let Some(expected) = self.expected.filter(|e| e.zxid <= zxid) else { return Ok(()) };
        self.expected = None;
        let have = self.state.tree.digest();
        if expected.zxid == zxid && expected.digest != have {
            return Err(format!(
                "the tree at {zxid} has digest {have}, its snapshot says {}",
                expected.digest
            ));
        }
        Ok(())
    }
}

impl SnapshotSource for Frozen {
    fn zxid(&self) -> Zxid {
        self.zxid
    }

    fn sessions(&self) -> Vec<SnapshotSession> {
        Self::sessions(self).to_vec()
    }

    fn acls(&self) -> Vec<SnapshotAcl> {
        Self::acls(self)
    }

    fn digest(&self) -> Option<i64> {
        Some(self.tree.digest)
    }

    fn for_each_node(
        &self,
        f: &mut dyn FnMut(&str, Option<&[u8]>, i64, &StatPersisted) -> io::Result<()>,
    ) -> io::Result<()> {
        for (path, node) in self.tree.nodes() {
            f(if path == "/" { "" } else { path }, node.data.as_deref(), node.acl, &node.stat)?;
        }
        Ok(())
    }
}
