//! The queue of work, and the options of all queues in Curator's frame.

use bytes::Bytes;
use std::ops::Deref;
use zk_client::Client;
use zk_proto::Acl;

use super::delay::WallClock;
use super::frame::encode_items;
use super::names::{Kind, plain};
use super::putter::Putter;
use super::taker::{Codec, Taker};
use super::view::Place;
use crate::contender::Parents;
use crate::error::Error;
use crate::loss::LossPolicy;

/// A queue of work: first put, first taken, and nothing is forgotten because who took it has died.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use zk_client::Client;
/// use zk_recipes::queue::WorkQueue;
///
/// let zk = Client::connect("zk1:2181,zk2:2181").await?;
/// let mail = WorkQueue::new(&zk, "/queues/mail");
/// mail.put("to alice").await?;
///
/// let job = mail.take().await?;
/// println!("sending {:?}", job.data());
/// // Done with, and written down that it is, or neither.
/// job.transaction().create("/sent/alice", "").commit_and_ack().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Layout
/// Curator's `DistributedQueue`: each item is a persistent sequential node `<path>/queue-<n>`, its bytes in Curator's
/// frame ([`encode_items`]). With claims, as when Curator is given a `lockPath`: an ephemeral
/// node of the same name under [`claims`](QueueBuilder::claims), `<path>-claims` unless said. Whoever takes
/// from one queue must agree on the claims' path, or on there being none.
///
/// # Cost
/// Putting: one request. Taking: see [`Taker`].
///
/// # Guarantees
/// Each item that was put is handed over at least once, and nobody else has it while its [`Delivery`] is held;
/// [`at_most_once`](QueueBuilder::at_most_once) changes that to at most once. When the answer to a put is lost the
/// outcome is [`Error::Indeterminate`], unless puts are [exact](QueueBuilder::exact).
///
/// # Loss, Cancellation
/// See [`Taker`] and [`Delivery`]. A put that is dropped has happened or not.
///
/// # Differences from Curator and Kazoo
/// Curator repeats a put whose answer was lost, and may put twice; it runs a consumer on although its claim is gone,
/// and acknowledges all the same; requeueing drops priority and time. Here the acknowledgement is refused when the
/// claim is gone, and may carry the job's own writes. Curator's background puts and `flushPuts` are futures here:
/// join them.
///
/// [`Delivery`]: super::Delivery
#[derive(Debug, Clone)]
pub struct WorkQueue(Queue);

/// What all queues in Curator's frame are made of.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    taker: Taker,
    putter: Putter,
}

/// Options of a queue in Curator's frame.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until a queue is made of it"]
pub struct QueueBuilder {
    client: Client,
    path: String,
    claims: Option<String>,
    acl: Vec<Acl>,
    parents: Parents,
    loss: LossPolicy,
    max_items: Option<usize>,
    exact: bool,
    clock: WallClock,
}

impl QueueBuilder {
    pub(super) fn new(client: &Client, path: String) -> Self {
        Self {
            client: client.clone(),
            claims: Some(format!("{path}-claims")),
            path,
            acl: Acl::open(),
            parents: Parents::default(),
            loss: LossPolicy::Session,
            max_items: None,
            exact: false,
            clock: WallClock::default(),
        }
    }

    /// Where items are claimed; Curator's `lockPath`.
    pub fn claims(mut self, path: impl Into<String>) -> Self {
        self.claims = Some(path.into());
        self
    }

    /// Takes items without claims: they are deleted before they are handed over, and lost with whoever took them.
    pub fn at_most_once(mut self) -> Self {
        self.claims = None;
        self
    }

