//! A participant's node that may be there, while it is not known whether it is.

use std::sync::Arc;
use tokio::runtime::Handle;
use zk_proto::SessionId;

use crate::contender::Leftover;
use crate::reaper::{Reaper, UnderWay};

/// A node that may be there, and is nobody's yet: deleted when dropped.
pub(super) struct PendingNode<'a> {
    reaper: &'a Arc<Reaper>,
    runtime: &'a Handle,
    leftover: Option<Leftover>,
}

impl<'a> PendingNode<'a> {
    pub(super) fn new(reaper: &'a Arc<Reaper>, runtime: &'a Handle, path: &str, session: SessionId) -> Self {
        let leftover = Leftover::Named { paths: vec![path.to_owned()], session: Some(session) };
        Self { reaper, runtime, leftover: Some(leftover) }
    }

    pub(super) fn forget(&mut self) {
        self.leftover = None;
    }
}

impl Drop for PendingNode<'_> {
    fn drop(&mut self) {
        if let Some(leftover) = self.leftover.take() {
            self.reaper.adopt(self.runtime, leftover, UnderWay::Nothing);
        }
    }
}
