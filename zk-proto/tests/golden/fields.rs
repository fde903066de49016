//! Our values in the notation of the third column of `records*.txt`: what `GoldenBytes.java` prints of Java's.
//!
//! A record is taken apart with a pattern that names every field, so that none can be left out of a comparison.

use bytes::Bytes;
use zk_proto::connect::{ConnectRequest, ConnectResponse, Password, ReadOnlyFlag};
use zk_proto::event::{EventType, KeeperState};
use zk_proto::header::{ReplyHeader, RequestHeader};
use zk_proto::ops::acl::{GetAclRequest, GetAclResponse, SetAclRequest};
use zk_proto::ops::auth::{AuthPacket, SaslToken, Secret};
use zk_proto::ops::create::{Create2Response, CreateRequest, CreateResponse, CreateTtlRequest};
use zk_proto::ops::data::{
    ExistsRequest, GetChildren2Response, GetChildrenRequest, GetChildrenResponse, GetDataRequest,
    GetDataResponse, SetDataRequest, StatResponse,
};
use zk_proto::ops::delete::DeleteRequest;
use zk_proto::ops::introspect::{
    ClientInfo, GetAllChildrenNumberRequest, GetAllChildrenNumberResponse, GetEphemeralsRequest,
    GetEphemeralsResponse, WhoAmIResponse,
};
use zk_proto::ops::multi::{
    CheckVersionRequest, MultiHeader, MultiOp, MultiRequest, MultiResponse, MultiResult,
};
use zk_proto::ops::reconfig::ReconfigRequest;
use zk_proto::ops::sync::{SyncRequest, SyncResponse};
use zk_proto::ops::watches::{AddWatchRequest, ErrorResponse, WatchesRequest};
use zk_proto::quorum::{LearnerInfo, QuorumPacket};
use zk_proto::stat::StatPersisted;
use zk_proto::storage::log::FileHeader;
use zk_proto::txn::{
    CheckVersionTxn, CloseSessionTxn, CreateContainerTxn, CreateSessionTxn, CreateTtlTxn, CreateTxn,
    DeleteTxn, SetAclTxn, SetDataTxn, Txn, TxnDigest, TxnEntry, TxnHeader,
};
use zk_proto::watch::{SetWatches, SetWatches2};
use zk_proto::{Acl, AuthId, Encode, ErrorCode, Perms, SessionId, Stat, WatcherEvent, Zxid};

/// A value as Java prints it.
pub(crate) trait Fields {
    /// As a field of something else; a record in braces.
    fn shown(&self) -> String;
}

/// A record as a line of its own: without the braces.
pub(crate) fn line(value: &impl Fields) -> String {
    let shown = value.shown();
    shown.strip_prefix('{').and_then(|s| s.strip_suffix('}')).map_or(shown.clone(), str::to_owned)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("x".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

fn list<T: Fields>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(Fields::shown).collect::<Vec<_>>().join(","))
}

macro_rules! plain {
    ($($t:ty, $v:ident => $text:expr;)*) => {$(
        impl Fields for $t {
            fn shown(&self) -> String {
                let $v = self;
                $text
            }
        }
    )*};
}

plain! {
    bool, v => v.to_string();
    i32, v => v.to_string();
    i64, v => v.to_string();
    Zxid, v => v.0.to_string();
    SessionId, v => v.0.to_string();
    Perms, v => v.0.to_string();
    EventType, v => v.code().to_string();
    KeeperState, v => v.code().to_string();
    Result<(), ErrorCode>, v => v.map_or_else(ErrorCode::code, |()| 0).to_string();
    String, v => format!("\"{v}\"");
    Option<String>, v => v.as_ref().map_or("null".into(), Fields::shown);
    Option<Bytes>, v => v.as_ref().map_or("null".into(), |data| hex(data));
    Secret, v => v.0.shown();
    Password, v => hex(&v.0);
    ReadOnlyFlag, v => match v {
        ReadOnlyFlag::Present(flag) => flag.to_string(),
        ReadOnlyFlag::Absent => "absent".into(),
    };
}

impl<T: Fields> Fields for Vec<T> {
    fn shown(&self) -> String {
        list(self)
    }
}

/// Each field by our name and, where that differs, `as` Java's.
macro_rules! records {
    ($($t:ident { $($ours:ident $(as $java:ident)?),* })*) => {$(
        impl Fields for $t {
            fn shown(&self) -> String {
                let Self { $($ours),* } = self;
                let fields = [$(format!("{}={}", records!(@name $ours $($java)?), $ours.shown())),*];
                format!("{{{}}}", fields.join(","))
            }
        }
    )*};
    (@name $ours:ident $java:ident) => { stringify!($java) };
    (@name $ours:ident) => { stringify!($ours) };
}

