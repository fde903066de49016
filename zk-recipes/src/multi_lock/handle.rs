//! The multi lock itself: taking one after the other, all or none. What follows is the guard's.

use futures::FutureExt as _;
use futures::future::select_all;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use zk_client::Client;

use super::builder::MultiLockBuilder;
use super::bundle::Bundle;
use super::combine::{AfterLoss, Wanted, after_loss, twice};
use super::guard::MultiGuard;
use crate::contender::{Context, stand_in_line};
use crate::error::Error;
use crate::held::Held;
use crate::limits::MULTI_LOCK_MEMBERS_MAX;

/// Several locks as one: all of them are held, or none.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use zk_client::Client;
/// use zk_recipes::MultiLock;
///
/// let zk = Client::connect("zk1:2181,zk2:2181").await?;
/// let accounts = MultiLock::new(&zk, ["/locks/account-7", "/locks/account-3"]);
/// let guard = accounts.acquire_within(Duration::from_secs(5)).await?;
/// guard.transaction()?.set("/accounts/3", "10").set("/accounts/7", "90").commit().await?;
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Layout
/// None of its own: each member is a [`Lock`](crate::Lock), or a side of an [`RwLock`](crate::RwLock), at its path,
/// in its dialect, and contends there with everybody else. All are of one client.
///
/// # Cost
/// That of each member, one after the other. A release is one request for all: a transaction that deletes their
/// nodes (those that were lost are left out); of more than
/// [`RELEASE_BATCH_BYTES`](crate::limits::RELEASE_BATCH_BYTES) of paths, one for each so many.
///
/// # Guarantees
/// All or none: when one cannot be had, those taken before are given up. Members are taken in the order of their
/// paths, each path once, so that two who share some never wait for each other in a ring; who named both sides of
/// a read/write lock writes. [`MultiLockBuilder::keep_order`] takes them as they were named.
///
/// One limit is for all of it ([`MultiLock::acquire_within`]); Curator gives the full time to each.
///
/// # Loss
/// The guard is in doubt when one of them is, and lost when one of them is; the rest is then released at once.
/// What is taken already and lost while others are still waited for (by a disconnect or expiry) is taken anew, from
/// the first, in the time that is left; a node that somebody deleted ends it with [`Error::Lost`].
///
/// # Fencing
/// [`MultiGuard::transaction`] checks the nodes of all members. [`MultiGuard::tokens`] gives each its own: what one
/// member guards is written under that one's token.
///
/// # Cancellation
/// As [`Lock`](crate::Lock): drop anything at any time, and all of it is given up.
///
/// # Differences from Curator and Kazoo
/// | | Curator's `InterProcessMultiLock` | here |
/// |---|---|---|
/// | order | as given | by path, unless [`MultiLockBuilder::keep_order`] |
/// | a path twice | waits for itself (once per thread re-entered) | taken once |
/// | time limit | for each | for all |
/// | one fails | takes the rest first, then gives up all | gives up at once |
/// | release | one by one | one transaction |
///
/// Kazoo has none.
#[derive(Clone)]
pub struct MultiLock {
    client: Client,
    members: Arc<[Wanted<Arc<Context>>]>,
}

impl MultiLock {
    /// Locks with default options at these paths.
    #[must_use]
    pub fn new(client: &Client, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::builder(client).paths(paths).build()
    }

    /// Members one by one.
    pub fn builder(client: &Client) -> MultiLockBuilder {
        MultiLockBuilder::new(client)
    }

    pub(super) fn of(client: Client, members: Vec<Wanted<Arc<Context>>>) -> Self {
        Self { client, members: members.into() }
    }

