//! The decision steps of a contender that was admitted: it watches its own nodes, and counts itself out by the loss
//! policy. What is lost is lost; only [`Input::Again`] goes back to the line.

use std::time::Duration;

use super::core::{Core, OwnWatch, Stage, Step};
use super::hold::Hold;
use super::messages::{Answer, Input, Output, Refusal, Request, RequestId, Seen};
use crate::limits::RETRY_PAUSE;
use crate::loss::LossReason;

impl Core {
    pub(super) fn holding(&mut self, now: Duration, input: &Input, out: &mut Vec<Output>) {
        match *input {
            Input::Answer { request, answer: Answer::Seen(seen) } => self.seen(now, request, seen),
            Input::Fired(request) => {
                // Deleted, or its data changed: look which. Operators and revokers write to lock nodes.
                if let Stage::Holding { watches, .. } = &mut self.stage
                    && let Some(at) = watches.iter().position(|watch| watch.request == request)
                {
                    let node = watches.remove(at).node;
                    self.watch_node(node, out);
                }
            }
            Input::Heard { until } => self.hold_mut(|hold| hold.extend(until)),
            Input::Suspended => self.hold_mut(|hold| hold.suspend(now)),
            Input::Connected => {
                if matches!(&self.stage, Stage::Holding { hold, .. } if hold.is_suspect()) {
                    self.watch_own(out);
                }
            }
            Input::SessionOver(LossReason::SessionExpired) if self.options.durable.is_some() => {
                self.hold_mut(|hold| hold.doubt(now));
            }
            Input::SessionOver(reason) => {
                // The nodes go with the session, or have gone already; durable ones stay.
                self.own = None;
                self.hold_mut(|hold| hold.lose(reason));
            }
            Input::Session { id, timeout, .. } if self.options.durable.is_some() => {
                self.session.id = id;
                self.session.timeout = timeout;
                self.session.until = Duration::ZERO;
                self.session.connected = true;
                self.watch_own(out);
            }
            Input::Check => self.hold_mut(|hold| hold.check(now)),
            Input::Tick => self.tick(now, out),
            Input::Again => return self.again(now, out),
            Input::Cancel => {
                self.let_go(out);
                self.stage = Stage::Over;
            }
            Input::Answer { .. } | Input::Session { .. } => {}
        }
        if let Stage::Holding { hold, .. } = &self.stage
            && hold.is_lost()
        {
            let kept = self.options.keeps_place && hold.lost_to() == Some(LossReason::Disconnected);
            if kept { self.forget_own_watches(out) } else { self.let_go(out) }
        }
    }

    fn hold_mut(&mut self, change: impl FnOnce(&mut Hold)) {
        if let Stage::Holding { hold, .. } = &mut self.stage {
            change(hold);
        }
    }

    /// What the server says of one of our nodes.
    fn seen(&mut self, now: Duration, request: RequestId, seen: Result<Seen, Refusal>) {
        let connected = self.session.connected;
        let (owner, own_version) = (self.owner(), self.own.as_ref().map(|own| own.version));
        let durable = self.options.durable.is_some();
        let Stage::Holding { hold, watches, again } = &mut self.stage else { return };
        let Some(watch) = watches.iter_mut().find(|watch| watch.request == request) else { return };
        watch.answered = true;
        match seen {
            Ok(seen) if seen.owner != owner => {
                self.own = None;
                hold.lose(LossReason::NodeDeleted);
            }
            // Whoever else writes to it takes it away as well: there is no telling a revoker's write from a life that
            // was revoked after it took over.
            Ok(Seen { version, .. }) if durable && watch.node == 0 && Some(version) != own_version => {
                self.own = None;
                hold.lose(LossReason::TakenOver);
            }
            Ok(seen) => {
                self.revoked |= seen.revoked;
                if connected && watches.iter().all(|watch| watch.answered) {
                    hold.confirm();
                }
            }
            Err(Refusal::NoNode) => {
                // Whatever else of ours is there is given up with it.
                let gone = watch.node;
                if let Some(own) = self.own.as_mut().filter(|own| own.paths.len() > 1) {
                    own.paths.remove(gone);
                    if gone == 0 {
                        // Only the first is ever claimed.
                        own.version = 0;
                    }
                } else {
                    self.own = None;
                }
                hold.lose(LossReason::NodeDeleted);
            }
            Err(Refusal::SessionOver) if durable => hold.doubt(now),
            Err(Refusal::SessionOver) => {
                self.own = None;
                hold.lose(LossReason::SessionExpired);
            }
            Err(Refusal::NotNow | Refusal::Unknown) => *again = Some(now + RETRY_PAUSE),
            // The session is heard, but the node's ACL does not let us read it: nobody will tell when it goes.
            Err(Refusal::Never | Refusal::Unsupported | Refusal::Changed) => {
                watches.retain(|watch| watch.request != request);
                if connected && watches.iter().all(|watch| watch.answered) {
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

    /// Watches all of our nodes anew.
    pub(super) fn watch_own(&mut self, out: &mut Vec<Output>) {
        self.forget_own_watches(out);
        for node in 0..self.own.as_ref().map_or(0, |own| own.paths.len()) {
            self.watch_node(node, out);
        }
    }

    fn watch_node(&mut self, node: usize, out: &mut Vec<Output>) {
        let Some(path) = self.own.as_ref().and_then(|own| own.paths.get(node).cloned()) else { return };
        let request = self.send(Request::WatchOwn { path }, out);
        if let Stage::Holding { watches, .. } = &mut self.stage {
            watches.push(OwnWatch { request, node, answered: false });
        }
    }

    fn forget_own_watches(&mut self, out: &mut Vec<Output>) {
        if let Stage::Holding { watches, again, .. } = &mut self.stage {
            *again = None;
            out.extend(watches.drain(..).map(|watch| Output::Forget(watch.request)));
        }
    }

    /// Gives the nodes up, once, and whatever watches them.
    fn let_go(&mut self, out: &mut Vec<Output>) {
        self.forget_own_watches(out);
        if let Some(own) = self.own.take() {
            out.push(Output::Leave(self.named(own)));
        }
    }

    /// Back to the line: to the node that was kept, if the session still has it.
    fn again(&mut self, now: Duration, out: &mut Vec<Output>) {
        let lost = matches!(&self.stage, Stage::Holding { hold, .. } if hold.is_lost());
        if !lost {
            return;
        }
        self.forget_own_watches(out);
        self.revoked = false;
        self.stage = match self.own.take() {
            Some(_) => Stage::Pausing { until: now, then: Step::Find },
            None => Stage::Outside,
        };
    }
}
