//! One operation as the core sees it: its request, and how it ends. Owns the small facts the core derives from a
//! request; never decodes a reply's body.

use bytes::{Bytes, BytesMut};
use std::fmt;
use zk_proto::{Encode, ErrorCode, OpCode, SessionId, Zxid};

pub use zk_proto::ops::Request;

use crate::ensemble::CONFIG_PATH;
use crate::limits::UNIT_BYTES;

/// Names one operation of one core. Given out in the order of submission, so that order can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// What an operation asks for besides its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Terms {
    /// The only session it may be sent in.
    pub session: Option<SessionId>,
    /// Whether a read that was sent and not answered is sent again; `None` leaves it to the client's policy. A
    /// write never is.
    pub resend: Option<bool>,
}

impl Terms {
    /// To be sent in this session or not at all; in any with `None`.
    #[must_use]
    pub const fn in_session(session: Option<SessionId>) -> Self {
        Self { session, resend: None }
    }

    /// Overrides the client's policy for this operation.
    #[must_use]
    pub const fn resend(mut self, resend: Option<bool>) -> Self {
        self.resend = resend;
        self
    }
}

/// A successful answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The last transaction the server had applied when it answered; 0 of an auth packet.
    pub zxid: Zxid,
    /// The reply's body, a slice of the frame it came in.
    pub body: Bytes,
}

/// Why an operation has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The server refused it.
    Refused {
        /// ZooKeeper's code.
        code: ErrorCode,
        /// The last transaction the server had applied.
        zxid: Zxid,
    },
    /// It was sent, and the connection was lost before the answer. A write may have happened.
    ConnectionLoss,
    /// Its session has ended. `sent` says whether it may have happened before.
    SessionExpired {
        /// Whether it had been handed to the connection.
        sent: bool,
    },
    /// As [`Failure::SessionExpired`], and no other session follows.
    LastSessionExpired {
        /// Whether it had been handed to the connection.
        sent: bool,
    },
    /// The core was closed. `sent` says whether it may have happened before.
    Closed {
        /// Whether it had been handed to the connection.
        sent: bool,
    },
    /// The server refused the credentials.
    AuthFailed {
        /// Whether it had been handed to the connection.
        sent: bool,
    },
    /// The request (`reply` false; nothing was sent) or its reply (`reply` true) is above the frame limit.
    FrameTooLarge {
        /// Bytes of the frame, or what its prefix declared.
        bytes: usize,
        /// Whether it was the reply.
        reply: bool,
    },
}

/// The end of one operation. Every submitted operation that is not cancelled ends exactly once.
pub struct Completion {
    /// Which.
    pub op: OpId,
    /// What was asked, given back so that the caller need not keep a copy.
    pub request: Box<Request>,
    /// How it ended.
    pub result: Result<Reply, Failure>,
    /// Whether the watch it asked for is registered, under the name of the operation.
    pub watching: bool,
}

/// Without the request: it may hold credentials, and data.
impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion")
            .field("op", &self.op)
            .field("request", &opcode(&self.request))
            .field("result", &self.result)
            .field("watching", &self.watching)
            .finish()
    }
}

/// The operation's number.
#[must_use]
pub const fn opcode(request: &Request) -> OpCode {
    match request {
        Request::Create(_) => OpCode::Create,
        Request::Create2(_) => OpCode::Create2,
        Request::CreateContainer(_) => OpCode::CreateContainer,
        Request::CreateTtl(_) => OpCode::CreateTtl,
        Request::Delete(_) => OpCode::Delete,
        Request::Exists(_) => OpCode::Exists,
        Request::GetData(_) => OpCode::GetData,
        Request::SetData(_) => OpCode::SetData,
        Request::GetChildren(_) => OpCode::GetChildren,
        Request::GetChildren2(_) => OpCode::GetChildren2,
        Request::GetAcl(_) => OpCode::GetAcl,
        Request::SetAcl(_) => OpCode::SetAcl,
        Request::Sync(_) => OpCode::Sync,
        Request::Ping => OpCode::Ping,
        Request::Check(_) => OpCode::Check,
        Request::Multi(_) => OpCode::Multi,
        Request::MultiRead(_) => OpCode::MultiRead,
        Request::Reconfig(_) => OpCode::Reconfig,
        Request::CheckWatches(_) => OpCode::CheckWatches,
        Request::RemoveWatches(_) => OpCode::RemoveWatches,
        Request::AddWatch(_) => OpCode::AddWatch,
        Request::SetWatches(_) => OpCode::SetWatches2,
        Request::Auth(_) => OpCode::Auth,
        Request::Sasl(_) => OpCode::Sasl,
        Request::GetEphemerals(_) => OpCode::GetEphemerals,
        Request::GetAllChildrenNumber(_) => OpCode::GetAllChildrenNumber,
        Request::WhoAmI => OpCode::WhoAmI,
        Request::CloseSession => OpCode::CloseSession,
    }
}

