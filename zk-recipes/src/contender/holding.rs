//! The decision steps of a contender that was admitted: it watches its own node, and counts itself out by the loss
//! policy. Never goes back to the line: what is lost is lost.

use std::time::Duration;

use super::core::{Core, Own, Stage};
use super::messages::{Answer, Input, Leftover, Output, Refusal, Request, RequestId};
use crate::limits::RETRY_PAUSE;
use crate::loss::LossReason;

impl Core {
    pub(super) fn holding(&mut self, now: Duration, input: &Input, out: &mut Vec<Output>) {
        match *input {
            Input::Answer { request, answer: Answer::Seen(seen) } => {
                let mine = self.session.id;
                let seen = seen.map(|seen| seen.owner == mine);
                self.seen(now, request, seen);
            }
            Input::Fired(request) => {
                // Deleted, or its data changed: look which. Operators and revokers write to lock nodes.
                if let Stage::Holding { watch, .. } = &mut self.stage
                    && watch.take_if(|id| *id == request).is_some()
                {
                    self.watch_own(out);
                }
            }
            Input::Heard { until } => {
                if let Stage::Holding { hold, .. } = &mut self.stage {
                    hold.extend(until);
                }
            }
            Input::Suspended => {
                if let Stage::Holding { hold, .. } = &mut self.stage {
                    hold.suspend(now);
                }
            }
            Input::Connected => {
                if matches!(&self.stage, Stage::Holding { hold, .. } if hold.is_suspect()) {
                    self.watch_own(out);
                }
            }
            Input::SessionOver(reason) => {
                // The node goes with the session, or has gone already.
                self.own = None;
                if let Stage::Holding { hold, .. } = &mut self.stage {
                    hold.lose(reason);
                }
            }
            Input::Check => {
                if let Stage::Holding { hold, .. } = &mut self.stage {
                    hold.check(now);
                }
            }
            Input::Tick => self.tick(now, out),
            Input::Cancel => {
                self.let_go(out);
                self.stage = Stage::Over;
            }
            Input::Answer { .. } | Input::Session { .. } => {}
        }
        if matches!(&self.stage, Stage::Holding { hold, .. } if hold.is_lost()) {
            self.let_go(out);
        }
    }

    /// What the server says of our node; `Ok` tells whether this session owns it.
    fn seen(&mut self, now: Duration, request: RequestId, seen: Result<bool, Refusal>) {
        let connected = self.session.connected;
        let Stage::Holding { hold, watch, again } = &mut self.stage else { return };
        if *watch != Some(request) {
            return;
        }
        match seen {
            Ok(true) if connected => hold.confirm(),
            Ok(true) => {}
            Ok(false) | Err(Refusal::NoNode) => {
                self.own = None;
                hold.lose(LossReason::NodeDeleted);
            }
            Err(Refusal::SessionOver) => {
                self.own = None;
                hold.lose(LossReason::SessionExpired);
            }
            Err(Refusal::NotNow | Refusal::Unknown) => *again = Some(now + RETRY_PAUSE),
            // The session is heard, but the node's ACL does not let us read it: nobody will tell when it goes.
            Err(Refusal::Never | Refusal::Unsupported) => {
                *watch = None;
                if connected {
                    hold.confirm();
                }
            }
        }
    }

    fn tick(&mut self, now: Duration, out: &mut Vec<Output>) {
        let Stage::Holding { hold, again, .. } = &mut self.stage else { return };
        hold.check(now);
        if !hold.is_lost() && again.is_some_and(|again| now >= again) {
            self.watch_own(out);
        }
    }

    fn watch_own(&mut self, out: &mut Vec<Output>) {
        let Some(Own { path, .. }) = self.own.clone() else { return };
        let request = self.send(Request::WatchOwn { path }, out);
        if let Stage::Holding { watch, again, .. } = &mut self.stage {
            *again = None;
            if let Some(old) = watch.replace(request) {
                out.push(Output::Forget(old));
            }
        }
    }

    /// Gives the node up, once, and whatever watches it.
    fn let_go(&mut self, out: &mut Vec<Output>) {
        if let Stage::Holding { watch, again, .. } = &mut self.stage {
            *again = None;
            if let Some(watch) = watch.take() {
                out.push(Output::Forget(watch));
            }
        }
        if let Some(own) = self.own.take() {
            out.push(Output::Leave(Leftover::Named { path: own.path, session: self.session.id }));
        }
    }
}
