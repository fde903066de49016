//! A contender as a state machine: its stages and what it knows. The steps of each stage are in `acquiring` and
//! `holding`.
//!
//! Pure: time comes in as `now`, randomness as an identity, and what to do comes out as a list.

use std::time::Duration;
use zk_proto::{SessionId, Zxid};

use super::hold::{Hold, HoldState, NEVER};
use super::messages::{Grant, Input, Options, Output, Patience, Request, RequestId};

/// One contender.
#[derive(Debug)]
pub struct Core {
    pub(super) options: Options,
    pub(super) stage: Stage,
    pub(super) session: Session,
    pub(super) own: Option<Own>,
    /// The predecessor's watch, and its path.
    pub(super) watch: Option<(RequestId, String)>,
    /// How many were before us in the last listing.
    pub(super) ahead: usize,
    /// Whether somebody has asked us to give up what we hold.
    pub(super) revoked: bool,
    /// Whether the server turned out not to have container nodes.
    pub(super) no_containers: bool,
    /// Whether nodes were asked for in this life, or may be there from it.
    pub(super) has_created: bool,
    /// The greatest version that our writes can have given to a durable node since it is ours; `None` before.
    pub(super) version_max: Option<i32>,
    requests: u64,
}

/// The session worked in.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) timeout: Duration,
    pub(super) until: Duration,
    pub(super) connected: bool,
    /// How long after a reconnect one who waits looks where it stands.
    pub(super) look_after: Duration,
    /// Paths of our nodes up to their numbers.
    pub(super) prefixes: Vec<String>,
}

/// Our nodes.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) paths: Vec<String>,
    pub(super) token: Zxid,
    /// Of the first one; counts for durable ones only.
    pub(super) version: i32,
    /// Whether they are from an earlier life of their owner: who gives up waiting leaves those where they are.
    pub(super) taken_over: bool,
    /// Whether the token was made while nobody was in front of us. The token of a durable place that had to wait is
    /// made anew: an earlier owner may have come back meanwhile, and made a greater one.
    pub(super) in_front: bool,
}

/// A watch on one of our own nodes, under way or left.
#[derive(Debug)]
pub(super) struct OwnWatch {
    pub(super) request: RequestId,
    /// Which of our nodes.
    pub(super) node: usize,
    pub(super) answered: bool,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// No session to work in.
    Outside,
    /// Create and list are under way, back to back.
    /// `list` is forgotten when it is refused before the create is answered.
    Entering {
        create: RequestId,
        list: Option<RequestId>,
        names: Option<Vec<String>>,
    },
    MakingParents(RequestId),
    /// The answer to the create was lost: sync, then list, then look for our UUID.
    Finding {
        sync: RequestId,
        list: RequestId,
        synced: bool,
        names: Option<Vec<String>>,
    },
    /// Something with our UUID is there: is it this session's?
    Verifying {
        look: RequestId,
        paths: Vec<String>,
        names: Vec<String>,
    },
    /// A durable node of ours is there, from an earlier life or another session.
    Claiming {
        claim: RequestId,
        /// The version it replaces.
        version: i32,
        paths: Vec<String>,
        names: Vec<String>,
    },
    Listing(RequestId),
    /// The predecessor's watch is under way.
    Arming {
        watch: RequestId,
        path: String,
    },
    /// Behind a predecessor, with a watch on it; to look anyway when it is so late.
    Waiting {
        look: Option<Duration>,
    },
    /// A request was refused for now.
    Pausing {
        until: Duration,
        then: Step,
    },
    /// Granted, and held or lost.
    Holding {
        hold: Hold,
        watches: Vec<OwnWatch>,
        again: Option<Duration>,
    },
    Over,
}

/// What to do after a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Enter,
    Find,
    List,
}

impl Core {
    /// A contender that begins with the first [`Input::Session`].
    #[must_use]
    pub fn new(options: Options) -> Self {
        let session = Session {
            id: SessionId::NONE,
            timeout: Duration::ZERO,
            until: Duration::ZERO,
            connected: true,
            look_after: Duration::ZERO,
            prefixes: Vec::new(),
        };
        Self {
            options,
            stage: Stage::Outside,
            session,
            own: None,
            watch: None,
            ahead: 0,
            revoked: false,
            no_containers: false,
            has_created: false,
            version_max: None,
            requests: 0,
        }
    }

