//! The lock itself: acquiring it. What follows is the guard's.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use zk_client::Client;

use super::builder::LockBuilder;
use super::guard::LockGuard;
use super::ticket::LockTicket;
use crate::contender::{Context, Entrant, stand_in_line};
use crate::error::Error;
use crate::held::Held;

/// A fair lock among processes: one holds it at a time, in the order in which they came.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use zk_client::Client;
/// use zk_recipes::Lock;
///
/// let zk = Client::connect("zk1:2181,zk2:2181").await?;
/// let gpu = Lock::new(&zk, "/locks/gpu-0");
///
/// // One job at a time; stopped at once if the lock is lost.
/// gpu.run(async { /* train */ }).await?;
///
/// // Or with the guard in hand.
/// let guard = gpu.acquire_within(Duration::from_secs(30)).await?;
/// guard.transaction()?.set("/jobs/current", "job-7").commit().await?;
/// tokio::select! {
///     why = guard.lost() => println!("stop: {why}"),
///     () = tokio::time::sleep(Duration::from_secs(5)) => {
///         guard.release().await?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Layout
/// Curator's `InterProcessMutex`: each contender is an ephemeral sequential node `_c_<uuid>-lock-<n>` under the
/// lock's path, which is made as a container node when it is missing (persistent where the server has none). The
/// lowest number holds. The node's data is `host:pid` unless the builder says otherwise.
///
/// Contenders are read in every dialect: Curator's, go-zk's and kezhuw's `-lock-<n>`, and Kazoo's
/// `__lock__<n>`. So this lock waits for all of them. Who waits for it is the choice of its
/// [dialect](LockBuilder::dialect): see [`Dialect`](crate::Dialect), whose `Both` makes everybody wait. Other
/// children are ignored, with one warning each.
///
/// # Cost
/// Free: one round trip of two requests (create and list, sent back to back). Waiting: one read that leaves a watch
/// on the node before us; one list and at most one such read for each time that node goes. Held for longer than
/// [`OWN_WATCH_DELAY`](crate::limits::OWN_WATCH_DELAY): one read that leaves a watch on the own node, which nobody
/// waits for. A release is one request, and wakes one waiter.
///
/// # Guarantees
/// First come, first served, and never more than one holder while clocks run at nearly the same rate: a guard
/// counts itself out before the server can let the next one in (see [`LossPolicy`](crate::LossPolicy)). What must
/// hold whatever clocks do, and however long a process stands still, needs fencing:
/// [`Held::transaction`] for what is in ZooKeeper, [`Held::fencing_token`] for what is not.
///
/// # Loss
/// | what happens | while waiting | while holding |
/// |---|---|---|
/// | connection lost | waits on, keeps its place | lost (`Standard`), or in doubt until the local deadline (`Session`) |
/// | session expired | waits on at the tail, in the next session | lost |
/// | node deleted by someone | [`Error::NodeDeleted`] | lost |
/// | client closed | [`Error::ClientEnded`] | lost |
///
/// A guard that is lost stays lost, even if the session turns out to live; its node is then deleted.
///
/// # Cancellation
/// Dropping an acquire future, at any point, gives the place up: what was sent is found and deleted in the
/// background, so `tokio::time::timeout` and `select!` are as safe as [`Lock::acquire_within`]. Dropping a guard
/// releases in the background.
///
/// # Re-entry
/// Tasks move between threads, so no thread can own a lock. A second acquire waits behind the first guard, in the
/// same process as elsewhere. To hold it further down, pass the guard on, or another one of the same holding
/// ([`LockGuard::reenter`]); or let the handle be the owner ([`LockBuilder::reentrant`]).
///
/// # Two phases, others, and owners that outlive their process
/// [`Lock::enqueue`] takes a place in line, and its ticket waits for the lock. [`Lock::participants`] tells who
/// holds and who waits, [`Lock::revoke`] asks one of them to give up ([`Held::revoked`] hears it, Curator's
/// `Revoker` and `RevocationListener` work on the same nodes), [`Lock::evict`] and [`Lock::break_lock`] are an
/// operator's last resort. A [durable](LockBuilder::durable) lock belongs to a named owner, through sessions and
/// processes.
///
/// # Differences from Curator and Kazoo
/// | | Curator | Kazoo | here |
/// |---|---|---|---|
/// | the holder is told of the loss | no | no | [`Held::lost`] |
/// | own node watched while holding | no | no | yes |
/// | order where the number turns negative | wrong | wrong | right |
/// | a lost answer to create | looked up without sync | looked up without sync or owner | sync, list, owner checked |
/// | a foreign child | counts | ignored | ignored, warned about |
/// | re-entrant | per thread | no | by guard, or by handle |
/// | excludes the other library's stock lock | no | no | under [`Dialect::Both`](crate::Dialect) |
/// | durable | by a custom driver | `ephemeral=False` | with an owner, takeover and a greater token |
/// | release that fails | may be forgotten | left behind | seen through in the background |
#[derive(Clone)]
pub struct Lock {
    context: Arc<Context>,
    /// Of a lock that is re-entrant by its handle.
    entered: Option<Arc<Entered>>,
}

