//! The log as the simulation remembers it, compared with what a restart finds on the disk. Owns that comparison;
//! recovery itself is the server's.

use zk_client::{SessionId, Zxid};
use zk_proto::Acl;
use zk_proto::storage::log::{Found, read_at};
use zk_proto::storage::snapshot::{SnapshotDigest, SnapshotNode};
use zk_proto::txn::TxnEntry;
use zk_server::core::committed::Committed;
use zk_server::core::node::LogBatch;
use zk_server::core::persist::Rebuild;
use zk_server::storage::{MemoryDisk, RecoveryError, RecoveryOptions, Restore, recover, write_snapshot};

use super::kernel::Kernel;

/// Remembers the entries of a batch that was appended to the log.
pub(crate) fn mirror(k: &mut Kernel, batch: &LogBatch) {
    let bytes = batch.bytes.clone().freeze();
    let mut offset = 0;
    while let Found::Entry { entry, next } = read_at(&bytes, offset) {
        k.note(format_args!(
            "server log {} {} cxid={} {:?}",
            entry.header.zxid,
            entry.header.client_id,
            entry.header.cxid,
            entry.txn.opcode()
        ));
        k.history.log.insert(entry.header.zxid, *entry);
        offset = next;
    }
    if offset != bytes.len() {
        k.violated("agreement", format!("the batch up to {} does not read back", batch.last));
    }
}

/// Recovers the state from the disk, and compares what comes back with what was appended. `None` when the server
/// cannot start: because the disk refuses, or for another reason, and that is a violation: no fault here damages
/// what was synced.
pub(crate) fn recover_checked(k: &mut Kernel, disk: &MemoryDisk) -> Option<Committed> {
    let mut tee = Tee { inner: Rebuild::new(1), replayed: Vec::new() };
    let recovered = match recover(disk, disk, RecoveryOptions::default(), &mut tee) {
        Ok(recovered) => recovered,
        Err(RecoveryError::Disk(why)) => {
            k.note(format_args!("server stays down: {why}"));
            return None;
        }
        Err(why) => {
            k.violated("durability", format!("the server does not start again: {why}"));
            return None;
        }
    };
    let Tee { inner, replayed } = tee;
    for entry in replayed {
        if k.history.log.get(&entry.header.zxid) != Some(&entry) {
            k.violated("agreement", format!("the disk holds {entry:?}, which was not appended"));
        }
    }
    let lost = k.history.log.split_off(&recovered.last.next());
    k.counters.crashes_with_loss += u64::from(!lost.is_empty());
    k.counters.snapshots_read += u64::from(recovered.snapshot.is_some_and(|zxid| zxid > Zxid::ZERO));
    k.note(format_args!("recovered {} lost={} {:?}", recovered.last, lost.len(), recovered.cut));
    let seen = k.history.seen;
    if seen > recovered.last {
        let why = format!("a client has seen {seen}, the server comes back with {}", recovered.last);
        k.violated("durability", why);
    }
    let state = inner.finish();
    if state.digest_mismatches > 0 {
        k.violated("agreement", "the replayed tree has not the logged digest".to_owned());
    }
    if recovered.snapshot.is_none()
        && let Err(why) = write_snapshot(disk, &state.freeze())
    {
        k.note(format_args!("no first snapshot: {why}"));
        return None;
    }
    Some(state)
}

/// Hands everything on, and keeps the transactions.
struct Tee {
    inner: Rebuild,
    replayed: Vec<TxnEntry>,
}

impl Restore for Tee {
    fn reset(&mut self) {
        self.inner.reset();
    }

    fn initial(&mut self) {
        self.inner.initial();
    }

    fn session(&mut self, id: SessionId, timeout_ms: i32) {
        self.inner.session(id, timeout_ms);
    }

    fn acl(&mut self, id: i64, acl: Vec<Acl>) {
        self.inner.acl(id, acl);
    }

    fn node(&mut self, path: &str, node: SnapshotNode) -> Result<(), String> {
        self.inner.node(path, node)
    }

    fn snapshot_done(&mut self, zxid: Zxid, digest: Option<SnapshotDigest>) -> Result<(), String> {
        self.inner.snapshot_done(zxid, digest)
    }

    fn replay(&mut self, entry: TxnEntry) -> Result<(), String> {
        self.replayed.push(entry.clone());
        self.inner.replay(entry)
    }
}
