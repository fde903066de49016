//! Deleting a node: `delete` (2). DELETE on the parent, version, no children; `/`, `/zookeeper`,
//! `/zookeeper/quota` and `/zookeeper/config` stay.

record! {
    /// The request of `delete`; its reply has no body.
    pub struct DeleteRequest {
        /// Which node.
        pub path: String,
        /// The version it must have; -1 for any.
        pub version: i32,
    }
}
