//! `delete`: removes a node without children.

use zk_proto::ops::delete::DeleteRequest;

use super::Draft;
use super::draft::operation;
use crate::core::Request;
use crate::pending::Pending;

/// Removes a node without children. Made by [`crate::Client::delete`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct Delete<'a> {
    draft: Draft<'a>,
    path: String,
    version: i32,
}
operation!(Delete => ());

impl<'a> Delete<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String) -> Self {
        Self { draft, path, version: -1 }
    }

    /// Only if the node's data has this version; -1, the default, is any.
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    fn start(self) -> Pending<()> {
        let Self { draft, path, version } = self;
        let request = draft.path(path).map(|path| Request::Delete(DeleteRequest { path, version }));
        draft.send(request, |answered| answered.reply().map(|_| ()))
    }
}
