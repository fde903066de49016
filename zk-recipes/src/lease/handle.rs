//! The lease itself, its options, and what is obtained.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use zk_client::Client;
use zk_proto::Acl;

use super::record::{NODE, Record};
use super::taking::{Aim, Taking};
use crate::contender::Parents;
use crate::dialect::Dialect;
use crate::error::Error;
use crate::identity::host_and_pid;
use crate::lock::Lock;
use crate::loss::LossPolicy;

/// Tells the time of day.
type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// A right to something until a time of day, which outlives its holder's process and session: Kazoo's
/// `NonBlockingLease`. Nobody waits for it; it is had or not.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use zk_client::Client;
/// use zk_recipes::NonBlockingLease;
///
/// let zk = Client::connect("zk1:2181,zk2:2181").await?;
/// let hour = Duration::from_secs(3600);
/// let report = NonBlockingLease::builder(&zk, "/leases/hourly-report", hour).identifier("host-7").build();
/// if let Some(lease) = report.obtain().await? {
///     println!("ours until {:?}: this hour's report is for us to write", lease.until());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # When to use it
/// For work that is to be done about once in a while by one of many (a cron job), by processes that come and go.
/// What must be held by one alone while it lives wants a [`Lock`]: it needs no clocks that agree, and ends with its
/// holder.
///
/// # Layout
/// `<path>/lease_holder`, a persistent node: `{"version": 1, "holder": "<identifier>", "end":
/// "2026-11-22T22:22:38"}`, in UTC, byte for byte as Kazoo writes it. Around the decision, a lock at `<path>`
/// itself: `<path>/<32 hex>__lock__<n>`, Kazoo's dialect. Kazoo and this lease may share a path.
///
/// # Cost
/// Refused: one read. Obtained: two reads, a [`Lock`] acquired and released, one transaction.
///
/// # Guarantees
/// While everybody's clock tells one time, two holders never hold at once. **Clocks must be synchronised**: one that
/// is late by a minute may think that it holds for a minute longer than others do, and one that is early takes what
/// is not free yet. Leave room: hold for longer than the work takes, by more than clocks are apart.
///
/// The identifier is the holder: whoever comes with the same one obtains it again, and renews it. Give each its own.
///
/// # Loss
/// | what happens | |
/// |---|---|
/// | connection lost, session expired, process gone | held on, until its end |
/// | its end passes | others may obtain it |
/// | the record is deleted by someone | others may obtain it; who held is not told |
///
/// # Cancellation
/// Dropping [`NonBlockingLease::obtain`] gives the lock up; the record may be written all the same, and then holds
/// until its end. Dropping a [`Lease`] does nothing; [`Lease::relinquish`] ends it early.
///
/// # Differences from Kazoo
/// | | Kazoo | here |
/// |---|---|---|
/// | the record is changed | deleted, then created: a crash in between loses it | in place, by its version, while the lock is ours |
/// | who comes too late | stands in the lock's line to hear it | reads the record |
/// | an answer that is lost | raises; perhaps held | looked up again |
/// | a record of another version | "not obtained" | [`Error::Mismatch`] |
/// | given back early | no | [`Lease::relinquish`] |
/// | identifier, unless said | the host's name | `host:pid` |
#[derive(Clone)]
pub struct NonBlockingLease {
    inner: Arc<NonBlockingLeaseBuilder>,
    lock: Lock,
}

/// Options of a [`NonBlockingLease`]. Made by [`NonBlockingLease::builder`].
#[derive(Clone)]
#[must_use = "a builder does nothing until .build()"]
pub struct NonBlockingLeaseBuilder {
    pub(super) client: Client,
    pub(super) path: String,
    length: Duration,
    holder: String,
    acl: Vec<Acl>,
    dialect: Dialect,
    clock: Clock,
}

/// A lease that was obtained. It says until when it is ours; dropping it changes nothing.
#[derive(Debug, Clone)]
pub struct Lease {
    lease: NonBlockingLease,
    until: SystemTime,
}

/// Who holds a lease, or held it last.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseHolder {
    /// The holder's identifier.
    pub identifier: String,
    /// The first moment at which it is free.
    pub until: SystemTime,
}

impl NonBlockingLeaseBuilder {
    fn new(client: &Client, path: String, length: Duration) -> Self {
        Self {
            client: client.clone(),
            path,
            length,
            holder: host_and_pid().to_owned(),
            acl: Acl::open(),
            dialect: Dialect::Kazoo,
            clock: Arc::new(SystemTime::now),
        }
    }

    /// Who the holder is: whoever comes by the same text holds the same lease. `host:pid` unless said.
    pub fn identifier(mut self, text: impl Into<String>) -> Self {
        self.holder = text.into();
        self
    }

