//! Creating nodes: `create` (1), `create2` (15), `createContainer` (19), `createTTL` (21).
//!
//! Server's order of checks: time to live, path begins with `/` and has no NUL, ACL, parent exists, CREATE on the
//! parent, the whole path (with its sequence number), node does not exist, parent is not ephemeral.

use bytes::Bytes;

use crate::acl::Acl;
use crate::ops::OpCode;
use crate::stat::Stat;

/// What kind of node to create, and whether the server appends a sequence number to its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(i32)]
pub enum CreateMode {
    /// Stays until deleted.
    #[default]
    Persistent = 0,
    /// Deleted when its session ends.
    Ephemeral = 1,
    /// Stays; its name ends in the parent's counter.
    PersistentSequential = 2,
    /// Deleted when its session ends; its name ends in the parent's counter.
    EphemeralSequential = 3,
    /// Removed by the server some time after its last child is gone.
    Container = 4,
    /// Removed by the server when it had no children and no change for its time to live.
    PersistentTtl = 5,
    /// As [`CreateMode::PersistentTtl`]; its name ends in the parent's counter.
    PersistentSequentialTtl = 6,
}

impl CreateMode {
    /// Every mode.
    pub const ALL: [Self; 7] = [
        Self::Persistent,
        Self::Ephemeral,
        Self::PersistentSequential,
        Self::EphemeralSequential,
        Self::Container,
        Self::PersistentTtl,
        Self::PersistentSequentialTtl,
    ];

    /// The flags of a create request.
    #[must_use]
    pub const fn flags(self) -> i32 {
        self as i32
    }

    /// The mode of these flags; `None` when there is none.
    #[must_use]
    pub fn from_flags(flags: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.flags() == flags)
    }

    /// Whether the node belongs to its session.
    #[must_use]
    pub const fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }

    /// Whether the server appends the parent's counter.
    #[must_use]
    pub const fn is_sequential(self) -> bool {
        matches!(self, Self::PersistentSequential | Self::EphemeralSequential | Self::PersistentSequentialTtl)
    }

    /// Whether a time to live goes with it.
    #[must_use]
    pub const fn has_ttl(self) -> bool {
        matches!(self, Self::PersistentTtl | Self::PersistentSequentialTtl)
    }

    /// The operation that creates such a node and answers with its stat.
    #[must_use]
    pub const fn opcode(self) -> OpCode {
        match self {
            Self::Container => OpCode::CreateContainer,
            Self::PersistentTtl | Self::PersistentSequentialTtl => OpCode::CreateTtl,
            _ => OpCode::Create2,
        }
    }
}

record! {
    /// The request of `create`, `create2` and `createContainer`.
    pub struct CreateRequest {
        /// Where; with a sequential mode, the prefix of the name.
        pub path: String,
        /// The data; null and empty are kept apart.
        pub data: Option<Bytes>,
        /// The ACL; must not be empty.
        pub acl: Vec<Acl>,
        /// See [`CreateMode::flags`].
        pub flags: i32,
    }
}

record! {
    /// The request of `createTTL`.
    pub struct CreateTtlRequest {
        /// Where; with a sequential mode, the prefix of the name.
        pub path: String,
        /// The data.
        pub data: Option<Bytes>,
        /// The ACL; must not be empty.
        pub acl: Vec<Acl>,
        /// See [`CreateMode::flags`].
        pub flags: i32,
        /// Time to live in milliseconds, 1 to 2^40 - 1.
        pub ttl_ms: i64,
    }
}

record! {
    /// The reply of `create`.
    pub struct CreateResponse {
        /// The node's path, with its sequence number.
        pub path: String,
    }
}

record! {
    /// The reply of `create2`, `createContainer` and `createTTL`.
    pub struct Create2Response {
        /// The node's path, with its sequence number.
        pub path: String,
        /// The new node's stat.
        pub stat: Stat,
    }
}