    /// The paths of the members, in the order in which they are taken.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.path.as_str())
    }

    /// Waits until all are ours.
    ///
    /// # Errors
    /// As [`Lock::acquire`](crate::Lock::acquire), with the path of the member that met it; [`Error::Lost`] when
    /// somebody deleted the node of one that was taken already; [`Error::Mismatch`] when there are no members,
    /// more than [`MULTI_LOCK_MEMBERS_MAX`], or of different clients.
    ///
    /// # Cancellation
    /// Safe at any point; everything is given up.
    pub async fn acquire(&self) -> Result<MultiGuard, Error> {
        self.gather(None).await
    }

    /// As [`MultiLock::acquire`], for at most `limit`, for all of them together. A limit of zero is
    /// [`MultiLock::try_acquire`].
    ///
    /// # Errors
    /// [`Error::Timeout`] with the path of the member that was not ours by then; and as [`MultiLock::acquire`].
    ///
    /// # Cancellation
    /// As [`MultiLock::acquire`].
    pub async fn acquire_within(&self, limit: Duration) -> Result<MultiGuard, Error> {
        self.gather(Some(limit)).await
    }

    /// Takes all if all are free. Waits for answers of the server, but never for another holder.
    ///
    /// # Errors
    /// As [`MultiLock::acquire`].
    ///
    /// # Cancellation
    /// As [`MultiLock::acquire`].
    pub async fn try_acquire(&self) -> Result<Option<MultiGuard>, Error> {
        match self.gather(Some(Duration::ZERO)).await {
            Ok(guard) => Ok(Some(guard)),
            Err(Error::Timeout { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn gather(&self, limit: Option<Duration>) -> Result<MultiGuard, Error> {
        self.check()?;
        let begun = Instant::now();
        loop {
            if let Some(bundle) = self.take_all(begun, limit).await? {
                return MultiGuard::new(&self.client, self.paths().map(ToOwned::to_owned).collect(), bundle);
            }
        }
    }

    /// `None` when something that was taken is lost, and all must be taken anew.
    async fn take_all(&self, begun: Instant, limit: Option<Duration>) -> Result<Option<Bundle>, Error> {
        let mut taken = Bundle::default();
        for member in self.members.iter() {
            let left = limit.map(|limit| limit.saturating_sub(begun.elapsed()));
            tokio::select! {
                biased;
                () = first_loss(&taken) => {}
                granted = stand_in_line(Arc::clone(&member.what), left) => match granted {
                    Ok(holding) => taken.push(Held::new(holding)),
                    Err(why) => return Err(Error::not_granted(&member.path, why, limit.unwrap_or_default())),
                },
            }
            match taken.lost() {
                Some(Error::Lost { reason, .. }) if after_loss(reason) == AfterLoss::Again => {
                    return Ok(None);
                }
                Some(lost) => return Err(lost),
                None => {}
            }
        }
        Ok(Some(taken))
    }

    fn check(&self) -> Result<(), Error> {
        let mismatch = |path: &str, found: String, expected: String| {
            Err(Error::Mismatch { path: path.to_owned(), found, expected })
        };
        let Some(first) = self.members.first() else {
            return mismatch("/", "a multi lock of nothing".into(), "at least one lock".into());
        };
        if self.members.len() > MULTI_LOCK_MEMBERS_MAX {
            let found = format!("a multi lock of {}", self.members.len());
            return mismatch(&first.path, found, format!("at most {MULTI_LOCK_MEMBERS_MAX}"));
        }
        if let Some(path) = twice(&self.members) {
            let found = "two locks at one path that do not exclude each other".into();
            return mismatch(path, found, "one of them, or paths of their own".into());
        }
        let state = self.client.session_state();
        let foreign =
            self.members.iter().find(|member| !member.what.client.session_state().same_channel(&state));
        match foreign {
            Some(member) => {
                mismatch(&member.path, "a lock of another client".into(), "locks of one client".into())
            }
            None => Ok(()),
        }
    }
}

/// Resolves when one of them is lost.
async fn first_loss(taken: &Bundle) {
    let lost: Vec<_> = taken.held().iter().map(|held| held.lost().boxed()).collect();
    if lost.is_empty() {
        return std::future::pending().await;
    }
    select_all(lost).await;
}

impl fmt::Debug for MultiLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MultiLock").field("paths", &self.paths().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}
