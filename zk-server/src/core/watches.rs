//! Watches: which connection wants to hear what about which path. Dropped with their connection; a client arms
//! them again after it reconnects.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use zk_proto::event::{AddWatchMode, WatcherType};
use zk_proto::{EventType, path};

use super::connection::{ConnId, Connection};

const STANDARD: u8 = 1;
const PERSISTENT: u8 = 2;
const RECURSIVE: u8 = 4;

/// Where a one-shot watch is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// By `getData` and `exists`.
    Data,
    /// By `getChildren`.
    Child,
}

/// The modes of each connection at one path, in connection order so that events are made in one order always.
type Watchers = BTreeMap<ConnId, u8>;

#[derive(Debug)]
struct Watcher {
    connection: Arc<Connection>,
    paths: HashSet<Arc<str>>,
}

/// All watches of this server.
#[derive(Debug, Default)]
pub struct Watches {
    data: HashMap<Arc<str>, Watchers>,
    child: HashMap<Arc<str>, Watchers>,
    by_connection: HashMap<ConnId, Watcher>,
    /// Recursive watches set; while there are none, ancestors need no look.
    recursive: usize,
    fired: BTreeMap<EventType, Fired>,
}

/// What events of one type came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fired {
    /// Transactions that fired at least one watch.
    pub triggers: u64,
    /// Connections told, all in all.
    pub events: u64,
}

impl Watches {
    /// Sets a one-shot watch.
    pub fn add(&mut self, connection: &Arc<Connection>, path: &str, side: Side) {
        let path = self.path_of(connection, path);
        self.table(side)
            .entry(path)
            .or_default()
            .entry(connection.id)
            .and_modify(|m| *m |= STANDARD)
            .or_insert(STANDARD);
    }

    /// Sets a watch that stays until it is removed.
    pub fn add_persistent(&mut self, connection: &Arc<Connection>, path: &str, mode: AddWatchMode) {
        let path = self.path_of(connection, path);
        let id = connection.id;
        let data = self.data.entry(Arc::clone(&path)).or_default().entry(id).or_insert(0);
        match mode {
            AddWatchMode::Persistent => {
                *data |= PERSISTENT;
                *self.child.entry(path).or_default().entry(id).or_insert(0) |= PERSISTENT;
            }
            AddWatchMode::PersistentRecursive => {
                if *data & RECURSIVE == 0 {
                    self.recursive += 1;
                }
                *data |= RECURSIVE;
            }
        }
    }

    /// Whether the connection has a watch of this kind at exactly this path.
    #[must_use]
    pub fn has(&self, id: ConnId, path: &str, kind: WatcherType) -> bool {
        let (data, child) = self.modes(id, path);
        let (data_bits, child_bits) = bits_of(kind);
        data & data_bits != 0 || child & child_bits != 0
    }

    /// Removes the connection's watches of this kind at this path; `false` when there were none.
    pub fn remove(&mut self, id: ConnId, path: &str, kind: WatcherType) -> bool {
        let found = self.has(id, path, kind);
        if found {
            let (data_bits, child_bits) = bits_of(kind);
            self.clear(Side::Data, id, path, data_bits);
            self.clear(Side::Child, id, path, child_bits);
            self.forget_path(id, path);
        }
        found
    }

    /// Drops every watch of a connection.
    pub fn drop_connection(&mut self, id: ConnId) {
        let Some(watcher) = self.by_connection.remove(&id) else { return };
        for path in watcher.paths {
            self.clear(Side::Data, id, &path, u8::MAX);
            self.clear(Side::Child, id, &path, u8::MAX);
        }
    }

    /// Calls `deliver` once for every connection that must hear of `event` at `path`, and uses up one-shot
    /// watches.
    pub fn trigger(&mut self, event: EventType, path: &str, deliver: impl FnMut(&Arc<Connection>)) {
        let (mut deliver_one, mut events) = (deliver, 0);
        let mut deliver = |connection: &Arc<Connection>| {
            events += 1;
            deliver_one(connection);
        };
        let heard = match event {
            EventType::NodeChildrenChanged => self.fire(Side::Child, path, &[], &mut deliver),
            _ => self.fire(Side::Data, path, &[], &mut deliver),
        };
        if event == EventType::NodeDeleted {
            // One event a connection, also when it watched both the data and the children.
            self.fire(Side::Child, path, &heard, &mut deliver);
        }
        if events > 0 {
            let fired = self.fired.entry(event).or_default();
            fired.triggers += 1;
            fired.events += events;
        }
    }

