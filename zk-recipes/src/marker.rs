//! A marker: a node that is made together with a write and tells, when the answer was lost, whether that was made.
//! However the write ends, the marker is deleted in the background if it may be there.

use std::sync::Arc;
use tokio::runtime::Handle;

use crate::contender::Leftover;
use crate::reaper::{Reaper, UnderWay};

/// Of a write that may do without: then there is no path.
pub(crate) struct Marker {
    reaper: Arc<Reaper>,
    /// Taken at the beginning: where it is dropped there may be none.
    runtime: Option<Handle>,
    path: Option<String>,
    may_be_there: bool,
}

impl Marker {
    pub(crate) fn new(reaper: Arc<Reaper>, path: Option<String>) -> Self {
        Self { reaper, runtime: Handle::try_current().ok(), path, may_be_there: false }
    }

    pub(crate) fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The write is sent now.
    pub(crate) const fn departs(&mut self) {
        self.may_be_there = true;
    }

    /// The write was refused.
    pub(crate) const fn is_not_there(&mut self) {
        self.may_be_there = false;
    }
}

impl Drop for Marker {
    fn drop(&mut self) {
        if self.may_be_there
            && let (Some(path), Some(runtime)) = (self.path.take(), &self.runtime)
        {
            let leftover = Leftover::Named { paths: vec![path], session: None };
            self.reaper.adopt(runtime, leftover, UnderWay::Nothing);
        }
    }
}
