//! The options of a latch. Every one has a default that is right for most.

use bytes::Bytes;
use std::sync::Arc;
use zk_client::Client;
use zk_proto::Acl;

use super::latch::LeaderLatch;
use crate::contender::{Context, Options, Parents, Patience, Rule};
use crate::identity::host_and_pid;
use crate::loss::LossPolicy;
use crate::sequence::{CURATOR_LATCH, curator_latch_prefix};

/// Options of a [`LeaderLatch`]. Made by [`LeaderLatch::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until .build()"]
pub struct LeaderLatchBuilder {
    client: Client,
    path: String,
    data: Bytes,
    acl: Vec<Acl>,
    parents: Parents,
    loss: LossPolicy,
}

impl LeaderLatchBuilder {
    pub(super) fn new(client: &Client, path: String) -> Self {
        Self {
            client: client.clone(),
            path,
            data: Bytes::from_static(host_and_pid().as_bytes()),
            acl: Acl::open(),
            parents: Parents::default(),
            loss: LossPolicy::default(),
        }
    }

    /// What [`LeaderLatch::leader`] and [`LeaderLatch::participants`] tell others of this candidate: the id of
    /// Curator's latch. `host:pid` unless said.
    pub fn identifier(self, text: impl Into<String>) -> Self {
        self.data(text.into())
    }

    /// The identifier, as bytes.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }

    /// Who may do what with the latch's node, and with parents made for it; everything to everyone unless said.
    /// Candidates must be able to read each other's nodes.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = acl;
        self
    }

    /// What the latch's path is created as when it is missing; container nodes unless said, as Curator does.
    pub fn parents(mut self, parents: Parents) -> Self {
        self.parents = parents;
        self
    }

    /// When leadership counts as lost; [`LossPolicy::Standard`] unless said. Curator calls it
    /// `ConnectionStateErrorPolicy`.
    pub fn loss_policy(mut self, policy: LossPolicy) -> Self {
        self.loss = policy;
        self
    }

    /// The latch. Nothing is sent before it is started; a path that is not valid is reported by what waits for
    /// leadership.
    #[must_use]
    pub fn build(self) -> LeaderLatch {
        let Self { client, path, data, acl, parents, loss } = self;
        let options = Options {
            parent: path,
            rule: Rule::exclusive(&[CURATOR_LATCH]),
            prefixes: vec![curator_latch_prefix],
            durable: None,
            patience: Patience::Forever,
            parents,
            loss,
            keeps_place: true,
        };
        LeaderLatch::new_in(Arc::new(Context::new(&client, options, data, acl)))
    }
}
