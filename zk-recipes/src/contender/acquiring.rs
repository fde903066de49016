//! The decision steps of a contender on its way in: create and list, find what a lost answer hides, wait behind the
//! predecessor, and be admitted by a listing, never by a wake.

use std::time::Duration;
use zk_proto::{SessionId, path};

use super::core::{Core, Own, Session, Stage, Step};
use super::hold::Hold;
use super::line::Standing;
use super::messages::{
    Answer, Claimed, Failure, Grant, Input, Leftover, Made, Output, Parents, Patience, Prefix, Refusal,
    Request, RequestId, Seen,
};
use crate::limits::{OWN_WATCH_DELAY, RECONNECT_JITTER_MAX, RETRY_PAUSE};
use crate::loss::LossReason;
use crate::sequence::{self, Contender, Sequence};

impl Core {
    pub(super) fn acquiring(&mut self, now: Duration, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Session { id, timeout, identity } if matches!(self.stage, Stage::Outside) => {
                let identity = self.options.durable.map_or(identity, |durable| durable.owner);
                let name = |prefix: &Prefix| path::join(&self.options.parent, &prefix(identity));
                let prefixes = self.options.prefixes.iter().map(name).collect();
                let look_after = identity.spread(RECONNECT_JITTER_MAX.min(timeout / 10));
                self.session =
                    Session { id, timeout, until: Duration::ZERO, connected: true, look_after, prefixes };
                match self.options.durable {
                    // There may be nodes from an earlier life.
                    Some(_) => self.find(out),
                    None => self.enter(out),
                }
            }
            Input::Answer { request, answer } => self.answered(now, request, answer, out),
            Input::Fired(request) if self.watch.as_ref().is_some_and(|(id, _)| *id == request) => {
                self.watch = None;
                // Otherwise a listing is under way, which shows that there is no watch any more.
                if matches!(self.stage, Stage::Waiting { .. }) {
                    self.list(out);
                }
            }
            // If the one before us went meanwhile, its watch tells at once. Whether we are still there ourselves
            // is looked at later, and not by everybody at the same time.
            Input::Connected if matches!(self.stage, Stage::Waiting { .. }) => {
                self.stage = Stage::Waiting { look: Some(now + self.session.look_after) };
            }
            Input::Connected => self.resume(out),
            Input::Suspended if matches!(self.stage, Stage::Waiting { .. }) => {
                self.stage = Stage::Waiting { look: None };
            }
            Input::SessionOver(reason) => self.session_over(reason, out),
            Input::Tick => {
                if matches!(self.options.patience, Patience::Until(until) if now >= until) {
                    self.leave(out);
                    self.fail(Failure::TimedOut, out);
                } else if matches!(self.stage, Stage::Pausing { until, .. } if now >= until) {
                    self.resume(out);
                } else if matches!(self.stage, Stage::Waiting { look: Some(at) } if now >= at) {
                    self.list(out);
                }
            }
            Input::Cancel => {
                self.leave(out);
                self.stage = Stage::Over;
            }
            Input::Session { .. }
            | Input::Fired(_)
            | Input::Heard { .. }
            | Input::Suspended
            | Input::Again
            | Input::Check => {}
        }
    }

    /// Answers to requests that are not waited for any more are passed over.
    fn answered(&mut self, now: Duration, request: RequestId, answer: Answer, out: &mut Vec<Output>) {
        if self.refused_in_passing(now, request, &answer, out) {
            return;
        }
        match (&mut self.stage, answer) {
            (Stage::Entering { create, list, names }, Answer::Created(made)) if *create == request => {
                let (list, names) = (*list, names.take());
                self.created(now, made, list, names, out);
            }
            (Stage::Entering { list, names, .. }, Answer::Listed(listed)) if *list == Some(request) => {
                *names = listed.ok();
                *list = None;
            }
            (Stage::MakingParents(id), Answer::ParentsMade(made)) if *id == request => match made {
                Ok(()) | Err(Refusal::Unknown) => self.enter(out),
                Err(Refusal::Unsupported) if !self.no_containers => {
                    self.no_containers = true;
                    self.make_parents(out);
                }
                Err(_) => self.refuse(out),
            },
            (Stage::Finding { sync, synced, .. }, Answer::Synced(Ok(()))) if *sync == request => {
                *synced = true;
                self.found(out);
            }
            (Stage::Finding { list, names, .. }, Answer::Listed(listed)) if *list == request => {
                // No parent: no child of it either.
                *names = Some(listed.unwrap_or_default());
                self.found(out);
            }
            (Stage::Verifying { look, .. }, Answer::Seen(seen)) if *look == request => {
                self.verified(now, seen, out);
            }
            (Stage::Claiming { claim, .. }, Answer::Claimed(claimed)) if *claim == request => {
                self.claimed(now, claimed, out);
            }
            (Stage::Listing(list), Answer::Listed(listed)) if *list == request => match listed {
                Ok(names) => self.decide(now, &names, out),
                Err(_) => self.absent(out),
            },
            (Stage::Arming { watch, .. }, Answer::Seen(seen)) if *watch == request => match seen {
                Ok(_) => {
                    let waiting = Stage::Waiting { look: None };
                    if let Stage::Arming { watch, path } = std::mem::replace(&mut self.stage, waiting) {
                        self.watch = Some((watch, path));
                    }
                }
                Err(_) => self.list(out),
            },
            _ => {}
        }
    }

    /// What holds for every request that is waited for: an ended session, a refusal for now, one for good.
    fn refused_in_passing(
        &mut self,
        now: Duration,
        request: RequestId,
        answer: &Answer,
        out: &mut Vec<Output>,
    ) -> bool {
        let refusal = match answer {
            Answer::Created(Err(refusal))
            | Answer::Listed(Err(refusal))
            | Answer::Synced(Err(refusal))
            | Answer::Seen(Err(refusal))
            | Answer::Claimed(Err(refusal))
            | Answer::ParentsMade(Err(refusal)) => *refusal,
            _ => return false,
        };
        let (waited_for, then) = match &self.stage {
            // The create decides. If it succeeds, the list is asked for again.
            Stage::Entering { list, .. } if *list == Some(request) => return false,
            Stage::Entering { create, .. } => (*create == request, Step::Enter),
            Stage::MakingParents(id) => (*id == request, Step::Enter),
            Stage::Finding { sync, list, .. } => (*sync == request || *list == request, Step::Find),
            Stage::Verifying { look, .. } => (*look == request, Step::Find),
            Stage::Claiming { claim, .. } => (*claim == request, Step::Find),
            Stage::Listing(id) | Stage::Arming { watch: id, .. } => (*id == request, Step::List),
            _ => (false, Step::List),
        };
        if !waited_for {
            return true;
        }
        let claiming = matches!(answer, Answer::Claimed(_));
        let reading = !matches!(answer, Answer::Created(_) | Answer::ParentsMade(_));
        match refusal {
            Refusal::SessionOver => self.session_over(LossReason::SessionExpired, out),
            Refusal::NotNow => self.pause(now, then),
            // A claim that was carried out is found by the version it has made, and repeated.
            Refusal::Changed if claiming && self.version_max.is_some() => self.replaced(out),
            Refusal::Unknown | Refusal::Changed | Refusal::NoNode if claiming => self.find(out),
            Refusal::Unknown if reading => self.pause(now, then),
            Refusal::Never if reading => self.refuse(out),
            Refusal::Never => self.not_made(out),
            Refusal::Unsupported if reading => self.refuse(out),
            Refusal::NoNode | Refusal::Unknown | Refusal::Unsupported | Refusal::Changed => return false,
        }
        true
    }

    fn created(
        &mut self,
        now: Duration,
        made: Result<Made, Refusal>,
        list: Option<RequestId>,
        names: Option<Vec<String>>,
        out: &mut Vec<Output>,
    ) {
        match made {
            Ok(Made { paths, czxid }) => {
                self.own = Some(Own { paths, token: czxid, version: 0, taken_over: false, in_front: false });
                match (names, list) {
                    (Some(names), _) => self.decide(now, &names, out),
                    (None, Some(list)) => self.stage = Stage::Listing(list),
                    (None, None) => self.list(out),
                }
            }
            // The parent was never made, or the server removed it as an empty container: make it and try again,
            // as often as that race is lost (python-zk/kazoo#563).
            Err(Refusal::NoNode) => match self.options.parents {
                Parents::MustExist => self.not_made(out),
                Parents::Container | Parents::Persistent => self.make_parents(out),
            },
            Err(Refusal::Unknown) => self.find(out),
            Err(_) => self.not_made(out),
        }
    }

    /// After sync and list. What is not there now never will be: the server refuses what the old connection
    /// may still carry.
    fn found(&mut self, out: &mut Vec<Output>) {
        let Stage::Finding { synced: true, names, .. } = &mut self.stage else { return };
        let Some(names) = names.take() else { return };
        let ours = |prefix: &String| sequence::find(&names, path::name(prefix));
        let found = self.session.prefixes.iter().filter_map(ours);
        let paths: Vec<String> = found.map(|name| path::join(&self.options.parent, name)).collect();
        match paths.first() {
            Some(first) if paths.len() == self.session.prefixes.len() => {
                let look = self.send(Request::Look { path: first.clone() }, out);
                self.stage = Stage::Verifying { look, paths, names };
            }
            Some(_) => {
                // They were made together, and somebody has deleted one: the rest is no place in line.
                out.push(Output::Leave(Leftover::Named { paths, session: self.pinned() }));
                self.enter(out);
            }
            None => self.enter(out),
        }
    }

    /// A node that belongs to another session is about to vanish: never stand on it (CURATOR-498, CURATOR-604).
    fn verified(&mut self, now: Duration, seen: Result<Seen, Refusal>, out: &mut Vec<Output>) {
        let Stage::Verifying { paths, names, .. } = std::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        match seen {
            Ok(Seen { owner, version, .. }) if self.options.durable.is_some() && owner == SessionId::NONE => {
                if self.version_max.is_some_and(|max| version > max) {
                    return self.replaced(out);
                }
                self.claim(paths, version, names, out);
            }
            Ok(Seen { czxid, owner, version, .. }) if owner == self.owner() => {
                self.own = Some(Own { paths, token: czxid, version, taken_over: false, in_front: false });
                self.decide(now, &names, out);
            }
            _ => self.enter(out),
        }
    }

    fn claim(&mut self, paths: Vec<String>, version: i32, names: Vec<String>, out: &mut Vec<Output>) {
        let Some(path) = paths.first().cloned() else { return };
        let claim = self.send(Request::Claim { path, version }, out);
        self.version_max = self.version_max.map(|max| max.max(version.wrapping_add(1)));
        self.stage = Stage::Claiming { claim, version, paths, names };
    }

    /// A later life of our owner has the node: it is nothing of ours any more, and not to be taken back.
    fn replaced(&mut self, out: &mut Vec<Output>) {
        self.own = None;
        self.fail(Failure::TakenOver, out);
    }

    /// Ours from here on: whoever held it before finds its version changed.
    fn claimed(&mut self, now: Duration, claimed: Result<Claimed, Refusal>, out: &mut Vec<Output>) {
        let Stage::Claiming { paths, names, .. } = std::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        match claimed {
            Ok(Claimed { version, mzxid }) => {
                let taken_over = !self.has_created;
                self.version_max = Some(version);
                self.own = Some(Own { paths, token: mzxid, version, taken_over, in_front: true });
                self.decide(now, &names, out);
            }
            Err(_) => self.find(out),
        }
    }

    /// Reads a listing that is at least as new as our own node. Only here anybody is admitted, never on a wake.
    fn decide(&mut self, now: Duration, names: &[String], out: &mut Vec<Output>) {
        let Some(own) = self.own.clone() else { return };
        let mine: Vec<&str> = own.paths.iter().map(|path| path::name(path)).collect();
        let survey = self.options.rule.survey(names, &mine);
        self.ahead = survey.ahead;
        if !survey.foreign.is_empty() {
            out.push(Output::Foreign(survey.foreign.iter().map(|name| (*name).to_owned()).collect()));
        }
        match survey.standing {
            Standing::Absent => self.absent(out),
            Standing::Admitted if self.options.durable.is_none() || own.in_front => {
                self.admitted(now, own, out);
            }
            Standing::Admitted => self.claim(own.paths, own.version, names.to_vec(), out),
            Standing::Behind(_) if self.options.patience == Patience::None => {
                self.leave(out);
                self.fail(Failure::Busy, out);
            }
            Standing::Behind(name) => {
                if let Some(own) = &mut self.own {
                    own.in_front = false;
                }
                let path = path::join(&self.options.parent, name);
                self.stand_behind(path, out);
            }
        }
    }

    fn stand_behind(&mut self, path: String, out: &mut Vec<Output>) {
        match self.watch.take() {
            Some((watch, watched)) if watched == path => {
                self.watch = Some((watch, watched));
                self.stage = Stage::Waiting { look: None };
                return;
            }
            Some((watch, _)) => out.push(Output::Forget(watch)),
            None => {}
        }
        let watch = self.send(Request::WatchPredecessor { path: path.clone() }, out);
        self.stage = Stage::Arming { watch, path };
    }

    fn admitted(&mut self, now: Duration, own: Own, out: &mut Vec<Output>) {
        let Session { id, timeout, until, .. } = self.session;
        let hold = Hold::new(self.options.hold_policy(), timeout, until);
        if now >= hold.deadline() {
            // The answer lay here so long that the session may be over, and somebody else admitted since.
            return self.list(out);
        }
        self.forget_predecessor(out);
        self.stage = Stage::Holding { hold, watches: Vec::new(), again: Some(now + OWN_WATCH_DELAY) };
        let first = own.paths.first().map_or("", |path| path::name(path));
        let number = Contender::parse(first, &self.options.rule.counts);
        let sequence = number.map_or(Sequence(0), |contender| contender.sequence);
        let version = self.options.durable.map(|_| own.version);
        out.push(Output::Grant(Grant { paths: own.paths, token: own.token, sequence, session: id, version }));
    }

    /// Our node is gone, and our session is not.
    fn absent(&mut self, out: &mut Vec<Output>) {
        self.own = None;
        self.fail(Failure::NodeDeleted, out);
    }

    fn session_over(&mut self, reason: LossReason, out: &mut Vec<Output>) {
        if reason != LossReason::SessionExpired {
            return self.fail(Failure::ClientOver(reason), out);
        }
        let stood = self.own.take().is_some() || !matches!(self.stage, Stage::Outside);
        self.watch = None;
        self.stage = Stage::Outside;
        if stood && self.options.durable.is_none() {
            out.push(Output::Requeued);
        }
    }

    fn enter(&mut self, out: &mut Vec<Output>) {
        self.has_created = true;
        self.version_max = Some(0);
        let durable = self.options.durable.is_some();
        let create = self.send(Request::Create { prefixes: self.session.prefixes.clone(), durable }, out);
        let list = Some(self.send_list(out));
        self.stage = Stage::Entering { create, list, names: None };
    }

    fn make_parents(&mut self, out: &mut Vec<Output>) {
        let container = self.options.parents == Parents::Container && !self.no_containers;
        let request = Request::MakeParents { path: self.options.parent.clone(), container };
        self.stage = Stage::MakingParents(self.send(request, out));
    }

    fn find(&mut self, out: &mut Vec<Output>) {
        let sync = self.send(Request::Sync { path: self.options.parent.clone() }, out);
        let list = self.send_list(out);
        self.stage = Stage::Finding { sync, list, synced: false, names: None };
    }

    fn list(&mut self, out: &mut Vec<Output>) {
        self.stage = Stage::Listing(self.send_list(out));
    }

    fn send_list(&mut self, out: &mut Vec<Output>) -> RequestId {
        self.send(Request::List { path: self.options.parent.clone() }, out)
    }

    fn pause(&mut self, now: Duration, then: Step) {
        self.stage = Stage::Pausing { until: now + RETRY_PAUSE, then };
    }

    fn resume(&mut self, out: &mut Vec<Output>) {
        match self.stage {
            Stage::Pausing { then: Step::Enter, .. } => self.enter(out),
            Stage::Pausing { then: Step::Find, .. } => self.find(out),
            Stage::Pausing { then: Step::List, .. } => self.list(out),
            _ => {}
        }
    }

    /// A write was refused for good: there is nothing to clean up.
    fn not_made(&mut self, out: &mut Vec<Output>) {
        self.fail(Failure::Refused, out);
    }

    fn refuse(&mut self, out: &mut Vec<Output>) {
        self.leave(out);
        self.fail(Failure::Refused, out);
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<Output>) {
        self.forget_predecessor(out);
        self.stage = Stage::Over;
        out.push(Output::Fail(failure));
    }

    fn forget_predecessor(&mut self, out: &mut Vec<Output>) {
        let under_way = match &self.stage {
            Stage::Arming { watch, .. } => Some(*watch),
            _ => None,
        };
        if let Some(watch) = self.watch.take().map(|(watch, _)| watch).or(under_way) {
            out.push(Output::Forget(watch));
        }
    }

    /// Nodes of ours, to be given up.
    pub(super) fn named(&self, own: Own) -> Leftover {
        match self.options.durable {
            Some(_) => Leftover::Claimed { paths: own.paths, version: own.version },
            None => Leftover::Named { paths: own.paths, session: self.pinned() },
        }
    }

    /// Hands over whatever of ours is, or may be, at the server.
    fn leave(&mut self, out: &mut Vec<Output>) {
        self.forget_predecessor(out);
        let session = self.pinned();
        // What an earlier life left is given up by a release only: giving up waiting must not let others in.
        if let Some(own) = self.own.take() {
            if !own.taken_over {
                out.push(Output::Leave(self.named(own)));
            }
            return;
        }
        if session.is_none() && !self.has_created {
            return;
        }
        let unnamed = match &self.stage {
            Stage::Entering { .. } | Stage::Finding { .. } | Stage::Pausing { then: Step::Find, .. } => true,
            // The session that created it is over, and the node is not.
            Stage::Outside => session.is_none(),
            Stage::Verifying { paths, .. } => {
                let paths = paths.clone();
                out.push(Output::Leave(match session {
                    Some(_) => Leftover::Named { paths, session },
                    None => Leftover::Claimed { paths, version: 0 },
                }));
                false
            }
            Stage::Claiming { paths, version, .. } => {
                out.push(Output::Leave(Leftover::Claimed { paths: paths.clone(), version: *version }));
                false
            }
            _ => false,
        };
        if unnamed {
            let prefixes = self.session.prefixes.clone();
            out.push(Output::Leave(Leftover::Unnamed { prefixes, session }));
        }
    }
}
