//! Registered interests: who waits for which node, whom an event concerns, and what the server still watches for
//! nobody.
//!
//! All interests in one path share one entry, and on the server one watch of each kind. Sends nothing: a path that
//! nobody is interested in any more is named by [`Watches::next_unused`], and re-arming is `rearm`'s.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use zk_proto::event::AddWatchMode;
use zk_proto::ops::multi::MultiOp;
use zk_proto::{ErrorCode, EventType};

use super::request::{OpId, Request};
use crate::limits::REMOVALS_HELD_MAX;

/// What an interest is in. The order is that of the lists of a re-arming request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Data,
    Exist,
    Child,
    Persistent,
    Recursive,
}

impl Kind {
    /// Whether it outlives its first event.
    pub(super) const fn is_stream(self) -> bool {
        matches!(self, Self::Persistent | Self::Recursive)
    }

    /// The kind of watch that a request for this one has left, by its answer. Only `exists` leaves one where there
    /// is no node.
    pub(super) const fn left_by(self, outcome: Result<(), ErrorCode>) -> Option<Self> {
        match (self, outcome) {
            (Self::Exist, Ok(())) => Some(Self::Data),
            (Self::Exist, Err(ErrorCode::NoNode)) | (_, Ok(())) => Some(self),
            (_, Err(_)) => None,
        }
    }

    const fn armed(self) -> Armed {
        match self {
            Self::Data | Self::Exist => Armed::DATA,
            Self::Child => Armed::CHILD,
            Self::Persistent => Armed::PERSISTENT,
            Self::Recursive => Armed::RECURSIVE,
        }
    }

    /// Whether an event of this type at the very path concerns it.
    const fn hears(self, event: EventType) -> bool {
        match event {
            EventType::NodeCreated | EventType::NodeDataChanged => !matches!(self, Self::Child),
            EventType::NodeChildrenChanged => matches!(self, Self::Child | Self::Persistent),
            EventType::NodeDeleted => true,
            _ => false,
        }
    }
}

/// What the server watches at one path for this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Armed(u8);

