//! The options of a read/write lock. Every one has a default that is right for most.

use bytes::Bytes;
use std::sync::Arc;
use zk_client::Client;
use zk_proto::Acl;

use super::handle::RwLock;
use super::rules;
use crate::contender::{Context, Options, Parents, Patience, Prefix, Rule};
use crate::dialect::Dialect;
use crate::identity::host_and_pid;
use crate::loss::LossPolicy;

/// Options of an [`RwLock`]. Made by [`RwLock::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until .build()"]
pub struct RwLockBuilder {
    client: Client,
    path: String,
    data: Bytes,
    acl: Vec<Acl>,
    parents: Parents,
    loss: LossPolicy,
    dialect: Dialect,
}

impl RwLockBuilder {
    pub(super) fn new(client: &Client, path: String) -> Self {
        Self {
            client: client.clone(),
            path,
            data: Bytes::from_static(host_and_pid().as_bytes()),
            acl: Acl::open(),
            parents: Parents::default(),
            loss: LossPolicy::default(),
            dialect: Dialect::default(),
        }
    }

    /// Whose names the nodes of readers and writers carry, and so which other libraries wait for them; Curator's
    /// unless said.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// What the nodes say of their owner, for humans to read; `host:pid` unless said.
    pub fn identifier(self, text: impl Into<String>) -> Self {
        self.data(text.into())
    }

    /// The data of the nodes, as bytes.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }

    /// Who may do what with the nodes, and with parents made for them; everything to everyone unless said.
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

    /// When what is held counts as lost; [`LossPolicy::Standard`] unless said.
    pub fn loss_policy(mut self, policy: LossPolicy) -> Self {
        self.loss = policy;
        self
    }

    /// The lock. Nothing is sent before it is acquired; a path that is not valid is reported then.
    #[must_use]
    pub fn build(self) -> RwLock {
        let side = |rule: Rule, prefixes: Vec<Prefix>| {
            let options = Options {
                parent: self.path.clone(),
                rule,
                prefixes,
                durable: None,
                patience: Patience::Forever,
                parents: self.parents,
                loss: self.loss,
                keeps_place: false,
            };
            Arc::new(Context::new(&self.client, options, self.data.clone(), self.acl.clone()))
        };
        let read = side(rules::reader(), self.dialect.reader());
        let write = side(rules::writer(), self.dialect.writer());
        RwLock::of_sides(read, write)
    }
}
