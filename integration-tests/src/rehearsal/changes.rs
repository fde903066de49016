//! Which nodes came and went, as the server's log has it: what an oracle may hold against what participants say.

use std::collections::BTreeMap;
use std::time::Duration;

use zk_client::Zxid;
use zk_proto::txn::{Txn, TxnEntry};

use crate::sim::server::WALL_START_MS;

/// A node that was made, or is gone.
#[derive(Debug, Clone)]
pub struct Change {
    /// When, in whole milliseconds.
    pub at: Duration,
    /// By which transaction.
    pub zxid: Zxid,
    /// Which node.
    pub path: String,
    /// Whether it was made.
    pub made: bool,
}

/// All changes of nodes at or below `root`, in order.
pub(super) fn of_log(log: &BTreeMap<Zxid, TxnEntry>, root: &str) -> Vec<Change> {
    let mut changes = Vec::new();
    for (zxid, entry) in log {
        let ms = u64::try_from(entry.header.time_ms - WALL_START_MS).unwrap_or(0);
        let mut of_entry = Vec::new();
        collect(&entry.txn, &mut of_entry);
        let of_root = of_entry.into_iter().filter(|(path, _)| path.starts_with(root));
        let at = Duration::from_millis(ms);
        changes.extend(of_root.map(|(path, made)| Change { at, zxid: *zxid, path: path.to_owned(), made }));
    }
    changes
}

fn collect<'a>(txn: &'a Txn, changes: &mut Vec<(&'a str, bool)>) {
    match txn {
        Txn::Create(made) | Txn::Create2(made) => changes.push((&made.path, true)),
        Txn::CreateTtl(made) => changes.push((&made.path, true)),
        Txn::CreateContainer(made) => changes.push((&made.path, true)),
        Txn::Delete(gone) | Txn::DeleteContainer(gone) => changes.push((&gone.path, false)),
        Txn::CloseSession(Some(closed)) => {
            changes.extend(closed.paths_to_delete.iter().map(|path| (path.as_str(), false)));
        }
        Txn::Multi(parts) if !parts.iter().any(|part| matches!(part, Txn::Error(_))) => {
            parts.iter().for_each(|part| collect(part, changes));
        }
        _ => {}
    }
}
