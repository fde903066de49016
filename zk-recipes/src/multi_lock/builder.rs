//! What a multi lock is made of, and in which order it is taken.

use std::sync::Arc;
use zk_client::Client;

use super::combine::{Wanted, in_order};
use super::handle::MultiLock;
use crate::contender::Context;
use crate::identity::Uuid;
use crate::lock::Lock;
use crate::rw_lock::RwLock;

/// What a [`MultiLock`] is made of. Made by [`MultiLock::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until .build()"]
pub struct MultiLockBuilder {
    client: Client,
    wanted: Vec<Wanted<Arc<Context>>>,
    keep_order: bool,
}

impl MultiLockBuilder {
    pub(super) fn new(client: &Client) -> Self {
        Self { client: client.clone(), wanted: Vec::new(), keep_order: false }
    }

    /// A [`Lock`] with default options at this path.
    pub fn path(self, path: impl Into<String>) -> Self {
        let lock = Lock::new(&self.client, path);
        self.lock(&lock)
    }

    /// Locks with default options at these paths.
    pub fn paths(self, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        paths.into_iter().fold(self, Self::path)
    }

    /// This lock, with its options. It must be of the same client. A re-entrant one is taken anew, not entered.
    pub fn lock(self, lock: &Lock) -> Self {
        self.with(lock.context(), true)
    }

    /// This lock, to read.
    pub fn read(self, lock: &RwLock) -> Self {
        self.with(lock.read_side(), false)
    }

    /// This lock, to write.
    pub fn write(self, lock: &RwLock) -> Self {
        self.with(lock.write_side(), true)
    }

    /// Takes the locks in the order in which they were named here, instead of by path. Two who name shared locks
    /// in different orders then wait for each other until a limit ends it; so this is for those who all keep to
    /// an order of their own, such as Curator's.
    pub fn keep_order(mut self, keep: bool) -> Self {
        self.keep_order = keep;
        self
    }

    /// The lock. Nothing is sent before it is acquired; what does not fit is reported then.
    #[must_use]
    pub fn build(self) -> MultiLock {
        MultiLock::of(self.client, in_order(self.wanted, self.keep_order, is_same))
    }

    fn with(mut self, context: &Arc<Context>, alone: bool) -> Self {
        let (path, what) = (context.options.parent.clone(), Arc::clone(context));
        self.wanted.push(Wanted { path, alone, what });
        self
    }
}

/// Whether two locks of one path exclude each other: nodes of the same names, or the two sides of one [`RwLock`].
fn is_same(one: &Wanted<Arc<Context>>, other: &Wanted<Arc<Context>>) -> bool {
    let named = |wanted: &Wanted<Arc<Context>>| {
        let names = wanted.what.options.prefixes.iter().map(|prefix| prefix(Uuid::of_name("")));
        names.collect::<Vec<_>>()
    };
    let counts = |wanted: &Wanted<Arc<Context>>| wanted.what.options.rule.counts.clone();
    counts(one) == counts(other) && (one.alone != other.alone || named(one) == named(other))
}
