//! What goes into the core and what comes out of it. Words only.

use super::hold::NEVER;
use std::time::Duration;
use zk_proto::{SessionId, Zxid};

use crate::identity::Uuid;
use crate::loss::{LossPolicy, LossReason};
use crate::sequence::Sequence;

use super::line::Rule;

/// What a contender is told once.
#[derive(Debug, Clone)]
pub struct Options {
    /// The node under which the line stands.
    pub parent: String,
    /// Who counts, and who is admitted.
    pub rule: Rule,
    /// The names of our own nodes, up to the sequence number: one, or several that are made in one transaction.
    pub prefixes: Vec<Prefix>,
    /// Our nodes outlive the session, and are found again by this identity; see [`Durable`].
    pub durable: Option<Durable>,
    /// Whether to wait at all.
    pub patience: Patience,
    /// What a missing parent is created as.
    pub parents: Parents,
    /// When what is held counts as lost.
    pub loss: LossPolicy,
    /// Whether a holder that counts itself out at a disconnect leaves its node where it is, to stand on it again
    /// ([`Input::Again`]).
    pub keeps_place: bool,
}

impl Options {
    /// When what is held ends by itself: not at all if it outlives the session.
    pub(super) const fn hold_policy(&self) -> Option<LossPolicy> {
        match self.durable {
            Some(_) => None,
            None => Some(self.loss),
        }
    }
}

/// Names a node up to its number.
pub type Prefix = fn(Uuid) -> String;

/// A place in line that outlives its session: persistent nodes, named after their owner. Whoever comes with the
/// same identity takes them over, by a write that makes their version a new one; who held them until then finds
/// the version changed, and has lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Durable {
    /// The owner's identity, the same in every life of it.
    pub owner: Uuid,
    /// Whether a guard that is dropped gives up what it holds.
    pub release_on_drop: bool,
}

/// How long to wait in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// As long as it takes.
    Forever,
    /// Until this time.
    Until(Duration),
    /// Not at all: admitted at once, or gone.
    None,
}

impl Patience {
    /// For at most `limit` from `now` on; a limit that outlasts us is none.
    #[must_use]
    pub fn lasting(limit: Option<Duration>, now: Duration) -> Self {
        match limit {
            Some(Duration::ZERO) => Self::None,
            Some(limit) => match now.checked_add(limit).filter(|until| *until < NEVER) {
                Some(until) => Self::Until(until),
                None => Self::Forever,
            },
            None => Self::Forever,
        }
    }
}

/// What a missing parent is created as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Parents {
    /// Container nodes, which the server removes some time after the last contender is gone; persistent nodes
    /// where the server has no containers (before ZooKeeper 3.5).
    #[default]
    Container,
    /// Persistent nodes.
    Persistent,
    /// The parent must be there.
    MustExist,
}

/// Names one request of one core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// There is a session to work in: at the start, and again after [`Input::SessionOver`].
    Session {
        /// Its id. Every request is pinned to it.
        id: SessionId,
        /// Its negotiated timeout.
        timeout: Duration,
        /// A fresh identity for the name of the node.
        identity: Uuid,
    },
    /// The answer to a request.
    Answer {
        /// Which.
        request: RequestId,
        /// How it ended.
        answer: Answer,
    },
    /// The watch left by this request has ended, with an event or without.
    Fired(RequestId),
    /// The server was heard; until this time it cannot have expired the session. Tell it before an answer that
    /// may admit, before [`Input::Connected`] and before [`Input::Tick`] and [`Input::Check`].
    Heard {
        /// The session's local deadline.
        until: Duration,
    },
    /// The connection is lost; the session may live on.
    Suspended,
    /// The session is connected again.
    Connected,
    /// The session is over, and every request under way with it.
    SessionOver(LossReason),
    /// Time has passed; see [`Core::deadline`](super::Core::deadline).
    Tick,
    /// Somebody asks whether it is still held: looks at the clock, and asks for nothing to be sent.
    Check,
    /// What was held is lost, and is to be waited for again: on the node it was held by, if that was kept.
    Again,
    /// Nobody wants it any more: the future was dropped, or the guard released.
    Cancel,
}

/// How a request ended.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Of [`Request::Create`].
    Created(Result<Made, Refusal>),
    /// Of [`Request::List`]: the children's names, in any order.
    Listed(Result<Vec<String>, Refusal>),
    /// Of [`Request::Sync`].
    Synced(Result<(), Refusal>),
    /// Of [`Request::Look`], [`Request::WatchOwn`] and [`Request::WatchPredecessor`]. Of the latter two, a watch
    /// is left unless it was refused.
    Seen(Result<Seen, Refusal>),
    /// Of [`Request::MakeParents`]: they are there now.
    ParentsMade(Result<(), Refusal>),
    /// Of [`Request::Claim`].
    Claimed(Result<Claimed, Refusal>),
}

