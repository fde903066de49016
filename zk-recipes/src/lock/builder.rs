//! The options of a lock. Every one has a default that is right for most.

use bytes::Bytes;
use zk_client::Client;
use zk_proto::Acl;

use super::handle::Lock;
use crate::contender::{Context, Durable, Options, Parents, Patience, Rule};
use crate::dialect::Dialect;
use crate::identity::{Uuid, host_and_pid};
use crate::loss::LossPolicy;
use crate::sequence::MUTEX;

/// Options of a [`Lock`]. Made by [`Lock::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until .build()"]
pub struct LockBuilder {
    client: Client,
    path: String,
    data: Bytes,
    acl: Vec<Acl>,
    parents: Parents,
    loss: LossPolicy,
    dialect: Dialect,
    durable: Option<Durable>,
    reentrant: bool,
}

impl LockBuilder {
    pub(super) fn new(client: &Client, path: String) -> Self {
        let data = Bytes::from_static(host_and_pid().as_bytes());
        Self {
            client: client.clone(),
            path,
            data,
            acl: Acl::open(),
            parents: Parents::default(),
            loss: LossPolicy::default(),
            dialect: Dialect::default(),
            durable: None,
            reentrant: false,
        }
    }

    /// Whose names the lock's nodes carry, and so which other libraries wait for it; Curator's unless said.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Makes the lock durable: its node is persistent, belongs to `owner`, and outlives sessions, disconnects and
    /// processes. It is lost only when somebody deletes the node, or the owner itself takes it over.
    ///
    /// Acquiring in another life of the owner finds the node again, wherever in line it stands, and takes it over:
    /// a guard of the earlier life that is still about loses it ([`LossReason::TakenOver`](crate::LossReason)),
    /// its fenced transactions are refused, and the new guard's token is greater. Two processes must not call
    /// themselves by one owner, unless the later is to replace the earlier.
    ///
    /// A durable guard that is dropped keeps the lock: it is given up by
    /// [`LockGuard::release`](crate::LockGuard::release), or by an operator with [`Lock::break_lock`]. Who is
    /// killed while waiting stays in line, until the owner comes back or an operator
    /// [evicts](Lock::evict) it; so does who gives up at the very moment at which a connection is lost with the answer
    /// to its claim. Whoever writes to the node takes the lock away, so a durable holder cannot be
    /// [revoked](Lock::revoke). A life that was replaced while it waited gets [`Error::Lost`](crate::Error::Lost).
    pub fn durable(mut self, owner: impl Into<String>) -> Self {
        let owner = owner.into();
        self.durable = Some(Durable { owner: Uuid::of_name(&owner), release_on_drop: false });
        self.data(owner)
    }

    /// Whether dropping the guard of a durable lock releases it; not unless said. Without effect on others, which
    /// are always released.
    pub fn release_on_drop(mut self, release: bool) -> Self {
        if let Some(durable) = &mut self.durable {
            durable.release_on_drop = release;
        }
        self
    }

    /// Whether acquiring again through the same handle, or a clone of it, enters the holding that is there, as
    /// [`LockGuard::reenter`](crate::LockGuard::reenter) does; not unless said. Everybody who has the handle is
    /// then one owner, whatever task they are in: those who must exclude each other need locks built apart.
    pub fn reentrant(mut self, reentrant: bool) -> Self {
        self.reentrant = reentrant;
        self
    }

    /// What the lock's node says of its holder, for humans to read; `host:pid` unless said. Curator writes an
    /// address, Kazoo an identifier.
    pub fn identifier(self, text: impl Into<String>) -> Self {
        self.data(text.into())
    }

    /// The data of the lock's node, as bytes.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }

    /// Who may do what with the lock's node, and with parents made for it; everything to everyone unless said.
    /// Contenders must be able to read each other's nodes.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = acl;
        self
    }

    /// What the lock's path is created as when it is missing; container nodes unless said, as Curator does.
    pub fn parents(mut self, parents: Parents) -> Self {
        self.parents = parents;
        self
    }

    /// When the lock counts as lost; [`LossPolicy::Standard`] unless said.
    pub fn loss_policy(mut self, policy: LossPolicy) -> Self {
        self.loss = policy;
        self
    }

    /// The lock. Nothing is sent before it is acquired; a path that is not valid is reported then.
    #[must_use]
    pub fn build(self) -> Lock {
        let Self { client, path, data, acl, parents, loss, dialect, durable, reentrant } = self;
        let options = Options {
            parent: path,
            rule: Rule::exclusive(&MUTEX),
            prefixes: dialect.mutex(),
            durable,
            patience: Patience::Forever,
            parents,
            loss,
            keeps_place: false,
        };
        Lock::new_in(Context::new(&client, options, data, acl), reentrant)
    }
}
