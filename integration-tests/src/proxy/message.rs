//! What a frame is: which way it goes, its kind, operation and path. Owns no stream and decides nothing.

use bytes::Bytes;
use zk_client::core::into_path;
use zk_proto::{ErrorCode, EventType, OpCode, Request, Zxid};

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The first frame of the client: `ConnectRequest`.
    Greeting,
    /// The first frame of the server: `ConnectResponse`.
    Welcome,
    /// A request.
    Request(OpCode),
    /// The answer to a request of this operation.
    Reply(OpCode),
    /// A watch has fired.
    Event(EventType),
    /// A frame without a meaning: an unknown operation, an answer that nobody asked for.
    Unknown,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It went through, perhaps late.
    Passed,
    /// It went through with other bytes.
    Corrupted,
    /// It was kept back, and so was everything after it or nothing but it.
    Swallowed,
    /// So many of its bytes went through, then the connection was cut.
    Cut(usize),
}

/// One frame.
#[derive(Debug, Clone)]
pub struct Message {
    /// The connection, counted from 1 in the order in which clients came.
    pub connection: u64,
    /// Which way it goes.
    pub direction: Direction,
    /// What it is.
    pub kind: Kind,
    /// The xid; 0 in a handshake.
    pub xid: i32,
    /// The path of the request, of the request that is answered, or of the event, as the server knows it (with
    /// the chroot); of an answered create the path that was asked for. `None` where the operation has none.
    pub path: Option<String>,
    /// The zxid of a reply's or event's header; 0 otherwise.
    pub zxid: Zxid,
    /// The outcome that a reply's header names; `Ok` of everything else.
    pub outcome: Result<(), ErrorCode>,
    /// Its bytes on the wire, with the prefix.
    pub bytes: usize,
    /// What became of it. Within a predicate, [`Fate::Passed`].
    pub fate: Fate,
    /// What follows the header.
    pub body: Bytes,
}

impl Message {
    /// The operation, of a request or a reply.
    #[must_use]
    pub const fn op(&self) -> Option<OpCode> {
        match self.kind {
            Kind::Request(op) | Kind::Reply(op) => Some(op),
            _ => None,
        }
    }

    /// The operation, of a request.
    #[must_use]
    pub const fn requested(&self) -> Option<OpCode> {
        match self.kind {
            Kind::Request(op) => Some(op),
            _ => None,
        }
    }

    /// Whether it is an event.
    #[must_use]
    pub const fn is_event(&self) -> bool {
        matches!(self.kind, Kind::Event(_))
    }

    /// Whether all of it went through, as it was.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.fate == Fate::Passed
    }

    /// The request, decoded; `None` of anything else, and when it cannot be decoded.
    #[must_use]
    pub fn request(&self) -> Option<Request> {
        Request::decode(self.requested()?.code(), self.body.clone()).ok()
    }
}

/// The path in the body of a request.
pub(super) fn path_of(op: OpCode, body: &Bytes) -> Option<String> {
    Request::decode(op.code(), body.clone()).ok().and_then(into_path)
}