    /// A contender that holds already, by nodes of the session `grant.session` that were made elsewhere. Tell it
    /// the session's timeout and local deadline, and what becomes of it.
    #[must_use]
    pub fn holding_already(
        options: Options,
        grant: &Grant,
        timeout: Duration,
        until: Duration,
    ) -> (Self, Vec<Output>) {
        let mut core = Self::new(options);
        core.session = Session { id: grant.session, timeout, until, ..core.session };
        let (paths, token) = (grant.paths.clone(), grant.token);
        core.own = Some(Own {
            paths,
            token,
            version: grant.version.unwrap_or(0),
            taken_over: false,
            in_front: true,
        });
        let hold = Hold::new(core.options.hold_policy(), timeout, until);
        core.stage = Stage::Holding { hold, watches: Vec::new(), again: None };
        let mut out = Vec::new();
        core.watch_own(&mut out);
        (core, out)
    }

    /// Takes in what happened and says what to do.
    pub fn handle(&mut self, now: Duration, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::Heard { until } => self.session.until = self.session.until.max(until),
            Input::Suspended => self.session.connected = false,
            Input::Connected => self.session.connected = true,
            _ => {}
        }
        match self.stage {
            Stage::Over => {}
            Stage::Holding { .. } => self.holding(now, &input, &mut out),
            _ => self.acquiring(now, input, &mut out),
        }
        out
    }

    /// When to come back with [`Input::Tick`], after an [`Input::Heard`] with the session's deadline of then.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let patience = match (&self.stage, self.options.patience) {
            (Stage::Holding { .. } | Stage::Over, _) => None,
            (_, Patience::Until(until)) => Some(until),
            _ => None,
        };
        let own = match &self.stage {
            Stage::Pausing { until, .. } => Some(*until),
            Stage::Waiting { look } => *look,
            Stage::Holding { hold, again, .. } if !hold.is_lost() => {
                Some(again.map_or(hold.deadline(), |again| again.min(hold.deadline())))
            }
            _ => None,
        };
        [patience, own].into_iter().flatten().min().filter(|at| *at < NEVER)
    }

    /// What is held, once it was granted and until it is cancelled.
    #[must_use]
    pub fn hold(&self) -> Option<HoldState> {
        match &self.stage {
            Stage::Holding { hold, .. } => Some(hold.state()),
            _ => None,
        }
    }

    /// Whether what was held is lost, and its node was kept for [`Input::Again`].
    #[must_use]
    pub fn keeps_place(&self) -> bool {
        self.own.is_some() && matches!(&self.stage, Stage::Holding { hold, .. } if hold.is_lost())
    }

    /// Our nodes, once they are known.
    #[must_use]
    pub fn own_paths(&self) -> &[String] {
        self.own.as_ref().map_or(&[], |own| &own.paths)
    }

    /// How many are before us, once we stand in line: as of the last listing.
    #[must_use]
    pub const fn ahead(&self) -> Option<usize> {
        match &self.stage {
            Stage::Arming { .. } | Stage::Waiting { .. } => Some(self.ahead),
            _ => None,
        }
    }

    /// Whether somebody has written to our node that we should give it up; stays.
    #[must_use]
    pub const fn is_revoked(&self) -> bool {
        self.revoked
    }

    /// How long to wait from now on.
    pub const fn set_patience(&mut self, patience: Patience) {
        self.options.patience = patience;
    }

    /// Whether it has ended: cancelled, failed, or released.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// Who owns our nodes, as the server has it.
    pub(super) const fn owner(&self) -> SessionId {
        match self.options.durable {
            Some(_) => SessionId::NONE,
            None => self.session.id,
        }
    }

    /// The session that our nodes are deleted in; any, if they outlive sessions.
    pub(super) const fn pinned(&self) -> Option<SessionId> {
        match self.options.durable {
            Some(_) => None,
            None => Some(self.session.id),
        }
    }

    pub(super) fn send(&mut self, request: Request, out: &mut Vec<Output>) -> RequestId {
        let id = RequestId(self.requests);
        self.requests += 1;
        out.push(Output::Send(id, request));
        id
    }
}
