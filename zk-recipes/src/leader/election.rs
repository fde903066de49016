//! The election: one piece of work, done under a leadership of its own.

use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use zk_client::Client;
use zk_proto::Acl;

use super::latch::participants;
use super::leadership::{Leadership, Term, WorkEnd};
use crate::contender::{Context, GivenUp, Options, Parents, Patience, Rule, stand_in_line};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::identity::host_and_pid;
use crate::loss::{LossPolicy, LossReason};
use crate::participants::Participant;
use crate::sequence::MUTEX;

/// Work that one process does at a time: wait to be elected, do it, leave.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use zk_client::Client;
/// use zk_recipes::{Election, Outcome};
///
/// let zk = Client::connect("zk1:2181,zk2:2181/app").await?;
/// let election = Election::new(&zk, "/elections/compaction");
/// let outcome = election.run(|leadership| async move {
///     println!("elected, as {}", leadership.fencing_token());
///     /* compact */
/// });
/// match outcome.await? {
///     Outcome::Finished(()) => println!("done"),
///     Outcome::LostLeadership(why) => println!("stopped in the middle: {why}"),
///     Outcome::Cancelled => println!("not elected: somebody called cancel()"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Layout
/// That of [`Lock`](crate::Lock), in any [`Dialect`]: an election, a selector and locks of the same path exclude each
/// other. Kazoo's `Election` is one with [`Dialect::Kazoo`] or [`Dialect::Both`].
///
/// # Cost
/// As [`Lock`](crate::Lock).
///
/// # Guarantees
/// As [`Lock`](crate::Lock): first come, first elected; one at a time while clocks run at nearly the same rate; what
/// must hold whatever clocks do needs the fencing that [`Leadership`] offers.
///
/// # Loss
/// As a lock is lost. The work is dropped then, before its next step; or, with
/// [`grace`](ElectionBuilder::grace), told by [`Leadership::interrupted`] and dropped when that time is over. What is
/// waiting to be elected waits on.
///
/// # Cancellation
/// Dropping [`Election::run`], at any point, drops the work, and gives leadership or the place in line up in the
/// background.
///
/// # Differences from Curator and Kazoo
/// | | Kazoo's `Election` | here |
/// |---|---|---|
/// | the work is told of the loss | never | [`Leadership`], and it is dropped |
/// | how it ended | not told | [`Outcome`] |
/// | cancelled while it waits | yes | yes; or by dropping the future |
/// | work that fails | leaves | leaves |
///
/// Curator has [`LeaderSelector`](crate::LeaderSelector) for it.
#[derive(Clone)]
pub struct Election {
    context: Arc<Context>,
    grace: Duration,
    /// Counts the calls of `cancel`.
    cancelled: watch::Sender<u64>,
}

/// How an election ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome<T> {
    /// Elected, and the work is done.
    Finished(T),
    /// Elected, and the work was stopped because leadership was lost.
    LostLeadership(LossReason),
    /// Not elected: it was cancelled while it waited.
    Cancelled,
}

/// Options of an [`Election`]. Made by [`Election::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until .build()"]
pub struct ElectionBuilder {
    client: Client,
    path: String,
    data: Bytes,
    acl: Vec<Acl>,
    parents: Parents,
    loss: LossPolicy,
    dialect: Dialect,
    grace: Duration,
}

impl ElectionBuilder {
    pub(super) fn new(client: &Client, path: String) -> Self {
        Self {
            client: client.clone(),
            path,
            data: Bytes::from_static(host_and_pid().as_bytes()),
            acl: Acl::open(),
            parents: Parents::default(),
            loss: LossPolicy::default(),
            dialect: Dialect::default(),
            grace: Duration::ZERO,
        }
    }

    /// What [`Election::contenders`] tells others of this one; `host:pid` unless said.
    pub fn identifier(self, text: impl Into<String>) -> Self {
        self.data(text.into())
    }

    /// The identifier, as bytes.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }

