//! Which server the connection is at, when it is left for another, and how attempts are paced.

use std::time::Duration;

use super::machine::{Core, Phase};
use super::output::DropReason;
use crate::limits::MOVE_MAX;

/// A connection that is being left: nothing more is sent on it, and it goes when what was sent is answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    pub(super) why: DropReason,
    pub(super) until: Duration,
}

impl Core {
    /// The servers are these from now on: numbers that keep their meaning, so that a server of both lists has the
    /// same one. An empty list changes nothing.
    ///
    /// When ours is no longer listed, or has more than its share of clients because servers were added, the
    /// connection is left for another: see [`crate::hosts::plan`]. What was sent is answered first, within
    /// [`MOVE_MAX`]; the session goes on.
    pub fn update_hosts(&mut self, now: Duration, hosts: &[usize]) {
        let at = self.connection_host().filter(|_| self.leaving.is_none());
        // Whoever is on the way to a server counts as its client.
        let intended = self.order.preferred().filter(|_| at.is_none());
        let current = at.or(intended).or(self.home);
        let moves = self.order.update(hosts, current, &mut self.rng);
        if moves && at.is_some() {
            self.leave(now, DropReason::Rebalanced);
        } else if let Some(intended) = intended.filter(|_| !moves) {
            self.order.prefer(intended);
        }
    }

    /// The server of the connection there is, or is being tried.
    pub(super) fn connection_host(&self) -> Option<usize> {
        let linked = matches!(self.phase, Phase::Dialing { .. } | Phase::Greeting { .. } | Phase::Live(_));
        self.host.filter(|_| linked)
    }

    /// Gives the connection up for another server, once what was sent is answered.
    pub(super) fn leave(&mut self, now: Duration, why: DropReason) {
        if self.closing.is_some() {
            return;
        }
        self.leaving = Some(Leaving { why, until: now + MOVE_MAX });
        self.depart(now);
    }

    /// Leaves, or ends a client that is being detached, if nothing keeps it here any more.
    pub(super) fn depart(&mut self, now: Duration) {
        if self.leaving.is_none() && !self.is_detaching() {
            return;
        }
        if let Some(leaving) = self.leaving
            && (now >= leaving.until || !self.has_unanswered())
        {
            self.drop_connection(now, leaving.why);
        }
        self.detach_if_done();
    }

    /// Whether the server owes somebody an answer.
    pub(super) fn has_unanswered(&self) -> bool {
        matches!(self.phase, Phase::Live(_))
            && (self.queue.has_flying() || self.auth_flying.iter().any(Option::is_some))
    }

    /// The wait before the next attempt. Every server is tried soon once, whichever are dead; only then do waits
    /// grow, without limit of time, until a session is established.
    pub(super) fn pace(&mut self) -> Duration {
        if self.closing.is_some() {
            return Duration::ZERO;
        }
        let cap = self.session.as_ref().map_or(Duration::MAX, |session| session.info.timeout / 4);
        if self.order.is_first_round() {
            self.pacing.first_delay(cap, &mut self.rng)
        } else {
            self.pacing.next_delay(cap, &mut self.rng)
        }
    }
}
