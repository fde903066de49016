//! What ZooKeeper keeps about a node, as clients see it and as it is persisted.

use crate::zxid::{SessionId, Zxid};

record! {
    /// The 68 bytes of metadata that a client sees of a node.
    #[derive(Copy, Default)]
    pub struct Stat {
        /// Transaction that created the node. Rises strictly over an ensemble's life: a fencing token.
        pub czxid: Zxid,
        /// Transaction that last changed the data.
        pub mzxid: Zxid,
        /// Creation time, milliseconds since the Unix epoch, leader's clock.
        pub ctime: i64,
        /// Time of the last change of the data, milliseconds since the Unix epoch.
        pub mtime: i64,
        /// Changes of the data since creation.
        pub version: i32,
        /// Creations and deletions of children.
        pub cversion: i32,
        /// Changes of the ACL.
        pub aversion: i32,
        /// The session that owns an ephemeral node; 0 for every other node.
        pub ephemeral_owner: SessionId,
        /// Length of the data in bytes; 0 for null data.
        pub data_length: i32,
        /// Number of children.
        pub num_children: i32,
        /// Transaction that last created or deleted a child.
        pub pzxid: Zxid,
    }
}

record! {
    /// The 60 bytes of metadata that snapshots hold. `cversion` counts creations of children only, and
    /// `ephemeral_owner` also encodes container and TTL nodes (see [`crate::storage::Owner`]).
    #[derive(Copy, Default)]
    pub struct StatPersisted {
        /// Transaction that created the node.
        pub czxid: Zxid,
        /// Transaction that last changed the data.
        pub mzxid: Zxid,
        /// Creation time, milliseconds since the Unix epoch.
        pub ctime: i64,
        /// Time of the last change of the data, milliseconds since the Unix epoch.
        pub mtime: i64,
        /// Changes of the data since creation.
        pub version: i32,
        /// Creations of children.
        pub cversion: i32,
        /// Changes of the ACL.
        pub aversion: i32,
        /// Owner session, or the code of a container or TTL node.
        pub ephemeral_owner: i64,
        /// Transaction that last created or deleted a child.
        pub pzxid: Zxid,
    }
}