    /// Who may do what with the nodes, and with parents made for them; everything to everyone unless said.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = acl;
        self
    }

    /// What missing parents are created as; container nodes unless said.
    pub fn parents(mut self, parents: Parents) -> Self {
        self.parents = parents;
        self
    }

    /// When a delivery counts as lost; [`LossPolicy::Session`] unless said, for a claim is there as long as its
    /// session.
    pub fn loss_policy(mut self, policy: LossPolicy) -> Self {
        self.loss = policy;
        self
    }

    /// Makes putting wait while there are as many items. Soft: those who put at one moment all find room.
    pub fn max_items(mut self, most: usize) -> Self {
        self.max_items = Some(most);
        self
    }

    /// Whether a put leaves a marker in the same transaction, under `<path>-puts`, that tells after a lost answer
    /// whether it was made: then no put is done twice, and none is indeterminate. Not unless said; costs a node and
    /// its deletion in the background.
    pub fn exact(mut self, exact: bool) -> Self {
        self.exact = exact;
        self
    }

    /// What time it is, to a [`DelayQueue`](super::DelayQueue); the machine's unless said.
    pub fn clock(mut self, clock: WallClock) -> Self {
        self.clock = clock;
        self
    }

    pub(super) fn queue(self, kind: Kind, eager: bool) -> Queue {
        let Self { client, path, claims, acl, parents, loss, max_items, exact, clock } = self;
        let place =
            Place { client, items: path, claims, kind, clock, eager, spoiled: std::sync::Arc::default() };
        let taker = Taker::new(place, Codec::Frame, acl, parents, loss);
        let putter = Putter { shared: std::sync::Arc::clone(&taker.0), max_items, exact };
        Queue { taker, putter }
    }
}

impl Queue {
    pub(super) const fn taker(&self) -> &Taker {
        &self.taker
    }

    pub(super) fn clock(&self) -> &WallClock {
        &self.taker.0.place.clock
    }

    /// Puts one item; its node's name, if the answer was not lost.
    pub(super) async fn put(&self, prefix: String, item: Bytes) -> Result<String, Error> {
        let names = self.putter.put(&[(prefix, encode_items(&[item]))]).await?;
        Ok(names.into_iter().next().unwrap_or_default())
    }

    pub(super) async fn put_all(&self, items: impl Iterator<Item = (String, Bytes)>) -> Result<(), Error> {
        let items: Vec<_> = items.map(|(prefix, item)| (prefix, encode_items(&[item]))).collect();
        self.putter.put_all(&items).await
    }

    async fn put_together(&self, prefix: String, items: &[Bytes]) -> Result<(), Error> {
        self.putter.put(&[(prefix, encode_items(items))]).await.map(drop)
    }
}

impl WorkQueue {
    /// A queue at `path`, with default options.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>) -> Self {
        Self::with(Self::builder(client, path))
    }

    /// Options first; make the queue of them by [`WorkQueue::with`].
    pub fn builder(client: &Client, path: impl Into<String>) -> QueueBuilder {
        QueueBuilder::new(client, path.into())
    }

    /// A queue with these options.
    #[must_use]
    pub fn with(builder: QueueBuilder) -> Self {
        Self(builder.queue(Kind::Plain, false))
    }

    /// Puts an item. Returns its node's name; an empty one when the answer was lost and the item is known to be
    /// there.
    ///
    /// # Errors
    /// [`Error::Indeterminate`] when the answer was lost and puts are not exact; [`Error::Client`],
    /// [`Error::ClientEnded`].
    ///
    /// # Cancellation
    /// A put that is dropped has happened or not.
    pub async fn put(&self, item: impl Into<Bytes>) -> Result<String, Error> {
        self.0.put(plain(), item.into()).await
    }

    /// Puts many items, in their order: up to [`QUEUE_BATCH_MAX`](crate::limits::QUEUE_BATCH_MAX) by one request,
    /// all of those or none.
    ///
    /// # Errors
    /// As [`WorkQueue::put`]; earlier batches have then been put.
    ///
    /// # Cancellation
    /// As [`WorkQueue::put`].
    pub async fn put_many<T: Into<Bytes>>(&self, items: impl IntoIterator<Item = T>) -> Result<(), Error> {
        self.0.put_all(items.into_iter().map(|item| (plain(), item.into()))).await
    }

    /// Puts many items as one: in one node, to be taken together. Curator's `putMulti`.
    ///
    /// # Errors
    /// As [`WorkQueue::put`].
    ///
    /// # Cancellation
    /// As [`WorkQueue::put`].
    pub async fn put_together(&self, items: &[Bytes]) -> Result<(), Error> {
        self.0.put_together(plain(), items).await
    }
}

impl Deref for WorkQueue {
    type Target = Taker;

    fn deref(&self) -> &Taker {
        self.0.taker()
    }
}
