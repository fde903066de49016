//! `getChildren2` and `getChildren`: a node's children, with and without its stat.

use zk_proto::ops::data::{GetChildren2Response, GetChildrenRequest, GetChildrenResponse};

use super::draft::read_operation;
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
read_operation!(GetChildren => Children);

impl<'a> GetChildren<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String) -> Self {
        Self { draft, path }
    }

    /// Answers with the names alone: 68 bytes less.
    pub fn without_stat(self) -> GetChildNames<'a> {
        GetChildNames { draft: self.draft, path: self.path }
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

/// Lists a node's children, without its stat. Made by [`GetChildren::without_stat`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct GetChildNames<'a> {
    draft: Draft<'a>,
    path: String,
}
read_operation!(GetChildNames => Vec<String>);

impl<'a> GetChildNames<'a> {
    /// Leaves a watch, as [`GetChildren::watch`] does.
    pub fn watch(self) -> Watched<Self> {
        Watched(self)
    }

    fn start(self) -> Pending<Vec<String>> {
        let (draft, request) = self.request(false);
        draft.send(request, |answered| decode_names(answered).map(|(names, _)| names))
    }

    pub(super) fn start_watched(self) -> Pending<(Vec<String>, Watch)> {
        let (draft, request) = self.request(true);
        draft.send(request, |answered| {
            let operation = answered.operation();
            let (names, rest) = decode_names(answered)?;
            Ok((names, rest.watch(operation)?))
        })
    }

    fn request(self, watch: bool) -> (Draft<'a>, Result<Request, Error>) {
        let request =
            self.draft.path(self.path).map(|path| Request::GetChildren(GetChildrenRequest { path, watch }));
        (self.draft, request)
    }
}

fn decode_names(answered: Answered<'_>) -> Result<(Vec<String>, crate::pending::Rest), Error> {
    let (reply, rest): (GetChildrenResponse, _) = answered.read()?;
    Ok((reply.children, rest))
}