    /// How often watches fired, by what happened.
    #[must_use]
    pub fn fired(&self, event: EventType) -> Fired {
        self.fired.get(&event).copied().unwrap_or_default()
    }

    fn fire(
        &mut self,
        side: Side,
        path: &str,
        except: &[ConnId],
        deliver: &mut impl FnMut(&Arc<Connection>),
    ) -> Vec<ConnId> {
        let mut heard: Vec<ConnId> = Vec::new();
        let mut used_up: Vec<ConnId> = Vec::new();
        if let Some(watchers) = self.table(side).get_mut(path) {
            for (id, modes) in watchers.iter_mut() {
                heard.push(*id);
                *modes &= !STANDARD;
                if *modes == 0 {
                    used_up.push(*id);
                }
            }
            if used_up.len() == watchers.len() {
                self.table(side).remove(path);
            } else {
                for id in &used_up {
                    watchers.remove(id);
                }
            }
        }
        if side == Side::Data && self.recursive > 0 {
            for ancestor in path::ancestors(path) {
                let recursive =
                    self.data.get(ancestor).into_iter().flatten().filter(|(_, m)| *m & RECURSIVE != 0);
                heard.extend(recursive.map(|(id, _)| *id));
            }
            heard.sort_unstable();
            heard.dedup();
        }
        for id in &heard {
            if !except.contains(id)
                && let Some(watcher) = self.by_connection.get(id)
            {
                deliver(&watcher.connection);
            }
        }
        for id in used_up {
            self.forget_path(id, path);
        }
        heard
    }

    /// How many connections watch, how many paths are watched, and how many watches there are (`wchs`).
    #[must_use]
    pub fn summary(&self) -> (usize, usize, usize) {
        let paths = self.data.keys().chain(self.child.keys()).collect::<HashSet<_>>().len();
        let watches = self.data.values().chain(self.child.values()).map(BTreeMap::len).sum();
        (self.by_connection.len(), paths, watches)
    }

    fn table(&mut self, side: Side) -> &mut HashMap<Arc<str>, Watchers> {
        match side {
            Side::Data => &mut self.data,
            Side::Child => &mut self.child,
        }
    }

    fn modes(&self, id: ConnId, path: &str) -> (u8, u8) {
        let of = |table: &HashMap<Arc<str>, Watchers>| {
            table.get(path).and_then(|w| w.get(&id)).copied().unwrap_or(0)
        };
        (of(&self.data), of(&self.child))
    }

    /// The path's one allocation, shared by the tables, and noted as the connection's.
    fn path_of(&mut self, connection: &Arc<Connection>, path: &str) -> Arc<str> {
        let watcher = self
            .by_connection
            .entry(connection.id)
            .or_insert_with(|| Watcher { connection: Arc::clone(connection), paths: HashSet::new() });
        if let Some(known) = watcher.paths.get(path) {
            return Arc::clone(known);
        }
        let known = self.data.get_key_value(path).or_else(|| self.child.get_key_value(path));
        let path: Arc<str> = known.map_or_else(|| path.into(), |(path, _)| Arc::clone(path));
        watcher.paths.insert(Arc::clone(&path));
        path
    }

    fn clear(&mut self, side: Side, id: ConnId, path: &str, bits: u8) {
        let table = self.table(side);
        let Some(watchers) = table.get_mut(path) else { return };
        let Some(modes) = watchers.get_mut(&id) else { return };
        let was_recursive = *modes & bits & RECURSIVE != 0;
        *modes &= !bits;
        if *modes == 0 {
            watchers.remove(&id);
            if watchers.is_empty() {
                table.remove(path);
            }
        }
        if was_recursive {
            self.recursive -= 1;
        }
    }

