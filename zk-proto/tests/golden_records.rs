//! Every record that Java wrote, in `golden/records*.txt`: decoded, its values compared with those Java was given,
//! and encoded again to the same bytes. A line that no record here stands for fails.

#![allow(clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "golden/fields.rs"]
mod fields;
mod golden;

use bytes::{Bytes, BytesMut};
use fields::{Fields, line};
use std::fmt::Debug;
use zk_proto::ops::auth::SaslToken;
use zk_proto::ops::{acl, auth, create, data, delete, introspect, multi, reconfig, sync, watches};
use zk_proto::storage::log::FileHeader;
use zk_proto::txn::{self, TxnEntry, TxnHeader};
use zk_proto::{
    Acl, AuthId, Decode, DecodeError, Encode, OpCode, Reader, Request, SessionId, Stat, Zxid, connect,
    header, quorum, stat, watch,
};

/// A line that cannot come back as it was, because Java tells two things apart that mean the same.
struct Lossy {
    name: &'static str,
    /// What we read, in the notation of the file.
    reads: &'static str,
    /// What we write then: the same bytes but for `from`, which becomes `to`.
    from: &'static str,
    to: &'static str,
}

/// Null strings and lists read as empty ones (where the difference means something, the field is an `Option`);
/// half a surrogate pair is no character; records of old versions gain the fields they lack.
const LOSSY: [Lossy; 8] = [
    Lossy { name: "Id.null", reads: r#"scheme="",id="""#, from: "ffffffffffffffff", to: "0000000000000000" },
    Lossy {
        name: "Id.surrogates",
        reads: "scheme=\"x\",id=\"\u{fffd}\u{fffd}\"",
        from: "eda0bdedb880",
        to: "efbfbdefbfbd",
    },
    Lossy {
        name: "SetWatches.null",
        reads: "relativeZxid=1,dataWatches=[],existWatches=[],childWatches=[]",
        from: "ffffffffffffffffffffffff",
        to: "000000000000000000000000",
    },
    Lossy {
        name: "CreateRequest.null_acl",
        reads: r#"path="/a",data=x000102feff,acl=[],flags=0"#,
        from: "feffffffffff00000000",
        to: "feff0000000000000000",
    },
    Lossy { name: "GetChildrenResponse.null", reads: "children=[]", from: "ffffffff", to: "00000000" },
    Lossy { name: "CloseSessionTxn.null", reads: "paths2Delete=[]", from: "ffffffff", to: "00000000" },
    Lossy {
        name: "CreateTxnV0",
        reads: concat!(
            r#"path="/t/e",data=x000102feff,acl=[{perms=31,id={scheme="world",id="anyone"}},"#,
            r#"{perms=5,id={scheme="digest",id="bob:2Jmhy2uKXG5BaYW4K6U7kKqcjbQ="}}],"#,
            "ephemeral=true,parentCVersion=-1"
        ),
        from: "6a62513d01",
        to: "6a62513d01ffffffff",
    },
    Lossy {
        name: "QuorumPacket.null",
        reads: "type=5,zxid=-1,data=null,authinfo=[]",
        from: "ffffffffffffffffffffffff",
        to: "ffffffffffffffff00000000",
    },
];

/// Records that never reach us, and why.
const NOT_OURS: [(&str, &str); 2] = [
    ("SetMaxChildrenTxn", "no operation of any version makes one"),
    ("DeleteContainerRequest", "the leader's request to itself; from a client it is refused"),
];

/// What an operation's body must be decoded to.
type Asked<T> = (OpCode, fn(T) -> Request);

/// Reads a part of a sequence: what it says and what it writes.
type Part = fn(&mut Reader) -> (String, Bytes);

/// One line of the file, its two texts adjusted when it is lossy.
struct Line {
    name: String,
    java: Bytes,
    ours: Bytes,
    text: String,
}

impl Line {
    fn parse(line: &str) -> Self {
        let mut columns = line.splitn(3, ' ');
        let mut column = || columns.next().unwrap_or_else(|| panic!("three columns: {line}"));
        let (name, hex, text) = (column(), column(), column());
        let (ours, text) = LOSSY.iter().find(|lossy| lossy.name == name).map_or_else(
            || (hex.to_owned(), text),
            |lossy| {
                let at = hex.rfind(lossy.from).unwrap_or_else(|| panic!("{name}: {} is there", lossy.from));
                assert_ne!(text, lossy.reads, "{name} is not lossy");
                let (head, tail) = (&hex[..at], &hex[at + lossy.from.len()..]);
                (format!("{head}{}{tail}", lossy.to), lossy.reads)
            },
        );
        let (java, ours) = (golden::unhex(hex), golden::unhex(&ours));
        Self { name: name.to_owned(), java, ours, text: text.to_owned() }
    }

    /// The Java class.
    fn class(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }

    /// All of Java's bytes are one `T` with Java's values, which writes the same bytes.
    fn is<T: Fields + Encode + Decode + PartialEq + Debug>(&self) -> T {
        let mut r = Reader::new(self.java.clone());
        let value: T = r.read().unwrap_or_else(|e| panic!("{}: {e}", self.name));
        assert!(r.is_empty(), "{}: {} bytes not read", self.name, r.remaining());
        assert_eq!(line(&value), self.text, "{}", self.name);
        assert_eq!(value.to_bytes(), self.ours, "{}: encoded", self.name);
        value
    }

    /// All of Java's bytes are one `T`, and a server that gets them as the body of `op` reads `request`.
    fn asks<T: Fields + Encode + Decode + PartialEq + Debug>(&self, requests: &[Asked<T>]) {
        for (op, request) in requests {
            assert_eq!(Request::decode(op.code(), self.java.clone()), Ok(request(self.is())), "{op:?}");
        }
    }

    /// All of Java's bytes are the body of a logged `op`.
    fn is_logged(&self, op: OpCode) {
        let header = TxnHeader { client_id: SessionId(1), cxid: 2, zxid: Zxid(3), time_ms: 4, op: op.code() };
        let entry = |body: &[u8]| BytesMut::from_iter([&header.to_bytes()[..], body].concat()).freeze();
        let read = TxnEntry::from_bytes(entry(&self.java)).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        assert_eq!((read.header, read.digest), (header, None), "{}", self.name);
        assert_eq!(line(&read.txn), self.text, "{}", self.name);
        assert_eq!(read.to_bytes(), entry(&self.ours), "{}: encoded", self.name);
    }

    /// Java's bytes are these records, one behind the other.
    fn is_sequence(&self, parts: &[Part]) {
        let mut r = Reader::new(self.java.clone());
        let (texts, bytes): (Vec<_>, Vec<_>) = parts.iter().map(|part| part(&mut r)).unzip();
        assert!(r.is_empty(), "{}: {} bytes not read", self.name, r.remaining());
        assert_eq!(texts.join("+"), self.text, "{}", self.name);
        assert_eq!(bytes.concat(), self.ours, "{}: encoded", self.name);
    }
}

/// The [`Part`] that is a `T`.
fn part<T: Fields + Encode + Decode>(r: &mut Reader) -> (String, Bytes) {
    let value: T = r.read().expect("a record");
    (value.shown(), value.to_bytes())
}

/// Tries the words that all of them share; false when the line is none of these.
fn vocabulary(line: &Line) -> bool {
    match line.class() {
        "Id" => drop(line.is::<AuthId>()),
        "ACL" => drop(line.is::<Acl>()),
        "Stat" => drop(line.is::<Stat>()),
        "StatPersisted" => drop(line.is::<stat::StatPersisted>()),
        "ClientInfo" => drop(line.is::<introspect::ClientInfo>()),
        "ConnectRequest" => drop(line.is::<connect::ConnectRequest>()),
        "ConnectResponse" => drop(line.is::<connect::ConnectResponse>()),
        "RequestHeader" => drop(line.is::<header::RequestHeader>()),
        "ReplyHeader" => drop(line.is::<header::ReplyHeader>()),
        "WatcherEvent" => drop(line.is::<watch::WatcherEvent>()),
        "FileHeader" => drop(line.is::<FileHeader>()),
        "QuorumPacket" => drop(line.is::<quorum::QuorumPacket>()),
        "LearnerInfo" => drop(line.is::<quorum::LearnerInfo>()),
        "MultiHeader" => drop(line.is::<multi::MultiHeader>()),
        _ => return false,
    }
    true
}

fn request(line: &Line) -> bool {
    use OpCode as Op;
    match line.class() {
        "AuthPacket" => line.asks::<auth::AuthPacket>(&[(Op::Auth, Request::Auth)]),
        "GetSASLRequest" | "SetSASLRequest" => line.asks::<SaslToken>(&[(Op::Sasl, Request::Sasl)]),
        "SetWatches" => {
            line.asks::<watch::SetWatches>(&[(Op::SetWatches, |r| Request::SetWatches(r.into()))]);
        }
        "SetWatches2" => line.asks::<watch::SetWatches2>(&[(Op::SetWatches2, Request::SetWatches)]),
        "CreateRequest" => line.asks::<create::CreateRequest>(&[
            (Op::Create, Request::Create),
            (Op::Create2, Request::Create2),
            (Op::CreateContainer, Request::CreateContainer),
        ]),
        "CreateTTLRequest" => {
            line.asks::<create::CreateTtlRequest>(&[(Op::CreateTtl, Request::CreateTtl)]);
        }
        "DeleteRequest" => line.asks::<delete::DeleteRequest>(&[(Op::Delete, Request::Delete)]),
        "SetDataRequest" => line.asks::<data::SetDataRequest>(&[(Op::SetData, Request::SetData)]),
        "GetDataRequest" => line.asks::<data::GetDataRequest>(&[(Op::GetData, Request::GetData)]),
        "ExistsRequest" => line.asks::<data::ExistsRequest>(&[(Op::Exists, Request::Exists)]),
        "GetChildrenRequest" => {
            line.asks::<data::GetChildrenRequest>(&[(Op::GetChildren, Request::GetChildren)]);
        }
        "GetChildren2Request" => {
            line.asks::<data::GetChildrenRequest>(&[(Op::GetChildren2, Request::GetChildren2)]);
        }
        "GetAllChildrenNumberRequest" => line.asks::<introspect::GetAllChildrenNumberRequest>(&[(
            Op::GetAllChildrenNumber,
            Request::GetAllChildrenNumber,
        )]),
        "GetEphemeralsRequest" => {
            line.asks::<introspect::GetEphemeralsRequest>(&[(Op::GetEphemerals, Request::GetEphemerals)]);
        }
        "GetACLRequest" => line.asks::<acl::GetAclRequest>(&[(Op::GetAcl, Request::GetAcl)]),
        "SetACLRequest" => line.asks::<acl::SetAclRequest>(&[(Op::SetAcl, Request::SetAcl)]),
        "SyncRequest" => line.asks::<sync::SyncRequest>(&[(Op::Sync, Request::Sync)]),
        "CheckVersionRequest" => line.asks::<multi::CheckVersionRequest>(&[(Op::Check, Request::Check)]),
        "ReconfigRequest" => line.asks::<reconfig::ReconfigRequest>(&[(Op::Reconfig, Request::Reconfig)]),
        "AddWatchRequest" => line.asks::<watches::AddWatchRequest>(&[(Op::AddWatch, Request::AddWatch)]),
        "CheckWatchesRequest" => {
            line.asks::<watches::WatchesRequest>(&[(Op::CheckWatches, Request::CheckWatches)]);
        }
        "RemoveWatchesRequest" => {
            line.asks::<watches::WatchesRequest>(&[(Op::RemoveWatches, Request::RemoveWatches)]);
        }
        "MultiOperationRecord" if line.name.ends_with(".create2") => {
            line.is_sequence(&[
                part::<multi::MultiHeader>,
                part::<create::CreateRequest>,
                part::<multi::MultiHeader>,
            ]);
            let Ok(Request::Multi(whole)) = Request::decode(14, line.java.clone()) else {
                panic!("{}: no multi", line.name)
            };
            assert!(matches!(&whole.ops[..], [multi::MultiOp::Create2(r)] if r.path == "/m/create2"));
            assert_eq!(whole.to_bytes(), line.java);
        }
        "MultiOperationRecord" => line
            .asks::<multi::MultiRequest>(&[(Op::Multi, Request::Multi), (Op::MultiRead, Request::MultiRead)]),
        "DeleteContainerRequest" => assert_eq!(
            Request::decode(Op::DeleteContainer.code(), line.java.clone()),
            Err(DecodeError::UnknownTag { what: "operation", tag: 20 })
        ),
        _ => return false,
    }
    true
}

fn reply(line: &Line) -> bool {
    match line.class() {
        "SetSASLResponse" => drop(line.is::<SaslToken>()),
        "CreateResponse" => drop(line.is::<create::CreateResponse>()),
        "Create2Response" => drop(line.is::<create::Create2Response>()),
        "SetDataResponse" | "SetACLResponse" | "ExistsResponse" => drop(line.is::<data::StatResponse>()),
        "GetDataResponse" => drop(line.is::<data::GetDataResponse>()),
        "GetChildrenResponse" => drop(line.is::<data::GetChildrenResponse>()),
        "GetChildren2Response" => drop(line.is::<data::GetChildren2Response>()),
        "GetACLResponse" => drop(line.is::<acl::GetAclResponse>()),
        "GetAllChildrenNumberResponse" => drop(line.is::<introspect::GetAllChildrenNumberResponse>()),
        "GetEphemeralsResponse" => drop(line.is::<introspect::GetEphemeralsResponse>()),
        "SyncResponse" => drop(line.is::<sync::SyncResponse>()),
        "WhoAmIResponse" => drop(line.is::<introspect::WhoAmIResponse>()),
        "ErrorResponse" => drop(line.is::<watches::ErrorResponse>()),
        "MultiResponse" => drop(line.is::<multi::MultiResponse>()),
        _ => return false,
    }
    true
}

fn transaction(line: &Line) -> bool {
    match line.class() {
        "TxnHeader" => drop(line.is::<TxnHeader>()),
        "CreateTxn" => drop(line.is::<txn::CreateTxn>()),
        "CreateTxnV0" => line.is_logged(OpCode::Create),
        "CreateTTLTxn" => drop(line.is::<txn::CreateTtlTxn>()),
        "CreateContainerTxn" => drop(line.is::<txn::CreateContainerTxn>()),
        "DeleteTxn" => drop(line.is::<txn::DeleteTxn>()),
        "SetDataTxn" => drop(line.is::<txn::SetDataTxn>()),
        "SetACLTxn" => drop(line.is::<txn::SetAclTxn>()),
        "CheckVersionTxn" => drop(line.is::<txn::CheckVersionTxn>()),
        "CreateSessionTxn" => drop(line.is::<txn::CreateSessionTxn>()),
        "CloseSessionTxn" => drop(line.is::<txn::CloseSessionTxn>()),
        "ErrorTxn" => line.is_logged(OpCode::Error),
        "MultiTxn" => line.is_logged(OpCode::Multi),
        "TxnDigest" => drop(line.is::<txn::TxnDigest>()),
        "entry" => {
            let entry = TxnEntry::from_bytes(line.java.clone()).expect("an entry");
            let digest = entry.digest.expect("a digest");
            let text = format!("{}+{}+{}", entry.header.shown(), entry.txn.shown(), digest.shown());
            assert_eq!((text, entry.to_bytes()), (line.text.clone(), line.java.clone()));
        }
        name => return NOT_OURS.iter().any(|(class, _)| *class == name),
    }
    true
}

#[test]
fn every_record_of_java_is_read_and_written_as_java_does() {
    let text = golden::text("records.txt") + &golden::text("records3.9.txt");
    let lines: Vec<Line> = text.lines().map(Line::parse).collect();
    for line in &lines {
        let known = vocabulary(line) || request(line) || reply(line) || transaction(line);
        assert!(known, "no record stands for {}", line.name);
    }
    let named = |name: &str| lines.iter().any(|line| line.name == name);
    for name in LOSSY.iter().map(|lossy| lossy.name).chain(NOT_OURS.map(|(name, _)| name)) {
        assert!(named(name), "{name} is not in the files any more");
    }
}