/// Nodes that were created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Their paths, with their numbers, in the order in which they were asked for.
    pub paths: Vec<String>,
    /// The transaction that created them.
    pub czxid: Zxid,
}

/// A durable node that was taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// Its version now.
    pub version: i32,
    /// The transaction that took it over.
    pub mzxid: Zxid,
}

/// A node that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The transaction that created it.
    pub czxid: Zxid,
    /// The session that owns it; [`SessionId::NONE`] of a persistent node.
    pub owner: SessionId,
    /// Its data's version.
    pub version: i32,
    /// Whether its data is [`REVOKE`](crate::sequence::REVOKE): somebody asks its owner to give it up.
    pub revoked: bool,
}

/// Why a request was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such node.
    NoNode,
    /// The node's version is not the one asked for.
    Changed,
    /// A write was sent and its answer never came: it may have been done.
    Unknown,
    /// Not done, and worth another try.
    NotNow,
    /// Its session is over.
    SessionOver,
    /// The server does not know the operation.
    Unsupported,
    /// Not done, and never will be.
    Never,
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this, pinned to the session. Several of one turn go out back to back.
    Send(RequestId, Request),
    /// This request, or the watch it left, is of no interest any more.
    Forget(RequestId),
    /// Admitted: it is held from here on.
    Grant(Grant),
    /// Delete this, however long it takes, as long as the session lives. It may be there or not.
    Leave(Leftover),
    /// The session ended while waiting: the place in line is lost, and another one is taken in the next session.
    Requeued,
    /// Children that belong to nobody here. Said at every listing.
    Foreign(Vec<String>),
    /// It ends without a grant.
    Fail(Failure),
}

/// A request to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Create sequential nodes, all of them or none.
    Create {
        /// Their paths up to the number.
        prefixes: Vec<String>,
        /// Persistent ones, instead of ephemeral.
        durable: bool,
    },
    /// Write our own data to a durable node, if it has this version.
    Claim {
        /// The node.
        path: String,
        /// Its version.
        version: i32,
    },
    /// Create the line's parent and its ancestors; that somebody else made them is as good.
    MakeParents {
        /// The parent.
        path: String,
        /// As container nodes.
        container: bool,
    },
    /// List the children.
    List {
        /// Of this node.
        path: String,
    },
    /// Bring the server up to date.
    Sync {
        /// As seen from here.
        path: String,
    },
    /// Read a node's stat.
    Look {
        /// This one's.
        path: String,
    },
    /// Read a node and leave a watch: with `getData`, never `exists`, which would leave one on a node that is
    /// gone (CURATOR-107).
    WatchPredecessor {
        /// The node before us.
        path: String,
    },
    /// Read our own node and leave a watch.
    WatchOwn {
        /// Our own.
        path: String,
    },
}

/// A place that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Our nodes; at least one.
    pub paths: Vec<String>,
    /// The transaction that created them, or took them over.
    pub token: Zxid,
    /// The number of the first one.
    pub sequence: Sequence,
    /// The session it was granted in.
    pub session: SessionId,
    /// The version of a durable node; any other has any.
    pub version: Option<i32>,
}

impl Grant {
    /// Our first node.
    #[must_use]
    pub fn path(&self) -> &str {
        self.paths.first().map_or("", String::as_str)
    }
}

/// What a contender leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leftover {
    /// These nodes.
    Named {
        /// Their paths.
        paths: Vec<String>,
        /// The session that owns them; `None` of persistent nodes.
        session: Option<SessionId>,
    },
    /// Persistent nodes, to be deleted only while the first has this version: another life of their owner changes it
    /// when it takes them over.
    Claimed {
        /// Their paths.
        paths: Vec<String>,
        /// The first one's version.
        version: i32,
    },
    /// Nodes whose numbers are not known, if they are there at all: the answer to their creation is outstanding or
    /// lost. Persistent ones are deleted only while nobody has claimed the first.
    Unnamed {
        /// Their paths up to the number.
        prefixes: Vec<String>,
        /// The session that owns them; `None` of persistent nodes.
        session: Option<SessionId>,
    },
    /// A node whose name others use too, if it is there and ours: its data tells.
    Marked {
        /// Its path.
        path: String,
        /// Its data if it is ours; nobody else's.
        mark: String,
        /// The session that owns it.
        session: SessionId,
    },
}

/// Why it ends without a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Somebody is before us, and there is no patience.
    Busy,
    /// The time is over.
    TimedOut,
    /// Somebody deleted our node while we waited.
    NodeDeleted,
    /// Another life of our durable owner has taken our node over while we waited.
    TakenOver,
    /// The server refused a request; the shell knows the error.
    Refused,
    /// The client has ended.
    ClientOver(LossReason),
}