    /// Forgets that the connection watches `path`, when it no longer does in either table.
    fn forget_path(&mut self, id: ConnId, path: &str) {
        if self.modes(id, path) != (0, 0) {
            return;
        }
        if let Some(watcher) = self.by_connection.get_mut(&id) {
            watcher.paths.remove(path);
            if watcher.paths.is_empty() {
                self.by_connection.remove(&id);
            }
        }
    }
}

/// Which bits of the data and the child table a kind means.
const fn bits_of(kind: WatcherType) -> (u8, u8) {
    match kind {
        WatcherType::Children => (0, STANDARD),
        WatcherType::Data => (STANDARD, 0),
        WatcherType::Persistent => (PERSISTENT, PERSISTENT),
        WatcherType::PersistentRecursive => (RECURSIVE, 0),
        WatcherType::Any => (u8::MAX, u8::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(id: u64) -> Arc<Connection> {
        Connection::for_tests(id)
    }

    fn heard(watches: &mut Watches, event: EventType, path: &str) -> Vec<u64> {
        let mut ids = Vec::new();
        watches.trigger(event, path, |c| ids.push(c.id.0));
        ids
    }

    #[test]
    fn one_shot_watches_fire_once_and_only_for_their_side() {
        let mut w = Watches::default();
        w.add(&connection(1), "/a", Side::Data);
        w.add(&connection(2), "/a", Side::Child);
        assert_eq!(heard(&mut w, EventType::NodeDataChanged, "/a"), [1]);
        assert_eq!(heard(&mut w, EventType::NodeDataChanged, "/a"), []);
        assert_eq!(heard(&mut w, EventType::NodeChildrenChanged, "/a"), [2]);
        assert_eq!(w.summary(), (0, 0, 0), "nothing is left behind");
        assert_eq!(w.fired(EventType::NodeDataChanged), Fired { triggers: 1, events: 1 });
    }

    #[test]
    fn a_deletion_is_heard_once_by_who_watched_both_sides() {
        let mut w = Watches::default();
        let both = connection(1);
        w.add(&both, "/a", Side::Data);
        w.add(&both, "/a", Side::Child);
        w.add(&connection(2), "/a", Side::Child);
        assert_eq!(heard(&mut w, EventType::NodeDeleted, "/a"), [1, 2]);
        assert_eq!(w.summary(), (0, 0, 0));
    }

    #[test]
    fn persistent_and_recursive_watches_stay() {
        let mut w = Watches::default();
        w.add_persistent(&connection(1), "/a", AddWatchMode::Persistent);
        w.add_persistent(&connection(2), "/a", AddWatchMode::PersistentRecursive);
        w.add_persistent(&connection(3), "/", AddWatchMode::PersistentRecursive);
        for _ in 0..2 {
            assert_eq!(heard(&mut w, EventType::NodeDataChanged, "/a"), [1, 2, 3]);
            assert_eq!(heard(&mut w, EventType::NodeChildrenChanged, "/a"), [1]);
            assert_eq!(heard(&mut w, EventType::NodeCreated, "/a/b/c"), [2, 3]);
        }
        assert!(!w.remove(ConnId(1), "/a", WatcherType::Data));
        assert!(w.remove(ConnId(2), "/a", WatcherType::PersistentRecursive));
        w.drop_connection(ConnId(3));
        assert_eq!(heard(&mut w, EventType::NodeCreated, "/a/b"), []);
        assert_eq!(w.recursive, 0);
    }

    #[test]
    fn a_standard_and_a_persistent_watch_do_not_disturb_each_other() {
        // ZOOKEEPER-4466, 4471: removing one kind must leave the other.
        let mut w = Watches::default();
        let c = connection(1);
        w.add(&c, "/a", Side::Child);
        w.add_persistent(&c, "/a", AddWatchMode::Persistent);
        assert!(w.remove(c.id, "/a", WatcherType::Children));
        assert!(w.has(c.id, "/a", WatcherType::Persistent));
        assert_eq!(heard(&mut w, EventType::NodeChildrenChanged, "/a"), [1]);
    }
}