    /// Who may do what with our node, and with parents made for it; everything to everyone unless said. Contenders
    /// must be able to read each other's nodes.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = acl;
        self
    }

    /// What the path is created as when it is missing; container nodes unless said.
    pub fn parents(mut self, parents: Parents) -> Self {
        self.parents = parents;
        self
    }

    /// When leadership counts as lost; [`LossPolicy::Standard`] unless said.
    pub fn loss_policy(mut self, policy: LossPolicy) -> Self {
        self.loss = policy;
        self
    }

    /// Whose names our nodes carry; Curator's unless said.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// How long the work may go on after leadership was lost, having been told by [`Leadership::interrupted`]; not at
    /// all unless said. Somebody else may lead by then, so what it still does must be fenced.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// The election. Nothing is sent before it is run.
    #[must_use]
    pub fn build(self) -> Election {
        let grace = self.grace;
        Election { context: Arc::new(self.into_context()), grace, cancelled: watch::Sender::new(0) }
    }

    pub(super) fn into_context(self) -> Context {
        let Self { client, path, data, acl, parents, loss, dialect, grace: _ } = self;
        let options = Options {
            parent: path,
            rule: Rule::exclusive(&MUTEX),
            prefixes: dialect.mutex(),
            durable: None,
            patience: Patience::Forever,
            parents,
            loss,
            keeps_place: false,
        };
        Context::new(&client, options, data, acl)
    }
}

impl Election {
    /// An election with default options at `path`. Clones share [`Election::cancel`], and contend like any others.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::builder(client, path).build()
    }

    /// Options first.
    pub fn builder(client: &Client, path: impl Into<String>) -> ElectionBuilder {
        ElectionBuilder::new(client, path.into())
    }

    /// The path under which contenders stand in line.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.context.options.parent
    }

    /// Waits to be elected, does the work, and leaves. The output is returned when its node is deleted, or when the
    /// first try to delete it has failed, which is then seen through in the background. While the client is
    /// disconnected that may take until it is back, or the session is over.
    ///
    /// The leadership ends with this, however many clones of it the work has given away.
    ///
    /// # Errors
    /// The work was not begun: as [`Lock::acquire`](crate::Lock::acquire).
    ///
    /// # Cancellation
    /// Drops the work, and gives leadership or the place in line up.
    pub async fn run<T, F>(&self, work: impl FnOnce(Leadership) -> F) -> Result<Outcome<T>, Error>
    where
        F: Future<Output = T>,
    {
        self.run_until(self.cancelled.subscribe(), work).await
    }

    async fn run_until<T, F>(
        &self,
        mut cancelled: watch::Receiver<u64>,
        work: impl FnOnce(Leadership) -> F,
    ) -> Result<Outcome<T>, Error>
    where
        F: Future<Output = T>,
    {
        let holding = tokio::select! {
            biased;
            holding = stand_in_line(Arc::clone(&self.context), None) => holding,
            _ = cancelled.changed() => return Ok(Outcome::Cancelled),
        };
        let term = Term::new(holding.map_err(|why| Error::not_granted(self.path(), why, Duration::ZERO))?);
        let work = work(term.leadership().clone());
        let end = term.work(self.grace, std::future::pending(), work).await;
        leave(term).await;
        Ok(match end {
            WorkEnd::Done(output) => Outcome::Finished(output),
            WorkEnd::Lost(reason) => Outcome::LostLeadership(reason),
            WorkEnd::Interrupted => Outcome::Cancelled,
        })
    }

    /// Is elected again and again, at the tail of the line each time, until it is cancelled.
    ///
    /// # Errors
    /// As [`Election::run`].
    ///
    /// # Cancellation
    /// As [`Election::run`].
    pub async fn run_forever<T, F>(&self, mut work: impl FnMut(Leadership) -> F) -> Result<(), Error>
    where
        F: Future<Output = T>,
    {
        let cancelled = self.cancelled.subscribe();
        loop {
            // A clone has seen what this one has: no call is missed between two turns.
            match self.run_until(cancelled.clone(), &mut work).await {
                Ok(Outcome::Cancelled) => return Ok(()),
                // What is not there any more is made anew.
                Ok(_) | Err(Error::NodeDeleted { .. }) => {
                    if cancelled.has_changed().unwrap_or(true) {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes those that wait to be elected through this object, or a clone of it, give up. Work under way goes on.
    pub fn cancel(&self) {
        self.cancelled.send_modify(|calls| *calls += 1);
    }

    /// Who leads and who waits, in the order of the line. Costs one request for the list and one for each node.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn contenders(&self) -> Result<Vec<Participant>, Error> {
        participants(&self.context).await
    }
}

/// Gives a term up, and waits for the first try to delete its node.
pub(super) async fn leave(term: Term) {
    let path = term.leadership().node().to_owned();
    if let GivenUp::Deleting(deleting) = term.give_up()
        && let Err(source) = deleting.done().await
    {
        let error = Error::ReleasePending { path, source };
        tracing::warn!(%error, "leadership is over");
    }
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Election").field("path", &self.path()).finish_non_exhaustive()
    }
}
