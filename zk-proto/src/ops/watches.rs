//! Watches as operations: `checkWatches` (17), `removeWatches` (18), `addWatch` (106). No ACL is checked; events
//! are filtered when they are delivered.

use crate::error::Outcome;

record! {
    /// The request of `checkWatches` and `removeWatches`.
    pub struct WatchesRequest {
        /// The watched path.
        pub path: String,
        /// See [`crate::event::WatcherType`].
        pub watcher_type: i32,
    }
}

record! {
    /// The request of `addWatch`.
    pub struct AddWatchRequest {
        /// The path to watch; need not exist.
        pub path: String,
        /// See [`crate::event::AddWatchMode`].
        pub mode: i32,
    }
}

record! {
    /// The reply of `addWatch`, and the result of a failed part of a multi.
    #[derive(Copy)]
    pub struct ErrorResponse {
        /// The outcome.
        pub outcome: Outcome,
    }
}
