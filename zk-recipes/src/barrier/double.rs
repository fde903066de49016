//! The double barrier: entering it. Leaving is the ticket's.

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::try_join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;
use zk_client::{Client, Error as ClientError, ErrorKind, EventType, Watch};
use zk_proto::{Acl, SessionId, Zxid, path};

use super::decision::{Entering, READY, counts, entering, goes_on};
use super::pending::PendingNode;
use super::stale;
use super::ticket::{BarrierTicket, Opened};
use crate::asking::{explain, passes, session_of, until_answered};
use crate::contender::{Context, Grant, Holding, Options, Parents, Patience, Rule};
use crate::dialect::Dialect;
use crate::error::Error;
use crate::held::Held;
use crate::identity::{Uuid, host_and_pid};
use crate::limits::{LAST_LOOK, RETRY_PAUSE};
use crate::loss::{LossPolicy, LossReason};
use crate::sequence::Sequence;

/// A barrier at which a number of participants begin together, and end together.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use zk_client::Client;
/// use zk_recipes::DoubleBarrier;
///
/// let zk = Client::connect("zk1:2181,zk2:2181").await?;
/// let phase = DoubleBarrier::new(&zk, "/jobs/nightly/phase", 5);
/// for step in ["load", "join", "write"] {
///     let ticket = phase.enter().await?; // all five begin the step together
///     println!("{step}");
///     ticket.leave().await?; // and nobody goes on before all are done
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Layout
/// Each participant is an ephemeral node `<path>/<uuid>`, a new one for each round; under [`Dialect::Kazoo`] it is
/// `<path>/<32 hex>`; one who comes late is named anew with `-late` at the end. When all have come, somebody makes the persistent node `<path>/ready`, which lets them in.
/// Curator's `DistributedDoubleBarrier` and Kazoo's `DoubleBarrier` do the same, and all three may share a path:
/// names are compared as text, whoever made them. One path serves any number of rounds.
///
/// # Cost
/// Entering: one round trip of four requests (create, look at `ready` and leave a watch, list; and a watch on the
/// own node behind them); one more for whoever opens the round. Leaving: a list, the deletion sent together with
/// the watch on the participant that leaves last, and a list when that is gone. All who enter are woken by the one
/// node `ready`, all who leave by the last one who does, as it must be.
///
/// # Guarantees
/// Nobody enters before as many as the barrier asks for stand in it, and nobody has left before all want to. A
/// `ready` that crashed participants have left behind lets nobody in: it is older than everybody there, and is
/// removed. (Stock Curator and Kazoo take it for an open round.) Who comes while a round goes on, one too many or
/// started again, is let in to it, as Curator does; it is waited for by those who begin to leave after that, and
/// leaves without waiting when the round was closed meanwhile. Until it has left it does not count for the next round,
/// which its node's name tells. A participant whose session has not expired yet
/// counts, whether its process lives or not.
///
/// # Loss
/// | what happens | while entering | inside | while leaving |
/// |---|---|---|---|
/// | connection lost | waits on | in doubt, then lost at the local deadline | waits on |
/// | session expired | begins anew, in the next session | lost; the others may leave without us | [`Released::Lost`](crate::Released) |
/// | node deleted by someone | [`Error::NodeDeleted`] | lost | [`Released::Lost`](crate::Released) |
///
/// # Cancellation
/// Dropping an enter future at any point deletes the own node in the background. If the round had been opened just
/// then the others are inside with one absentee. Dropping a ticket leaves without waiting. Who enters again with the
/// same client waits until such a node is gone, and is not counted twice.
///
/// # Differences from Curator and Kazoo
/// Both hang when a path is used for round after round: one who still leaves takes those who enter the next round
/// for its own and waits for them, while they wait for it. Here a round's participants are told from the next
/// round's by their age. Kazoo swallows every error of entering and leaving, and has no timeouts; Curator's own
/// node stays after an error.
#[derive(Debug, Clone)]
pub struct DoubleBarrier {
    pub(super) context: Arc<Context>,
    quantity: usize,
    dialect: Dialect,
    pub(super) data: Bytes,
    pub(super) acl: Vec<Acl>,
}

/// Options of a [`DoubleBarrier`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until .build()"]
pub struct DoubleBarrierBuilder {
    client: Client,
    path: String,
    quantity: usize,
    data: Bytes,
    acl: Vec<Acl>,
    parents: Parents,
    loss: LossPolicy,
    dialect: Dialect,
}

