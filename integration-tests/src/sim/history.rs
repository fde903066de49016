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
pub(crate) type Who = u32;

/// A place in the order of everything that was recorded.
pub(crate) type Order = u64;

/// A request as it was sent, once for each time.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) who: Who,
    pub(crate) session: SessionId,
    pub(crate) link: LinkId,
    pub(crate) xid: i32,
    pub(crate) request: Request,
    pub(crate) order: Order,
    pub(crate) answer: Option<Answer>,
}

impl Call {
    pub(crate) fn is_write(&self) -> bool {
        zk_client::core::opcode(&self.request).is_write()
    }
}

/// A reply as it arrived.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) order: Order,
    pub(crate) zxid: Zxid,
    pub(crate) outcome: Result<(), ErrorCode>,
    pub(crate) body: Bytes,
}

/// A watch event as it arrived; its zxid is -1 when it tells what was missed.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) link: LinkId,
    pub(crate) order: Order,
    pub(crate) zxid: Zxid,
    pub(crate) event_type: EventType,
    pub(crate) path: String,
}

/// An operation as the application sees it.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) who: Who,
    pub(crate) request: Request,
    pub(crate) end: Option<End>,
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) order: Order,
    pub(crate) result: Result<Reply, Failure>,
    pub(crate) watching: bool,
    /// The call whose answer arrived at this moment.
    pub(crate) call: Option<usize>,
}

impl End {
    /// The zxid of the reply, if there was one.
    pub(crate) fn zxid(&self) -> Option<Zxid> {
        match &self.result {
            Ok(reply) => Some(reply.zxid),
            Err(Failure::Refused { zxid, .. }) => Some(*zxid),
            Err(_) => None,
        }
    }
}

/// What the application hears of its watches.
#[derive(Debug)]
pub(crate) enum Heard {
    /// They fired.
    Fired(Vec<OpId>, WatchedEvent),
    /// All of them are gone.
    Lost,
}

/// A session on a connection, new or again.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) who: Who,
    pub(crate) order: Order,
    pub(crate) again: bool,
}

/// A time in which a client took itself for the holder of the lock.
#[derive(Debug)]
pub(crate) struct Holding {
    pub(crate) who: Who,
    pub(crate) path: String,
    pub(crate) czxid: Zxid,
    pub(crate) sequence: Sequence,
    pub(crate) from: Duration,
    /// The local deadline of the session: whoever looks at the clock knows that it is over.
    pub(crate) until: Duration,
    /// When it was released, or told to be lost.
    pub(crate) end: Option<Duration>,
}

/// Everything that was recorded.
#[derive(Debug, Default)]
pub(crate) struct History {
    next: Order,
    pub(crate) calls: Vec<Call>,
    pub(crate) operations: BTreeMap<(Who, OpId), Operation>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) heard: Vec<(Order, Who, Heard)>,
    pub(crate) established: Vec<Established>,
    /// Handshakes that reached the server, with the session they ask for.
    pub(crate) claims: Vec<(LinkId, SessionId)>,
    /// Watches that nobody waits for any more.
    pub(crate) forgotten: BTreeMap<(Who, OpId), Order>,
    pub(crate) holdings: Vec<Holding>,
    /// Sessions that a client was told are over.
    pub(crate) told_expired: Vec<(Order, SessionId)>,
    /// When the server took a whole frame of a session.
    pub(crate) contacts: BTreeMap<SessionId, Vec<Duration>>,
    /// When the server came up, the first time included.
    pub(crate) starts: Vec<Duration>,
    /// What was appended to the log and not lost since.
    pub(crate) log: BTreeMap<Zxid, TxnEntry>,
    /// The newest state that any client has seen.
    pub(crate) seen: Zxid,
}

impl History {
    pub(crate) fn order(&mut self) -> Order {
        self.next += 1;
        self.next
    }
}
