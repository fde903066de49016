//! What goes into the semaphore's core and what comes out of it. Words only.

use std::time::Duration;
use zk_proto::SessionId;

use crate::contender::{Failure, Grant, Leftover, Made, Parents, Patience, Refusal, RequestId, Seen};
use crate::loss::LossReason;

use super::layout::Layout;

/// What one acquisition is told once.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) layout: Layout,
    /// The line of those who wait.
    pub(super) locks: String,
    /// The leases: a child is a permit that is out, or about to be.
    pub(super) leases: String,
    /// How many permits, all or none; at least 1.
    pub(super) permits: usize,
    /// How many may be out at once; `None` to ask at every decision.
    pub(super) size: Option<u32>,
    pub(super) patience: Patience,
    pub(super) parents: Parents,
    /// Whether to try for free permits without standing in line first. Only in Curator's layout, where order among
    /// leases decides.
    pub(super) quick: bool,
}

/// Which of the two parents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent {
    Locks,
    Leases,
}

/// What happened.
#[derive(Debug, Clone)]
pub(super) enum Input {
    /// There is a session to work in: at the start, and again after [`Input::SessionOver`].
    Session {
        id: SessionId,
        timeout: Duration,
        /// Fresh random bits for the names of our nodes.
        identity: u128,
    },
    Answer {
        request: RequestId,
        answer: Answer,
    },
    /// The watch left by this request has ended, with an event or without.
    Fired(RequestId),
    /// The server was heard; until this time it cannot have expired the session. Told before an answer.
    Heard {
        until: Duration,
    },
    Suspended,
    Connected,
    SessionOver(LossReason),
    /// Time has passed; see [`Core::deadline`](super::core::Core::deadline).
    Tick,
    /// Nobody wants it any more.
    Cancel,
}

/// How a request ended.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// Of [`Request::MakeLeases`] and [`Request::MakeLock`].
    Made(Result<Made, Refusal>),
    /// Of [`Request::MakeParent`]: it is there now.
    ParentMade(Result<(), Refusal>),
    /// Of [`Request::List`]; a watch is left if one was asked for and this is not a refusal.
    Listed(Result<Vec<String>, Refusal>),
    /// Of [`Request::ReadSize`]; a watch likewise.
    Sized(Result<u32, Refusal>),
    Synced(Result<(), Refusal>),
    /// Of [`Request::Look`] and [`Request::WatchPlace`]; the latter leaves a watch unless refused.
    Seen(Result<Seen, Refusal>),
}

/// A request to the server, pinned to the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// Create ephemeral nodes, all or none.
    MakeLeases {
        /// Their paths: up to the number, where the layout has numbers.
        paths: Vec<String>,
        /// Only if this node is there; refused as [`Refusal::Changed`] if it is not.
        under: Option<String>,
    },
    /// Create an ephemeral sequential node.
    MakeLock {
        prefix: String,
    },
    MakeParent {
        which: Parent,
        path: String,
        container: bool,
    },
    List {
        path: String,
        watch: bool,
    },
    ReadSize {
        watch: bool,
    },
    Sync {
        path: String,
    },
    Look {
        path: String,
    },
    /// With `getData`, never `exists`, which would leave a watch on a node that is gone.
    WatchPlace {
        path: String,
    },
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Output {
    Send(RequestId, Request),
    /// This request, or the watch it left, is of no interest any more.
    Forget(RequestId),
    /// The permits are ours.
    Grant {
        grant: Grant,
        /// Whether anybody was in the way.
        waited: bool,
    },
    /// Delete this, however long it takes, as long as the session lives. It may be there or not.
    Leave(Leftover),
    /// The session ended while waiting.
    Requeued,
    /// Children that belong to nobody here.
    Foreign(Parent, Vec<String>),
    Fail(Failure),
}
