//! `mkdir -p`: a path that exists afterwards.

use zk_proto::{Acl, CreateMode, ErrorCode};

use super::draft::operation;
use super::exists::Exists;
use super::{Draft, parents};
use crate::pending::Pending;

/// Makes sure that a node and all above it exist, the chroot included. Made by [`crate::Client::ensure_path`].
///
/// One read when the node is there. If not, it is created, and what is missing above it: persistent nodes without
/// data. Whatever others create meanwhile is as good, and what is lost with the connection is sent again. `Ok` means
/// that the node was there at one moment after the call.
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct EnsurePath<'a> {
    draft: Draft<'a>,
    path: String,
    mode: CreateMode,
    acl: Vec<Acl>,
}
operation!(EnsurePath => ());

impl<'a> EnsurePath<'a> {
    /// `draft` is an absolute one: the chroot may be missing too.
    pub(crate) fn new(draft: Draft<'a>, path: String) -> Self {
        Self { draft, path, mode: CreateMode::Persistent, acl: Acl::open() }
    }

    /// What is missing is created as container nodes, which the server removes some time after their last child
    /// is gone.
    pub fn as_containers(mut self) -> Self {
        self.mode = CreateMode::Container;
        self
    }

    /// The ACL of what is created; everything to everyone unless said.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.acl = acl;
        self
    }

    fn start(self) -> Pending<()> {
        let Self { draft, path, mode, acl } = self;
        let checked = draft.acl(&path, &acl).and_then(|()| draft.chrooted(path));
        let full = match checked {
            Ok(full) => full,
            Err(error) => return Pending::failed(error),
        };
        let owned = draft.owned();
        let first = Exists::new(owned.draft(), full.clone()).send();
        Pending::steps(async move {
            let outcome = match first.await {
                Ok(Some(_)) => Ok(()),
                // It is there, and not ours to read.
                Err(error) if error.code() == Some(ErrorCode::NoAuth) => Ok(()),
                Ok(None) => parents::ensure(&owned, &full, mode, &acl).await,
                Err(error) => Err(error),
            };
            outcome.map_err(|error| error.map_path(|path| owned.strip(path)))
        })
    }
}