records! {
    AuthId { scheme, id }
    Acl { perms, id }
    Stat {
        czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeral_owner as ephemeralOwner,
        data_length as dataLength, num_children as numChildren, pzxid
    }
    StatPersisted {
        czxid, mzxid, ctime, mtime, version, cversion, aversion, ephemeral_owner as ephemeralOwner, pzxid
    }
    ClientInfo { auth_scheme as authScheme, user }
    ConnectRequest {
        protocol_version as protocolVersion, last_zxid_seen as lastZxidSeen, timeout_ms as timeOut,
        session_id as sessionId, password as passwd, read_only as readOnly
    }
    ConnectResponse {
        protocol_version as protocolVersion, timeout_ms as timeOut, session_id as sessionId, password as passwd,
        read_only as readOnly
    }
    RequestHeader { xid, op as type }
    ReplyHeader { xid, zxid, outcome as err }
    AuthPacket { auth_type as type, scheme, auth }
    SaslToken { token }
    WatcherEvent { event_type as type, state, path }
    SetWatches {
        relative_zxid as relativeZxid, data_watches as dataWatches, exist_watches as existWatches,
        child_watches as childWatches
    }
    SetWatches2 {
        relative_zxid as relativeZxid, data_watches as dataWatches, exist_watches as existWatches,
        child_watches as childWatches, persistent_watches as persistentWatches,
        persistent_recursive_watches as persistentRecursiveWatches
    }
    CreateRequest { path, data, acl, flags }
    CreateTtlRequest { path, data, acl, flags, ttl_ms as ttl }
    DeleteRequest { path, version }
    SetDataRequest { path, data, version }
    GetDataRequest { path, watch }
    ExistsRequest { path, watch }
    GetChildrenRequest { path, watch }
    GetAllChildrenNumberRequest { path }
    GetAclRequest { path }
    SyncRequest { path }
    SetAclRequest { path, acl, version }
    CheckVersionRequest { path, version }
    ReconfigRequest {
        joining_servers as joiningServers, leaving_servers as leavingServers, new_members as newMembers,
        cur_config_id as curConfigId
    }
    AddWatchRequest { path, mode }
    WatchesRequest { path, watcher_type as type }
    GetEphemeralsRequest { prefix_path as prefixPath }
    CreateResponse { path }
    Create2Response { path, stat }
    StatResponse { stat }
    GetDataResponse { data, stat }
    GetChildrenResponse { children }
    GetChildren2Response { children, stat }
    GetAclResponse { acl, stat }
    GetAllChildrenNumberResponse { total as totalNumber }
    GetEphemeralsResponse { ephemerals }
    SyncResponse { path }
    WhoAmIResponse { client_info as clientInfo }
    ErrorResponse { outcome as err }
    MultiHeader { op as type, done, err }
    TxnHeader { client_id as clientId, cxid, zxid, time_ms as time, op as type }
    CreateTxn { path, data, acl, ephemeral, parent_cversion as parentCVersion }
    CreateTtlTxn { path, data, acl, parent_cversion as parentCVersion, ttl_ms as ttl }
    CreateContainerTxn { path, data, acl, parent_cversion as parentCVersion }
    DeleteTxn { path }
    SetDataTxn { path, data, version }
    SetAclTxn { path, acl, version }
    CheckVersionTxn { path, version }
    CreateSessionTxn { timeout_ms as timeOut }
    CloseSessionTxn { paths_to_delete as paths2Delete }
    TxnDigest { version, tree_digest as treeDigest }
    QuorumPacket { kind as type, zxid, data, auth_info as authinfo }
    LearnerInfo { server_id as serverid, protocol_version as protocolVersion, config_version as configVersion }
    FileHeader { magic, version, dbid }
}

/// Java lists the parts of a multi as `type:record`.
impl Fields for MultiRequest {
    fn shown(&self) -> String {
        let part = |op: &MultiOp| {
            let record = match op {
                MultiOp::Create(r) | MultiOp::Create2(r) | MultiOp::CreateContainer(r) => r.shown(),
                MultiOp::CreateTtl(r) => r.shown(),
                MultiOp::Delete(r) => r.shown(),
                MultiOp::SetData(r) => r.shown(),
                MultiOp::Check(r) => r.shown(),
                MultiOp::GetData(r) => r.shown(),
                MultiOp::GetChildren(r) => r.shown(),
            };
            format!("{}:{record}", op.opcode().code())
        };
        format!("[{}]", self.ops.iter().map(part).collect::<Vec<_>>().join(","))
    }
}

/// As a request, with the stat that Java's result of a `create` has room for but not on the wire.
impl Fields for MultiResponse {
    fn shown(&self) -> String {
        let part = |result: &MultiResult| match result {
            MultiResult::Create(r) => format!("1:{{path={},stat=null}}", r.path.shown()),
            MultiResult::Create2(r) => format!("15:{}", r.shown()),
            MultiResult::Delete => "2:{}".into(),
            MultiResult::SetData(r) => format!("5:{}", r.shown()),
            MultiResult::Check => "13:{}".into(),
            MultiResult::GetData(r) => format!("4:{}", r.shown()),
            MultiResult::GetChildren(r) => format!("8:{}", r.shown()),
            MultiResult::Error(outcome) => format!("-1:{{err={}}}", outcome.shown()),
        };
        format!("[{}]", self.results.iter().map(part).collect::<Vec<_>>().join(","))
    }
}

/// Java keeps the parts of a logged multi as bytes.
impl Fields for Txn {
    fn shown(&self) -> String {
        let part = |txn: &Self| {
            let header = TxnHeader {
                client_id: SessionId::NONE,
                cxid: 0,
                zxid: Zxid::ZERO,
                time_ms: 0,
                op: txn.opcode().code(),
            };
            let entry = TxnEntry { header, txn: txn.clone(), digest: None }.to_bytes();
            format!("{{type={},data={}}}", txn.opcode().code(), hex(&entry[header.to_bytes().len()..]))
        };
        match self {
            Self::Multi(parts) => {
                format!("{{txns=[{}]}}", parts.iter().map(part).collect::<Vec<_>>().join(","))
            }
            Self::Create(t) => t.shown(),
            Self::Error(outcome) => format!("{{err={}}}", outcome.shown()),
            other => panic!("{other:?} is only shown as its own record"),
        }
    }
}
