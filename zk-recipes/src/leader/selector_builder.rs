//! The options of a selector: those of an election, and how it goes on after a term.

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use zk_client::Client;
use zk_proto::Acl;

use super::election::ElectionBuilder;
use super::selector::{LeaderSelector, LeaderSelectorListener};
use crate::contender::Parents;
use crate::dialect::Dialect;
use crate::loss::LossPolicy;

/// Options of a [`LeaderSelector`]. Made by [`LeaderSelector::builder`].
#[must_use = "a builder does nothing until .build()"]
pub struct LeaderSelectorBuilder {
    place: ElectionBuilder,
    listener: Arc<dyn LeaderSelectorListener>,
    grace: Duration,
    auto_requeue: bool,
}

impl LeaderSelectorBuilder {
    pub(super) fn new(client: &Client, path: String, listener: Arc<dyn LeaderSelectorListener>) -> Self {
        let place = ElectionBuilder::new(client, path);
        Self { place, listener, grace: Duration::ZERO, auto_requeue: false }
    }

    /// Whether it stands in line again whenever a term is over; not unless said. Without it a selector leads once for
    /// each [`requeue`](super::RunningSelector::requeue).
    pub fn auto_requeue(mut self, auto: bool) -> Self {
        self.auto_requeue = auto;
        self
    }

    /// How long the listener may go on after it was [interrupted](super::Leadership::interrupted); not at all unless
    /// said. After a loss somebody else may lead by then, so what it still does must be fenced; after
    /// [`interrupt_leadership`](super::RunningSelector::interrupt_leadership) and when closing, leadership is kept
    /// until the listener has stopped.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// What [`participants`](super::RunningSelector::participants) tells others of this one; `host:pid` unless said. Curator's `setId`.
    pub fn identifier(self, text: impl Into<String>) -> Self {
        self.data(text.into())
    }

    /// The identifier, as bytes.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.place = self.place.data(data);
        self
    }

    /// Who may do what with our node, and with parents made for it; everything to everyone unless said.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.place = self.place.acl(acl);
        self
    }

    /// What the path is created as when it is missing; container nodes unless said.
    pub fn parents(mut self, parents: Parents) -> Self {
        self.place = self.place.parents(parents);
        self
    }

    /// When leadership counts as lost; [`LossPolicy::Standard`] unless said.
    pub fn loss_policy(mut self, policy: LossPolicy) -> Self {
        self.place = self.place.loss_policy(policy);
        self
    }

    /// Whose names our nodes carry; Curator's unless said.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.place = self.place.dialect(dialect);
        self
    }

    /// The selector. Nothing is sent before it is started.
    #[must_use]
    pub fn build(self) -> LeaderSelector {
        let Self { place, listener, grace, auto_requeue } = self;
        LeaderSelector::new_in(Arc::new(place.into_context()), listener, grace, auto_requeue)
    }
}
