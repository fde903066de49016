//! Reply bodies in the terms of the reference. Decodes; compares nothing.

use bytes::Bytes;
use zk_client::core::Request;
use zk_proto::ops::create::{Create2Response, CreateResponse};
use zk_proto::ops::data::{GetChildren2Response, GetChildrenResponse, GetDataResponse, StatResponse};
use zk_proto::ops::multi::{MultiResponse, MultiResult};
use zk_proto::ops::sync::SyncResponse;
use zk_proto::{Decode, DecodeError};

use crate::sim::reference::Shown;

/// What the body of a successful reply to `request` says.
pub(super) fn decode(request: &Request, body: Bytes) -> Result<Shown, DecodeError> {
    Ok(match request {
        Request::Create(_) => Shown::Path(CreateResponse::from_bytes(body)?.path),
        Request::Create2(_) | Request::CreateContainer(_) => {
            let r = Create2Response::from_bytes(body)?;
            Shown::Made(r.path, r.stat)
        }
        Request::SetData(_) | Request::Exists(_) => Shown::Stat(StatResponse::from_bytes(body)?.stat),
        Request::GetData(_) => {
            let r = GetDataResponse::from_bytes(body)?;
            Shown::Data(r.data, r.stat)
        }
        Request::GetChildren(_) => names(GetChildrenResponse::from_bytes(body)?.children),
        Request::GetChildren2(_) => {
            let r = GetChildren2Response::from_bytes(body)?;
            match names(r.children) {
                Shown::Names(names, _) => Shown::Names(names, Some(r.stat)),
                other => other,
            }
        }
        Request::Sync(_) => Shown::Path(SyncResponse::from_bytes(body)?.path),
        Request::Multi(_) | Request::MultiRead(_) => {
            Shown::Parts(MultiResponse::from_bytes(body)?.results.into_iter().map(part).collect())
        }
        _ if body.is_empty() => Shown::Nothing,
        _ => return Err(DecodeError::Malformed("a body where there should be none")),
    })
}

/// The order of names is nobody's promise.
fn names(mut names: Vec<String>) -> Shown {
    names.sort();
    Shown::Names(names, None)
}

fn part(result: MultiResult) -> Result<Box<Shown>, Result<(), zk_client::ErrorCode>> {
    Ok(Box::new(match result {
        MultiResult::Create(r) => Shown::Path(r.path),
        MultiResult::Create2(r) => Shown::Made(r.path, r.stat),
        MultiResult::Delete | MultiResult::Check => Shown::Nothing,
        MultiResult::SetData(r) => Shown::Stat(r.stat),
        MultiResult::GetData(r) => Shown::Data(r.data, r.stat),
        MultiResult::GetChildren(r) => names(r.children),
        MultiResult::Error(outcome) => return Err(outcome),
    }))
}