/// Appends the request's body to `out`.
pub fn encode_body(request: &Request, out: &mut BytesMut) {
    match request {
        Request::Create(r) | Request::Create2(r) | Request::CreateContainer(r) => r.encode(out),
        Request::CreateTtl(r) => r.encode(out),
        Request::Delete(r) => r.encode(out),
        Request::Exists(r) => r.encode(out),
        Request::GetData(r) => r.encode(out),
        Request::SetData(r) => r.encode(out),
        Request::GetChildren(r) | Request::GetChildren2(r) => r.encode(out),
        Request::GetAcl(r) => r.encode(out),
        Request::SetAcl(r) => r.encode(out),
        Request::Sync(r) => r.encode(out),
        Request::Check(r) => r.encode(out),
        Request::Multi(r) | Request::MultiRead(r) => r.encode(out),
        Request::Reconfig(r) => r.encode(out),
        Request::CheckWatches(r) | Request::RemoveWatches(r) => r.encode(out),
        Request::AddWatch(r) => r.encode(out),
        Request::SetWatches(r) => r.encode(out),
        Request::Auth(r) => r.encode(out),
        Request::Sasl(r) => r.encode(out),
        Request::GetEphemerals(r) => r.encode(out),
        Request::GetAllChildrenNumber(r) => r.encode(out),
        Request::Ping | Request::WhoAmI | Request::CloseSession => {}
    }
}

/// The path the request is about, on the server; `None` of those without one, and of a multi.
#[must_use]
pub fn into_path(request: Request) -> Option<String> {
    Some(match request {
        Request::Create(r) | Request::Create2(r) | Request::CreateContainer(r) => r.path,
        Request::CreateTtl(r) => r.path,
        Request::Delete(r) => r.path,
        Request::Exists(r) => r.path,
        Request::GetData(r) => r.path,
        Request::SetData(r) => r.path,
        Request::GetChildren(r) | Request::GetChildren2(r) => r.path,
        Request::GetAcl(r) => r.path,
        Request::SetAcl(r) => r.path,
        Request::Sync(r) => r.path,
        Request::Check(r) => r.path,
        Request::CheckWatches(r) | Request::RemoveWatches(r) => r.path,
        Request::AddWatch(r) => r.path,
        Request::GetAllChildrenNumber(r) => r.path,
        Request::GetEphemerals(r) => r.prefix_path,
        Request::Reconfig(_) => CONFIG_PATH.to_owned(),
        _ => return None,
    })
}

/// What the operation weighs in the queue, in units (see [`crate::limits`]).
#[must_use]
pub fn units(request: &Request) -> usize {
    let bytes = match request {
        Request::Create(r) | Request::Create2(r) | Request::CreateContainer(r) => r.path.len() + len(&r.data),
        Request::CreateTtl(r) => r.path.len() + len(&r.data),
        Request::SetData(r) => r.path.len() + len(&r.data),
        Request::Multi(r) | Request::MultiRead(r) => r.ops.iter().map(part_bytes).sum(),
        Request::GetData(r) => r.path.len(),
        Request::Delete(r) => r.path.len(),
        Request::Reconfig(r) => {
            let lists = [&r.joining_servers, &r.leaving_servers, &r.new_members];
            lists.into_iter().flatten().map(String::len).sum()
        }
        _ => 0,
    };
    1 + bytes / UNIT_BYTES
}

fn part_bytes(part: &zk_proto::ops::multi::MultiOp) -> usize {
    use zk_proto::ops::multi::MultiOp;
    // A part takes a header and some numbers besides its path and data.
    const PART_OVERHEAD_BYTES: usize = 64;
    let data = match part {
        MultiOp::Create(r) | MultiOp::Create2(r) | MultiOp::CreateContainer(r) => len(&r.data),
        MultiOp::CreateTtl(r) => len(&r.data),
        MultiOp::SetData(r) => len(&r.data),
        _ => 0,
    };
    PART_OVERHEAD_BYTES + part.path().len() + data
}

fn len(data: &Option<Bytes>) -> usize {
    data.as_ref().map_or(0, Bytes::len)
}