/// The holding that is entered again, if there is one.
#[derive(Debug, Default)]
struct Entered {
    held: Mutex<Weak<Held>>,
    /// Whoever goes in line: one at a time, so that the others find its holding.
    entering: tokio::sync::Mutex<()>,
}

impl Entered {
    fn again(&self) -> Option<LockGuard> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).upgrade()?;
        held.is_held().then(|| LockGuard::sharing(held))
    }

    fn first(&self, guard: &LockGuard) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(guard.held());
    }
}

impl Lock {
    /// A lock with default options at `path`. Clones of it, and locks of the same path elsewhere, contend.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::builder(client, path).build()
    }

    /// Options first.
    pub fn builder(client: &Client, path: impl Into<String>) -> LockBuilder {
        LockBuilder::new(client, path.into())
    }

    pub(super) fn new_in(context: Context, reentrant: bool) -> Self {
        Self { context: Arc::new(context), entered: reentrant.then(Arc::default) }
    }

    pub(crate) const fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// The path at which contenders stand in line.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.context.options.parent
    }

    /// Waits until the lock is ours. Goes on through disconnects, and through expiry at the tail of the line.
    ///
    /// Must be polled within a tokio runtime with time enabled, one that lives as long as the client's.
    ///
    /// # Errors
    /// [`Error::NodeDeleted`], [`Error::ClientEnded`], [`Error::Client`] when the server refuses (an ACL, a path
    /// that is not valid), [`Error::NoRuntime`].
    ///
    /// # Cancellation
    /// Safe at any point; the place in line is given up.
    pub async fn acquire(&self) -> Result<LockGuard, Error> {
        self.stand_in_line(None).await
    }

    /// As [`Lock::acquire`], for at most `limit`. A limit of zero is [`Lock::try_acquire`].
    ///
    /// # Errors
    /// [`Error::Timeout`] when the lock is not ours by then; and as [`Lock::acquire`].
    ///
    /// # Cancellation
    /// As [`Lock::acquire`].
    pub async fn acquire_within(&self, limit: Duration) -> Result<LockGuard, Error> {
        self.stand_in_line(Some(limit)).await
    }

    /// Takes the lock if it is free. Waits for answers of the server, but never for another holder.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    ///
    /// # Cancellation
    /// As [`Lock::acquire`].
    pub async fn try_acquire(&self) -> Result<Option<LockGuard>, Error> {
        match self.stand_in_line(Some(Duration::ZERO)).await {
            Ok(guard) => Ok(Some(guard)),
            Err(Error::Timeout { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Acquires, does the work, and releases. Work under way is dropped as soon as the lock is lost.
    ///
    /// When the work is done its output is returned, although the release may still be under way in the
    /// background.
    ///
    /// # Errors
    /// As [`Lock::acquire`], when the work was not begun; [`Error::Lost`] when it was stopped.
    ///
    /// # Cancellation
    /// Drops the work, and gives the lock or the place in line up.
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output, Error> {
        let guard = self.acquire().await?;
        let output = guard.run(work).await?;
        if let Err(error) = guard.release().await {
            tracing::warn!(%error, "the work is done");
        }
        Ok(output)
    }

    /// Takes a place in line, and returns as soon as it is ours, without waiting for the lock: the first of two
    /// phases, for those who want to know where they stand, or to do something between joining and waiting. Not
    /// re-entrant.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    ///
    /// # Cancellation
    /// As [`Lock::acquire`].
    pub async fn enqueue(&self) -> Result<LockTicket, Error> {
        let explain = |why| Error::not_granted(self.path(), why, Duration::ZERO);
        let mut entrant = Entrant::new(Arc::clone(&self.context)).map_err(explain)?;
        entrant.in_line().await.map_err(explain)?;
        Ok(LockTicket::new(entrant))
    }

    async fn stand_in_line(&self, limit: Option<Duration>) -> Result<LockGuard, Error> {
        let Some(entered) = &self.entered else { return self.stand_alone(limit).await };
        if let Some(guard) = entered.again() {
            return Ok(guard);
        }
        let first = async {
            let _entering = match limit {
                // A sibling that is about to have it, or waits for it, is waited for as little as others are.
                Some(limit) if limit.is_zero() => {
                    let busy = || Error::Timeout { path: self.path().to_owned(), limit };
                    entered.entering.try_lock().map_err(|_| busy())?
                }
                _ => entered.entering.lock().await,
            };
            match entered.again() {
                Some(guard) => Ok(guard),
                None => self.stand_alone(limit).await.inspect(|guard| entered.first(guard)),
            }
        };
        match limit {
            // The wait for a sibling counts.
            Some(limit) if !limit.is_zero() => tokio::time::timeout(limit, first)
                .await
                .unwrap_or_else(|_| Err(Error::Timeout { path: self.path().to_owned(), limit })),
            _ => first.await,
        }
    }

    async fn stand_alone(&self, limit: Option<Duration>) -> Result<LockGuard, Error> {
        let holding = stand_in_line(Arc::clone(&self.context), limit).await;
        holding
            .map(|holding| LockGuard::new(Held::new(holding)))
            .map_err(|why| Error::not_granted(self.path(), why, limit.unwrap_or_default()))
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").field("path", &self.path()).finish_non_exhaustive()
    }
}
