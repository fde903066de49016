//! Reading and writing one node: `exists` (3), `getData` (4), `setData` (5), `getChildren` (8), `getChildren2`
//! (12).
//!
//! `exists` with a watch sets it even when the node is missing; the others only when it is there. Reads need READ
//! on the node, `setData` WRITE. Reads do not validate their path: what is not there is `NoNode`.

use bytes::Bytes;

use crate::stat::Stat;

record! {
    /// The request of `exists`.
    pub struct ExistsRequest {
        /// Which node.
        pub path: String,
        /// Whether to leave a one-shot watch.
        pub watch: bool,
    }
}

record! {
    /// The reply of `exists`, `setData` and `setACL`.
    #[derive(Copy)]
    pub struct StatResponse {
        /// The node's stat.
        pub stat: Stat,
    }
}

record! {
    /// The request of `getData`.
    pub struct GetDataRequest {
        /// Which node.
        pub path: String,
        /// Whether to leave a one-shot watch.
        pub watch: bool,
    }
}

record! {
    /// The reply of `getData` and `reconfig`.
    pub struct GetDataResponse {
        /// The data.
        pub data: Option<Bytes>,
        /// The node's stat.
        pub stat: Stat,
    }
}

record! {
    /// The request of `setData`.
    pub struct SetDataRequest {
        /// Which node.
        pub path: String,
        /// The new data.
        pub data: Option<Bytes>,
        /// The version it must have; -1 for any.
        pub version: i32,
    }
}

record! {
    /// The request of `getChildren` and `getChildren2`.
    pub struct GetChildrenRequest {
        /// Which node.
        pub path: String,
        /// Whether to leave a one-shot watch.
        pub watch: bool,
    }
}

record! {
    /// The reply of `getChildren`.
    pub struct GetChildrenResponse {
        /// The children's names, in no order that clients may rely on.
        pub children: Vec<String>,
    }
}

record! {
    /// The reply of `getChildren2`.
    pub struct GetChildren2Response {
        /// The children's names, in no order that clients may rely on.
        pub children: Vec<String>,
        /// The node's stat.
        pub stat: Stat,
    }
}