impl Armed {
    const NONE: Self = Self(0);
    const DATA: Self = Self(1);
    const CHILD: Self = Self(2);
    const PERSISTENT: Self = Self(4);
    const RECURSIVE: Self = Self(8);

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    /// One-shot watches are gone when they have fired.
    fn fired(&mut self, event: EventType) {
        match event {
            EventType::NodeCreated | EventType::NodeDataChanged => self.remove(Self::DATA),
            EventType::NodeChildrenChanged => self.remove(Self::CHILD),
            EventType::NodeDeleted => self.remove(Self(Self::DATA.0 | Self::CHILD.0)),
            _ => {}
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Interest {
    id: OpId,
    kind: Kind,
    /// It ends with its session.
    pinned: bool,
}

/// Everything about one path.
#[derive(Debug, Default)]
struct Entry {
    interests: Vec<Interest>,
    armed: Armed,
    /// Requests in flight that will arm something here if they succeed, or that will fire it.
    flying: u32,
    /// A request of this connection left its watch out, because an armed one covers it.
    relies: bool,
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.interests.is_empty() && self.flying == 0 && self.armed == Armed::NONE
    }

    fn is_unused(&self) -> bool {
        self.interests.is_empty() && self.flying == 0 && self.armed != Armed::NONE
    }
}

/// Whom an event concerns.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fired {
    /// One-shot interests; they are gone.
    pub(super) once: Vec<OpId>,
    /// Persistent ones.
    pub(super) streams: Vec<OpId>,
}

/// The interests of one client.
#[derive(Debug, Default)]
pub(super) struct Watches {
    entries: BTreeMap<Arc<str>, Entry>,
    by_id: BTreeMap<OpId, Arc<str>>,
    /// Recursive interests; while there are none, an event concerns its own path alone.
    recursive: usize,
    /// Paths that may have become unused.
    unused: VecDeque<Arc<str>>,
}

/// The kind and path of the watch that a request asks for; of `exists`, as if the node were missing.
pub(super) fn asked_for(request: &Request) -> Option<(Kind, &str)> {
    match request {
        Request::GetData(r) if r.watch => Some((Kind::Data, &r.path)),
        Request::GetChildren(r) | Request::GetChildren2(r) if r.watch => Some((Kind::Child, &r.path)),
        Request::Exists(r) if r.watch => Some((Kind::Exist, &r.path)),
        Request::AddWatch(r) if r.mode == AddWatchMode::Persistent.code() => {
            Some((Kind::Persistent, &r.path))
        }
        Request::AddWatch(r) => Some((Kind::Recursive, &r.path)),
        _ => None,
    }
}

/// The nodes that a request deletes if it succeeds.
pub(super) fn deletes(request: &Request) -> impl Iterator<Item = &str> {
    let (one, several) = match request {
        Request::Delete(r) => (Some(r.path.as_str()), None),
        Request::Multi(r) => (None, Some(&r.ops)),
        _ => (None, None),
    };
    let several = several.into_iter().flatten().filter_map(|op| match op {
        MultiOp::Delete(r) => Some(r.path.as_str()),
        _ => None,
    });
    one.into_iter().chain(several)
}

impl Watches {
    /// A request that asks for a watch at `path` is sent now. False when it should leave its watch out: a
    /// persistent one at the same path hears everything that it would hear. That spares the server a second watch,
    /// and before ZooKeeper 3.9 it is the only way: there the one-shot watch would replace the persistent one
    /// (ZOOKEEPER-4466).
    pub(super) fn depart(&mut self, kind: Kind, path: &str) -> bool {
        let entry = self.entry(path);
        entry.flying += 1;
        if kind.is_stream() {
            entry.armed.add(kind.armed());
            return true;
        }
        let covered = match kind {
            Kind::Child => entry.armed.has(Armed::PERSISTENT),
            _ => entry.armed.has(Armed(Armed::PERSISTENT.0 | Armed::RECURSIVE.0)),
        };
        entry.relies |= covered;
        !covered
    }

    /// A request that may delete nodes is sent now. Whether that concerns a watch at one of them: then it fires
    /// before the answer, and nothing there is removed until each of [`deletes`] has arrived.
    pub(super) fn deletions_depart(&mut self, request: &Request) -> bool {
        let concerned = deletes(request).any(|path| self.entries.contains_key(path));
        if concerned {
            deletes(request).for_each(|path| self.entry(path).flying += 1);
        }
        concerned
    }

    /// A request that asked for a watch at `path` was answered. To be followed by [`Watches::register`] if it
    /// left one.
    pub(super) fn arrive(&mut self, path: &str) {
        if let Some(entry) = self.entries.get_mut(path) {
            entry.flying = entry.flying.saturating_sub(1);
        }
        self.settle(path);
    }

    /// The server would not watch `path`. True when another request relied on it.
    pub(super) fn refused(&mut self, kind: Kind, path: &str) -> bool {
        let Some(entry) = self.entries.get_mut(path) else { return false };
        entry.armed.remove(kind.armed());
        let relied = entry.relies;
        self.settle(path);
        relied
    }

