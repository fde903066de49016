//! `setData`: replaces a node's data.

use bytes::Bytes;
use zk_proto::Stat;
use zk_proto::ops::data::{SetDataRequest, StatResponse};

use super::Draft;
use super::draft::operation;
use crate::core::Request;
use crate::pending::Pending;

/// Replaces a node's data. Made by [`crate::Client::set`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct Set<'a> {
    draft: Draft<'a>,
    path: String,
    data: Bytes,
    version: i32,
}
operation!(Set => Stat);

impl<'a> Set<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String, data: Bytes) -> Self {
        Self { draft, path, data, version: -1 }
    }

    /// Only if the node's data has this version; -1, the default, is any.
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    fn start(self) -> Pending<Stat> {
        let Self { draft, path, data, version } = self;
        let request =
            draft.path(path).map(|path| Request::SetData(SetDataRequest { path, data: Some(data), version }));
        draft.send(request, |answered| {
            let (reply, _): (StatResponse, _) = answered.read()?;
            Ok(reply.stat)
        })
    }
}
