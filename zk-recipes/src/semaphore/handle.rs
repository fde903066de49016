//! The semaphore as an application sees it: a cheap handle that acquires.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use zk_client::Client;

use super::builder::SemaphoreBuilder;
use super::permit::{Permit, Permits};
use super::shell::{Setup, acquire};
use crate::error::Error;
use crate::held::Held;
use crate::limits::PERMITS_AT_ONCE_MAX;

/// A distributed semaphore: so many permits, for everybody who uses the same path, in whatever process. First come,
/// first served.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use zk_client::Client;
/// use zk_recipes::Semaphore;
///
/// let zk = Client::connect("zk1:2181,zk2:2181").await?;
/// let gpus = Semaphore::new(&zk, "/pools/gpu", 3);
/// let permit = gpus.acquire().await?;
/// let output = permit.run(async { "trained" }).await?;
/// permit.release().await?;
///
/// // Several at once: all of them or none, and nobody starves who asks for many.
/// let two = gpus.acquire_many(2).await?;
/// # drop((output, two));
/// # Ok(())
/// # }
/// ```
///
/// # Layout
/// That of Curator's `InterProcessSemaphoreV2`: those who wait stand in line at `P/locks` with
/// `_c_<uuid>-lock-<n>`, a permit is a lease `P/leases/_c_<uuid>-lease-<n>`; both parents are made as container nodes
/// when they are missing. A lease says `host:pid` unless the builder says otherwise. How many there are is in the
/// users of it, or in a shared count ([`SemaphoreBuilder::permits_from`]). Kazoo's layout is an option,
/// [`Layout::Kazoo`](crate::semaphore::Layout): the line at `P-__lock__`, a lease `P/<32 hex>`, and the number of
/// permits as text in `P` itself, where all must agree ([`Error::Mismatch`]). The two cannot be shared: Curator
/// counts the children of `P/leases`, Kazoo those of `P`.
///
/// # Cost
/// Free: one round trip of three requests (the lease, a list of the line, a list of the leases, sent back to back)
/// and one read behind it that nobody waits for. A shared count is one read more in the same round trip. A return is
/// one request. Nobody takes the lock for that: of the permits that are out at any time, the one made last has
/// counted all the others, and Curator, which counts everything, counts at least as many. Where anybody stands in
/// line, or there is no room, the lease is taken back at once and a place in line taken instead; so who is first come
/// is first served. An object whose last acquisition had to wait stands in line first: then it is two round trips,
/// the lock and a list, the leases and a list.
///
/// Waiting in line: one watch, on the place before ours. Waiting at its head: one on the leases (and on the count),
/// and one on our own place. A return wakes the head and nobody else; whoever got in wakes the next.
///
/// A [`Semaphore::try_acquire`] that fails writes one lease and takes it back; from the second in a row on it only
/// reads.
///
/// # Guarantees
/// Never more permits out than there are, while clocks run at nearly the same rate: a permit counts itself out before
/// the server can let the next one in (see [`LossPolicy`](crate::LossPolicy)). Tokens order permits by when they were
/// asked for, not by when they were granted; so a token fences a permit against later ones, and
/// [`Held::transaction`] writes only while the permit's lease is there.
///
/// # Loss
/// | what happens | while waiting | while holding |
/// |---|---|---|
/// | connection lost | waits on, keeps its place | lost (`Standard`), or in doubt until the local deadline (`Session`) |
/// | session expired | waits on at the tail, in the next session | lost |
/// | node deleted by someone | [`Error::NodeDeleted`] | lost, and with it all that were acquired together |
/// | client closed | [`Error::ClientEnded`] | lost |
///
/// # Cancellation
/// Dropping an acquire future, at any point, gives up the place in line and the leases, in one transaction if both
/// are known; what is not known yet is found and deleted in the background. So `tokio::time::timeout` and `select!`
/// are as safe as [`Semaphore::acquire_within`].
///
/// # Differences from Curator and Kazoo
/// | | Curator V2 | Kazoo | here |
/// |---|---|---|---|
/// | a free permit | four round trips and the mutex's release | six and the lock's release | one |
/// | several permits | one by one; two who want many may wait for each other for ever | no | all or none, in turn |
/// | a holder is told of the loss | no (CURATOR-595) | no | [`Held::lost`] |
/// | asked to give up | no (CURATOR-650) | no | [`Held::revoked`] |
/// | a lease left behind by a lost answer | deleted by name | looked up by name | sync, list, owner checked |
/// | a try while others try | may fail with permits free | may fail with permits free | may fail with permits free |
/// | what counts as a lease | any child | any child | leases; other children are ignored, with a warning |
#[derive(Clone)]
pub struct Semaphore {
    setup: Arc<Setup>,
}