    pub(super) fn register(&mut self, kind: Kind, path: &str, id: OpId, pinned: bool) {
        let key = self.key(path);
        let entry = self.entries.entry(Arc::clone(&key)).or_default();
        entry.interests.push(Interest { id, kind, pinned });
        entry.armed.add(kind.armed());
        self.recursive += usize::from(kind == Kind::Recursive);
        self.by_id.insert(id, key);
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(&mut self, id: OpId) {
        let Some(path) = self.by_id.remove(&id) else { return };
        let Some(entry) = self.entries.get_mut(&path) else { return };
        if let Some(at) = entry.interests.iter().position(|interest| interest.id == id) {
            let gone = entry.interests.remove(at);
            self.recursive -= usize::from(gone.kind == Kind::Recursive);
        }
        self.settle(&path);
    }

    /// Whom an event concerns, in the order in which they came.
    pub(super) fn fire(&mut self, event: EventType, path: &str) -> Fired {
        let mut fired = Fired::default();
        if let Some(entry) = self.entries.get_mut(path) {
            entry.armed.fired(event);
            entry.interests.retain(|interest| {
                let hears = interest.kind.hears(event);
                match (hears, interest.kind.is_stream()) {
                    (true, true) => fired.streams.push(interest.id),
                    (true, false) => fired.once.push(interest.id),
                    (false, _) => {}
                }
                !hears || interest.kind.is_stream()
            });
            for id in &fired.once {
                self.by_id.remove(id);
            }
            self.settle(path);
        }
        if self.recursive > 0 && Kind::Recursive.hears(event) {
            self.fire_above(path, &mut fired.streams);
        }
        fired.streams.sort_unstable();
        fired
    }

    /// The recursive interests in every ancestor of `path`.
    fn fire_above(&self, path: &str, streams: &mut Vec<OpId>) {
        let slashes = path.match_indices('/').map(|(at, _)| at);
        for at in slashes {
            // The root is its own ancestor's name; everything else ends before its slash.
            let ancestor = if at == 0 { "/" } else { &path[..at] };
            if ancestor == path {
                continue;
            }
            if let Some(entry) = self.entries.get(ancestor) {
                let recursive = entry.interests.iter().filter(|interest| interest.kind == Kind::Recursive);
                streams.extend(recursive.map(|interest| interest.id));
            }
        }
    }

    /// The next path that the server watches for nobody. It counts as no longer watched.
    pub(super) fn next_unused(&mut self) -> Option<Arc<str>> {
        while let Some(path) = self.unused.pop_front() {
            if self.entries.get(&path).is_some_and(Entry::is_unused) {
                self.entries.remove(&path);
                return Some(path);
            }
        }
        None
    }

    pub(super) fn has_unused(&self) -> bool {
        !self.unused.is_empty()
    }

    /// Whether so many are to be removed that operations must let them pass.
    pub(super) fn has_many_unused(&self) -> bool {
        self.unused.len() > REMOVALS_HELD_MAX
    }

    /// A request to remove everything at `path` is sent now.
    pub(super) fn removal_departs(&mut self, path: &str) {
        if let Some(entry) = self.entries.get_mut(path) {
            entry.armed = Armed::NONE;
        }
        self.settle(path);
    }

    /// Everything at `path` was removed: whoever waited for it.
    pub(super) fn removed(&mut self, path: &str) -> Vec<OpId> {
        let Some(entry) = self.entries.get_mut(path) else { return Vec::new() };
        let gone = std::mem::take(&mut entry.interests);
        self.settle(path);
        self.drop_names(&gone)
    }

    /// The connection is gone, and with it everything the server watched and every answer on its way.
    pub(super) fn disconnected(&mut self) {
        self.unused.clear();
        self.entries.retain(|_, entry| {
            *entry = Entry { interests: std::mem::take(&mut entry.interests), ..Entry::default() };
            !entry.interests.is_empty()
        });
    }

    /// The session is over: its one-shot interests, and those that were pinned to it, in order.
    pub(super) fn lose_session(&mut self) -> Vec<OpId> {
        self.lose(|interest| interest.pinned || !interest.kind.is_stream())
    }

    /// Ends what was pinned to a session that another one follows.
    pub(super) fn lose_pinned(&mut self) -> Vec<OpId> {
        self.lose(|interest| interest.pinned)
    }

    /// Ends every stream: the servers here cannot keep one.
    pub(super) fn lose_streams(&mut self) -> Vec<OpId> {
        self.lose(|interest| interest.kind.is_stream())
    }

    /// Forgets everybody.
    pub(super) fn lose_all(&mut self) -> Vec<OpId> {
        self.lose(|_| true)
    }

    fn lose(&mut self, doomed: impl Fn(&Interest) -> bool) -> Vec<OpId> {
        let mut gone = Vec::new();
        self.entries.retain(|_, entry| {
            gone.extend(entry.interests.extract_if(.., |interest| doomed(interest)));
            !entry.is_empty()
        });
        let mut gone = self.drop_names(&gone);
        gone.sort_unstable();
        gone
    }

    fn drop_names(&mut self, gone: &[Interest]) -> Vec<OpId> {
        for interest in gone {
            self.by_id.remove(&interest.id);
            self.recursive -= usize::from(interest.kind == Kind::Recursive);
        }
        gone.iter().map(|interest| interest.id).collect()
    }

    /// The kinds of interest in each path, in the order of paths; each kind once.
    pub(super) fn kinds(&self) -> impl Iterator<Item = (Kind, &Arc<str>)> {
        let of_kind = |kind: Kind| {
            self.entries.iter().filter_map(move |(path, entry)| {
                entry.interests.iter().any(|interest| interest.kind == kind).then_some((kind, path))
            })
        };
        [Kind::Data, Kind::Exist, Kind::Child, Kind::Persistent, Kind::Recursive]
            .into_iter()
            .flat_map(of_kind)
    }

    /// Everything anybody is interested in is being armed again.
    pub(super) fn rearming(&mut self) {
        for entry in self.entries.values_mut() {
            for interest in &entry.interests {
                entry.armed.add(interest.kind.armed());
            }
        }
    }

    /// The streams of this kind at `path`.
    pub(super) fn streams(&self, kind: Kind, path: &str) -> impl Iterator<Item = OpId> {
        let interests = self.entries.get(path).map_or(&[][..], |entry| &entry.interests);
        interests.iter().filter(move |interest| interest.kind == kind).map(|interest| interest.id)
    }

    fn settle(&mut self, path: &str) {
        let Some((key, entry)) = self.entries.get_key_value(path) else { return };
        if entry.is_empty() {
            self.entries.remove(path);
        } else if entry.is_unused() {
            self.unused.push_back(Arc::clone(key));
        }
    }

    fn entry(&mut self, path: &str) -> &mut Entry {
        let key = self.key(path);
        self.entries.entry(key).or_default()
    }

    fn key(&self, path: &str) -> Arc<str> {
        self.entries.get_key_value(path).map_or_else(|| path.into(), |(key, _)| Arc::clone(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[OpId]) -> Vec<u64> {
        ids.iter().map(|id| id.0).collect()
    }

    fn unused(watches: &mut Watches) -> Vec<String> {
        std::iter::from_fn(|| watches.next_unused()).map(|path| path.to_string()).collect()
    }

    fn all_kinds() -> Watches {
        let mut watches = Watches::default();
        watches.register(Kind::Data, "/a", OpId(1), false);
        watches.register(Kind::Exist, "/a", OpId(2), false);
        watches.register(Kind::Child, "/a", OpId(3), false);
        watches.register(Kind::Data, "/a", OpId(4), false);
        watches.register(Kind::Persistent, "/a", OpId(5), false);
        watches.register(Kind::Recursive, "/a", OpId(6), false);
        watches.register(Kind::Recursive, "/", OpId(7), true);
        watches
    }

    #[test]
    fn each_event_frees_its_one_shots_once_and_reaches_its_streams_always() {
        let cases: [(EventType, &[u64], &[u64]); 5] = [
            (EventType::NodeCreated, &[1, 2, 4], &[5, 6, 7]),
            (EventType::NodeDataChanged, &[1, 2, 4], &[5, 6, 7]),
            (EventType::NodeChildrenChanged, &[3], &[5]),
            (EventType::NodeDeleted, &[1, 2, 3, 4], &[5, 6, 7]),
            (EventType::None, &[], &[]),
        ];
        for (event, once, streams) in cases {
            let mut watches = all_kinds();
            let fired = watches.fire(event, "/a");
            assert_eq!(
                (ids(&fired.once), ids(&fired.streams)),
                (once.to_vec(), streams.to_vec()),
                "{event:?}"
            );
            let again = watches.fire(event, "/a");
            assert_eq!((ids(&again.once), ids(&again.streams)), (Vec::new(), streams.to_vec()), "{event:?}");
        }
    }

    #[test]
    fn recursive_streams_hear_what_is_below_and_nothing_beside() {
        let mut watches = all_kinds();
        let below =
            |watches: &mut Watches, path: &str| ids(&watches.fire(EventType::NodeCreated, path).streams);
        assert_eq!(below(&mut watches, "/a/b/c"), [6, 7]);
        assert_eq!(below(&mut watches, "/ab"), [7]);
        assert_eq!(below(&mut watches, "/"), [7]);
        assert!(watches.fire(EventType::NodeChildrenChanged, "/a/b").streams.is_empty());
        watches.forget(OpId(6));
        watches.forget(OpId(7));
        assert!(below(&mut watches, "/a/b/c").is_empty());
    }

    #[test]
    fn the_last_to_forget_makes_the_path_unused() {
        let mut watches = all_kinds();
        for id in 1..=5 {
            watches.forget(OpId(id));
            assert!(unused(&mut watches).is_empty());
        }
        watches.forget(OpId(6));
        watches.forget(OpId(6));
        assert_eq!(unused(&mut watches), ["/a"]);
        watches.forget(OpId(7));
        // Somebody came in time.
        watches.register(Kind::Child, "/", OpId(8), false);
        assert!(unused(&mut watches).is_empty());
    }

    #[test]
    fn a_fired_one_shot_leaves_nothing_to_remove() {
        let mut watches = Watches::default();
        watches.register(Kind::Data, "/a", OpId(1), false);
        watches.fire(EventType::NodeDataChanged, "/a");
        watches.forget(OpId(1));
        assert!(unused(&mut watches).is_empty() && watches.entries.is_empty() && watches.by_id.is_empty());
    }

    #[test]
    fn nothing_is_removed_under_a_request_that_arms_it_anew() {
        let mut watches = Watches::default();
        watches.register(Kind::Data, "/a", OpId(1), false);
        assert!(watches.depart(Kind::Data, "/a"));
        watches.forget(OpId(1));
        assert!(unused(&mut watches).is_empty());
        // The answer says that there is no node, and no new watch: the old one has gone unused.
        watches.arrive("/a");
        assert_eq!(unused(&mut watches), ["/a"]);
        assert!(watches.entries.is_empty());
    }

    #[test]
    fn one_shots_rely_on_a_persistent_watch_of_their_path() {
        let mut watches = Watches::default();
        assert!(watches.depart(Kind::Recursive, "/a"));
        assert!(!watches.depart(Kind::Data, "/a"));
        assert!(!watches.depart(Kind::Exist, "/a"));
        assert!(watches.depart(Kind::Child, "/a"), "a recursive watch does not hear of child lists");
        assert!(watches.depart(Kind::Data, "/a/b"));
        assert!(watches.depart(Kind::Persistent, "/a"));
        assert!(!watches.depart(Kind::Child, "/a"));
        assert!(watches.refused(Kind::Persistent, "/a"));
        watches.disconnected();
        assert!(watches.depart(Kind::Child, "/a"));
        assert!(!watches.refused(Kind::Child, "/a"));
    }

    #[test]
    fn what_ends_with_the_session_and_what_does_not() {
        let mut watches = all_kinds();
        assert_eq!(ids(&watches.lose_session()), [1, 2, 3, 4, 7]);
        assert_eq!(ids(&watches.lose_streams()), [5, 6]);
        assert!(watches.lose_all().is_empty() && watches.recursive == 0);
        let mut watches = all_kinds();
        watches.removal_departs("/a");
        assert_eq!(ids(&watches.removed("/a")), [1, 2, 3, 4, 5, 6]);
        assert_eq!(ids(&watches.lose_all()), [7]);
        watches.disconnected();
        assert!(watches.entries.is_empty() && watches.by_id.is_empty() && watches.recursive == 0);
    }
}
