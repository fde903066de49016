//! Every record: what is encoded is decoded to the same value; every prefix of it is refused or read without a
//! panic; and so are arbitrary bytes.

use super::sample::{Gen, Sample};
use crate::{acl, connect, header, ops, quorum, stat, storage, txn, watch};
use bytes::Bytes;
use proptest::prelude::*;

use super::{Decode, Encode};

fn check<T: Sample + Encode + Decode + PartialEq + std::fmt::Debug>(seed: u64) {
    let value = T::sample(&mut Gen(seed));
    let bytes = value.to_bytes();
    assert_eq!(T::from_bytes(bytes.clone()).as_ref(), Ok(&value));
    assert!(bytes.len() >= T::MIN_BYTES, "{} is shorter than MIN_BYTES", std::any::type_name::<T>());
    for cut in 0..bytes.len() {
        let _ = T::from_bytes(bytes.slice(..cut));
    }
    let mut longer = bytes.to_vec();
    longer.push(0xee);
    let _ = T::from_bytes(Bytes::from(longer));
}

fn survives<T: Decode>(bytes: &[u8]) {
    let _ = T::from_bytes(Bytes::copy_from_slice(bytes));
}

macro_rules! every_record {
    ($($t:ty),* $(,)?) => {
        proptest! {
            #[test]
            fn every_record_round_trips(seed: u64) {
                $(check::<$t>(seed);)*
            }

            #[test]
            fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
                $(survives::<$t>(&bytes);)*
                for op in ops::OpCode::ALL {
                    let _ = ops::Request::decode(op.code(), Bytes::copy_from_slice(&bytes));
                }
            }
        }
    };
}

every_record!(
    acl::Acl,
    acl::AuthId,
    connect::ConnectRequest,
    connect::ConnectResponse,
    header::ReplyHeader,
    header::RequestHeader,
    ops::acl::GetAclRequest,
    ops::acl::GetAclResponse,
    ops::acl::SetAclRequest,
    ops::auth::AuthPacket,
    ops::auth::SaslToken,
    ops::create::Create2Response,
    ops::create::CreateRequest,
    ops::create::CreateResponse,
    ops::create::CreateTtlRequest,
    ops::data::ExistsRequest,
    ops::data::GetChildren2Response,
    ops::data::GetChildrenRequest,
    ops::data::GetChildrenResponse,
    ops::data::GetDataRequest,
    ops::data::GetDataResponse,
    ops::data::SetDataRequest,
    ops::data::StatResponse,
    ops::delete::DeleteRequest,
    ops::introspect::ClientInfo,
    ops::introspect::GetAllChildrenNumberRequest,
    ops::introspect::GetAllChildrenNumberResponse,
    ops::introspect::GetEphemeralsRequest,
    ops::introspect::GetEphemeralsResponse,
    ops::introspect::WhoAmIResponse,
    ops::multi::CheckVersionRequest,
    ops::multi::MultiHeader,
    ops::multi::MultiRequest,
    ops::multi::MultiResponse,
    ops::reconfig::ReconfigRequest,
    ops::sync::SyncRequest,
    ops::sync::SyncResponse,
    ops::watches::AddWatchRequest,
    ops::watches::ErrorResponse,
    ops::watches::WatchesRequest,
    quorum::LearnerInfo,
    quorum::QuorumPacket,
    stat::Stat,
    stat::StatPersisted,
    storage::log::FileHeader,
    storage::snapshot::SnapshotAcl,
    storage::snapshot::SnapshotDigest,
    storage::snapshot::SnapshotNode,
    storage::snapshot::SnapshotSession,
    txn::CheckVersionTxn,
    txn::CloseSessionTxn,
    txn::CreateContainerTxn,
    txn::CreateSessionTxn,
    txn::CreateTtlTxn,
    txn::CreateTxn,
    txn::DeleteTxn,
    txn::SetAclTxn,
    txn::SetDataTxn,
    txn::TxnDigest,
    txn::TxnEntry,
    txn::TxnHeader,
    watch::SetWatches,
    watch::SetWatches2,
    watch::WatcherEvent,
);
