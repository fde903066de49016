//! Transactions: what the log holds and proposals carry. Already validated; applying one never fails for a
//! reason the log does not show.

use bytes::{Bytes, BytesMut};

use crate::acl::Acl;
use crate::error::ErrorCode;
use crate::jute::{Decode, DecodeError, Encode, Reader, assert_bounded};
use crate::ops::OpCode;
use crate::zxid::{SessionId, Zxid};

record! {
    /// In front of every transaction: 32 bytes.
    #[derive(Copy)]
    pub struct TxnHeader {
        /// The session that asked.
        pub client_id: SessionId,
        /// The xid it asked with.
        pub cxid: i32,
        /// The transaction's place in the order.
        pub zxid: Zxid,
        /// Milliseconds since the Unix epoch, leader's clock.
        pub time_ms: i64,
        /// The operation; selects the record that follows.
        pub op: i32,
    }
}

record! {
    /// Of `create` and `create2`.
    pub struct CreateTxn {
        /// The node, with its sequence number.
        pub path: String,
        /// Its data.
        pub data: Option<Bytes>,
        /// Its ACL, after fix-up.
        pub acl: Vec<Acl>,
        /// Whether the header's session owns it.
        pub ephemeral: bool,
        /// The parent's count of creations after this one; -1 in logs of old versions (compute it).
        pub parent_cversion: i32,
    }
}

record! {
    /// Of `createTTL`.
    pub struct CreateTtlTxn {
        /// The node, with its sequence number.
        pub path: String,
        /// Its data.
        pub data: Option<Bytes>,
        /// Its ACL, after fix-up.
        pub acl: Vec<Acl>,
        /// The parent's count of creations after this one.
        pub parent_cversion: i32,
        /// Time to live in milliseconds.
        pub ttl_ms: i64,
    }
}

record! {
    /// Of `createContainer`.
    pub struct CreateContainerTxn {
        /// The node.
        pub path: String,
        /// Its data.
        pub data: Option<Bytes>,
        /// Its ACL, after fix-up.
        pub acl: Vec<Acl>,
        /// The parent's count of creations after this one.
        pub parent_cversion: i32,
    }
}

record! {
    /// Of `delete` and `deleteContainer`.
    pub struct DeleteTxn {
        /// The node.
        pub path: String,
    }
}

record! {
    /// Of `setData` and `reconfig`.
    pub struct SetDataTxn {
        /// The node.
        pub path: String,
        /// Its new data.
        pub data: Option<Bytes>,
        /// Its new version.
        pub version: i32,
    }
}

record! {
    /// Of `setACL`.
    pub struct SetAclTxn {
        /// The node.
        pub path: String,
        /// Its new ACL.
        pub acl: Vec<Acl>,
        /// Its new aversion.
        pub version: i32,
    }
}

record! {
    /// Of `check`, inside a multi only.
    pub struct CheckVersionTxn {
        /// The node.
        pub path: String,
        /// Its version plus one (Java's habit; nothing reads it).
        pub version: i32,
    }
}

record! {
    /// Of `createSession`.
    #[derive(Copy)]
    pub struct CreateSessionTxn {
        /// The granted timeout in milliseconds.
        pub timeout_ms: i32,
    }
}

record! {
    /// Of `closeSession`.
    pub struct CloseSessionTxn {
        /// The ephemeral nodes that go with it.
        pub paths_to_delete: Vec<String>,
    }
}

/// A transaction's body.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant carries the record of the operation it is named after")]
pub enum Txn {
    Create(CreateTxn),
    Create2(CreateTxn),
    CreateTtl(CreateTtlTxn),
    CreateContainer(CreateContainerTxn),
    Delete(DeleteTxn),
    DeleteContainer(DeleteTxn),
    SetData(SetDataTxn),
    Reconfig(SetDataTxn),
    SetAcl(SetAclTxn),
    Check(CheckVersionTxn),
    CreateSession(CreateSessionTxn),
    /// The paths may be absent, as in logs of versions before 3.6: then the session's ephemerals go all the same.
    CloseSession(Option<CloseSessionTxn>),
    Multi(Vec<Self>),
    /// A request that failed its checks: consumes its zxid and tells the client why. A failed multi
    /// has one such part, then `RuntimeInconsistency` for the rest; the parts before it keep their types.
    Error(Result<(), ErrorCode>),
}

