//! `getAllChildrenNumber`: how many nodes there are below one.

use zk_proto::ops::introspect::{GetAllChildrenNumberRequest, GetAllChildrenNumberResponse};

use super::Draft;
use super::draft::read_operation;
use crate::core::Request;
use crate::pending::Pending;

/// Counts all nodes below one, at any depth (since ZooKeeper 3.6). Made by
/// [`crate::Client::get_all_children_number`].
///
/// Needs READ on the node itself; nodes below it are counted whatever their ACLs say. The server walks its whole
/// tree for the answer.
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct GetAllChildrenNumber<'a> {
    draft: Draft<'a>,
    path: String,
}
read_operation!(GetAllChildrenNumber => usize);

impl<'a> GetAllChildrenNumber<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String) -> Self {
        Self { draft, path }
    }

    fn start(self) -> Pending<usize> {
        let request = self
            .draft
            .path(self.path)
            .map(|path| Request::GetAllChildrenNumber(GetAllChildrenNumberRequest { path }));
        self.draft.send(request, |answered| {
            let operation = answered.operation();
            let (reply, rest): (GetAllChildrenNumberResponse, _) = answered.read()?;
            usize::try_from(reply.total).map_err(|why| rest.bad_reply(operation, why))
        })
    }
}