impl Semaphore {
    /// A semaphore of so many permits at `path`, with default options.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>, permits: u32) -> Self {
        Self::builder(client, path).permits(permits).build()
    }

    /// Options first.
    pub fn builder(client: &Client, path: impl Into<String>) -> SemaphoreBuilder {
        SemaphoreBuilder::new(client, path.into())
    }

    pub(super) fn new_in(setup: Setup) -> Self {
        Self { setup: Arc::new(setup) }
    }

    pub(super) fn setup(&self) -> &Setup {
        &self.setup
    }

    /// The semaphore's path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.setup.path
    }

    /// Waits for a permit. Goes on through disconnects, and through expiry at the tail of the line.
    ///
    /// Must be polled within a tokio runtime with time enabled, one that lives as long as the client's.
    ///
    /// # Errors
    /// [`Error::NodeDeleted`], [`Error::ClientEnded`], [`Error::Client`] when the server refuses (an ACL, a path
    /// that is not valid), [`Error::Mismatch`] when the number of permits is not agreed on or cannot be found,
    /// [`Error::Corrupted`] when the shared count is none, [`Error::NoRuntime`].
    ///
    /// # Cancellation
    /// Safe at any point; the place in line is given up.
    pub async fn acquire(&self) -> Result<Permit, Error> {
        self.stand_in_line(1, None).await.map(Permit::new)
    }

    /// As [`Semaphore::acquire`], for at most `limit`. A limit of zero is [`Semaphore::try_acquire`].
    ///
    /// # Errors
    /// [`Error::Timeout`] when there was no room by then; and as [`Semaphore::acquire`].
    ///
    /// # Cancellation
    /// As [`Semaphore::acquire`].
    pub async fn acquire_within(&self, limit: Duration) -> Result<Permit, Error> {
        self.stand_in_line(1, Some(limit)).await.map(Permit::new)
    }

    /// Takes a permit if there is one and nobody waits for it. Waits for answers of the server, but never for
    /// anybody else. May fail although a permit is free, while others try at the same moment.
    ///
    /// # Errors
    /// As [`Semaphore::acquire`].
    ///
    /// # Cancellation
    /// As [`Semaphore::acquire`].
    pub async fn try_acquire(&self) -> Result<Option<Permit>, Error> {
        Ok(or_none(self.stand_in_line(1, Some(Duration::ZERO)).await)?.map(Permit::new))
    }

    /// Waits for so many permits together: all of them or none. Whoever stands behind waits as long as we do, so
    /// that who asks for many does not starve.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when there can never be so many: more than there are, more than
    /// [`PERMITS_AT_ONCE_MAX`], or none; and as [`Semaphore::acquire`].
    ///
    /// # Cancellation
    /// As [`Semaphore::acquire`].
    pub async fn acquire_many(&self, permits: u32) -> Result<Permits, Error> {
        self.stand_in_line(permits, None).await.map(Permits::new)
    }

    /// As [`Semaphore::acquire_many`], for at most `limit`.
    ///
    /// # Errors
    /// [`Error::Timeout`] when there was no room by then; and as [`Semaphore::acquire_many`].
    ///
    /// # Cancellation
    /// As [`Semaphore::acquire`].
    pub async fn acquire_many_within(&self, permits: u32, limit: Duration) -> Result<Permits, Error> {
        self.stand_in_line(permits, Some(limit)).await.map(Permits::new)
    }

    /// Takes so many permits if they are free and nobody waits.
    ///
    /// # Errors
    /// As [`Semaphore::acquire_many`].
    ///
    /// # Cancellation
    /// As [`Semaphore::acquire`].
    pub async fn try_acquire_many(&self, permits: u32) -> Result<Option<Permits>, Error> {
        Ok(or_none(self.stand_in_line(permits, Some(Duration::ZERO)).await)?.map(Permits::new))
    }

    /// Acquires a permit, does the work, and returns it. Work under way is dropped as soon as the permit is lost.
    ///
    /// The output is returned when the permit is, or when the first try to return it has failed, which is then seen
    /// through in the background. While the client is disconnected that may take until it is back, or the session is
    /// over.
    ///
    /// # Errors
    /// As [`Semaphore::acquire`], when the work was not begun; [`Error::Lost`] when it was stopped.
    ///
    /// # Cancellation
    /// Drops the work, and gives the permit or the place in line up.
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output, Error> {
        let permit = self.acquire().await?;
        let output = permit.run(work).await?;
        if let Err(error) = permit.release().await {
            tracing::warn!(%error, "the work is done");
        }
        Ok(output)
    }

    async fn stand_in_line(&self, permits: u32, limit: Option<Duration>) -> Result<Held, Error> {
        let most = self.setup.outfit.size.known().unwrap_or(u32::MAX).min(PERMITS_AT_ONCE_MAX);
        if permits == 0 || permits > most {
            return Err(Error::Mismatch {
                path: self.path().to_owned(),
                found: format!("a wish for {permits} permits at once"),
                expected: format!("one for 1 to {most}"),
            });
        }
        acquire(Arc::clone(&self.setup), permits as usize, limit).await.map(Held::new)
    }
}

fn or_none<T>(acquired: Result<T, Error>) -> Result<Option<T>, Error> {
    match acquired {
        Ok(acquired) => Ok(Some(acquired)),
        Err(Error::Timeout { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("path", &self.path()).finish_non_exhaustive()
    }
}
