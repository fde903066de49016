//! A value of bytes that everybody may change, one after the other.

use bytes::Bytes;
use std::time::Duration;
use zk_client::Client;
use zk_proto::Acl;

use super::optimistic::{Change, Optimistic, changed};
use crate::asking::{explain, until_answered};
use crate::contender::Parents;
use crate::error::Error;
use crate::lock::Lock;

/// Bytes that everybody may change: each change reads, decides and writes if nobody else has written meanwhile.
/// Numbers are [`AtomicI64`](crate::AtomicI64) and its kin, which are made of it and share what is said here.
///
/// # Layout
/// One persistent node with the bytes; Curator's `DistributedAtomicValue`, and shared with it. It is made by the
/// first change; missing parents are containers unless said otherwise.
///
/// # Cost
/// A read and a write, if nobody else is faster; both again for each time somebody is. After
/// [`tries`](AtomicValueBuilder::tries) of them it gives up with [`Error::Conflict`], or is
/// [promoted](AtomicValueBuilder::promote_to_lock) to a lock.
///
/// # Guarantees
/// No change is lost: each is made of the value it replaces, by its version. (Versions begin anew when a node is
/// deleted and made again: a change that was read from the node before may go over the new one.) When the answer to a
/// write is lost, the node is looked at: if nothing was written, the change is tried again; if something was, it cannot be told whose it was, and
/// the outcome is [`Error::Indeterminate`]. (Neither Curator nor Kazoo says so; Kazoo tries again, and counts
/// twice.) Changes that must be [exact](AtomicValueBuilder::exact) leave a marker in the same transaction, and are
/// never indeterminate.
///
/// # Loss
/// Nothing is held, so nothing is lost. Disconnects and ended sessions are waited out.
///
/// # Cancellation
/// A change that is dropped has happened or not.
///
/// # Differences from Curator and Kazoo
/// A lost answer, as above. Curator answers with a result one must ask whether it succeeded; here a change that was not
/// made is an error. Kazoo has no value of bytes.
#[derive(Debug, Clone)]
pub struct AtomicValue(pub(super) Optimistic);

/// Options of an [`AtomicValue`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until .build()"]
pub struct AtomicValueBuilder(Optimistic);

impl AtomicValueBuilder {
    /// Who may do what with the node, and with parents made for it; everything to everyone unless said.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.0.acl = acl;
        self
    }

    /// What missing parents are created as; container nodes unless said.
    pub fn parents(mut self, parents: Parents) -> Self {
        self.0.parents = parents;
        self
    }

    /// How often to try; [`OPTIMISTIC_TRIES`](crate::limits::OPTIMISTIC_TRIES) unless said.
    pub fn tries(mut self, tries: u32) -> Self {
        self.0.tries = tries;
        self
    }

    /// After that many tries, acquire this lock within `limit` and try as often again under it, as Curator's
    /// `PromotedToLock` does. It helps when all who change the value are promoted to the same lock.
    pub fn promote_to_lock(mut self, path: impl Into<String>, limit: Duration) -> Self {
        self.0.promote = Some((Lock::new(&self.0.client, path), limit));
        self
    }

    /// Whether each change leaves a marker, a child of the value's node, that tells after a lost answer whether it
    /// was made; not unless said. Costs a node and its deletion in the background.
    pub fn exact(mut self, exact: bool) -> Self {
        self.0.exact = exact;
        self
    }

    /// The value. Nothing is sent.
    #[must_use]
    pub fn build(self) -> AtomicValue {
        AtomicValue(self.0)
    }
}

impl AtomicValue {
    /// A value at `path`, with default options.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::builder(client, path).build()
    }

    /// Options first.
    pub fn builder(client: &Client, path: impl Into<String>) -> AtomicValueBuilder {
        AtomicValueBuilder(Optimistic::new(client, path.into()))
    }

    /// The value's node.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The value; `None` when there is no node.
    ///
    /// # Errors
    /// [`Error::Client`], [`Error::ClientEnded`].
    pub async fn get(&self) -> Result<Option<Bytes>, Error> {
        Ok(self.0.read().await?.map(|node| node.data))
    }

    /// Changes the value to what `next` makes of it, which may be asked several times. `None` of `next` leaves it
    /// as it is; the result is then `None`.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::Indeterminate`], [`Error::Client`], [`Error::ClientEnded`]; those of the lock
    /// it is promoted to.
    pub async fn update(
        &self,
        mut next: impl FnMut(Option<&[u8]>) -> Option<Bytes>,
    ) -> Result<Option<Change<Option<Bytes>>>, Error> {
        let mut values = None;
        let change = self.0.change(|before| {
            let after = next(before);
            values = after.clone().map(|after| (before.map(Bytes::copy_from_slice), Some(after)));
            Ok(after)
        });
        let (written, tries) = change.await?;
        let values = if written { values } else { None };
        Ok(values.map(|(before, after)| Change { before, after, tries }))
    }

    /// Replaces the value if it is `expected`.
    ///
    /// # Errors
    /// As [`AtomicValue::update`].
    pub async fn compare_and_set(
        &self,
        expected: &[u8],
        next: impl Into<Bytes>,
    ) -> Result<Option<Change<Option<Bytes>>>, Error> {
        let next = next.into();
        self.update(|now| (now == Some(expected)).then(|| next.clone())).await
    }

    /// Replaces the value, whatever it is, by the same tries as any change.
    ///
    /// # Errors
    /// As [`AtomicValue::update`].
    pub async fn try_set(&self, next: impl Into<Bytes>) -> Result<Change<Option<Bytes>>, Error> {
        let next = next.into();
        let change = self.update(|_| Some(next.clone())).await?;
        change.ok_or_else(|| Error::Conflict { path: self.0.path.clone(), tries: 0 })
    }

    /// Replaces the value without looking: the last one wins. Changes under way see a conflict.
    ///
    /// # Errors
    /// [`Error::Client`], [`Error::ClientEnded`].
    pub async fn force_set(&self, next: impl Into<Bytes>) -> Result<(), Error> {
        let (next, client, path) = (next.into(), &self.0.client, self.0.path.as_str());
        loop {
            match until_answered(|| client.set(path, next.clone()).send()).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_no_node() => {}
                Err(error) => return Err(explain(path, error)),
            }
            let create = || client.create(path, next.clone()).acl(self.0.acl.clone()).send();
            match until_answered(create).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_node_exists() => {}
                Err(error) if error.is_no_node() => self.0.make_parents().await?,
                Err(error) => return Err(explain(path, error)),
            }
        }
    }

    /// Makes the node with this value, unless it is there. Returns whether it was made.
    ///
    /// # Errors
    /// As [`AtomicValue::update`].
    pub async fn initialize(&self, first: impl Into<Bytes>) -> Result<bool, Error> {
        let first = first.into();
        let change = self.0.change(|now| Ok(now.is_none().then(|| first.clone())));
        Ok(changed(change, || Some(((), ()))).await?.is_some())
    }
}
