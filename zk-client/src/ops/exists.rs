//! `exists`: a node's stat, if there is such a node.

use zk_proto::ops::data::{ExistsRequest, StatResponse};
use zk_proto::{ErrorCode, Stat};

use super::draft::read_operation;
use super::{Draft, Watched};
use crate::core::Request;
use crate::error::Error;
use crate::pending::{Answered, Pending, Rest};
use crate::watch::Watch;

/// Asks for a node's stat. Made by [`crate::Client::exists`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct Exists<'a> {
    draft: Draft<'a>,
    path: String,
}
read_operation!(Exists => Option<Stat>);

impl<'a> Exists<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String) -> Self {
        Self { draft, path }
    }

    /// Leaves a watch, whether or not the node exists. It fires when the node is created, deleted, or its data
    /// changes.
    pub fn watch(self) -> Watched<Self> {
        Watched(self)
    }

    fn start(self) -> Pending<Option<Stat>> {
        let (draft, request) = self.request(false);
        draft.send(request, |answered| decode(answered).map(|(stat, _)| stat))
    }

    pub(super) fn start_watched(self) -> Pending<(Option<Stat>, Watch)> {
        let (draft, request) = self.request(true);
        draft.send(request, |answered| {
            let operation = answered.operation();
            let (stat, rest) = decode(answered)?;
            Ok((stat, rest.watch(operation)?))
        })
    }

    fn request(self, watch: bool) -> (Draft<'a>, Result<Request, Error>) {
        let request = self.draft.path(self.path).map(|path| Request::Exists(ExistsRequest { path, watch }));
        (self.draft, request)
    }
}

fn decode(answered: Answered<'_>) -> Result<(Option<Stat>, Rest), Error> {
    if answered.refused() == Some(ErrorCode::NoNode) {
        return Ok((None, answered.into_rest()));
    }
    let (reply, rest): (StatResponse, _) = answered.read()?;
    Ok((Some(reply.stat), rest))
}
