//! The read/write lock itself: acquiring either side of it, and seeing who is in line. What follows is the guards'.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use zk_client::Client;

use super::builder::RwLockBuilder;
use super::guard::{ReadGuard, WriteGuard};
use super::rules;
use crate::contender::{Context, stand_in_line};
use crate::error::Error;
use crate::held::Held;
use crate::participants::{self, Participant};

/// A fair lock among processes that many may hold to read, or one to write.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use zk_client::Client;
/// use zk_recipes::RwLock;
///
/// let zk = Client::connect("zk1:2181,zk2:2181").await?;
/// let catalogue = RwLock::new(&zk, "/locks/catalogue");
///
/// // Many at once.
/// let reading = catalogue.read().await?;
/// reading.release().await?;
///
/// // One alone; then it reads what it has written, and nobody has changed it in between.
/// let writing = catalogue.write().await?;
/// writing.transaction()?.set("/catalogue", "edition 2").commit().await?;
/// let reading = writing.downgrade().await?;
/// # drop(reading);
/// # Ok(())
/// # }
/// ```
///
/// # Layout
/// | dialect | reader | writer |
/// |---|---|---|
/// | Curator | `<path>/_c_<uuid>-__READ__<n>` | `<path>/_c_<uuid>-__WRIT__<n>` |
/// | Kazoo | `<path>/<32 hex>__rlock__<n>` | `<path>/<32 hex>__lock__<n>` |
///
/// As [`InterProcessReadWriteLock`] and `ReadLock`/`WriteLock` do: ephemeral sequential nodes under a container
/// that the server removes when it is empty for a while. The builder chooses the dialect we write;
/// [`Dialect::Both`](crate::Dialect) makes a node in each, in one transaction. Every dialect is read: we wait for
/// stock Curator and stock Kazoo alike, and either waits for us if we write its names. They do not wait for each
/// other, unless Kazoo's classes are subclassed with `_NODE_NAME` of `__READ__` or `__WRIT__` and `_EXCLUDE_NAMES`
/// to match. Other children are ignored, with one warning each.
///
/// [`InterProcessReadWriteLock`]: https://curator.apache.org/docs/recipes-shared-reentrant-read-write-lock
///
/// # Cost
/// Free: one round trip of two requests (create and list, sent back to back); and one read that nobody waits for,
/// once it is held for longer than [`OWN_WATCH_DELAY`](crate::limits::OWN_WATCH_DELAY). Waiting: one read that leaves a watch, a reader's on the nearest writer before it, a writer's on
/// whoever is next before it; one list and at most one such read for each time that node goes. A release is one
/// request. A writer's wakes the readers up to the next writer, who are all let in, or that writer; a reader's
/// wakes nobody but a writer right behind it. A downgrade is two requests, one of which is waited for.
///
/// # Guarantees
/// Readers xor one writer, while clocks run at nearly the same rate: a guard counts itself out before the server
/// can let the next one in (see [`LossPolicy`](crate::LossPolicy)). The line is fair: a reader behind a queued
/// writer waits for it, so no stream of readers starves a writer. What must hold whatever clocks do needs fencing
/// ([`Held::transaction`](crate::Held::transaction), [`Held::fencing_token`](crate::Held::fencing_token)): a
/// writer's token is greater than those of all readers and writers before it. Those of readers who hold together
/// say nothing about one another.
///
/// # Loss
/// | what happens | while waiting | while holding |
/// |---|---|---|
/// | connection lost | waits on, keeps its place | lost (`Standard`), or in doubt until the local deadline (`Session`) |
/// | session expired | waits on at the tail, in the next session | lost |
/// | node deleted by someone | [`Error::NodeDeleted`] | lost |
/// | client closed | [`Error::ClientEnded`] | lost |
///
/// # Cancellation
/// Dropping an acquire future, at any point, gives the place up: what was sent is found and deleted in the
/// background. Dropping a guard releases in the background.
///
/// # No upgrade
/// A reader cannot become a writer. Two readers who both tried would wait for each other for ever, and to let one
/// of them through, the other would have to lose what it has read; so there is no method for it. Release the read
/// guard, [`RwLock::write`], and look again at what was read: somebody else may have written in between. Whoever
/// asks for [`RwLock::write`] while keeping a read guard waits for itself; with [`RwLock::write_within`] that ends.
///
/// # Not re-entrant
/// Tasks move between threads, so no thread can own a lock. A second [`RwLock::read`] is a second place in line,
/// and waits for a writer that has come between; to share a holding, share its guard (in an `Arc`, say: all of
/// [`Held`](crate::Held) needs a reference only).
///
/// # Differences from Curator and Kazoo
/// | | Curator | Kazoo | here |
/// |---|---|---|---|
/// | a reader watches | the first writer in the list: a wake for each | the nearest writer | the nearest writer |
/// | downgrade | take read while holding write | no | [`WriteGuard::downgrade`], fenced by the writer's node |
/// | upgrade | blocks | blocks | no such method |
/// | re-entrant | per thread | no | no |
/// | the holder is told of the loss | no | no | [`Held::lost`](crate::Held::lost) |
/// | revocation | the mutex only | no | [`RwLock::revoke`], [`Held::revoked`](crate::Held::revoked) |
/// | durable (not ephemeral) | by a driver of one's own | `acquire(ephemeral=False)` | no: see [`Lock`](crate::Lock) |
#[derive(Clone)]
pub struct RwLock {
    read: Arc<Context>,
    write: Arc<Context>,
}

