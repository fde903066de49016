//! One acquisition as a state machine: what it knows, how it asks, and how it gives up. What it decides once it has
//! its answers is in `steps`.
//!
//! Pure: time comes in as `now`, randomness as an identity, and what to do comes out as a list. Requests go out in
//! flights; it decides when the last answer of a flight is in.

use std::time::Duration;
use zk_proto::{SessionId, Zxid, path};

use super::messages::{Answer, Input, Options, Output, Parent, Request};
use crate::contender::{Failure, Leftover, Patience, Refusal, RequestId, Rule};
use crate::identity::Uuid;
use crate::limits::RECONNECT_JITTER_MAX;
use crate::loss::LossReason;
use crate::sequence::MUTEX;

#[derive(Debug)]
pub(super) struct Core {
    pub(super) options: Options,
    pub(super) line: Rule,
    pub(super) stage: Stage,
    pub(super) session: Session,
    /// Our place in line.
    pub(super) lock: Option<String>,
    /// Its creation was sent, and its outcome is not known.
    pub(super) unsure_lock: bool,
    pub(super) leases: Option<Leases>,
    pub(super) unsure_leases: bool,
    pub(super) view: View,
    /// On the one before us in line, or at its head on our own place; and its path.
    pub(super) watch: Option<(RequestId, String)>,
    pub(super) leases_watch: Option<RequestId>,
    pub(super) size_watch: Option<RequestId>,
    pub(super) no_containers: bool,
    /// Whether anybody was in the way.
    pub(super) waited: bool,
    requests: u64,
}

/// The session worked in.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) timeout: Duration,
    pub(super) until: Duration,
    /// How long after a reconnect one in line looks where it stands.
    pub(super) look_after: Duration,
    /// Path of our place in line, up to its number.
    pub(super) lock: String,
    /// Paths of our leases, up to their numbers where they have them.
    pub(super) leases: Vec<String>,
}

/// Our leases.
#[derive(Debug, Clone)]
pub(super) struct Leases {
    pub(super) paths: Vec<String>,
    /// Not known of those that were found again.
    pub(super) token: Option<Zxid>,
}

/// What was listed and read last.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) locks: Option<Vec<String>>,
    pub(super) leases: Option<Vec<String>>,
    pub(super) size: Option<u32>,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// No session to work in.
    Outside,
    /// These answers are outstanding.
    Asking {
        open: Vec<(RequestId, Ask)>,
        trouble: Trouble,
        /// To look for what a lost answer hides.
        finding: bool,
    },
    /// In line, with a watch on the one before us; to look anyway when it is so late.
    InLine {
        look: Option<Duration>,
    },
    /// At the head of the line, with watches on the leases and on our place.
    AtHead,
    Pausing {
        until: Duration,
    },
    Over,
}

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    Leases,
    Lock,
    Parent,
    ListLocks,
    ListLeases {
        watch: bool,
    },
    Size {
        watch: bool,
    },
    Sync,
    Look,
    /// A place in line: the one before us, or our own at its head.
    Watch(String),
}

/// The worst that came of a flight, in rising order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    Nothing,
    /// A request was refused for now.
    NotNow,
    /// A write's outcome is not known.
    Unsure,
    NoParent,
    NoContainers,
    /// Our place in line was deleted.
    Gone,
    Refused,
}

impl Core {
    pub(super) fn new(options: Options) -> Self {
        let session = Session {
            id: SessionId::NONE,
            timeout: Duration::ZERO,
            until: Duration::ZERO,
            look_after: Duration::ZERO,
            lock: String::new(),
            leases: Vec::new(),
        };
        Self {
            options,
            line: Rule::exclusive(&MUTEX),
            stage: Stage::Outside,
            session,
            lock: None,
            unsure_lock: false,
            leases: None,
            unsure_leases: false,
            view: View::default(),
            watch: None,
            leases_watch: None,
            size_watch: None,
            no_containers: false,
            waited: false,
            requests: 0,
        }
    }

