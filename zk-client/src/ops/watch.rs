//! `addWatch`, `removeWatches`: watches that outlive their first event, and their removal.

use zk_proto::ErrorCode;
use zk_proto::event::{AddWatchMode, WatcherType};
use zk_proto::ops::watches::{AddWatchRequest, WatchesRequest};

use super::Draft;
use super::draft::operation;
use crate::core::Request;
use crate::pending::Pending;
use crate::watch::WatchStream;

/// Sets a persistent watch. Made by [`crate::Client::watch`].
///
/// When its future ends the watch is set: what is read from then on is never older than the stream. Needs
/// ZooKeeper 3.6; an older server answers [`ErrorCode::Unimplemented`].
///
/// A persistent and a recursive watch in the *same* path disturb each other on servers before 3.9, which keep one
/// mode for a path (ZOOKEEPER-4466). One-shot watches may be mixed with either on every server.
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct AddWatch<'a> {
    draft: Draft<'a>,
    path: String,
    mode: AddWatchMode,
}
operation!(AddWatch => WatchStream);

impl<'a> AddWatch<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String) -> Self {
        Self { draft, path, mode: AddWatchMode::Persistent }
    }

    /// Hears of the whole subtree: nodes created, changed and deleted, at the path and anywhere below. Not of
    /// child lists, which these events imply.
    pub fn recursive(mut self) -> Self {
        self.mode = AddWatchMode::PersistentRecursive;
        self
    }

    fn start(self) -> Pending<WatchStream> {
        let Self { draft, path, mode } = self;
        let request =
            draft.path(path).map(|path| Request::AddWatch(AddWatchRequest { path, mode: mode.code() }));
        draft.send(request, |answered| {
            let operation = answered.operation();
            let old = answered.refused() == Some(ErrorCode::Unimplemented);
            let (_, rest) = answered.reply().map_err(|error| {
                if old { error.with_detail("persistent watches need ZooKeeper 3.6") } else { error }
            })?;
            rest.stream(operation)
        })
    }
}

/// Removes every watch of this client at one path. Made by [`crate::Client::remove_watches`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct RemoveWatches<'a> {
    draft: Draft<'a>,
    path: String,
}
operation!(RemoveWatches => ());

impl<'a> RemoveWatches<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String) -> Self {
        Self { draft, path }
    }

    fn start(self) -> Pending<()> {
        let Self { draft, path } = self;
        // One kind alone cannot be removed before 3.9 without taking others along.
        let watcher_type = WatcherType::Any.code();
        let request =
            draft.path(path).map(|path| Request::RemoveWatches(WatchesRequest { path, watcher_type }));
        draft.send(request, |answered| answered.reply().map(|_| ()))
    }
}
