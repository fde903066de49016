//! The meters of a client built without the feature `metrics`: the same face, and nothing behind it.

use std::time::Duration;

use super::request::{Operation, Outcome};

/// Counts nothing.
#[derive(Debug)]
pub(crate) struct Meters;

#[allow(clippy::unused_self, reason = "the face of the real ones")]
impl Meters {
    pub(super) const WANT_LATENCY: bool = false;

    pub(crate) const fn find() -> Self {
        Self
    }

    pub(super) fn request(&self, _: Operation, _: Outcome, _: Duration) {}

    pub(super) fn connect_failure(&self, _: &'static str) {}

    pub(super) fn connection_loss(&self, _: &'static str) {}

    pub(super) fn reconnect(&self) {}

    pub(super) fn expiration(&self) {}

    pub(super) fn watch_event(&self, _: &'static str) {}

    pub(crate) fn received(&self, _: usize) {}

    pub(crate) fn sent(&self, _: usize) {}

    pub(super) fn levels() -> Levels {
        Levels
    }
}

/// Shows no level.
#[derive(Debug)]
pub(super) struct Levels;

#[allow(clippy::unused_self, reason = "the face of the real ones")]
impl Levels {
    pub(super) fn show(&mut self, _units: usize, _watches: usize) {}
}
