//! `getEphemerals`: the session's own ephemeral nodes.

use zk_proto::ops::introspect::{GetEphemeralsRequest, GetEphemeralsResponse};

use super::Draft;
use super::draft::read_operation;
use crate::core::Request;
use crate::pending::Pending;

/// Lists the ephemeral nodes of the client's session (since ZooKeeper 3.6). Made by
/// [`crate::Client::get_ephemerals`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct GetEphemerals<'a> {
    draft: Draft<'a>,
    prefix: String,
}
read_operation!(GetEphemerals => Vec<String>);

impl<'a> GetEphemerals<'a> {
    pub(crate) fn new(draft: Draft<'a>, prefix: String) -> Self {
        Self { draft, prefix }
    }

    fn start(self) -> Pending<Vec<String>> {
        // A prefix of paths, not a path: `/a-` and `/a/` are fine ones, and the chroot's is the chroot and a slash.
        let request = self
            .draft
            .sequential_path(self.prefix)
            .map(|prefix_path| Request::GetEphemerals(GetEphemeralsRequest { prefix_path }));
        self.draft.send(request, |answered| {
            let (reply, rest): (GetEphemeralsResponse, _) = answered.read()?;
            Ok(reply.ephemerals.into_iter().map(|path| rest.chroot.strip(path)).collect())
        })
    }
}
