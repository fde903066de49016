//! Several operations in one: `multi` (14), all or none, and `multiRead` (22), each for itself.
//!
//! On the wire each part is a [`MultiHeader`] and a record; a header with `done` set ends the list.

use bytes::BytesMut;

use super::OpCode;
use super::create::{Create2Response, CreateRequest, CreateResponse, CreateTtlRequest};
use super::data::{
    GetChildrenRequest, GetChildrenResponse, GetDataRequest, GetDataResponse, SetDataRequest, StatResponse,
};
use super::delete::DeleteRequest;
use super::watches::ErrorResponse;
use crate::error::ErrorCode;
use crate::jute::{Decode, DecodeError, Encode, Reader, assert_bounded};
use crate::limits::MULTI_OPS_MAX;

record! {
    /// In front of each part of a multi.
    #[derive(Copy)]
    pub struct MultiHeader {
        /// The part's operation.
        pub op: i32,
        /// Whether the list ends here.
        pub done: bool,
        /// -1 in requests; the part's outcome in replies.
        pub err: i32,
    }
}

impl MultiHeader {
    const END: Self = Self { op: -1, done: true, err: -1 };

    fn of(op: OpCode) -> Self {
        Self { op: op.code(), done: false, err: -1 }
    }
}

record! {
    /// Checks a version without changing anything; version -1 only asks that the node exists.
    pub struct CheckVersionRequest {
        /// Which node.
        pub path: String,
        /// The version it must have; -1 for any.
        pub version: i32,
    }
}

/// One part of a multi.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant carries the record of the operation it is named after")]
pub enum MultiOp {
    Create(CreateRequest),
    Create2(CreateRequest),
    CreateContainer(CreateRequest),
    CreateTtl(CreateTtlRequest),
    Delete(DeleteRequest),
    SetData(SetDataRequest),
    Check(CheckVersionRequest),
    GetData(GetDataRequest),
    GetChildren(GetChildrenRequest),
}

impl MultiOp {
    /// The part's operation.
    #[must_use]
    pub const fn opcode(&self) -> OpCode {
        match self {
            Self::Create(_) => OpCode::Create,
            Self::Create2(_) => OpCode::Create2,
            Self::CreateContainer(_) => OpCode::CreateContainer,
            Self::CreateTtl(_) => OpCode::CreateTtl,
            Self::Delete(_) => OpCode::Delete,
            Self::SetData(_) => OpCode::SetData,
            Self::Check(_) => OpCode::Check,
            Self::GetData(_) => OpCode::GetData,
            Self::GetChildren(_) => OpCode::GetChildren,
        }
    }

    /// The node it is about.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Create(r) | Self::Create2(r) | Self::CreateContainer(r) => &r.path,
            Self::CreateTtl(r) => &r.path,
            Self::Delete(r) => &r.path,
            Self::SetData(r) => &r.path,
            Self::Check(r) => &r.path,
            Self::GetData(r) => &r.path,
            Self::GetChildren(r) => &r.path,
        }
    }

    const fn is_read(&self) -> bool {
        matches!(self, Self::GetData(_) | Self::GetChildren(_))
    }

    fn decode(op: i32, r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(match OpCode::from_code(op) {
            Some(OpCode::Create) => Self::Create(r.read()?),
            Some(OpCode::Create2) => Self::Create2(r.read()?),
            Some(OpCode::CreateContainer) => Self::CreateContainer(r.read()?),
            Some(OpCode::CreateTtl) => Self::CreateTtl(r.read()?),
            Some(OpCode::Delete) => Self::Delete(r.read()?),
            Some(OpCode::SetData) => Self::SetData(r.read()?),
            Some(OpCode::Check) => Self::Check(r.read()?),
            Some(OpCode::GetData) => Self::GetData(r.read()?),
            Some(OpCode::GetChildren) => Self::GetChildren(r.read()?),
            _ => return Err(DecodeError::UnknownTag { what: "operation in a multi", tag: op }),
        })
    }
}

