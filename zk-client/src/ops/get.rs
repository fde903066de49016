//! `getData`: a node's data and stat.

use zk_proto::ops::data::{GetDataRequest, GetDataResponse};

use super::data::detach;
use super::draft::read_operation;
use super::{Draft, Node, Watched};
use crate::core::Request;
use crate::error::Error;
use crate::pending::{Answered, Pending};
use crate::watch::Watch;

/// Reads a node. Made by [`crate::Client::get`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct Get<'a> {
    draft: Draft<'a>,
    path: String,
}
read_operation!(Get => Node);

impl<'a> Get<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String) -> Self {
        Self { draft, path }
    }

    /// Leaves a watch, which fires when the node's data changes or the node is deleted. A node that does not
    /// exist is an error and leaves no watch; [`crate::Client::exists`] does.
    pub fn watch(self) -> Watched<Self> {
        Watched(self)
    }

    fn start(self) -> Pending<Node> {
        let (draft, request) = self.request(false);
        draft.send(request, |answered| decode(answered).map(|(node, _)| node))
    }

    pub(super) fn start_watched(self) -> Pending<(Node, Watch)> {
        let (draft, request) = self.request(true);
        draft.send(request, |answered| {
            let operation = answered.operation();
            let (node, rest) = decode(answered)?;
            Ok((node, rest.watch(operation)?))
        })
    }

    fn request(self, watch: bool) -> (Draft<'a>, Result<Request, Error>) {
        let request = self.draft.path(self.path).map(|path| Request::GetData(GetDataRequest { path, watch }));
        (self.draft, request)
    }
}

fn decode(answered: Answered<'_>) -> Result<(Node, crate::pending::Rest), Error> {
    let (reply, rest): (GetDataResponse, _) = answered.read()?;
    Ok((Node { data: detach(reply.data), stat: reply.stat }, rest))
}
