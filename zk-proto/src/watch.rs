//! Watch notifications, and the requests that arm watches again after a reconnect.

use crate::event::{EventType, KeeperState};
use crate::zxid::Zxid;

record! {
    /// The body of a notification.
    pub struct WatcherEvent {
        /// What happened.
        pub event_type: EventType,
        /// Always [`KeeperState::SyncConnected`] from a server.
        pub state: KeeperState,
        /// The node it happened to, or whose child list changed.
        pub path: String,
    }
}

record! {
    /// Arms one-shot watches again. Whatever changed since `relative_zxid` is answered with an event at once.
    pub struct SetWatches {
        /// The last transaction the client has seen.
        pub relative_zxid: Zxid,
        /// Paths with data watches.
        pub data_watches: Vec<String>,
        /// Paths watched while they did not exist.
        pub exist_watches: Vec<String>,
        /// Paths with child watches.
        pub child_watches: Vec<String>,
    }
}

record! {
    /// Arms watches of every kind again (since 3.6). Persistent watches get no event for what was missed.
    pub struct SetWatches2 {
        /// The last transaction the client has seen.
        pub relative_zxid: Zxid,
        /// Paths with data watches.
        pub data_watches: Vec<String>,
        /// Paths watched while they did not exist.
        pub exist_watches: Vec<String>,
        /// Paths with child watches.
        pub child_watches: Vec<String>,
        /// Paths with persistent watches.
        pub persistent_watches: Vec<String>,
        /// Paths with persistent recursive watches.
        pub persistent_recursive_watches: Vec<String>,
    }
}

impl From<SetWatches> for SetWatches2 {
    fn from(old: SetWatches) -> Self {
        Self {
            relative_zxid: old.relative_zxid,
            data_watches: old.data_watches,
            exist_watches: old.exist_watches,
            child_watches: old.child_watches,
            persistent_watches: Vec::new(),
            persistent_recursive_watches: Vec::new(),
        }
    }
}
