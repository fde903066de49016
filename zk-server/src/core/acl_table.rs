//! The ACLs in use, each stored once. Nodes refer to them by id, as snapshots do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use zk_proto::Acl;
use zk_proto::acl::{AuthId, Perms};
use zk_proto::storage::snapshot::OPEN_ACL;

/// An ACL shared by the nodes that have it.
pub type AclRef = Arc<[Acl]>;

#[derive(Debug, Clone)]
struct Entry {
    acl: AclRef,
    nodes: usize,
}

/// ACLs by id, with the number of nodes that use each.
#[derive(Debug, Clone)]
pub struct AclTable {
    by_id: BTreeMap<i64, Entry>,
    ids: HashMap<AclRef, i64>,
    last_id: i64,
    open: AclRef,
}

impl Default for AclTable {
    fn default() -> Self {
        Self { by_id: BTreeMap::new(), ids: HashMap::new(), last_id: 0, open: Acl::open().into() }
    }
}

impl AclTable {
    /// The id of `acl`, counted once more.
    pub fn retain(&mut self, acl: &[Acl]) -> i64 {
        if is_open(acl) {
            return OPEN_ACL;
        }
        if let Some(id) = self.ids.get(acl) {
            if let Some(entry) = self.by_id.get_mut(id) {
                entry.nodes += 1;
            }
            return *id;
        }
        self.last_id += 1;
        let acl: AclRef = acl.into();
        self.ids.insert(Arc::clone(&acl), self.last_id);
        self.by_id.insert(self.last_id, Entry { acl, nodes: 1 });
        self.last_id
    }

    /// Counts the use of an id once more, for nodes read from a snapshot.
    ///
    /// # Errors
    /// When the table lacks the id.
    pub fn retain_id(&mut self, id: i64) -> Result<(), String> {
        if id == OPEN_ACL {
            return Ok(());
        }
        let entry = self.by_id.get_mut(&id).ok_or_else(|| format!("ACL id {id} is not in the table"))?;
        entry.nodes += 1;
        Ok(())
    }

    /// Adds an entry of a snapshot, not used by any node yet.
    pub fn restore(&mut self, id: i64, acl: Vec<Acl>) {
        let acl: AclRef = acl.into();
        self.ids.insert(Arc::clone(&acl), id);
        self.by_id.insert(id, Entry { acl, nodes: 0 });
        self.last_id = self.last_id.max(id);
    }

    /// Counts one use less; an unused entry goes.
    pub fn release(&mut self, id: i64) {
        if let Some(entry) = self.by_id.get_mut(&id) {
            entry.nodes = entry.nodes.saturating_sub(1);
            if entry.nodes == 0 {
                self.ids.remove(&entry.acl);
                self.by_id.remove(&id);
            }
        }
    }

    /// Drops what no node uses, after a snapshot was read.
    pub fn purge(&mut self) {
        let unused: Vec<i64> = self.by_id.iter().filter(|(_, e)| e.nodes == 0).map(|(id, _)| *id).collect();
        for id in unused {
            self.release(id);
        }
    }

    /// The ACL of an id.
    #[must_use]
    pub fn get(&self, id: i64) -> AclRef {
        // An id the table lacks was refused when the snapshot was read; an empty ACL admits nobody but `super`.
        match self.by_id.get(&id) {
            Some(entry) => Arc::clone(&entry.acl),
            None if id == OPEN_ACL => Arc::clone(&self.open),
            None => Arc::from([]),
        }
    }

    /// Whether one of `ids` has one of `perms` by this ACL.
    #[must_use]
    pub fn allows(&self, id: i64, perms: Perms, ids: &[AuthId]) -> bool {
        id == OPEN_ACL || self.by_id.get(&id).is_some_and(|e| crate::auth::allows(&e.acl, perms, ids))
    }

    /// Every id and its ACL, in order, as a snapshot lists them.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &AclRef)> {
        self.by_id.iter().map(|(id, entry)| (*id, &entry.acl))
    }
}

fn is_open(acl: &[Acl]) -> bool {
    matches!(acl, [one] if one.perms == Perms::ALL && one.id.scheme == "world" && one.id.id == "anyone")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_acls_share_an_id_until_the_last_node_lets_go() {
        let mut table = AclTable::default();
        assert_eq!(table.retain(&Acl::open()), OPEN_ACL);
        let id = table.retain(&Acl::read_only());
        assert_eq!(table.retain(&Acl::read_only()), id);
        table.release(id);
        assert_eq!(table.get(id).as_ref(), Acl::read_only());
        table.release(id);
        assert_eq!(table.iter().count(), 0);
        assert_ne!(table.retain(&Acl::read_only()), id, "ids are not used again");
    }
}
