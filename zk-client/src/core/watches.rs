//! Registered one-shot interests: who waits for which node, what an event frees, and how they are armed again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use zk_proto::watch::SetWatches2;
use zk_proto::{EventType, Zxid};

use super::request::{OpId, Request};

/// The tables of the protocol, each with its list in a re-arming request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Data,
    Exist,
    Child,
}

/// Who waits for one path.
type Waiters = BTreeMap<Arc<str>, Vec<OpId>>;

/// The interests of one session. Several of one path share one watch on the server.
#[derive(Debug, Default)]
pub(super) struct Watches {
    data: Waiters,
    exist: Waiters,
    child: Waiters,
    by_id: BTreeMap<OpId, (Table, Arc<str>)>,
}

/// Bytes of a re-arming request besides its paths: header, zxid and the five counts.
const REARM_OVERHEAD_BYTES: usize = 8 + 8 + 5 * 4;

/// The table and path of the watch that a request asks for, once its answer is in; `found` says whether the node
/// was there. Only `exists` leaves a watch where there is no node.
pub(super) fn asked_for(request: &Request, found: bool) -> Option<(Table, &str)> {
    match request {
        Request::GetData(r) if r.watch && found => Some((Table::Data, &r.path)),
        Request::GetChildren(r) | Request::GetChildren2(r) if r.watch && found => {
            Some((Table::Child, &r.path))
        }
        Request::Exists(r) if r.watch => Some((if found { Table::Data } else { Table::Exist }, &r.path)),
        _ => None,
    }
}

impl Watches {
    pub(super) fn register(&mut self, table: Table, path: &str, id: OpId) {
        let known = self.table(table).get_key_value(path).map(|(path, _)| Arc::clone(path));
        let path = known.unwrap_or_else(|| path.into());
        self.table(table).entry(Arc::clone(&path)).or_default().push(id);
        self.by_id.insert(id, (table, path));
    }

    /// Nobody waits for it any more. Its watch on the server stays, and is ignored when it fires.
    pub(super) fn forget(&mut self, id: OpId) {
        let Some((table, path)) = self.by_id.remove(&id) else { return };
        let table = self.table(table);
        if let Some(waiters) = table.get_mut(&path) {
            waiters.retain(|waiter| *waiter != id);
            if waiters.is_empty() {
                table.remove(&path);
            }
        }
    }

    /// Whom the event frees, in the order in which they came.
    pub(super) fn fire(&mut self, event: EventType, path: &str) -> Vec<OpId> {
        let tables: &[Table] = match event {
            EventType::NodeCreated | EventType::NodeDataChanged => &[Table::Data, Table::Exist],
            EventType::NodeChildrenChanged => &[Table::Child],
            EventType::NodeDeleted => &[Table::Data, Table::Exist, Table::Child],
            _ => &[],
        };
        let mut fired: Vec<OpId> =
            tables.iter().filter_map(|table| self.table(*table).remove(path)).flatten().collect();
        fired.sort_unstable();
        for id in &fired {
            self.by_id.remove(id);
        }
        fired
    }

    /// Forgets everybody; whether there was anybody.
    pub(super) fn clear(&mut self) -> bool {
        let any = !self.by_id.is_empty();
        *self = Self::default();
        any
    }

    /// Requests that arm every watch again, each below `limit` bytes unless a single path is longer.
    pub(super) fn rearm(&self, since: Zxid, limit: usize) -> VecDeque<SetWatches2> {
        let mut batches = VecDeque::new();
        let mut batch = empty(since);
        let mut bytes = REARM_OVERHEAD_BYTES;
        for table in [Table::Data, Table::Exist, Table::Child] {
            for path in self.table_ref(table).keys() {
                let cost = 4 + path.len();
                if bytes + cost > limit && bytes > REARM_OVERHEAD_BYTES {
                    batches.push_back(std::mem::replace(&mut batch, empty(since)));
                    bytes = REARM_OVERHEAD_BYTES;
                }
                bytes += cost;
                match table {
                    Table::Data => &mut batch.data_watches,
                    Table::Exist => &mut batch.exist_watches,
                    Table::Child => &mut batch.child_watches,
                }
                .push(path.to_string());
            }
        }
        if bytes > REARM_OVERHEAD_BYTES {
            batches.push_back(batch);
        }
        batches
    }

    fn table(&mut self, table: Table) -> &mut Waiters {
        match table {
            Table::Data => &mut self.data,
            Table::Exist => &mut self.exist,
            Table::Child => &mut self.child,
        }
    }

    const fn table_ref(&self, table: Table) -> &Waiters {
        match table {
            Table::Data => &self.data,
            Table::Exist => &self.exist,
            Table::Child => &self.child,
        }
    }
}

fn empty(since: Zxid) -> SetWatches2 {
    SetWatches2 {
        relative_zxid: since,
        data_watches: Vec::new(),
        exist_watches: Vec::new(),
        child_watches: Vec::new(),
        persistent_watches: Vec::new(),
        persistent_recursive_watches: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_proto::Encode as _;

    fn all_tables() -> Watches {
        let mut watches = Watches::default();
        watches.register(Table::Data, "/a", OpId(1));
        watches.register(Table::Exist, "/a", OpId(2));
        watches.register(Table::Child, "/a", OpId(3));
        watches.register(Table::Data, "/a", OpId(4));
        watches
    }

    #[test]
    fn each_event_frees_its_tables_once() {
        let cases: [(EventType, &[u64]); 5] = [
            (EventType::NodeCreated, &[1, 2, 4]),
            (EventType::NodeDataChanged, &[1, 2, 4]),
            (EventType::NodeChildrenChanged, &[3]),
            (EventType::NodeDeleted, &[1, 2, 3, 4]),
            (EventType::None, &[]),
        ];
        for (event, expected) in cases {
            let mut watches = all_tables();
            let fired: Vec<u64> = watches.fire(event, "/a").into_iter().map(|id| id.0).collect();
            assert_eq!(fired, expected, "{event:?}");
            assert!(watches.fire(event, "/a").is_empty());
            assert!(watches.fire(EventType::NodeDeleted, "/b").is_empty());
        }
    }

    #[test]
    fn the_last_to_forget_takes_the_path_along() {
        let mut watches = all_tables();
        watches.forget(OpId(1));
        assert_eq!(watches.rearm(Zxid(7), 1000)[0].data_watches, ["/a"]);
        watches.forget(OpId(4));
        assert!(watches.rearm(Zxid(7), 1000)[0].data_watches.is_empty());
        watches.forget(OpId(4));
        assert!(watches.clear() && !watches.clear());
    }

    #[test]
    fn rearming_comes_in_batches_below_the_limit() {
        let mut watches = Watches::default();
        for n in 0..1000u64 {
            let table = [Table::Data, Table::Exist, Table::Child][(n % 3) as usize];
            watches.register(table, &format!("/some/path-{n}"), OpId(n));
        }
        let batches = watches.rearm(Zxid(9), 500);
        let paths: usize = batches
            .iter()
            .map(|b| b.data_watches.len() + b.exist_watches.len() + b.child_watches.len())
            .sum();
        assert_eq!(paths, 1000);
        assert!(batches.iter().all(|b| 8 + b.to_bytes().len() <= 500 && b.relative_zxid == Zxid(9)));
        assert!(Watches::default().rearm(Zxid(9), 500).is_empty());
    }
}
