//! `create2`, `createContainer`, `createTTL`: creates a node, with its parents if asked to.

use bytes::Bytes;
use std::time::Duration;
use zk_proto::ops::create::{Create2Response, CreateRequest, CreateTtlRequest};
use zk_proto::{Acl, CreateMode, Stat};

use super::draft::operation;
use super::{Draft, parents, protected};
use crate::core::Request;
use crate::error::Error;
use crate::pending::{Answered, Pending};

/// The longest time to live ZooKeeper can store, in milliseconds.
const TTL_MS_MAX: u128 = (1 << 40) - 1;

/// A node that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Created {
    /// Its path, with its sequence number if it has one.
    pub path: String,
    /// Its stat. `stat.czxid` is a fencing token.
    pub stat: Stat,
}

/// A node to be created.
#[derive(Debug, Clone)]
pub(super) struct NewNode {
    pub(super) path: String,
    pub(super) data: Bytes,
    pub(super) mode: CreateMode,
    pub(super) ttl: Option<Duration>,
    pub(super) acl: Vec<Acl>,
}

/// Creates a node. Made by [`crate::Client::create`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct Create<'a> {
    draft: Draft<'a>,
    node: NewNode,
    /// What a missing parent is created as; `None` when it must exist.
    parents: Option<CreateMode>,
    protected: bool,
}
operation!(Create => Created);

impl<'a> Create<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String, data: Bytes) -> Self {
        let node = NewNode { path, data, mode: CreateMode::Persistent, ttl: None, acl: Acl::open() };
        Self { draft, node, parents: None, protected: false }
    }

    /// Any mode. One with a time to live needs [`Create::ttl`].
    pub fn mode(mut self, mode: CreateMode) -> Self {
        self.node.mode = mode;
        self
    }

    /// Stays until deleted: the default. Keeps a `sequential()` that was said before.
    pub fn persistent(self) -> Self {
        let sequential = self.node.mode.is_sequential();
        self.mode(if sequential { CreateMode::PersistentSequential } else { CreateMode::Persistent })
    }

    /// Deleted by the server when the session ends.
    pub fn ephemeral(self) -> Self {
        let sequential = self.node.mode.is_sequential();
        self.mode(if sequential { CreateMode::EphemeralSequential } else { CreateMode::Ephemeral })
    }

    /// The server appends the parent's counter, ten digits, to the name.
    pub fn sequential(self) -> Self {
        let mode = match self.node.mode {
            CreateMode::Ephemeral => CreateMode::EphemeralSequential,
            CreateMode::Persistent => CreateMode::PersistentSequential,
            CreateMode::PersistentTtl => CreateMode::PersistentSequentialTtl,
            other => other,
        };
        self.mode(mode)
    }

    /// Removed by the server some time after its last child is gone (since ZooKeeper 3.5).
    pub fn container(self) -> Self {
        self.mode(CreateMode::Container)
    }

    /// Persistent, but removed by the server when it had no children and no change for this long, in whole
    /// milliseconds. Servers must have `extendedTypesEnabled`, and answer `Unimplemented` if not.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.node.ttl = Some(ttl);
        let sequential = self.node.mode.is_sequential();
        self.mode(if sequential { CreateMode::PersistentSequentialTtl } else { CreateMode::PersistentTtl })
    }

    /// Who may do what; everything to everyone unless said.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.node.acl = acl;
        self
    }

    /// Creates missing parents as persistent nodes with the same ACL, then tries again.
    pub fn parents(mut self) -> Self {
        self.parents = Some(CreateMode::Persistent);
        self
    }

    /// Creates missing parents as container nodes with the same ACL, then tries again.
    pub fn parents_as_containers(mut self) -> Self {
        self.parents = Some(CreateMode::Container);
        self
    }

    /// Makes the node findable when the answer is lost, so that it is created once and no more however often the
    /// connection goes: Curator's protection, in Curator's layout. The name becomes `_c_<uuid>-<name>`, with a
    /// UUID of this operation; [`Created::path`] tells it.
    ///
    /// After a lost answer the parent is listed, behind a `sync`: the node is there and is taken for the outcome,
    /// or it is not and never will be, and is created again. That goes on through lost connections (at most
    /// [`LOST_REPLIES_MAX`](crate::limits::LOST_REPLIES_MAX) lost answers) and, unless [`Create::in_session`] was
    /// said, through the end of the session: what was ephemeral then went with the old session and is made in the
    /// new one.
    ///
    /// `Ok` means that exactly one node was created and was there when it was last seen. An error means that none
    /// was, except when [`Error::outcome_unknown`] is true: then the node of [`Error::path`] (with a number behind
    /// it, if sequential) may exist. That remains when the client is closed, a pinned session ends, or the parent
    /// may not be listed, in the midst of it; an ephemeral node whose session has ended does not count, for it is
    /// gone. A node that was created, and deleted by somebody before it was found again, is `NoNode`.
    ///
    /// # Cancellation
    /// Dropped after it was sent, the node may be created, and stays. Who cannot live with that deletes what
    /// begins with the UUID, or uses a recipe of `zk-recipes`, which do.
    pub fn protected(mut self) -> Self {
        self.protected = true;
        self
    }

    fn start(self) -> Pending<Created> {
        let Self { draft, node, parents, protected } = self;
        if protected {
            return protected::create(&draft, node, parents);
        }
        // The first attempt takes the place in line; only when it finds no parent is there more to do.
        let first = node.attempt(&draft);
        let Some(mode) = parents else { return first };
        let owned = draft.owned();
        Pending::steps(async move {
            let mut outcome = first.await;
            while matches!(&outcome, Err(error) if error.is_no_node()) {
                if !parents::create(&owned, &node.path, mode, &node.acl).await? {
                    break;
                }
                let again = node.attempt(&owned.draft());
                outcome = again.await;
            }
            outcome
        })
    }
}

