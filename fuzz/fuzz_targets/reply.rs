//! Everything behind a reply header, and the headers themselves: the first byte picks the record.
#![no_main]

use zk_fuzz::decode;
use zk_proto::header::{ReplyHeader, RequestHeader};
use zk_proto::ops::acl::GetAclResponse;
use zk_proto::ops::auth::SaslToken;
use zk_proto::ops::create::{Create2Response, CreateResponse};
use zk_proto::ops::data::{GetChildren2Response, GetChildrenResponse, GetDataResponse, StatResponse};
use zk_proto::ops::introspect::{GetAllChildrenNumberResponse, GetEphemeralsResponse, WhoAmIResponse};
use zk_proto::ops::sync::SyncResponse;
use zk_proto::ops::watches::ErrorResponse;
use zk_proto::quorum::{LearnerInfo, QuorumPacket};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&record, body)) = input.split_first() else { return };
    match record % 17 {
        0 => decode::<ReplyHeader>(body),
        1 => decode::<RequestHeader>(body),
        2 => decode::<CreateResponse>(body),
        3 => decode::<Create2Response>(body),
        4 => decode::<StatResponse>(body),
        5 => decode::<GetDataResponse>(body),
        6 => decode::<GetChildrenResponse>(body),
        7 => decode::<GetChildren2Response>(body),
        8 => decode::<GetAclResponse>(body),
        9 => decode::<GetAllChildrenNumberResponse>(body),
        10 => decode::<GetEphemeralsResponse>(body),
        11 => decode::<SyncResponse>(body),
        12 => decode::<WhoAmIResponse>(body),
        13 => decode::<ErrorResponse>(body),
        14 => decode::<SaslToken>(body),
        15 => decode::<QuorumPacket>(body),
        _ => decode::<LearnerInfo>(body),
    }
});
