//! A contender's requests as the client sends them, and their ends as a contender reads them. Words only.

use bytes::Bytes;
use zk_client::core::{Failure, Reply, Request, opcode};
use zk_client::{Acl, CreateMode, ErrorCode};
use zk_proto::Decode as _;
use zk_proto::Stat;
use zk_proto::ops::create::{Create2Response, CreateRequest};
use zk_proto::ops::data::{
    GetChildren2Response, GetChildrenRequest, GetDataRequest, GetDataResponse, SetDataRequest,
};
use zk_proto::ops::sync::SyncRequest;
use zk_recipes::contender::{Answer, Made, Refusal, Request as Asked, Seen};

/// The client's request for a contender's.
pub(super) fn request(asked: Asked) -> Request {
    let create = |path, mode: CreateMode| CreateRequest {
        path,
        data: Some(Bytes::from_static(b"simulated")),
        acl: Acl::open(),
        flags: mode.flags(),
    };
    match asked {
        // The simulated lock speaks Curator's dialect: one node.
        Asked::Create { prefixes, .. } => {
            let prefix = prefixes.into_iter().next().unwrap_or_default();
            Request::Create2(create(prefix, CreateMode::EphemeralSequential))
        }
        Asked::Claim { path, version } => {
            Request::SetData(SetDataRequest { path, data: Some(Bytes::new()), version })
        }
        Asked::MakeParents { path, container: true } => {
            Request::CreateContainer(create(path, CreateMode::Container))
        }
        Asked::MakeParents { path, container: false } => {
            Request::Create2(create(path, CreateMode::Persistent))
        }
        Asked::List { path } => Request::GetChildren2(GetChildrenRequest { path, watch: false }),
        Asked::Sync { path } => Request::Sync(SyncRequest { path }),
        Asked::Look { path } => Request::GetData(GetDataRequest { path, watch: false }),
        Asked::WatchPredecessor { path } | Asked::WatchOwn { path } => {
            Request::GetData(GetDataRequest { path, watch: true })
        }
    }
}

/// What the end of such a request says to a contender.
pub(super) fn answer(
    request: &Request,
    result: &Result<Reply, Failure>,
    classify: fn(Failure, bool) -> Refusal,
) -> Answer {
    let refusal = |failure: &Failure| classify(*failure, opcode(request).is_write());
    let body = result.as_ref().map(|reply| reply.body.clone()).map_err(refusal);
    // What does not decode is found by the oracles.
    let never = |_| Refusal::Never;
    let is_parent =
        |r: &CreateRequest| CreateMode::from_flags(r.flags) != Some(CreateMode::EphemeralSequential);
    match request {
        Request::CreateContainer(_) => Answer::ParentsMade(parents_made(result, body)),
        Request::Create2(r) if is_parent(r) => Answer::ParentsMade(parents_made(result, body)),
        Request::Create2(_) => Answer::Created(body.and_then(|body| {
            let made = Create2Response::from_bytes(body).map_err(never)?;
            Ok(Made { paths: vec![made.path], czxid: made.stat.czxid })
        })),
        Request::GetChildren2(_) => Answer::Listed(
            body.and_then(|body| Ok(GetChildren2Response::from_bytes(body).map_err(never)?.children)),
        ),
        Request::GetData(_) => Answer::Seen(body.and_then(|body| {
            let Stat { czxid, ephemeral_owner: owner, version, .. } =
                GetDataResponse::from_bytes(body).map_err(never)?.stat;
            Ok(Seen { czxid, owner, version, revoked: false })
        })),
        _ => Answer::Synced(body.map(|_| ())),
    }
}

/// Somebody else made them is as good.
fn parents_made(result: &Result<Reply, Failure>, body: Result<Bytes, Refusal>) -> Result<(), Refusal> {
    match result {
        Err(Failure::Refused { code: ErrorCode::NodeExists, .. }) => Ok(()),
        _ => body.map(|_| ()),
    }
}
