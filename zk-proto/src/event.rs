//! The numbers of watch events, session states and watch kinds.

use crate::jute::DecodeError;

macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident as $what:literal { $($(#[$vmeta:meta])* $variant:ident = $n:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant = $n),* }

        impl $name {
            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> i32 { self as i32 }

            /// The value of this number.
            ///
            /// # Errors
            /// [`DecodeError::UnknownTag`] for a number the protocol does not define.
            pub const fn from_code(code: i32) -> Result<Self, DecodeError> {
                match code {
                    $($n => Ok(Self::$variant),)*
                    tag => Err(DecodeError::UnknownTag { what: $what, tag }),
                }
            }
        }

        impl $crate::jute::Encode for $name {
            fn encode(&self, out: &mut ::bytes::BytesMut) { self.code().encode(out); }
        }

        impl $crate::jute::Decode for $name {
            const MIN_BYTES: usize = 4;
            fn decode(r: &mut $crate::jute::Reader) -> Result<Self, DecodeError> { Self::from_code(r.read()?) }
        }

        #[cfg(test)]
        impl $crate::jute::sample::Sample for $name {
            fn sample(g: &mut $crate::jute::sample::Gen) -> Self {
                let all = [$(Self::$variant),*];
                all[g.below(all.len())]
            }
        }
    };
}

numbered! {
    /// What happened to a watched node.
    EventType as "event type" {
        /// Nothing happened to a node: the session's state changed.
        None = -1,
        /// The node came into being.
        NodeCreated = 1,
        /// The node was deleted.
        NodeDeleted = 2,
        /// The node's data changed.
        NodeDataChanged = 3,
        /// A child was created or deleted.
        NodeChildrenChanged = 4,
        /// A data watch was removed (made by clients, never sent).
        DataWatchRemoved = 5,
        /// A child watch was removed (made by clients, never sent).
        ChildWatchRemoved = 6,
        /// A persistent watch was removed (made by clients, never sent).
        PersistentWatchRemoved = 7,
    }
}

numbered! {
    /// The session state carried by an event. Servers always send [`KeeperState::SyncConnected`].
    KeeperState as "session state" {
        /// Of an event made before there was a connection.
        Unknown = -1,
        /// Not connected.
        Disconnected = 0,
        /// Deprecated by ZooKeeper, never sent.
        NoSyncConnected = 1,
        /// Connected to a server of the quorum.
        SyncConnected = 3,
        /// Credentials were refused.
        AuthFailed = 4,
        /// Connected to a server that lost its quorum.
        ConnectedReadOnly = 5,
        /// SASL authentication is complete.
        SaslAuthenticated = 6,
        /// The client was closed.
        Closed = 7,
        /// The session has expired.
        Expired = -112,
    }
}

numbered! {
    /// Which watches a remove or check request means.
    WatcherType as "watcher type" {
        /// One-shot child watches.
        Children = 1,
        /// One-shot data and existence watches.
        Data = 2,
        /// Every watch at the path.
        Any = 3,
        /// Persistent watches.
        Persistent = 4,
        /// Persistent recursive watches.
        PersistentRecursive = 5,
    }
}

numbered! {
    /// The mode of a watch made by `addWatch`.
    AddWatchMode as "watch mode" {
        /// Events of the node and its child list, until removed.
        Persistent = 0,
        /// Events of the node and everything below it, until removed; no child-list events.
        PersistentRecursive = 1,
    }
}
