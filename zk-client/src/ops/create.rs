//! `create2`, `createContainer`, `createTTL`: creates a node, with its parents if asked to.

use bytes::Bytes;
use std::time::Duration;
use zk_proto::ops::create::{Create2Response, CreateRequest, CreateTtlRequest};
use zk_proto::{Acl, CreateMode, SessionId, Stat};

use super::Draft;
use super::draft::operation;
use crate::client::Client;
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

/// What a missing parent is created as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parents {
    MustExist,
    As(CreateMode),
}

/// Creates a node. Made by [`crate::Client::create`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct Create<'a> {
    draft: Draft<'a>,
    path: String,
    data: Bytes,
    mode: CreateMode,
    ttl: Option<Duration>,
    acl: Vec<Acl>,
    parents: Parents,
}
operation!(Create => Created);

impl<'a> Create<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String, data: Bytes) -> Self {
        let acl = Acl::open();
        Self { draft, path, data, mode: CreateMode::Persistent, ttl: None, acl, parents: Parents::MustExist }
    }

    /// Any mode. One with a time to live needs [`Create::ttl`].
    pub fn mode(mut self, mode: CreateMode) -> Self {
        self.mode = mode;
        self
    }

    /// Stays until deleted: the default. Keeps a `sequential()` that was said before.
    pub fn persistent(self) -> Self {
        let sequential = self.mode.is_sequential();
        self.mode(if sequential { CreateMode::PersistentSequential } else { CreateMode::Persistent })
    }

    /// Deleted by the server when the session ends.
    pub fn ephemeral(self) -> Self {
        let sequential = self.mode.is_sequential();
        self.mode(if sequential { CreateMode::EphemeralSequential } else { CreateMode::Ephemeral })
    }

    /// The server appends the parent's counter, ten digits, to the name.
    pub fn sequential(self) -> Self {
        let mode = match self.mode {
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
        self.ttl = Some(ttl);
        let sequential = self.mode.is_sequential();
        self.mode(if sequential { CreateMode::PersistentSequentialTtl } else { CreateMode::PersistentTtl })
    }

    /// Who may do what; everything to everyone unless said.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = acl;
        self
    }

    /// Creates missing parents as persistent nodes with the same ACL, then tries again.
    pub fn parents(mut self) -> Self {
        self.parents = Parents::As(CreateMode::Persistent);
        self
    }

    /// Creates missing parents as container nodes with the same ACL, then tries again.
    pub fn parents_as_containers(mut self) -> Self {
        self.parents = Parents::As(CreateMode::Container);
        self
    }

    fn start(self) -> Pending<Created> {
        let Parents::As(mode) = self.parents else {
            return self.attempt();
        };
        // The first attempt takes the place in line; only when it finds no parent is there more to do.
        let client = self.draft.client.clone();
        let first = self.attempt();
        let (session, path, data) = (self.draft.session, self.path, self.data);
        let (node_mode, ttl, acl) = (self.mode, self.ttl, self.acl);
        Pending::steps(async move {
            let mut outcome = first.await;
            while matches!(&outcome, Err(error) if error.is_no_node()) {
                create_parents(&client, &path, mode, &acl, session).await?;
                let mut draft = Draft::new(&client, "create");
                draft.session = session;
                let parents = Parents::MustExist;
                let again = Create {
                    draft,
                    path: path.clone(),
                    data: data.clone(),
                    mode: node_mode,
                    ttl,
                    acl: acl.clone(),
                    parents,
                };
                outcome = again.attempt().await;
            }
            outcome
        })
    }

    fn attempt(&self) -> Pending<Created> {
        self.draft.send(self.request(), decode)
    }

    fn request(&self) -> Result<Request, Error> {
        let Self { draft, mode, .. } = self;
        draft.acl(&self.path, &self.acl)?;
        let path = if mode.is_sequential() {
            draft.sequential_path(self.path.clone())?
        } else {
            draft.path(self.path.clone())?
        };
        let (data, acl, flags) = (Some(self.data.clone()), self.acl.clone(), mode.flags());
        Ok(match (mode, self.ttl) {
            (mode, Some(ttl)) if mode.has_ttl() => {
                let ttl_ms = i64::try_from(ttl.as_millis())
                    .ok()
                    .filter(|_| (1..=TTL_MS_MAX).contains(&ttl.as_millis()))
                    .ok_or_else(|| draft.invalid(&self.path, "time to live out of range"))?;
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

/// Creates the missing ancestors of `path`, topmost first. One that another client creates meanwhile is as good.
async fn create_parents(
    client: &Client,
    path: &str,
    mode: CreateMode,
    acl: &[Acl],
    session: Option<SessionId>,
) -> Result<(), Error> {
    let mut missing: Vec<String> =
        zk_proto::path::ancestors(path).filter(|p| *p != "/").map(str::to_owned).collect();
    // Usually only the last one or two are missing: look upwards first, then create downwards.
    let mut next = 0;
    while next < missing.len() {
        let mut draft = Draft::new(client, "create");
        draft.session = session;
        match Create::new(draft, missing[next].clone(), Bytes::new()).mode(mode).acl(acl.to_vec()).await {
            Ok(_) => {}
            Err(error) if error.is_node_exists() => {}
            Err(error) if error.is_no_node() && next + 1 < missing.len() => {
                next += 1;
                continue;
            }
            Err(error) => return Err(error),
        }
        if next == 0 {
            return Ok(());
        }
        missing.truncate(next);
        next -= 1;
    }
    Ok(())
}

fn decode(answered: Answered<'_>) -> Result<Created, Error> {
    let (reply, rest): (Create2Response, _) = answered.read()?;
    Ok(Created { path: rest.chroot.strip(reply.path), stat: reply.stat })
}