impl Encode for MultiOp {
    fn encode(&self, out: &mut BytesMut) {
        MultiHeader::of(self.opcode()).encode(out);
        match self {
            Self::Create(r) | Self::Create2(r) | Self::CreateContainer(r) => r.encode(out),
            Self::CreateTtl(r) => r.encode(out),
            Self::Delete(r) => r.encode(out),
            Self::SetData(r) => r.encode(out),
            Self::Check(r) => r.encode(out),
            Self::GetData(r) => r.encode(out),
            Self::GetChildren(r) => r.encode(out),
        }
    }
}

/// The request of `multi` and `multiRead`. Reads and writes do not mix; an empty one is legal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MultiRequest {
    /// The parts, in order.
    pub ops: Vec<MultiOp>,
}

impl Encode for MultiRequest {
    fn encode(&self, out: &mut BytesMut) {
        for op in &self.ops {
            op.encode(out);
        }
        MultiHeader::END.encode(out);
    }
}

impl Decode for MultiRequest {
    const MIN_BYTES: usize = MultiHeader::MIN_BYTES;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        const { assert_bounded::<MultiOp>(MultiHeader::MIN_BYTES + GetDataRequest::MIN_BYTES) };
        let mut ops: Vec<MultiOp> = Vec::new();
        loop {
            let header: MultiHeader = r.read()?;
            if header.done {
                return Ok(Self { ops });
            }
            let op = MultiOp::decode(header.op, r)?;
            if ops.first().is_some_and(|first| first.is_read() != op.is_read()) {
                return Err(DecodeError::Malformed("a multi mixes reads and writes"));
            }
            if ops.len() == MULTI_OPS_MAX {
                return Err(DecodeError::Malformed("too many operations in a multi"));
            }
            ops.push(op);
        }
    }
}

/// The result of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant carries the reply of the operation it is named after")]
pub enum MultiResult {
    Create(CreateResponse),
    /// Of `create2`, `createContainer` and `createTTL`.
    Create2(Create2Response),
    Delete,
    SetData(StatResponse),
    Check,
    GetData(GetDataResponse),
    GetChildren(GetChildrenResponse),
    /// Of every part of a failed multi: `Ok` before the part that failed, its code, then
    /// [`ErrorCode::RuntimeInconsistency`].
    Error(Result<(), ErrorCode>),
}

impl MultiResult {
    fn header(&self) -> MultiHeader {
        let op = match self {
            Self::Create(_) => OpCode::Create,
            Self::Create2(_) => OpCode::Create2,
            Self::Delete => OpCode::Delete,
            Self::SetData(_) => OpCode::SetData,
            Self::Check => OpCode::Check,
            Self::GetData(_) => OpCode::GetData,
            Self::GetChildren(_) => OpCode::GetChildren,
            Self::Error(_) => OpCode::Error,
        };
        let err = match self {
            Self::Error(Err(code)) => code.code(),
            _ => 0,
        };
        MultiHeader { op: op.code(), done: false, err }
    }
}

impl Encode for MultiResult {
    fn encode(&self, out: &mut BytesMut) {
        self.header().encode(out);
        match self {
            Self::Create(r) => r.encode(out),
            Self::Create2(r) => r.encode(out),
            Self::Delete | Self::Check => {}
            Self::SetData(r) => r.encode(out),
            Self::GetData(r) => r.encode(out),
            Self::GetChildren(r) => r.encode(out),
            Self::Error(outcome) => ErrorResponse { outcome: *outcome }.encode(out),
        }
    }
}

/// The reply of `multi` and `multiRead`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MultiResponse {
    /// One result per part, in order.
    pub results: Vec<MultiResult>,
}

impl Encode for MultiResponse {
    fn encode(&self, out: &mut BytesMut) {
        for result in &self.results {
            result.encode(out);
        }
        MultiHeader::END.encode(out);
    }
}

