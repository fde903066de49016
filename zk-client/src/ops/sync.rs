//! `sync`: waits until the server has applied everything committed before.

use zk_proto::ops::sync::SyncRequest;

use super::Draft;
use super::draft::read_operation;
use crate::core::Request;
use crate::pending::Pending;

/// Brings the server up to date, so that the next read shows everything committed before. Made by
/// [`crate::Client::sync`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct Sync<'a> {
    draft: Draft<'a>,
    path: String,
}
read_operation!(Sync => ());

impl<'a> Sync<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String) -> Self {
        Self { draft, path }
    }

    fn start(self) -> Pending<()> {
        let request = self.draft.path(self.path).map(|path| Request::Sync(SyncRequest { path }));
        self.draft.send(request, |answered| answered.reply().map(|_| ()))
    }
}
