//! Several holdings of one client, given up together: by one transaction that deletes all their nodes, the last
//! taken first. Knows nothing of what they were taken for.

use crate::contender::{Deleting, Grant, Holding};
use crate::held::Held;
use crate::loss::LockState;

/// Holdings in the order in which they were taken. Given up when dropped, durable ones aside.
#[derive(Debug, Default)]
pub(super) struct Bundle(Vec<Held>);

impl Bundle {
    pub(super) fn push(&mut self, held: Held) {
        self.0.push(held);
    }

    pub(super) fn grants(&self) -> Vec<Grant> {
        self.0.iter().map(|held| held.grant().clone()).collect()
    }

    pub(super) fn held(&self) -> &[Held] {
        &self.0
    }

    /// Looks at the clock before it answers. The first that is lost, if one is.
    pub(super) fn lost(&self) -> Option<crate::Error> {
        self.0.iter().find_map(|held| match held.holding().check() {
            LockState::Lost(reason) => Some(held.lost_to(reason)),
            _ => None,
        })
    }

    /// Gives all of them up; the deletion is sent now.
    pub(super) fn give_up(mut self) -> Vec<Deleting> {
        let held = std::mem::take(&mut self.0);
        Holding::give_up_together(&held.into_iter().rev().map(Held::into_holding).collect::<Vec<_>>())
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let held = std::mem::take(&mut self.0).into_iter().rev().map(Held::into_holding);
        let (kept, ended): (Vec<_>, Vec<_>) = held.partition(Holding::outlives_its_guard);
        drop(kept);
        // What is under way is seen through in the background.
        drop(Holding::give_up_together(&ended));
    }
}