impl DoubleBarrierBuilder {
    /// What a participant's node says of it; `host:pid` unless said.
    pub fn identifier(self, text: impl Into<String>) -> Self {
        self.data(text.into())
    }

    /// The data of a participant's node, as bytes.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }

    /// Who may do what with the nodes, and with parents made for them; everything to everyone unless said.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = acl;
        self
    }

    /// What the barrier's path is created as when it is missing; container nodes unless said.
    pub fn parents(mut self, parents: Parents) -> Self {
        self.parents = parents;
        self
    }

    /// When a ticket counts as lost. [`LossPolicy::Session`] unless said: a participant takes part for as long as
    /// its node is there. With [`LossPolicy::Standard`] a disconnect while entering begins anew.
    pub fn loss_policy(mut self, policy: LossPolicy) -> Self {
        self.loss = policy;
        self
    }

    /// How a participant's node is named; Curator's way unless said. It makes no difference to who can share the
    /// barrier, and [`Dialect::Both`] is Curator's here.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// The barrier. Nothing is sent.
    #[must_use]
    pub fn build(self) -> DoubleBarrier {
        let Self { client, path, quantity, data, acl, parents, loss, dialect } = self;
        let options = Options {
            parent: path,
            rule: Rule::exclusive(&[]),
            prefixes: Vec::new(),
            durable: None,
            patience: Patience::Forever,
            parents,
            loss,
            keeps_place: false,
        };
        let context = Arc::new(Context::new(&client, options, data.clone(), acl.clone()));
        DoubleBarrier { context, quantity, dialect, data, acl }
    }
}

/// How an attempt in one session ended.
pub(super) enum Attempt {
    Entered(BarrierTicket),
    /// The session is over, or the parent was missing: begin anew.
    Again,
    TimedOut,
}