impl Txn {
    /// The number that selects this record.
    #[must_use]
    pub const fn opcode(&self) -> OpCode {
        match self {
            Self::Create(_) => OpCode::Create,
            Self::Create2(_) => OpCode::Create2,
            Self::CreateTtl(_) => OpCode::CreateTtl,
            Self::CreateContainer(_) => OpCode::CreateContainer,
            Self::Delete(_) => OpCode::Delete,
            Self::DeleteContainer(_) => OpCode::DeleteContainer,
            Self::SetData(_) => OpCode::SetData,
            Self::Reconfig(_) => OpCode::Reconfig,
            Self::SetAcl(_) => OpCode::SetAcl,
            Self::Check(_) => OpCode::Check,
            Self::CreateSession(_) => OpCode::CreateSession,
            Self::CloseSession(_) => OpCode::CloseSession,
            Self::Multi(_) => OpCode::Multi,
            Self::Error(_) => OpCode::Error,
        }
    }

    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Create(t) | Self::Create2(t) => t.encode(out),
            Self::CreateTtl(t) => t.encode(out),
            Self::CreateContainer(t) => t.encode(out),
            Self::Delete(t) | Self::DeleteContainer(t) => t.encode(out),
            Self::SetData(t) | Self::Reconfig(t) => t.encode(out),
            Self::SetAcl(t) => t.encode(out),
            Self::Check(t) => t.encode(out),
            Self::CreateSession(t) => t.encode(out),
            Self::CloseSession(t) => {
                if let Some(t) = t {
                    t.encode(out);
                }
            }
            Self::Multi(parts) => {
                crate::jute::put_len(out, parts.len());
                for part in parts {
                    part.opcode().code().encode(out);
                    // The part's own length is only known behind it, as with a frame.
                    crate::frame::put(out, |out| part.encode(out));
                }
            }
            Self::Error(outcome) => outcome.encode(out),
        }
    }

    /// `check` is a transaction only inside a multi (ZOOKEEPER-2623), and a multi is none.
    fn decode(op: i32, r: &mut Reader, inside_multi: bool) -> Result<Self, DecodeError> {
        let unknown = || DecodeError::UnknownTag { what: "transaction type", tag: op };
        Ok(match OpCode::from_code(op).ok_or_else(unknown)? {
            OpCode::Create => Self::Create(decode_create(r)?),
            OpCode::Create2 => Self::Create2(decode_create(r)?),
            OpCode::CreateTtl => Self::CreateTtl(r.read()?),
            OpCode::CreateContainer => Self::CreateContainer(r.read()?),
            OpCode::Delete => Self::Delete(r.read()?),
            OpCode::DeleteContainer => Self::DeleteContainer(r.read()?),
            OpCode::SetData => Self::SetData(r.read()?),
            OpCode::Reconfig => Self::Reconfig(r.read()?),
            OpCode::SetAcl => Self::SetAcl(r.read()?),
            OpCode::CreateSession => Self::CreateSession(r.read()?),
            OpCode::CloseSession => Self::CloseSession(decode_close_session(r)?),
            OpCode::Error => Self::Error(r.read()?),
            OpCode::Check if inside_multi => Self::Check(r.read()?),
            OpCode::Multi if !inside_multi => {
                const { assert_bounded::<Self>(PART_BYTES_MIN) };
                let count = r.length(PART_BYTES_MIN)?.unwrap_or_default();
                let mut parts = Vec::new();
                for _ in 0..count {
                    let op = r.read()?;
                    let body: Bytes = r.read()?;
                    parts.push(Self::decode(op, &mut Reader::new(body), true)?);
                }
                Self::Multi(parts)
            }
            _ => return Err(unknown()),
        })
    }
}

/// The fewest bytes of a part of a multi: its type and its length.
const PART_BYTES_MIN: usize = 8;

/// Logs of versions before 3.4 lack the parent's counter (CreateTxnV0): the input ends there.
fn decode_create(r: &mut Reader) -> Result<CreateTxn, DecodeError> {
    Ok(CreateTxn {
        path: r.read()?,
        data: r.read()?,
        acl: r.read()?,
        ephemeral: r.read()?,
        parent_cversion: if r.is_empty() { -1 } else { r.read()? },
    })
}

