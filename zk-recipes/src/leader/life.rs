//! The life of a latch, as a pure machine: when it stands in line, what it shows, when it goes back, when it ends.
//! Knows nothing of lines, sessions or clocks: who is admitted, and when what is held is lost, is the contender's.
//!
//! Each standing in line is an *attempt*, with a number. What is reported of an attempt that is over changes
//! nothing, however late it comes.

use super::status::{LeaderState, LeaderStatus};
use crate::contender::Failure;
use crate::fence::FencingToken;
use crate::loss::LossReason;

/// Names one standing in line, from the first step to the loss of what was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Attempt(u64);

/// What happened.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// The session is connected, or is not.
    Connected(bool),
    /// The session is over, and with it every place in line.
    SessionOver,
    /// There is a place in line, behind somebody.
    Placed(Attempt, String),
    /// It was granted, and that was lost before it led: it looks for its place anew.
    Displaced(Attempt),
    /// It leads.
    Granted(Attempt, FencingToken),
    /// It leads no more.
    Lost(Attempt, LossReason),
    /// It will not get in.
    Failed(Attempt, Failure),
    /// It is asked to let somebody else lead.
    StepDown,
    /// It is asked to end.
    Close,
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Let everybody see this.
    Show(LeaderStatus),
    /// Give up the place in line, or what is held.
    GiveUp,
    /// Stand in line: on the node that a lost leadership has kept, if there is one, else at the tail.
    Stand(Attempt),
    /// Stop.
    End(End),
}

/// Why it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was closed.
    Closed,
    /// The client has ended.
    ClientOver(LossReason),
    /// The server refused, for good.
    Refused,
}

#[derive(Debug)]
enum Stage {
    /// On the way to a place in line.
    Entering,
    InLine {
        node: String,
    },
    Leading {
        token: FencingToken,
    },
    Over,
}

/// One latch.
#[derive(Debug)]
pub(super) struct Life {
    attempt: Attempt,
    connected: bool,
    stage: Stage,
    shown: LeaderStatus,
}

impl Life {
    /// One that shows [`LeaderStatus::first`] and stands in line by the first attempt.
    pub(super) const fn begin(connected: bool) -> (Self, Action) {
        let attempt = Attempt(0);
        let life = Self { attempt, connected, stage: Stage::Entering, shown: LeaderStatus::first() };
        (life, Action::Stand(attempt))
    }

    /// The attempt under way.
    pub(super) const fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Whether its place in line is known, or it leads.
    pub(super) const fn is_placed(&self) -> bool {
        !matches!(self.stage, Stage::Entering)
    }

    /// Takes in what happened and says what to do.
    pub(super) fn handle(&mut self, event: Event) -> Vec<Action> {
        let mut then = Vec::new();
        if matches!(self.stage, Stage::Over) {
            return then;
        }
        match event {
            Event::Connected(connected) => self.connected = connected,
            // The contender finds out by itself, and stands in the next session.
            Event::SessionOver if matches!(self.stage, Stage::InLine { .. }) => self.stage = Stage::Entering,
            Event::SessionOver if matches!(self.stage, Stage::Leading { .. }) => self.stand(&mut then),
            Event::SessionOver => {}
            Event::Placed(attempt, node) => {
                if attempt == self.attempt && matches!(self.stage, Stage::Entering) {
                    self.stage = Stage::InLine { node };
                }
            }
            Event::Displaced(attempt) => {
                if attempt == self.attempt && matches!(self.stage, Stage::InLine { .. }) {
                    self.stage = Stage::Entering;
                }
            }
            Event::Granted(attempt, token) => {
                if attempt == self.attempt && !matches!(self.stage, Stage::Leading { .. }) {
                    self.stage = Stage::Leading { token };
                }
            }
            Event::Lost(attempt, reason) => {
                if attempt == self.attempt && matches!(self.stage, Stage::Leading { .. }) {
                    match reason {
                        LossReason::ClientClosed | LossReason::AuthFailed => {
                            self.end(End::ClientOver(reason), &mut then);
                        }
                        _ => self.stand(&mut then),
                    }
                }
            }
            Event::Failed(attempt, failure) => {
                if attempt == self.attempt && !matches!(self.stage, Stage::Leading { .. }) {
                    match failure {
                        Failure::ClientOver(reason) => self.end(End::ClientOver(reason), &mut then),
                        Failure::Refused => self.end(End::Refused, &mut then),
                        // Somebody deleted our node; the others do not come without a limit of time.
                        Failure::NodeDeleted | Failure::TakenOver | Failure::Busy | Failure::TimedOut => {
                            self.stand(&mut then);
                        }
                    }
                }
            }
            Event::StepDown => {
                if matches!(self.stage, Stage::Leading { .. }) {
                    then.push(Action::GiveUp);
                    self.stand(&mut then);
                }
            }
            Event::Close => {
                then.push(Action::GiveUp);
                self.end(End::Closed, &mut then);
            }
        }
        // Shown first: nobody is let in while we still count ourselves in.
        self.show().into_iter().chain(then).collect()
    }