    /// Who may do what with the record, the lock's nodes, and parents made for them; everything to everyone unless
    /// said.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = acl;
        self
    }

    /// Whose names the lock's nodes carry; Kazoo's unless said, which stock Kazoo needs.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// What tells the time of day; the system's clock unless said.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(now);
        self
    }

    /// The lease. Nothing is sent before it is wanted; a path that is not valid is reported then.
    #[must_use]
    pub fn build(self) -> NonBlockingLease {
        let lock = Lock::builder(&self.client, self.path.as_str())
            .dialect(self.dialect)
            .identifier(self.holder.as_str())
            .acl(self.acl.clone())
            .parents(Parents::Persistent)
            .loss_policy(LossPolicy::Session)
            .build();
        lock.context().expect_foreign(NODE);
        NonBlockingLease { inner: Arc::new(self), lock }
    }

    /// The same at another path.
    pub(super) fn at(&self, path: String) -> Self {
        Self { path, ..self.clone() }
    }
}

impl NonBlockingLease {
    /// A lease at `path` for `length` at a time, with default options.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>, length: Duration) -> Self {
        Self::builder(client, path, length).build()
    }

    /// Options first.
    pub fn builder(client: &Client, path: impl Into<String>, length: Duration) -> NonBlockingLeaseBuilder {
        NonBlockingLeaseBuilder::new(client, path.into(), length)
    }

    /// The lease's path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// Takes it from now on for its length, if nobody else has it; who has it already renews it. `None` when
    /// somebody else has it. Waits for the lock around the decision, which others hold for a moment each, and not
    /// for the lease.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the record is of another version: a newer peer is about.
    /// [`Error::Corrupted`] when it is none. As [`Lock::acquire`] otherwise.
    ///
    /// # Cancellation
    /// The lock is given up. The record may be written, and then holds until its end.
    pub async fn obtain(&self) -> Result<Option<Lease>, Error> {
        let record = self.taking().attempt(Aim::Hold(self.inner.length), &*self.inner.clock).await?;
        Ok(record.map(|record| Lease { lease: self.clone(), until: record.end }))
    }

    /// Who holds it, or held it last; `None` if nobody ever did. One read.
    ///
    /// # Errors
    /// [`Error::Mismatch`], [`Error::Corrupted`], [`Error::Client`].
    pub async fn holder(&self) -> Result<Option<LeaseHolder>, Error> {
        let seen = self.taking().look(None).await?;
        Ok(seen.map(|(Record { holder, end }, _)| LeaseHolder { identifier: holder, until: end }))
    }

    /// Whether the record names us, and its end has not come.
    pub(super) async fn is_ours_already(&self) -> Result<bool, Error> {
        let now = (self.inner.clock)();
        let holder = self.holder().await?;
        Ok(holder.is_some_and(|holder| holder.identifier == self.inner.holder && holder.is_held_at(now)))
    }

    fn taking(&self) -> Taking<'_> {
        let NonBlockingLeaseBuilder { client, path, holder, acl, .. } = &*self.inner;
        Taking { client, path, holder, acl, lock: &self.lock }
    }
}

impl Lease {
    /// The lease's path.
    #[must_use]
    pub fn path(&self) -> &str {
        self.lease.path()
    }

    /// The first moment at which it is not ours any more.
    #[must_use]
    pub const fn until(&self) -> SystemTime {
        self.until
    }

    /// How long it is ours still, by our clock; zero when it is over.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.until.duration_since((self.lease.inner.clock)()).unwrap_or_default()
    }

    /// Whether it is ours still, by our clock.
    #[must_use]
    pub fn is_held(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// Takes it for its length from now on. `false` when it was over and somebody else has it.
    ///
    /// # Errors
    /// As [`NonBlockingLease::obtain`].
    ///
    /// # Cancellation
    /// As [`NonBlockingLease::obtain`].
    pub async fn renew(&mut self) -> Result<bool, Error> {
        match self.lease.obtain().await? {
            Some(Self { until, .. }) => {
                self.until = until;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Ends it now, so that others may have it. `false` when it was over. Written as a record whose end has come,
    /// which Kazoo understands.
    ///
    /// # Errors
    /// As [`NonBlockingLease::obtain`].
    ///
    /// # Cancellation
    /// It may have ended or not.
    pub async fn relinquish(self) -> Result<bool, Error> {
        let taking = self.lease.taking();
        Ok(taking.attempt(Aim::End, &*self.lease.inner.clock).await?.is_some())
    }
}

impl LeaseHolder {
    /// Whether it is held at `now`.
    #[must_use]
    pub fn is_held_at(&self, now: SystemTime) -> bool {
        now < self.until
    }
}

impl fmt::Debug for NonBlockingLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}

impl fmt::Debug for NonBlockingLeaseBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, length, holder, .. } = self;
        f.debug_struct("NonBlockingLease")
            .field("path", path)
            .field("length", length)
            .field("holder", holder)
            .finish_non_exhaustive()
    }
}
