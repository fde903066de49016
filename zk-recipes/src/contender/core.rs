//! A contender as a state machine: its stages and what it knows. The steps of each stage are in `acquiring` and
//! `holding`.
//!
//! Pure: time comes in as `now`, randomness as an identity, and what to do comes out as a list.

use std::time::Duration;
use zk_proto::{SessionId, Zxid};

use super::hold::{Hold, HoldState};
use super::messages::{Input, Options, Output, Patience, Request, RequestId};

/// One contender.
#[derive(Debug)]
pub struct Core {
    pub(super) options: Options,
    pub(super) stage: Stage,
    pub(super) session: Session,
    pub(super) own: Option<Own>,
    /// The predecessor's watch, and its path.
    pub(super) watch: Option<(RequestId, String)>,
    /// Whether the server turned out not to have container nodes.
    pub(super) no_containers: bool,
    requests: u64,
}

/// The session worked in.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) timeout: Duration,
    pub(super) until: Duration,
    pub(super) connected: bool,
    /// Path of our node up to its number.
    pub(super) prefix: String,
}

/// Our node.
#[derive(Debug, Clone)]
pub(super) struct Own {
    pub(super) path: String,
    pub(super) czxid: Zxid,
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
        path: String,
        names: Vec<String>,
    },
    Listing(RequestId),
    /// The predecessor's watch is under way.
    Arming {
        watch: RequestId,
        path: String,
    },
    /// Behind a predecessor, with a watch on it.
    Waiting,
    /// A request was refused for now.
    Pausing {
        until: Duration,
        then: Step,
    },
    /// Granted, and held or lost.
    Holding {
        hold: Hold,
        watch: Option<RequestId>,
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
            prefix: String::new(),
        };
        let (stage, own, watch) = (Stage::Outside, None, None);
        Self { options, stage, session, own, watch, no_containers: false, requests: 0 }
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
            Stage::Holding { hold, again, .. } if !hold.is_lost() => {
                Some(again.map_or(hold.deadline(), |again| again.min(hold.deadline())))
            }
            _ => None,
        };
        [patience, own].into_iter().flatten().min()
    }

    /// What is held, once it was granted and until it is cancelled.
    #[must_use]
    pub fn hold(&self) -> Option<HoldState> {
        match &self.stage {
            Stage::Holding { hold, .. } => Some(hold.state()),
            _ => None,
        }
    }

    /// Our node, once it is known.
    #[must_use]
    pub fn own_path(&self) -> Option<&str> {
        self.own.as_ref().map(|own| own.path.as_str())
    }

    /// Whether it has ended: cancelled, failed, or released.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    pub(super) fn send(&mut self, request: Request, out: &mut Vec<Output>) -> RequestId {
        let id = RequestId(self.requests);
        self.requests += 1;
        out.push(Output::Send(id, request));
        id
    }
}
