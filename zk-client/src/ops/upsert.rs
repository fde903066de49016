//! Set, or else create.

use bytes::Bytes;
use zk_proto::{Acl, CreateMode, Stat};

use super::Draft;
use super::create::{Create, NewNode};
use super::draft::{OwnedDraft, operation};
use super::set::Set;
use crate::error::Error;
use crate::limits::UPSERT_ROUNDS_MAX;
use crate::pending::Pending;

/// What an upsert did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upserted {
    /// Whether the node was created; if not, its data was replaced.
    pub created: bool,
    /// Its stat.
    pub stat: Stat,
}

/// Replaces a node's data, or creates the node with it. Made by [`crate::Client::upsert`].
///
/// One request when the node is there. If not, it is created; if somebody else does so first, it is set again, and
/// so on. Mode and ACL are those of a node that is created: one that is there keeps its own.
///
/// A lost answer is an error with [`Error::outcome_unknown`], as of any write: the data may have been written, by
/// setting or by creating. To do it again is safe as far as the last writer may win.
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct Upsert<'a> {
    draft: Draft<'a>,
    node: NewNode,
    parents: bool,
}
operation!(Upsert => Upserted);

impl<'a> Upsert<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String, data: Bytes) -> Self {
        let node = NewNode { path, data, mode: CreateMode::Persistent, ttl: None, acl: Acl::open() };
        Self { draft, node, parents: false }
    }

    /// The mode of a node that is created, persistent unless said. Neither a sequential one nor one with a time to
    /// live.
    pub fn mode(mut self, mode: CreateMode) -> Self {
        self.node.mode = mode;
        self
    }

    /// The ACL of a node that is created; everything to everyone unless said.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.node.acl = acl;
        self
    }

    /// Creates missing parents too, as persistent nodes with the same ACL.
    pub fn parents(mut self) -> Self {
        self.parents = true;
        self
    }

    fn start(self) -> Pending<Upserted> {
        let Self { draft, node, parents } = self;
        if node.mode.is_sequential() {
            return Pending::failed(draft.invalid(&node.path, "a sequential node cannot be there already"));
        }
        if let Err(error) = node.request(&draft) {
            return Pending::failed(error);
        }
        let first = Set::new(draft.clone(), node.path.clone(), node.data.clone()).send();
        let owned = draft.owned();
        Pending::steps(async move {
            let mut set = first;
            let mut rounds = 0;
            loop {
                match set.await {
                    Ok(stat) => return Ok(Upserted { created: false, stat }),
                    Err(error) if error.is_no_node() => {}
                    Err(error) => return Err(error),
                }
                let created = create(&owned, &node, parents).await;
                rounds += 1;
                match created {
                    Ok(stat) => return Ok(Upserted { created: true, stat }),
                    Err(error) if error.is_node_exists() && rounds < UPSERT_ROUNDS_MAX => {}
                    Err(error) => return Err(error),
                }
                set = Set::new(owned.draft(), node.path.clone(), node.data.clone()).send();
            }
        })
    }
}

async fn create(owned: &OwnedDraft, node: &NewNode, parents: bool) -> Result<Stat, Error> {
    let create = Create::new(owned.draft(), node.path.clone(), node.data.clone());
    let create = create.mode(node.mode).acl(node.acl.clone());
    let create = if parents { create.parents() } else { create };
    let pending = create.send();
    pending.await.map(|created| created.stat)
}
