//! `sync` (9): answered once this server has applied everything committed before it was received. Neither ACL nor
//! existence is checked.

record! {
    /// The request of `sync`.
    pub struct SyncRequest {
        /// Echoed; the whole server is synced, not a path.
        pub path: String,
    }
}

record! {
    /// The reply of `sync`.
    pub struct SyncResponse {
        /// The request's path.
        pub path: String,
    }
}