impl NewNode {
    pub(super) fn attempt(&self, draft: &Draft<'_>) -> Pending<Created> {
        draft.send(self.request(draft), decode)
    }

    pub(super) fn request(&self, draft: &Draft<'_>) -> Result<Request, Error> {
        let mode = self.mode;
        draft.acl(&self.path, &self.acl)?;
        let path = if mode.is_sequential() {
            draft.sequential_path(self.path.clone())?
        } else {
            draft.path(self.path.clone())?
        };
        let (data, acl, flags) = (Some(self.data.clone()), self.acl.clone(), mode.flags());
        Ok(match (mode, self.ttl) {
            (mode, Some(ttl)) if mode.has_ttl() => {
                let ttl_ms =
                    ttl_ms(ttl).ok_or_else(|| draft.invalid(&self.path, "time to live out of range"))?;
                Request::CreateTtl(CreateTtlRequest { path, data, acl, flags, ttl_ms })
            }
            (_, Some(_)) => return Err(draft.invalid(&self.path, "this mode has no time to live")),
            (mode, None) if mode.has_ttl() => {
                return Err(draft.invalid(&self.path, "this mode needs a time to live"));
            }
            (CreateMode::Container, None) => {
                Request::CreateContainer(CreateRequest { path, data, acl, flags })
            }
            (_, None) => Request::Create2(CreateRequest { path, data, acl, flags }),
        })
    }
}

/// A time to live as ZooKeeper stores it, if it can.
fn ttl_ms(ttl: Duration) -> Option<i64> {
    i64::try_from(ttl.as_millis()).ok().filter(|_| (1..=TTL_MS_MAX).contains(&ttl.as_millis()))
}

fn decode(answered: Answered<'_>) -> Result<Created, Error> {
    let (reply, rest): (Create2Response, _) = answered.read()?;
    Ok(Created { path: rest.chroot.strip(reply.path), stat: reply.stat })
}
