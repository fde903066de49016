//! The life of what is held, as a pure machine: held, in doubt, lost. Knows the loss policy and the local
//! deadline; knows nothing of lines or nodes.

use std::time::Duration;

use crate::limits::DEADLINE_MARGIN_PERCENT;
use crate::loss::{LossPolicy, LossReason};

/// What is known of what is held. Times are since the shell's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldState {
    /// Held.
    Held,
    /// Held, but the server is out of reach or has not confirmed it since it came back.
    Suspect {
        /// Since when.
        since: Duration,
        /// When it is lost unless the server is heard before.
        deadline: Duration,
    },
    /// Lost, for good.
    Lost(LossReason),
}

/// A deadline that does not come, and that can still be added to a clock.
pub(super) const NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// One holding, from the grant to its end.
#[derive(Debug)]
pub(super) struct Hold {
    /// `None`: no disconnect and no clock ends it.
    policy: Option<LossPolicy>,
    margin: Duration,
    /// Until when the server cannot have expired the session.
    until: Duration,
    since: Option<Duration>,
    lost: Option<LossReason>,
}

impl Hold {
    pub(super) fn new(policy: Option<LossPolicy>, session_timeout: Duration, until: Duration) -> Self {
        let margin = session_timeout * DEADLINE_MARGIN_PERCENT / 100;
        Self { policy, margin, until, since: None, lost: None }
    }

    pub(super) fn state(&self) -> HoldState {
        match (self.lost, self.since) {
            (Some(reason), _) => HoldState::Lost(reason),
            (None, Some(since)) => HoldState::Suspect { since, deadline: self.deadline() },
            (None, None) => HoldState::Held,
        }
    }

    pub(super) const fn lost_to(&self) -> Option<LossReason> {
        self.lost
    }

    pub(super) const fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    pub(super) const fn is_suspect(&self) -> bool {
        self.since.is_some() && self.lost.is_none()
    }

    /// When to look again.
    pub(super) const fn deadline(&self) -> Duration {
        match self.policy {
            Some(_) => self.until.saturating_sub(self.margin),
            None => NEVER,
        }
    }

    /// Another session has begun, and what is held has outlived the last one.
    pub(super) fn doubt(&mut self, now: Duration) {
        self.since.get_or_insert(now);
    }

    /// The server was heard: the session lives at least until then.
    pub(super) fn extend(&mut self, until: Duration) {
        self.until = self.until.max(until);
    }

    /// The clock alone can end it, connected or not: a process that stood still finds its deadline passed.
    pub(super) fn check(&mut self, now: Duration) {
        if self.policy.is_some() && now >= self.deadline() {
            self.lose(LossReason::DeadlineReached);
        }
    }

    pub(super) fn suspend(&mut self, now: Duration) {
        match self.policy {
            Some(LossPolicy::Standard) => self.lose(LossReason::Disconnected),
            Some(LossPolicy::Session) | None => {
                self.since.get_or_insert(now);
                self.check(now);
            }
        }
    }

    /// The server has confirmed that the node is there and ours.
    pub(super) fn confirm(&mut self) {
        self.since = None;
    }

    /// The first reason stays.
    pub(super) fn lose(&mut self, reason: LossReason) {
        self.lost.get_or_insert(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn standard_stops_at_the_disconnect() {
        let mut hold = Hold::new(Some(LossPolicy::Standard), s(10), s(10));
        assert_eq!(hold.state(), HoldState::Held);
        hold.suspend(s(3));
        assert_eq!(hold.state(), HoldState::Lost(LossReason::Disconnected));
        hold.confirm();
        hold.lose(LossReason::SessionExpired);
        assert_eq!(hold.state(), HoldState::Lost(LossReason::Disconnected), "what is lost stays lost");
    }

    #[test]
    fn session_stops_at_the_deadline_less_the_margin() {
        let mut hold = Hold::new(Some(LossPolicy::Session), s(10), s(10));
        hold.suspend(s(3));
        hold.suspend(s(4));
        assert_eq!(hold.state(), HoldState::Suspect { since: s(3), deadline: s(9) });
        hold.check(s(9) - Duration::from_millis(1));
        assert!(!hold.is_lost());
        hold.check(s(9));
        assert_eq!(hold.state(), HoldState::Lost(LossReason::DeadlineReached));
    }

    #[test]
    fn an_answer_moves_the_deadline_and_confirmation_ends_the_doubt() {
        let mut hold = Hold::new(Some(LossPolicy::Session), s(10), s(10));
        hold.suspend(s(3));
        hold.extend(s(15));
        hold.extend(s(12));
        hold.check(s(13));
        assert_eq!(hold.state(), HoldState::Suspect { since: s(3), deadline: s(14) });
        hold.confirm();
        assert_eq!(hold.state(), HoldState::Held);
    }

    #[test]
    fn a_process_that_stood_still_is_late_although_connected() {
        for policy in [LossPolicy::Standard, LossPolicy::Session] {
            let mut hold = Hold::new(Some(policy), s(10), s(10));
            hold.check(s(30));
            assert_eq!(hold.state(), HoldState::Lost(LossReason::DeadlineReached));
        }
    }
}
