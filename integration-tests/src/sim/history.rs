//! What happened, as it could be seen from outside: requests and replies on the wire, operations and events at
//! the clients, what the server heard, and the log. Written by the glue, read by the oracles; judges nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use zk_client::core::{Failure, OpId, Reply, Request};
use zk_client::{ErrorCode, EventType, SessionId, WatchedEvent, Zxid};
use zk_proto::txn::TxnEntry;
use zk_recipes::sequence::Sequence;

use super::network::LinkId;

/// Names one client process. A client that is closed is followed by another with a new name.
pub(super) type Who = u32;

/// A place in the order of everything that was recorded.
pub(super) type Order = u64;

/// A request as it was sent, once for each time.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) who: Who,
    pub(super) session: SessionId,
    pub(super) link: LinkId,
    pub(super) xid: i32,
    pub(super) request: Request,
    pub(super) order: Order,
    pub(super) answer: Option<Answer>,
}

impl Call {
    pub(super) fn is_write(&self) -> bool {
        zk_client::core::opcode(&self.request).is_write()
    }
}

/// A reply as it arrived.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) order: Order,
    pub(super) zxid: Zxid,
    pub(super) outcome: Result<(), ErrorCode>,
    pub(super) body: Bytes,
}

/// A watch event as it arrived; its zxid is -1 when it tells what was missed.
#[derive(Debug)]
pub(super) struct Notice {
    pub(super) link: LinkId,
    pub(super) order: Order,
    pub(super) zxid: Zxid,
    pub(super) event_type: EventType,
    pub(super) path: String,
}

/// An operation as the application sees it.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) who: Who,
    pub(super) request: Request,
    pub(super) end: Option<End>,
}

/// How an operation ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) order: Order,
    pub(super) result: Result<Reply, Failure>,
    pub(super) watching: bool,
    /// The call whose answer arrived at this moment.
    pub(super) call: Option<usize>,
}

impl End {
    /// The zxid of the reply, if there was one.
    pub(super) fn zxid(&self) -> Option<Zxid> {
        match &self.result {
            Ok(reply) => Some(reply.zxid),
            Err(Failure::Refused { zxid, .. }) => Some(*zxid),
            Err(_) => None,
        }
    }
}

/// What the application hears of its watches.
#[derive(Debug)]
pub(super) enum Heard {
    /// They fired.
    Fired(Vec<OpId>, WatchedEvent),
    /// All of them are gone.
    Lost,
}

/// A session on a connection, new or again.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) who: Who,
    pub(super) order: Order,
    pub(super) again: bool,
}

/// A time in which a client took itself for the holder of the lock.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) who: Who,
    pub(super) path: String,
    pub(super) czxid: Zxid,
    pub(super) sequence: Sequence,
    pub(super) from: Duration,
    /// The local deadline of the session: whoever looks at the clock knows that it is over.
    pub(super) until: Duration,
    /// When it was released, or told to be lost.
    pub(super) end: Option<Duration>,
}

/// Everything that was recorded.
#[derive(Debug, Default)]
pub(super) struct History {
    next: Order,
    pub(super) calls: Vec<Call>,
    pub(super) operations: BTreeMap<(Who, OpId), Operation>,
    pub(super) notices: Vec<Notice>,
    pub(super) heard: Vec<(Order, Who, Heard)>,
    pub(super) established: Vec<Established>,
    /// Handshakes that reached the server, with the session they ask for.
    pub(super) claims: Vec<(LinkId, SessionId)>,
    /// Watches that nobody waits for any more.
    pub(super) forgotten: BTreeMap<(Who, OpId), Order>,
    pub(super) holdings: Vec<Holding>,
    /// Sessions that a client was told are over.
    pub(super) told_expired: Vec<(Order, SessionId)>,
    /// When the server took a whole frame of a session.
    pub(super) contacts: BTreeMap<SessionId, Vec<Duration>>,
    /// When the server came up, the first time included.
    pub(super) starts: Vec<Duration>,
    /// What was appended to the log and not lost since.
    pub(super) log: BTreeMap<Zxid, TxnEntry>,
    /// The newest state that any client has seen.
    pub(super) seen: Zxid,
}

impl History {
    pub(super) fn order(&mut self) -> Order {
        self.next += 1;
        self.next
    }
}