/// Versions before 3.6 logged no paths and no digest; later ones with `zookeeper.closeSessionTxn.enabled=false` no
/// paths but a digest. That is told from a list by its length: a list of that length that begins with 2, the
/// digest's version, could only hold two empty paths.
fn decode_close_session(r: &mut Reader) -> Result<Option<CloseSessionTxn>, DecodeError> {
    let before = r.clone();
    match r.read() {
        Ok(paths) => Ok(Some(paths)),
        Err(_) if before.is_empty() || before.remaining() == TxnDigest::MIN_BYTES => {
            *r = before;
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

record! {
    /// Behind a transaction: the digest of the whole tree after it.
    #[derive(Copy)]
    pub struct TxnDigest {
        /// The digest's algorithm: 2.
        pub version: i32,
        /// The sum of all nodes' digests.
        pub tree_digest: i64,
    }
}

/// The version of the tree digest that this crate writes.
pub const DIGEST_VERSION: i32 = 2;

/// One entry of the log, which is also the body of a proposal: header, transaction, and perhaps a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnEntry {
    /// Who, when and which place.
    pub header: TxnHeader,
    /// What.
    pub txn: Txn,
    /// The tree's digest afterwards.
    pub digest: Option<TxnDigest>,
}

impl Encode for TxnEntry {
    fn encode(&self, out: &mut BytesMut) {
        self.header.encode(out);
        self.txn.encode(out);
        if let Some(digest) = &self.digest {
            digest.encode(out);
        }
    }
}

impl Decode for TxnEntry {
    const MIN_BYTES: usize = TxnHeader::MIN_BYTES;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let header: TxnHeader = r.read()?;
        let txn = Txn::decode(header.op, r, false)?;
        let digest = if r.is_empty() { None } else { Some(r.read()?) };
        Ok(Self { header, txn, digest })
    }
}

#[cfg(test)]
impl crate::jute::sample::Sample for TxnEntry {
    fn sample(g: &mut crate::jute::sample::Gen) -> Self {
        use crate::jute::sample::Sample;
        fn single(g: &mut crate::jute::sample::Gen, n: usize) -> Txn {
            match n {
                0 => Txn::Create(Sample::sample(g)),
                1 => Txn::Create2(Sample::sample(g)),
                2 => Txn::CreateTtl(Sample::sample(g)),
                3 => Txn::CreateContainer(Sample::sample(g)),
                4 => Txn::Delete(Sample::sample(g)),
                5 => Txn::DeleteContainer(Sample::sample(g)),
                6 => Txn::SetData(Sample::sample(g)),
                7 => Txn::Reconfig(Sample::sample(g)),
                8 => Txn::SetAcl(Sample::sample(g)),
                9 => Txn::CreateSession(Sample::sample(g)),
                10 => Txn::CloseSession(Some(Sample::sample(g))),
                11 => Txn::Error(Sample::sample(g)),
                _ => Txn::Check(Sample::sample(g)),
            }
        }
        let n = g.below(13);
        let txn = if n == 12 {
            Txn::Multi(
                (0..g.below(4))
                    .map(|_| {
                        let n = g.below(13);
                        single(g, n)
                    })
                    .collect(),
            )
        } else {
            single(g, n)
        };
        let mut header = TxnHeader::sample(g);
        header.op = txn.opcode().code();
        Self { header, txn, digest: (g.below(2) == 0).then(|| Sample::sample(g)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(txn: Txn) -> TxnEntry {
        let header = TxnHeader {
            client_id: SessionId(7),
            cxid: 1,
            zxid: Zxid(9),
            time_ms: 3,
            op: txn.opcode().code(),
        };
        TxnEntry { header, txn, digest: None }
    }

    #[test]
    fn create_session_entries_have_the_documented_length() {
        let mut e = entry(Txn::CreateSession(CreateSessionTxn { timeout_ms: 30_000 }));
        assert_eq!(e.to_bytes().len(), 36);
        e.digest = Some(TxnDigest { version: 2, tree_digest: 5 });
        assert_eq!(e.to_bytes().len(), 48);
    }

    #[test]
    fn old_records_without_their_last_field_are_read() {
        let txn = CreateTxn {
            path: "/a".into(),
            data: None,
            acl: Acl::open(),
            ephemeral: false,
            parent_cversion: 1,
        };
        let whole = entry(Txn::Create(txn)).to_bytes();
        let old = TxnEntry::from_bytes(whole.slice(..whole.len() - 4)).unwrap();
        assert!(matches!(old.txn, Txn::Create(CreateTxn { parent_cversion: -1, .. })));
        let closed = entry(Txn::CloseSession(None)).to_bytes();
        assert_eq!(TxnEntry::from_bytes(closed).unwrap().txn, Txn::CloseSession(None));
    }

    /// Java with `zookeeper.closeSessionTxn.enabled=false` writes a digest behind nothing.
    #[test]
    fn a_close_of_a_session_without_paths_may_have_a_digest() {
        let mut closed = entry(Txn::CloseSession(None));
        closed.digest = Some(TxnDigest { version: 2, tree_digest: 0x7_eefc_e123 });
        assert_eq!(TxnEntry::from_bytes(closed.to_bytes()), Ok(closed));
    }

    #[test]
    fn the_count_of_a_multi_is_checked_against_what_is_there() {
        for count in [-2, i32::MIN, 3, i32::MAX] {
            let mut bytes = BytesMut::from(entry(Txn::Multi(Vec::new())).to_bytes().as_ref());
            bytes.truncate(32);
            count.encode(&mut bytes);
            bytes.extend_from_slice(&[0; 16]);
            let read = TxnEntry::from_bytes(bytes.freeze());
            assert_eq!(read, Err(DecodeError::BadLength { declared: count, left: 16 }));
        }
    }

    #[test]
    fn a_check_outside_a_multi_is_refused() {
        let lone = entry(Txn::Check(CheckVersionTxn { path: "/a".into(), version: 1 })).to_bytes();
        assert!(TxnEntry::from_bytes(lone).is_err());
    }
}
