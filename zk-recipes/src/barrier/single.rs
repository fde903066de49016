//! A barrier: a node whose presence holds everybody back.

use bytes::Bytes;
use std::time::Duration;
use zk_client::Client;
use zk_proto::Acl;

use crate::asking::{explain, passes, until_answered, within};
use crate::contender::Parents;
use crate::error::Error;
use crate::identity::host_and_pid;
use crate::limits::RETRY_PAUSE;

/// A barrier that is set and removed: whoever waits goes on when it is not there.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use zk_client::Client;
/// use zk_recipes::Barrier;
///
/// let zk = Client::connect("zk1:2181,zk2:2181").await?;
/// let maintenance = Barrier::new(&zk, "/maintenance");
/// // The operator.
/// maintenance.set().await?;
/// // Every service, before it takes on new work.
/// maintenance.wait().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Layout
/// A persistent node at the barrier's path, with `host:pid` of who has set it; missing parents are containers
/// unless said otherwise. Curator's `DistributedBarrier` and Kazoo's `Barrier` are the same: all three may share one.
///
/// # Cost
/// Setting and removing: one request each (and the parents once). Waiting: one read that leaves a watch, and
/// another for each time that something happens to the node. Removing wakes everybody, as it should.
///
/// # Guarantees
/// Whoever waits goes on only after an answer of the server that the node is not there; never on a wake alone.
/// Setting and removing are no claims: who removes a barrier need not be who has set it.
///
/// # Loss
/// The barrier is persistent: it outlives who has set it. Waiting goes on through disconnects and ended sessions.
///
/// # Cancellation
/// Waiting may be dropped at any time; its watch is taken off the server.
///
/// # Differences from Curator and Kazoo
/// Kazoo's `wait` arms one watch, which a write to the node uses up: it then sleeps through the removal. Neither
/// removes its watch after a timeout.
#[derive(Debug, Clone)]
pub struct Barrier(BarrierBuilder);

/// Options of a [`Barrier`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until .build()"]
pub struct BarrierBuilder {
    client: Client,
    path: String,
    data: Bytes,
    acl: Vec<Acl>,
    parents: Parents,
}

impl BarrierBuilder {
    /// What the node says of who has set it; `host:pid` unless said.
    pub fn identifier(self, text: impl Into<String>) -> Self {
        self.data(text.into())
    }

    /// The data of the node, as bytes.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }

    /// Who may do what with the node, and with parents made for it; everything to everyone unless said.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = acl;
        self
    }

    /// What missing parents are created as; container nodes unless said.
    pub fn parents(mut self, parents: Parents) -> Self {
        self.parents = parents;
        self
    }

    /// The barrier. Nothing is sent.
    #[must_use]
    pub const fn build(self) -> Barrier {
        Barrier(self)
    }
}

impl Barrier {
    /// A barrier at `path`, with default options.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::builder(client, path).build()
    }

    /// Options first.
    pub fn builder(client: &Client, path: impl Into<String>) -> BarrierBuilder {
        BarrierBuilder {
            client: client.clone(),
            path: path.into(),
            data: Bytes::from_static(host_and_pid().as_bytes()),
            acl: Acl::open(),
            parents: Parents::default(),
        }
    }

    /// The barrier's node.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// Sets the barrier. Returns whether it was not set before, as far as is known: after a lost answer it may
    /// have been this very call that set it.
    ///
    /// # Errors
    /// [`Error::Client`], [`Error::ClientEnded`].
    ///
    /// # Cancellation
    /// Dropped before it is sent, nothing happens; after, the barrier is set all the same.
    pub async fn set(&self) -> Result<bool, Error> {
        let BarrierBuilder { client, path, data, acl, parents } = &self.0;
        let create = || {
            let create = client.create(path.as_str(), data.clone()).acl(acl.clone());
            match parents {
                Parents::Container => create.parents_as_containers(),
                Parents::Persistent => create.parents(),
                Parents::MustExist => create,
            }
            .send()
        };
        match until_answered(create).await {
            Ok(_) => Ok(true),
            Err(error) if error.is_node_exists() => Ok(false),
            Err(error) => Err(explain(path, error)),
        }
    }

    /// Removes the barrier, and lets everybody go on. Returns whether it was set, as far as is known. When the answer
    /// was lost it is removed again, even if somebody has set it in between.
    ///
    /// # Errors
    /// [`Error::Client`], [`Error::ClientEnded`].
    ///
    /// # Cancellation
    /// Dropped before it is sent, nothing happens; after, the barrier is removed all the same.
    pub async fn remove(&self) -> Result<bool, Error> {
        let BarrierBuilder { client, path, .. } = &self.0;
        match until_answered(|| client.delete(path.as_str()).send()).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_no_node() => Ok(false),
            Err(error) => Err(explain(path, error)),
        }
    }

    /// Whether it is set.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn is_set(&self) -> Result<bool, Error> {
        let BarrierBuilder { client, path, .. } = &self.0;
        let stat = until_answered(|| client.exists(path.as_str()).send()).await;
        stat.map(|stat| stat.is_some()).map_err(|error| explain(path, error))
    }

    /// Waits until it is not set; at once if it is not.
    ///
    /// # Errors
    /// [`Error::Client`], [`Error::ClientEnded`].
    ///
    /// # Cancellation
    /// Safe at any point.
    pub async fn wait(&self) -> Result<(), Error> {
        let BarrierBuilder { client, path, .. } = &self.0;
        loop {
            let look = || client.get(path.as_str()).watch().send();
            match until_answered(look).await {
                Err(error) if error.is_no_node() => return Ok(()),
                Err(error) => return Err(explain(path, error)),
                // Whatever has happened to the node, or to the watch: look again.
                Ok((_, changed)) => match changed.await {
                    Err(error) if !passes(&error) && error.is_session_lost() => {
                        return Err(explain(path, error));
                    }
                    Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
                    Ok(_) => {}
                },
            }
        }
    }

    /// As [`Barrier::wait`], for at most `limit`.
    ///
    /// # Errors
    /// [`Error::Timeout`] when it is still set by then; and as [`Barrier::wait`].
    ///
    /// # Cancellation
    /// Safe at any point.
    pub async fn wait_within(&self, limit: Duration) -> Result<(), Error> {
        within(self.path(), limit, self.wait()).await
    }
}
