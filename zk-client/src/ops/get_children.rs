//! `getChildren2`: a node's children and stat.

use zk_proto::ops::data::{GetChildren2Response, GetChildrenRequest};

use super::draft::operation;
use super::{Children, Draft, Watched};
use crate::core::Request;
use crate::error::Error;
use crate::pending::{Answered, Pending};
use crate::watch::Watch;

/// Lists a node's children. Made by [`crate::Client::get_children`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct GetChildren<'a> {
    draft: Draft<'a>,
    path: String,
}
operation!(GetChildren => Children);

impl<'a> GetChildren<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String) -> Self {
        Self { draft, path }
    }

    /// Leaves a watch, which fires when a child is created or deleted, or the node itself is deleted.
    pub fn watch(self) -> Watched<Self> {
        Watched(self)
    }

    fn start(self) -> Pending<Children> {
        let (draft, request) = self.request(false);
        draft.send(request, |answered| decode(answered).map(|(children, _)| children))
    }

    pub(super) fn start_watched(self) -> Pending<(Children, Watch)> {
        let (draft, request) = self.request(true);
        draft.send(request, |answered| {
            let operation = answered.operation();
            let (children, rest) = decode(answered)?;
            Ok((children, rest.watch(operation)?))
        })
    }

    fn request(self, watch: bool) -> (Draft<'a>, Result<Request, Error>) {
        let request =
            self.draft.path(self.path).map(|path| Request::GetChildren2(GetChildrenRequest { path, watch }));
        (self.draft, request)
    }
}

fn decode(answered: Answered<'_>) -> Result<(Children, crate::pending::Rest), Error> {
    let (reply, rest): (GetChildren2Response, _) = answered.read()?;
    Ok((Children { names: reply.children, stat: reply.stat }, rest))
}