impl RwLock {
    /// A lock with default options at `path`. Clones of it, and locks of the same path elsewhere, contend.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::builder(client, path).build()
    }

    /// Options first.
    pub fn builder(client: &Client, path: impl Into<String>) -> RwLockBuilder {
        RwLockBuilder::new(client, path.into())
    }

    pub(super) const fn of_sides(read: Arc<Context>, write: Arc<Context>) -> Self {
        Self { read, write }
    }

    pub(crate) const fn read_side(&self) -> &Arc<Context> {
        &self.read
    }

    pub(crate) const fn write_side(&self) -> &Arc<Context> {
        &self.write
    }

    /// The path at which contenders stand in line.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.read.options.parent
    }

    /// Waits until we may read: until no writer is before us. Goes on through disconnects, and through expiry at
    /// the tail of the line.
    ///
    /// Must be polled within a tokio runtime with time enabled, one that lives as long as the client's.
    ///
    /// # Errors
    /// [`Error::NodeDeleted`], [`Error::ClientEnded`], [`Error::Client`] when the server refuses (an ACL, a path
    /// that is not valid), [`Error::NoRuntime`].
    ///
    /// # Cancellation
    /// Safe at any point; the place in line is given up.
    pub async fn read(&self) -> Result<ReadGuard, Error> {
        self.enter(&self.read, None).await.map(ReadGuard::new)
    }

    /// As [`RwLock::read`], for at most `limit`. A limit of zero is [`RwLock::try_read`].
    ///
    /// # Errors
    /// [`Error::Timeout`] when we may not read by then; and as [`RwLock::read`].
    ///
    /// # Cancellation
    /// As [`RwLock::read`].
    pub async fn read_within(&self, limit: Duration) -> Result<ReadGuard, Error> {
        self.enter(&self.read, Some(limit)).await.map(ReadGuard::new)
    }

    /// Reads if no writer holds or waits. Waits for answers of the server, but never for another holder.
    ///
    /// # Errors
    /// As [`RwLock::read`].
    ///
    /// # Cancellation
    /// As [`RwLock::read`].
    pub async fn try_read(&self) -> Result<Option<ReadGuard>, Error> {
        unless_busy(self.read_within(Duration::ZERO).await)
    }

    /// Waits until we may write: until nobody is before us, neither reader nor writer. Goes on as [`RwLock::read`]
    /// does. Not to be called while keeping a guard of the same lock: see [above](RwLock#no-upgrade).
    ///
    /// # Errors
    /// As [`RwLock::read`].
    ///
    /// # Cancellation
    /// As [`RwLock::read`].
    pub async fn write(&self) -> Result<WriteGuard, Error> {
        self.enter(&self.write, None).await.map(|held| self.writing(held))
    }

    /// As [`RwLock::write`], for at most `limit`. A limit of zero is [`RwLock::try_write`].
    ///
    /// # Errors
    /// [`Error::Timeout`] when we may not write by then; and as [`RwLock::read`].
    ///
    /// # Cancellation
    /// As [`RwLock::read`].
    pub async fn write_within(&self, limit: Duration) -> Result<WriteGuard, Error> {
        self.enter(&self.write, Some(limit)).await.map(|held| self.writing(held))
    }

    /// Writes if nobody holds or waits. Waits for answers of the server, but never for another holder.
    ///
    /// # Errors
    /// As [`RwLock::read`].
    ///
    /// # Cancellation
    /// As [`RwLock::read`].
    pub async fn try_write(&self) -> Result<Option<WriteGuard>, Error> {
        unless_busy(self.write_within(Duration::ZERO).await)
    }

    /// Who holds and who waits, readers and writers, in the order of the line;
    /// [`Participant::writes`](crate::Participant::writes) tells them apart. Costs one request for the list and one
    /// for each node. Of a reader that was a writer the token shown is the czxid of its node, not the one it holds
    /// by, which only it knows.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        let Context { client, options, .. } = &*self.write;
        let mut line = participants::list(client, self.path(), &options.rule).await.map_err(self.failed())?;
        rules::admit(&mut line);
        Ok(line)
    }

    /// Who holds: one writer, or readers, or nobody.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn holders(&self) -> Result<Vec<Participant>, Error> {
        let mut line = self.participants().await?;
        line.retain(|participant| participant.admitted);
        Ok(line)
    }

    /// Asks a holder, or somebody who waits, to give up: as [`Lock::revoke`](crate::Lock::revoke). Ours hear it by
    /// [`Held::revoked`](crate::Held::revoked); Curator's and Kazoo's read/write locks do not listen. Returns
    /// whether it was still there.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn revoke(&self, participant: &Participant) -> Result<bool, Error> {
        participants::revoke(&self.write.client, participant).await.map_err(self.failed())
    }

    /// Takes a participant out of the line, whoever it is: as [`Lock::evict`](crate::Lock::evict). Returns whether
    /// it was still there.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn evict(&self, participant: &Participant) -> Result<bool, Error> {
        participants::evict(&self.write.client, participant).await.map_err(self.failed())
    }

    async fn enter(&self, side: &Arc<Context>, limit: Option<Duration>) -> Result<Held, Error> {
        stand_in_line(Arc::clone(side), limit)
            .await
            .map(Held::new)
            .map_err(|why| Error::not_granted(self.path(), why, limit.unwrap_or_default()))
    }

    fn writing(&self, held: Held) -> WriteGuard {
        WriteGuard::new(held, Arc::clone(&self.read))
    }

    fn failed(&self) -> impl Fn(zk_client::Error) -> Error + '_ {
        |source| Error::Client { path: self.path().to_owned(), source }
    }
}

fn unless_busy<T>(outcome: Result<T, Error>) -> Result<Option<T>, Error> {
    match outcome {
        Ok(guard) => Ok(Some(guard)),
        Err(Error::Timeout { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for RwLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLock").field("path", &self.path()).finish_non_exhaustive()
    }
}
