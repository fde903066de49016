//! The options of a semaphore. Every one has a default that is right for most.

use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use zk_client::Client;
use zk_proto::Acl;

use super::flight::Outfit;
use super::handle::Semaphore;
use super::layout::Layout;
use super::shell::Setup;
use super::size::SizeSource;
use crate::contender::{Context, Options, Parents, Patience, Rule};
use crate::identity::host_and_pid;
use crate::loss::LossPolicy;
use crate::sequence::{CURATOR_LEASE, curator_lease_prefix};

/// Options of a [`Semaphore`]. Made by [`Semaphore::builder`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until .build()"]
pub struct SemaphoreBuilder {
    client: Client,
    path: String,
    permits: u32,
    counted: Option<String>,
    layout: Layout,
    data: Bytes,
    acl: Vec<Acl>,
    parents: Parents,
    loss: LossPolicy,
}

impl SemaphoreBuilder {
    pub(super) fn new(client: &Client, path: String) -> Self {
        Self {
            client: client.clone(),
            path,
            permits: 1,
            counted: None,
            layout: Layout::default(),
            data: Bytes::from_static(host_and_pid().as_bytes()),
            acl: Acl::open(),
            parents: Parents::default(),
            loss: LossPolicy::default(),
        }
    }

    /// How many permits there are; 1 unless said. In Curator's layout the number is nowhere but in its users: each
    /// goes by its own, so give all of them the same.
    pub const fn permits(mut self, permits: u32) -> Self {
        self.permits = permits;
        self
    }

    /// Takes the number of permits from a shared count at this path, as Curator's `SharedCountReader` does: four
    /// bytes, big endian. It is read at every decision, and whoever waits for room watches it. When it grows, the
    /// head of the line hears of it; when it shrinks, permits that are out stay out until they are returned. It must
    /// be there. Outranks [`SemaphoreBuilder::permits`].
    pub fn permits_from(mut self, path: impl Into<String>) -> Self {
        self.counted = Some(path.into());
        self
    }

    /// Whose nodes it is made of; Curator's unless said.
    pub const fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// What our nodes say of their owner, for humans to read; `host:pid` unless said.
    pub fn identifier(self, text: impl Into<String>) -> Self {
        self.data(text.into())
    }

    /// The data of our nodes, as bytes.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }

    /// Who may do what with our nodes, and with parents made for them; everything to everyone unless said. All who
    /// share the semaphore must be able to read each other's nodes.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = acl;
        self
    }

    /// What missing parents are created as; container nodes unless said, as Curator does. Always persistent in
    /// Kazoo's layout, whose node says how many permits there are.
    pub const fn parents(mut self, parents: Parents) -> Self {
        self.parents = parents;
        self
    }

    /// When a permit counts as lost; [`LossPolicy::Standard`] unless said.
    pub const fn loss_policy(mut self, policy: LossPolicy) -> Self {
        self.loss = policy;
        self
    }

    /// The semaphore. Nothing is sent before it is acquired; a path that is not valid is reported then.
    #[must_use]
    pub fn build(self) -> Semaphore {
        let Self { client, path, permits, counted, layout, data, acl, parents, loss } = self;
        let size = match (counted, layout) {
            (Some(path), _) => SizeSource::Counted(path),
            (None, Layout::Curator) => SizeSource::Fixed(permits),
            (None, Layout::Kazoo) => SizeSource::Agreed { path: layout.leases(&path), size: permits },
        };
        // What permits are held by: nobody stands in line with these.
        let options = Options {
            parent: layout.leases(&path),
            rule: Rule::exclusive(&[CURATOR_LEASE]),
            prefixes: vec![curator_lease_prefix],
            durable: None,
            patience: Patience::Forever,
            parents,
            loss,
            keeps_place: false,
        };
        let context = Arc::new(Context::new(&client, options, data.clone(), acl.clone()));
        let outfit = Outfit { layout, size, data, acl };
        Semaphore::new_in(Setup { path, context, outfit, parents, waited: AtomicBool::new(false) })
    }
}