    pub(super) fn handle(&mut self, now: Duration, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            _ if self.is_over() => {}
            Input::Session { id, timeout, identity } if matches!(self.stage, Stage::Outside) => {
                let Options { layout, permits, .. } = self.options;
                let lock = path::join(&self.options.locks, &layout.lock_name(identity));
                let names = layout.lease_names(identity, permits);
                let leases = names.iter().map(|name| path::join(&self.options.leases, name)).collect();
                let look_after = Uuid::from_random(identity).spread(RECONNECT_JITTER_MAX.min(timeout / 10));
                self.session = Session { id, timeout, until: Duration::ZERO, look_after, lock, leases };
                self.advance(now, &mut out);
            }
            Input::Answer { request, answer } => self.answered(now, request, answer, &mut out),
            Input::Fired(request) => self.fired(request, &mut out),
            Input::Heard { until } => self.session.until = self.session.until.max(until),
            // What we watch and what went meanwhile is told at once. Where many may stand, whether we are still
            // there ourselves is looked at later, and not by everybody at the same time.
            Input::Connected => match self.stage {
                Stage::InLine { .. } => {
                    self.stage = Stage::InLine { look: Some(now + self.session.look_after) };
                }
                Stage::AtHead => self.look_around(&mut out),
                Stage::Pausing { .. } => self.find(&mut out),
                _ => {}
            },
            Input::SessionOver(reason) => self.session_over(reason, &mut out),
            Input::Tick => {
                if matches!(self.options.patience, Patience::Until(until) if now >= until) {
                    self.fail(Failure::TimedOut, &mut out);
                } else if matches!(self.stage, Stage::Pausing { until } if now >= until) {
                    self.find(&mut out);
                } else if matches!(self.stage, Stage::InLine { look: Some(at) } if now >= at) {
                    self.ask(vec![Ask::ListLocks], &mut out);
                }
            }
            Input::Cancel => {
                self.leave(&mut out);
                self.stage = Stage::Over;
            }
            Input::Suspended => {
                if let Stage::InLine { look } = &mut self.stage {
                    *look = None;
                }
            }
            Input::Session { .. } => {}
        }
        out
    }

    /// When to come back with [`Input::Tick`].
    pub(super) fn deadline(&self) -> Option<Duration> {
        let patience = match self.options.patience {
            Patience::Until(until) if !self.is_over() => Some(until),
            _ => None,
        };
        let own = match self.stage {
            Stage::Pausing { until } => Some(until),
            Stage::InLine { look } => look,
            _ => None,
        };
        [patience, own].into_iter().flatten().min()
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Sends a flight.
    pub(super) fn ask(&mut self, asks: Vec<Ask>, out: &mut Vec<Output>) {
        let mut open = Vec::with_capacity(asks.len());
        for ask in asks {
            let id = RequestId(self.requests);
            self.requests += 1;
            out.push(Output::Send(id, self.request(&ask)));
            open.push((id, ask));
        }
        self.stage = Stage::Asking { open, trouble: Trouble::Nothing, finding: false };
    }

    fn request(&mut self, ask: &Ask) -> Request {
        let Options { layout, locks, leases, .. } = &self.options;
        match ask {
            Ask::Leases => {
                self.unsure_leases = true;
                // Where no numbers order leases, nobody but the head of the line may make them.
                let under = if layout.has_numbers() { None } else { self.lock.clone() };
                Request::MakeLeases { paths: self.session.leases.clone(), under }
            }
            Ask::Lock => {
                self.unsure_lock = true;
                Request::MakeLock { prefix: self.session.lock.clone() }
            }
            // Asked for one by one, by `make_parents`.
            Ask::Parent => Request::Sync { path: locks.clone() },
            Ask::ListLocks => Request::List { path: locks.clone(), watch: false },
            Ask::ListLeases { watch } => Request::List { path: leases.clone(), watch: *watch },
            Ask::Size { watch } => Request::ReadSize { watch: *watch },
            Ask::Sync => Request::Sync { path: locks.clone() },
            Ask::Look => {
                let first = self.leases.as_ref().and_then(|leases| leases.paths.first().cloned());
                Request::Look { path: first.unwrap_or_default() }
            }
            Ask::Watch(path) => Request::WatchPlace { path: path.clone() },
        }
    }

    pub(super) fn make_parents(&mut self, out: &mut Vec<Output>) {
        // A node with data of its own is nothing that may vanish by itself.
        let container = self.options.parents == crate::contender::Parents::Container
            && !self.no_containers
            && self.options.layout.has_numbers();
        let mut open = Vec::new();
        let both = [(Parent::Locks, &self.options.locks), (Parent::Leases, &self.options.leases)];
        for (which, path) in both {
            let id = RequestId(self.requests);
            self.requests += 1;
            out.push(Output::Send(id, Request::MakeParent { which, path: path.clone(), container }));
            open.push((id, Ask::Parent));
        }
        self.stage = Stage::Asking { open, trouble: Trouble::Nothing, finding: false };
    }

    /// Answers to requests that are not waited for any more are passed over.
    fn answered(&mut self, now: Duration, request: RequestId, answer: Answer, out: &mut Vec<Output>) {
        let Stage::Asking { open, .. } = &mut self.stage else { return };
        let Some(at) = open.iter().position(|(id, _)| *id == request) else { return };
        let (_, ask) = open.remove(at);
        let trouble = match refusal(&answer) {
            Some(Refusal::SessionOver) => return self.session_over(LossReason::SessionExpired, out),
            Some(refusal) => self.refused(&ask, refusal, out),
            None => {
                self.take_in(request, ask, answer, out);
                Trouble::Nothing
            }
        };
        let Stage::Asking { open, trouble: worst, finding } = &mut self.stage else { return };
        *worst = trouble.max(*worst);
        if open.is_empty() {
            let (worst, finding) = (*worst, *finding);
            self.landed(now, worst, finding, out);
        }
    }

    fn refused(&mut self, ask: &Ask, refusal: Refusal, out: &mut Vec<Output>) -> Trouble {
        if refusal != Refusal::Unknown {
            match ask {
                Ask::Leases => self.unsure_leases = false,
                Ask::Lock => self.unsure_lock = false,
                _ => {}
            }
        }
        match (ask, refusal) {
            (Ask::Leases | Ask::Lock, Refusal::NoNode) => Trouble::NoParent,
            (Ask::Leases, Refusal::Changed) => Trouble::Gone,
            (Ask::Leases | Ask::Lock, Refusal::Unknown) => Trouble::Unsure,
            (Ask::Parent, Refusal::Unknown) => Trouble::Nothing,
            (Ask::Parent, Refusal::Unsupported) if !self.no_containers => Trouble::NoContainers,
            // No parent: no child of it either.
            (Ask::ListLocks, Refusal::NoNode) => {
                self.view.locks = Some(Vec::new());
                Trouble::Nothing
            }
            // Nothing to watch.
            (Ask::ListLeases { watch: true }, Refusal::NoNode) => Trouble::NoParent,
            (Ask::ListLeases { watch: false }, Refusal::NoNode) => {
                self.view.leases = Some(Vec::new());
                Trouble::Nothing
            }
            // Gone meanwhile: look again.
            (Ask::Watch(_), Refusal::NoNode) => {
                self.view.locks = None;
                Trouble::Nothing
            }
            (Ask::Look, Refusal::NoNode) => {
                // Somebody has deleted one: the others are of no use.
                if let Some(leases) = self.leases.take() {
                    let session = Some(self.session.id);
                    out.push(Output::Leave(Leftover::Named { paths: leases.paths, session }));
                }
                Trouble::Nothing
            }
            (_, Refusal::NotNow | Refusal::Unknown) => Trouble::NotNow,
            _ => Trouble::Refused,
        }
    }

    fn take_in(&mut self, request: RequestId, ask: Ask, answer: Answer, out: &mut Vec<Output>) {
        match (ask, answer) {
            (Ask::Leases, Answer::Made(Ok(made))) => {
                self.unsure_leases = false;
                self.leases = Some(Leases { paths: made.paths, token: Some(made.czxid) });
            }
            (Ask::Lock, Answer::Made(Ok(made))) => {
                self.unsure_lock = false;
                self.lock = made.paths.into_iter().next();
            }
            (Ask::ListLocks, Answer::Listed(Ok(names))) => self.view.locks = Some(names),
            (Ask::ListLeases { watch }, Answer::Listed(Ok(names))) => {
                let foreign = self.options.layout.foreign(&names);
                if !foreign.is_empty() {
                    out.push(Output::Foreign(Parent::Leases, foreign));
                }
                self.view.leases = Some(names);
                if watch {
                    out.extend(self.leases_watch.replace(request).map(Output::Forget));
                }
            }
            (Ask::Size { watch }, Answer::Sized(Ok(size))) => {
                self.view.size = Some(size);
                if watch {
                    out.extend(self.size_watch.replace(request).map(Output::Forget));
                }
            }
            (Ask::Look, Answer::Seen(Ok(seen))) => {
                // What belongs to another session is about to vanish: never stand on it.
                match &mut self.leases {
                    Some(leases) if seen.owner == self.session.id => leases.token = Some(seen.czxid),
                    leases => *leases = None,
                }
            }
            (Ask::Watch(path), Answer::Seen(Ok(_))) => self.watch = Some((request, path)),
            _ => {}
        }
    }

    /// A wake decides nothing: what it may have changed is read again. While a flight is under way the missing
    /// watch is noticed at its end.
    fn fired(&mut self, request: RequestId, out: &mut Vec<Output>) {
        if self.watch.as_ref().is_some_and(|(id, _)| *id == request) {
            self.watch = None;
            if matches!(self.stage, Stage::InLine { .. } | Stage::AtHead) {
                self.ask(vec![Ask::ListLocks], out);
            }
        } else if self.leases_watch == Some(request) {
            self.leases_watch = None;
            if matches!(self.stage, Stage::AtHead) {
                self.ask(vec![Ask::ListLeases { watch: true }], out);
            }
        } else if self.size_watch == Some(request) {
            self.size_watch = None;
            if matches!(self.stage, Stage::AtHead) {
                self.ask(vec![Ask::Size { watch: true }], out);
            }
        }
    }

    /// Our nodes are gone with the session; the next one begins at the tail.
    fn session_over(&mut self, reason: LossReason, out: &mut Vec<Output>) {
        if reason != LossReason::SessionExpired {
            return self.fail(Failure::ClientOver(reason), out);
        }
        let stood = self.lock.is_some() || self.leases.is_some() || !matches!(self.stage, Stage::Outside);
        (self.lock, self.leases) = (None, None);
        (self.unsure_lock, self.unsure_leases) = (false, false);
        (self.watch, self.leases_watch, self.size_watch) = (None, None, None);
        self.view = View::default();
        self.stage = Stage::Outside;
        if stood {
            out.push(Output::Requeued);
        }
    }

    pub(super) fn fail(&mut self, failure: Failure, out: &mut Vec<Output>) {
        self.leave(out);
        self.stage = Stage::Over;
        out.push(Output::Fail(failure));
    }

    pub(super) fn forget_watches(&mut self, out: &mut Vec<Output>) {
        let in_line = self.watch.take().map(|(id, _)| id);
        let all = [in_line, self.leases_watch.take(), self.size_watch.take()];
        out.extend(all.into_iter().flatten().map(Output::Forget));
        // A watch under way is as good as left.
        if let Stage::Asking { open, .. } = &self.stage {
            let watches = |ask: &Ask| {
                matches!(ask, Ask::Watch(_) | Ask::ListLeases { watch: true } | Ask::Size { watch: true })
            };
            out.extend(open.iter().filter(|(_, ask)| watches(ask)).map(|(id, _)| Output::Forget(*id)));
        }
    }

    /// Hands over whatever of ours is, or may be, at the server: what is known by name in one piece.
    pub(super) fn leave(&mut self, out: &mut Vec<Output>) {
        self.forget_watches(out);
        let session = Some(self.session.id);
        let (unsure_leases, unsure_lock) = (self.unsure_leases, self.unsure_lock);
        (self.unsure_leases, self.unsure_lock) = (false, false);
        let mut named: Vec<String> = self.leases.take().map(|leases| leases.paths).unwrap_or_default();
        if unsure_leases && !self.options.layout.has_numbers() {
            // Their names are known, whether they are there or not.
            named.clone_from(&self.session.leases);
        } else if unsure_leases {
            out.push(Output::Leave(Leftover::Unnamed { prefixes: self.session.leases.clone(), session }));
        }
        named.extend(self.lock.take());
        if !named.is_empty() {
            out.push(Output::Leave(Leftover::Named { paths: named, session }));
        }
        if unsure_lock {
            let prefixes = vec![self.session.lock.clone()];
            out.push(Output::Leave(Leftover::Unnamed { prefixes, session }));
        }
    }
}

const fn refusal(answer: &Answer) -> Option<Refusal> {
    match answer {
        Answer::Made(Err(refusal))
        | Answer::ParentMade(Err(refusal))
        | Answer::Listed(Err(refusal))
        | Answer::Sized(Err(refusal))
        | Answer::Synced(Err(refusal))
        | Answer::Seen(Err(refusal)) => Some(*refusal),
        _ => None,
    }
}
