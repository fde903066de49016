//! `getACL` and `setACL`.

use zk_proto::ops::acl::{GetAclRequest, GetAclResponse, SetAclRequest};
use zk_proto::ops::data::StatResponse;
use zk_proto::{Acl, Stat};

use super::Draft;
use super::draft::{operation, read_operation};
use crate::core::Request;
use crate::pending::Pending;

/// Reads a node's ACL. Made by [`crate::Client::get_acl`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct GetAcl<'a> {
    draft: Draft<'a>,
    path: String,
}
read_operation!(GetAcl => (Vec<Acl>, Stat));

impl<'a> GetAcl<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String) -> Self {
        Self { draft, path }
    }

    fn start(self) -> Pending<(Vec<Acl>, Stat)> {
        let request = self.draft.path(self.path).map(|path| Request::GetAcl(GetAclRequest { path }));
        self.draft.send(request, |answered| {
            let (reply, _): (GetAclResponse, _) = answered.read()?;
            Ok((reply.acl, reply.stat))
        })
    }
}

/// Replaces a node's ACL. Made by [`crate::Client::set_acl`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct SetAcl<'a> {
    draft: Draft<'a>,
    path: String,
    acl: Vec<Acl>,
    version: i32,
}
operation!(SetAcl => Stat);

impl<'a> SetAcl<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String, acl: Vec<Acl>) -> Self {
        Self { draft, path, acl, version: -1 }
    }

    /// Only if the node's ACL has this version ([`Stat::aversion`]); -1, the default, is any.
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    fn start(self) -> Pending<Stat> {
        let Self { draft, path, acl, version } = self;
        let request = draft
            .acl(&path, &acl)
            .and_then(|()| draft.path(path))
            .map(|path| Request::SetAcl(SetAclRequest { path, acl, version }));
        draft.send(request, |answered| {
            let (reply, _): (StatResponse, _) = answered.read()?;
            Ok(reply.stat)
        })
    }
}