impl Decode for MultiResponse {
    const MIN_BYTES: usize = MultiHeader::MIN_BYTES;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        const { assert_bounded::<MultiResult>(MultiHeader::MIN_BYTES) };
        let mut results = Vec::new();
        loop {
            let header: MultiHeader = r.read()?;
            if header.done {
                return Ok(Self { results });
            }
            results.push(match OpCode::from_code(header.op) {
                Some(OpCode::Create) => MultiResult::Create(r.read()?),
                Some(OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl) => {
                    MultiResult::Create2(r.read()?)
                }
                Some(OpCode::Delete) => MultiResult::Delete,
                Some(OpCode::SetData) => MultiResult::SetData(r.read()?),
                Some(OpCode::Check) => MultiResult::Check,
                Some(OpCode::GetData) => MultiResult::GetData(r.read()?),
                Some(OpCode::GetChildren) => MultiResult::GetChildren(r.read()?),
                Some(OpCode::Error) => MultiResult::Error(r.read::<ErrorResponse>()?.outcome),
                _ => return Err(DecodeError::UnknownTag { what: "result in a multi", tag: header.op }),
            });
            if results.len() > MULTI_OPS_MAX {
                return Err(DecodeError::Malformed("too many results in a multi"));
            }
        }
    }
}

#[cfg(test)]
impl crate::jute::sample::Sample for MultiRequest {
    fn sample(g: &mut crate::jute::sample::Gen) -> Self {
        let reads = g.below(4) == 0;
        let one = |g: &mut crate::jute::sample::Gen| match (reads, g.below(7)) {
            (true, n) if n < 3 => MultiOp::GetData(Sample::sample(g)),
            (true, _) => MultiOp::GetChildren(Sample::sample(g)),
            (_, 0) => MultiOp::Create(Sample::sample(g)),
            (_, 1) => MultiOp::Create2(Sample::sample(g)),
            (_, 2) => MultiOp::CreateContainer(Sample::sample(g)),
            (_, 3) => MultiOp::CreateTtl(Sample::sample(g)),
            (_, 4) => MultiOp::Delete(Sample::sample(g)),
            (_, 5) => MultiOp::SetData(Sample::sample(g)),
            _ => MultiOp::Check(Sample::sample(g)),
        };
        use crate::jute::sample::Sample;
        Self { ops: (0..g.below(5)).map(|_| one(g)).collect() }
    }
}

#[cfg(test)]
impl crate::jute::sample::Sample for MultiResponse {
    fn sample(g: &mut crate::jute::sample::Gen) -> Self {
        use crate::jute::sample::Sample;
        let one = |g: &mut crate::jute::sample::Gen| match g.below(8) {
            0 => MultiResult::Create(Sample::sample(g)),
            1 => MultiResult::Create2(Sample::sample(g)),
            2 => MultiResult::Delete,
            3 => MultiResult::SetData(Sample::sample(g)),
            4 => MultiResult::Check,
            5 => MultiResult::GetData(Sample::sample(g)),
            6 => MultiResult::GetChildren(Sample::sample(g)),
            _ => MultiResult::Error(Sample::sample(g)),
        };
        Self { results: (0..g.below(5)).map(|_| one(g)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_multi_is_nine_bytes() {
        let bytes = MultiRequest::default().to_bytes();
        assert_eq!(bytes.as_ref(), [0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(MultiRequest::from_bytes(bytes), Ok(MultiRequest::default()));
    }

    #[test]
    fn reads_and_writes_do_not_mix() {
        let mixed = MultiRequest {
            ops: vec![
                MultiOp::Check(CheckVersionRequest { path: "/a".into(), version: 1 }),
                MultiOp::GetData(GetDataRequest { path: "/a".into(), watch: false }),
            ],
        };
        assert!(MultiRequest::from_bytes(mixed.to_bytes()).is_err());
    }
}
