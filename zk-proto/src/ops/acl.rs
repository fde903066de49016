//! Access control: `getACL` (6) and `setACL` (7). Reading needs READ or ADMIN (digests are masked without
//! ADMIN), writing ADMIN.

use crate::acl::Acl;
use crate::stat::Stat;

record! {
    /// The request of `getACL`.
    pub struct GetAclRequest {
        /// Which node.
        pub path: String,
    }
}

record! {
    /// The reply of `getACL`.
    pub struct GetAclResponse {
        /// The list.
        pub acl: Vec<Acl>,
        /// The node's stat.
        pub stat: Stat,
    }
}

record! {
    /// The request of `setACL`; answered by a [`super::data::StatResponse`].
    pub struct SetAclRequest {
        /// Which node.
        pub path: String,
        /// The new list; must not be empty.
        pub acl: Vec<Acl>,
        /// The aversion it must have; -1 for any.
        pub version: i32,
    }
}
