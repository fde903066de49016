//! The options of a lock. Every one has a default that is right for most.

use bytes::Bytes;
use std::sync::Arc;
use zk_client::Client;
use zk_proto::Acl;

use super::handle::Lock;
use crate::contender::{Context, Options, Parents, Patience, Rule};
use crate::identity::host_and_pid;
use crate::loss::LossPolicy;
use crate::sequence::{MUTEX, curator_lock_prefix};

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
}

impl LockBuilder {
    pub(super) fn new(client: &Client, path: String) -> Self {
        let data = Bytes::from_static(host_and_pid().as_bytes());
        let (parents, loss) = (Parents::default(), LossPolicy::default());
        Self { client: client.clone(), path, data, acl: Acl::open(), parents, loss }
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
        let Self { client, path, data, acl, parents, loss } = self;
        let options = Options {
            parent: path,
            rule: Rule::exclusive(&MUTEX),
            prefix: curator_lock_prefix,
            patience: Patience::Forever,
            parents,
            loss,
        };
        Lock::new_in(Arc::new(Context::new(&client, options, data, acl)))
    }
}