impl DoubleBarrier {
    /// A barrier at `path` for `quantity` participants, with default options.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>, quantity: usize) -> Self {
        Self::builder(client, path, quantity).build()
    }

    /// Options first.
    pub fn builder(client: &Client, path: impl Into<String>, quantity: usize) -> DoubleBarrierBuilder {
        DoubleBarrierBuilder {
            client: client.clone(),
            path: path.into(),
            quantity,
            data: Bytes::from_static(host_and_pid().as_bytes()),
            acl: Acl::open(),
            parents: Parents::default(),
            loss: LossPolicy::Session,
            dialect: Dialect::default(),
        }
    }

    /// The barrier's path.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.context.options.parent
    }

    /// Waits until all have come.
    ///
    /// # Errors
    /// [`Error::NodeDeleted`], [`Error::Client`], [`Error::ClientEnded`], [`Error::NoRuntime`].
    ///
    /// # Cancellation
    /// Safe at any point; see [`DoubleBarrier`].
    pub async fn enter(&self) -> Result<BarrierTicket, Error> {
        self.enter_until(None, Duration::MAX).await
    }

    /// As [`DoubleBarrier::enter`], for at most `limit`.
    ///
    /// # Errors
    /// [`Error::Timeout`] when somebody is missing by then: our node is deleted. And as [`DoubleBarrier::enter`].
    ///
    /// # Cancellation
    /// As [`DoubleBarrier::enter`].
    pub async fn enter_within(&self, limit: Duration) -> Result<BarrierTicket, Error> {
        self.enter_until(Instant::now().checked_add(limit), limit).await
    }

    async fn enter_until(&self, until: Option<Instant>, limit: Duration) -> Result<BarrierTicket, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let entered = async {
            loop {
                // A node of ours that is on its way out is not to be counted beside the new one.
                self.context.reaper.settled(&path::join(self.path(), "")).await;
                let session = session_of(&self.context.client, self.path()).await?;
                match self.attempt(session, &runtime, until).await? {
                    Attempt::Entered(ticket) => return Ok(Some(ticket)),
                    Attempt::TimedOut => return Ok(None),
                    Attempt::Again => {}
                }
            }
        };
        let entered = match until {
            // An attempt looks at the time itself; what it then does does not wait for a network that is silent.
            Some(until) => {
                let last = until.checked_add(LAST_LOOK).unwrap_or(until);
                tokio::time::timeout_at(last, entered).await.unwrap_or(Ok(None))
            }
            None => entered.await,
        };
        entered?.ok_or_else(|| Error::Timeout { path: self.path().to_owned(), limit })
    }

    async fn attempt(
        &self,
        session: SessionId,
        runtime: &Handle,
        until: Option<Instant>,
    ) -> Result<Attempt, Error> {
        let client = &self.context.client;
        let identity = Uuid::from_random(client.random_bits());
        let name = match self.dialect {
            Dialect::Kazoo => identity.bare(),
            Dialect::Curator | Dialect::Both => identity.to_string(),
        };
        let own = path::join(self.path(), &name);
        let ready = path::join(self.path(), READY);
        // From here on the node may be there.
        let mut pending = PendingNode::new(&self.context.reaper, runtime, &own, session);
        let create = self.create(&own, session);
        let look = client.exists(ready.as_str()).watch().in_session(session).send();
        let list = client.get_children(self.path()).in_session(session).send();
        let created = create.await;
        // What was read beside a create that had to be repeated may be older than our node.
        let in_order = created.is_ok();
        let Some(czxid) = self.created(created, &own, session).await? else {
            pending.forget();
            return Ok(Attempt::Again);
        };
        let (paths, sequence) = (vec![own.clone()], Sequence(0));
        let grant = Grant { paths, token: czxid, sequence, session, version: None };
        let holding = Holding::of_nodes(Arc::clone(&self.context), runtime, grant);
        pending.forget();
        let held = Held::new(holding);
        let mut lost = Box::pin(held.lost());
        let mut seen = if in_order { Some((look.await, list.await.map(|list| list.names))) } else { None };
        loop {
            if let Some(reason) = (&mut lost).now_or_never() {
                return self.lost(reason);
            }
            let (look, names) = match seen.take() {
                Some(seen) => seen,
                None => {
                    let look = client.exists(ready.as_str()).watch().in_session(session).send();
                    let list = client.get_children(self.path()).in_session(session).send();
                    (look.await, list.await.map(|list| list.names))
                }
            };
            let (stat, watch) = match (look, &names) {
                (Ok(look), Ok(_)) => look,
                (Err(error), _) => match self.again(error).await? {
                    Some(attempt) => return Ok(attempt),
                    None => continue,
                },
                (_, Err(error)) => match self.again(error.clone()).await? {
                    Some(attempt) => return Ok(attempt),
                    None => continue,
                },
            };
            let names = names.unwrap_or_default();
            let members = names.iter().filter(|name| counts(name)).count();
            let opened = stat.map(|stat| stat.czxid);
            match entering(czxid, opened, members, self.quantity) {
                Entering::In => return Ok(self.inside(held, name, opened, false)),
                Entering::Open => {
                    if let Some(at) = self.open(&ready, session).await? {
                        return Ok(self.inside(held, name, Some(at), false));
                    }
                }
                Entering::Weigh => {
                    let age = opened.unwrap_or(Zxid(0));
                    if goes_on(age, &self.ages(&names).await?) {
                        return self.come_late(held, name, age, runtime).await;
                    }
                    tracing::warn!(
                        path = self.path(),
                        "removing a ready node that an earlier round left behind"
                    );
                    stale::remove(client, self.path(), age).await?;
                }
                Entering::Wait => match wait(watch, &mut lost, until).await {
                    Woken::Opened(at) => return Ok(self.inside(held, name, at, false)),
                    Woken::Look => {}
                    Woken::Lost(reason) => return self.lost(reason),
                    Woken::TimedOut => {
                        // It may have been opened in the last moment, and us counted in.
                        let look = client.exists(ready.as_str()).in_session(session).send().await;
                        if let Some(at) = look.ok().flatten().map(|stat| stat.czxid)
                            && at > czxid
                        {
                            return Ok(self.inside(held, name, Some(at), false));
                        }
                        // If that fails it is seen through in the background.
                        drop(held.release().await);
                        return Ok(Attempt::TimedOut);
                    }
                },
            }
        }
    }

    fn lost(&self, reason: LossReason) -> Result<Attempt, Error> {
        match reason {
            LossReason::NodeDeleted => Err(Error::NodeDeleted { path: self.path().to_owned() }),
            _ => Ok(Attempt::Again),
        }
    }

    pub(super) fn inside(&self, held: Held, name: String, at: Option<Zxid>, late: bool) -> Attempt {
        let round = Opened { at, late };
        Attempt::Entered(BarrierTicket::new(Arc::clone(&self.context), held, name, round))
    }

    fn create(&self, own: &str, session: SessionId) -> zk_client::Pending<zk_client::Created> {
        let create = self.context.client.create(own, self.data.clone()).ephemeral().acl(self.acl.clone());
        create.in_session(session).send()
    }

    /// The age of our node; `None` when everything has to begin anew.
    async fn created(
        &self,
        mut created: Result<zk_client::Created, ClientError>,
        own: &str,
        session: SessionId,
    ) -> Result<Option<Zxid>, Error> {
        let client = &self.context.client;
        loop {
            let error = match created {
                Ok(created) => return Ok(Some(created.stat.czxid)),
                Err(error) => error,
            };
            if error.kind() == ErrorKind::SessionExpired {
                return Ok(None);
            }
            if error.is_no_node() {
                self.make_parent().await?;
                return Ok(None);
            }
            if !error.outcome_unknown() && !error.is_retryable() && !error.is_node_exists() {
                return Err(explain(self.path(), error));
            }
            if !error.outcome_unknown() && error.is_retryable() {
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            // The name is nobody else's: if the node is there it is ours, and if it is not, after a sync, it never
            // will be by that request.
            let sync = client.sync(self.path()).in_session(session).send();
            let look = client.exists(own).in_session(session).send();
            created = match (sync.await, look.await) {
                (Ok(()), Ok(Some(stat))) if stat.ephemeral_owner == session => return Ok(Some(stat.czxid)),
                (Ok(()), Ok(_)) => self.create(own, session).await,
                (Err(error), _) | (_, Err(error)) if passes(&error) => Err(error),
                (Err(error), _) | (_, Err(error)) => return Err(explain(self.path(), error)),
            };
        }
    }

    async fn make_parent(&self) -> Result<(), Error> {
        let (client, path) = (&self.context.client, self.path());
        let create = || client.create(path, Bytes::new()).acl(self.acl.clone());
        let container = || create().container().parents_as_containers().send();
        let made = match self.context.options.parents {
            Parents::Container => match until_answered(container).await {
                Err(error) if error.code() == Some(zk_client::ErrorCode::Unimplemented) => {
                    until_answered(|| create().parents().send()).await
                }
                made => made,
            },
            Parents::Persistent => until_answered(|| create().parents().send()).await,
            Parents::MustExist => until_answered(|| create().send()).await,
        };
        match made {
            Ok(_) => Ok(()),
            Err(error) if error.is_node_exists() => Ok(()),
            Err(error) => Err(explain(path, error)),
        }
    }

    /// Whether to begin anew or, after a pause, to look again.
    async fn again(&self, error: ClientError) -> Result<Option<Attempt>, Error> {
        if error.kind() == ErrorKind::SessionExpired {
            return Ok(Some(Attempt::Again));
        }
        if !passes(&error) {
            return Err(explain(self.path(), error));
        }
        tokio::time::sleep(RETRY_PAUSE).await;
        Ok(None)
    }

    /// Opens the round: when, if it was us, for certain.
    async fn open(&self, ready: &str, session: SessionId) -> Result<Option<Zxid>, Error> {
        let create = self.context.client.create(ready, Bytes::new()).acl(self.acl.clone());
        match create.in_session(session).send().await {
            Ok(created) => Ok(Some(created.stat.czxid)),
            Err(error) if error.is_node_exists() => Ok(None),
            Err(error) if passes(&error) => {
                tokio::time::sleep(RETRY_PAUSE).await;
                Ok(None)
            }
            Err(error) => Err(explain(self.path(), error)),
        }
    }

    async fn ages(&self, names: &[String]) -> Result<Vec<Zxid>, Error> {
        let client = &self.context.client;
        let members = names.iter().filter(|name| counts(name));
        let looks = members.map(|name| {
            let member = path::join(self.path(), name);
            // What is not known of one is no reason to take the round for over.
            until_answered(move || client.exists(member.as_str()).send())
        });
        let ages = try_join_all(looks).await.map_err(|error| explain(self.path(), error))?;
        Ok(ages.into_iter().flatten().map(|stat| stat.czxid).collect())
    }
}

enum Woken {
    /// When, if the server says so.
    Opened(Option<Zxid>),
    Look,
    Lost(LossReason),
    TimedOut,
}

async fn wait(
    watch: Watch,
    lost: &mut (impl Future<Output = LossReason> + Unpin),
    until: Option<Instant>,
) -> Woken {
    let timer = async {
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        reason = lost => Woken::Lost(reason),
        // Made after our node, so after all have come, even if somebody has removed it since.
        event = watch => match event {
            Ok(event) if event.event_type == EventType::NodeCreated => Woken::Opened(event.zxid),
            _ => Woken::Look,
        },
        () = timer => Woken::TimedOut,
    }
}