    fn stand(&mut self, then: &mut Vec<Action>) {
        self.attempt = Attempt(self.attempt.0 + 1);
        self.stage = Stage::Entering;
        then.push(Action::Stand(self.attempt));
    }

    fn end(&mut self, end: End, then: &mut Vec<Action>) {
        self.stage = Stage::Over;
        then.push(Action::End(end));
    }

    fn show(&mut self) -> Option<Action> {
        let state = match &self.stage {
            Stage::Over => LeaderState::Closed,
            Stage::Leading { token } => LeaderState::Leader { token: *token },
            Stage::Entering | Stage::InLine { .. } if !self.connected => LeaderState::Suspended,
            Stage::Entering => LeaderState::Starting,
            Stage::InLine { node } => LeaderState::Follower { node: node.clone() },
        };
        if state == self.shown.state {
            return None;
        }
        self.shown = LeaderStatus { generation: self.shown.generation + 1, state };
        Some(Action::Show(self.shown.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zk_proto::Zxid;

    const A: &str = "/latch/_c_x-latch-0000000000";

    fn token(n: i64) -> FencingToken {
        FencingToken::from_zxid(Zxid(n))
    }

    fn states(actions: &[Action]) -> Vec<LeaderState> {
        let shown = actions.iter().filter_map(|action| match action {
            Action::Show(status) => Some(status.state.clone()),
            _ => None,
        });
        shown.collect()
    }

    fn follower() -> LeaderState {
        LeaderState::Follower { node: A.into() }
    }

    fn leader(n: i64) -> LeaderState {
        LeaderState::Leader { token: token(n) }
    }

    fn leading() -> Life {
        let (mut life, first) = Life::begin(true);
        assert_eq!(first, Action::Stand(life.attempt()));
        life.handle(Event::Granted(life.attempt(), token(1)));
        life
    }

    #[test]
    fn it_follows_and_then_leads() {
        let (mut life, _) = Life::begin(true);
        let at = life.attempt();
        assert_eq!(states(&life.handle(Event::Placed(at, A.into()))), [follower()]);
        assert_eq!(states(&life.handle(Event::Granted(at, token(7)))), [leader(7)]);
        assert_eq!(life.shown.generation, 2);
    }

    #[test]
    fn a_follower_keeps_its_place_through_a_suspend_and_not_through_expiry() {
        let (mut life, _) = Life::begin(true);
        life.handle(Event::Placed(life.attempt(), A.into()));
        assert_eq!(states(&life.handle(Event::Connected(false))), [LeaderState::Suspended]);
        assert_eq!(states(&life.handle(Event::Connected(true))), [follower()]);
        assert_eq!(states(&life.handle(Event::SessionOver)), [LeaderState::Starting]);
        assert!(!life.is_placed());
        assert_eq!(states(&life.handle(Event::Placed(life.attempt(), A.into()))), [follower()]);
    }

    #[test]
    fn what_was_granted_and_lost_at_once_never_led() {
        let (mut life, _) = Life::begin(true);
        let at = life.attempt();
        life.handle(Event::Placed(at, A.into()));
        let actions = life.handle(Event::Displaced(at));
        assert_eq!((actions.len(), states(&actions)), (1, vec![LeaderState::Starting]), "and stands on");
        assert!(!life.is_placed() && life.attempt() == at);
        assert_eq!(states(&life.handle(Event::Placed(at, A.into()))), [follower()]);
    }

    #[test]
    fn a_leader_that_lost_is_shown_out_before_it_stands_again() {
        for reason in [
            LossReason::Disconnected,
            LossReason::DeadlineReached,
            LossReason::SessionExpired,
            LossReason::NodeDeleted,
        ] {
            let mut life = leading();
            let old = life.attempt();
            let actions = life.handle(Event::Lost(old, reason));
            assert!(
                matches!(&actions[..], [Action::Show(_), Action::Stand(new)] if *new > old),
                "{actions:?}"
            );
            assert_eq!(states(&actions), [LeaderState::Starting]);
            assert_eq!(life.handle(Event::Lost(old, reason)), [], "once");
        }
    }

    #[test]
    fn stepping_down_shows_it_first_and_means_leaders_only() {
        let mut life = leading();
        let actions = life.handle(Event::StepDown);
        assert!(matches!(&actions[..], [Action::Show(_), Action::GiveUp, Action::Stand(_)]), "{actions:?}");
        assert_eq!(life.handle(Event::StepDown), []);
    }

    #[test]
    fn an_end_is_the_end() {
        let ends = [
            (Event::Close, End::Closed),
            (Event::Lost(Attempt(0), LossReason::ClientClosed), End::ClientOver(LossReason::ClientClosed)),
        ];
        for (event, end) in ends {
            let mut life = leading();
            let actions = life.handle(event);
            assert_eq!(states(&actions), [LeaderState::Closed]);
            assert_eq!(actions.last(), Some(&Action::End(end)));
            assert_eq!(life.handle(Event::Granted(life.attempt(), token(9))), []);
            assert_eq!(life.handle(Event::Close), []);
        }
        let (mut life, _) = Life::begin(false);
        let actions = life.handle(Event::Failed(life.attempt(), Failure::Refused));
        assert_eq!(actions.last(), Some(&Action::End(End::Refused)));
    }

    fn events() -> impl Strategy<Value = Event> {
        let attempt = || (0..6_u64).prop_map(Attempt);
        let reasons = prop_oneof![
            Just(LossReason::Disconnected),
            Just(LossReason::DeadlineReached),
            Just(LossReason::SessionExpired),
            Just(LossReason::NodeDeleted),
            Just(LossReason::Released),
        ];
        prop_oneof![
            any::<bool>().prop_map(Event::Connected),
            Just(Event::SessionOver),
            attempt().prop_map(|at| Event::Placed(at, A.into())),
            attempt().prop_map(Event::Displaced),
            (attempt(), 0..9_i64).prop_map(|(at, n)| Event::Granted(at, token(n))),
            (attempt(), reasons).prop_map(|(at, reason)| Event::Lost(at, reason)),
            attempt().prop_map(|at| Event::Failed(at, Failure::NodeDeleted)),
            Just(Event::StepDown),
        ]
    }

    proptest! {
        /// Whatever comes, in whatever order and however late: generations rise by one, nothing is shown twice,
        /// leadership begins by a grant of the attempt under way and by nothing else, and its end is shown before
        /// anything is done about it.
        #[test]
        fn no_stale_report_makes_a_leader(events in proptest::collection::vec(events(), 0..60)) {
            let (mut life, _) = Life::begin(true);
            let mut last = LeaderStatus::first();
            for event in events {
                let at = life.attempt();
                let actions = life.handle(event.clone());
                for (n, action) in actions.iter().enumerate() {
                    match action {
                        Action::Show(status) => {
                            prop_assert_eq!(n, 0);
                            prop_assert_eq!(status.generation, last.generation + 1);
                            prop_assert_ne!(&status.state, &last.state);
                            if let LeaderState::Leader { token } = status.state {
                                let granted = matches!(event, Event::Granted(of, by) if of == at && by == token);
                                prop_assert!(granted, "{:?}", event);
                            }
                            last = status.clone();
                        }
                        Action::Stand(new) => prop_assert!(*new > at && !last.is_leader()),
                        Action::GiveUp => prop_assert!(!last.is_leader()),
                        Action::End(_) => prop_assert!(false, "nobody asked for it"),
                    }
                }
            }
        }
    }
}
