//! What decoding may allocate: never more than a small multiple of the bytes that are really there, whatever the
//! lengths inside them say.
//!
//! The bound on the size of an item is held at compile time (`assert_bounded` in `jute.rs`). These tests hold the
//! rest: a count that the input cannot hold is refused before anything is reserved, and the densest input there is
//! stays within the bound.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use bytes::{BufMut, Bytes, BytesMut};
use std::fmt::Debug;
use zk_proto::ops::acl::GetAclResponse;
use zk_proto::ops::data::GetChildrenResponse;
use zk_proto::ops::introspect::WhoAmIResponse;
use zk_proto::ops::multi::{MultiRequest, MultiResponse};
use zk_proto::quorum::QuorumPacket;
use zk_proto::storage::snapshot::{SnapshotAcl, SnapshotReader, SnapshotSession};
use zk_proto::txn::{CloseSessionTxn, Txn, TxnEntry};
use zk_proto::watch::SetWatches2;
use zk_proto::{Acl, Decode, DecodeError, OpCode, Request, limits};

/// Items in the dense inputs.
const ITEMS: usize = 50_000;

fn memory<T>(list: &Vec<T>) -> usize {
    list.capacity() * size_of::<T>()
}

/// `before`, a count, and that many items: decoded, the list that `list` finds must stay within the bound.
fn dense<T: Decode>(before: &[u8], item: &[u8], behind: &[u8], list: impl Fn(&T) -> (usize, usize)) {
    let mut input = BytesMut::from(before);
    for _ in 0..ITEMS {
        input.put_slice(item);
    }
    input.put_slice(behind);
    let len = input.len();
    let value = T::from_bytes(input.freeze()).expect("a valid list");
    let (items, memory) = list(&value);
    let what = std::any::type_name::<T>();
    assert_eq!(items, ITEMS, "{what}");
    assert!(memory <= 2 * limits::MEMORY_PER_INPUT_BYTE_MAX * len, "{what}: {memory} bytes for {len}");
}

fn count_of(n: usize) -> [u8; 4] {
    i32::try_from(n).unwrap().to_be_bytes()
}

fn txn_header(op: OpCode) -> BytesMut {
    let mut header = BytesMut::zeroed(28);
    header.put_i32(op.code());
    header
}

#[test]
fn the_densest_lists_stay_within_the_bound() {
    let count = count_of(ITEMS);
    let of = |list: &Vec<String>| (list.len(), memory(list));
    dense::<GetChildrenResponse>(&count, &[0; 4], &[], |v| of(&v.children));
    dense::<SetWatches2>(&[&[0; 8], &count[..]].concat(), &[0; 4], &[0; 16], |v| of(&v.data_watches));
    dense::<CloseSessionTxn>(&count, &[0; 4], &[], |v| of(&v.paths_to_delete));
    dense::<GetAclResponse>(&count, &[0; 12], &[0; 68], |v| (v.acl.len(), memory(&v.acl)));
    dense::<WhoAmIResponse>(&count, &[0; 8], &[], |v| (v.client_info.len(), memory(&v.client_info)));
    dense::<Vec<SnapshotSession>>(&count, &[0; 12], &[], |v| (v.len(), memory(v)));
    dense::<Vec<SnapshotAcl>>(&count, &[0; 12], &[], |v| (v.len(), memory(v)));
    let packet = [&[0; 16], &count[..]].concat();
    dense::<QuorumPacket>(&packet, &[0; 8], &[], |v| (v.auth_info.len(), memory(&v.auth_info)));
}

#[test]
fn the_densest_multis_stay_within_the_bound() {
    let end = [0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff];
    let get_data = [0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    dense::<MultiRequest>(&[], &get_data, &end, |v| (v.ops.len(), memory(&v.ops)));
    let deleted = [0, 0, 0, 2, 0, 0, 0, 0, 0];
    dense::<MultiResponse>(&[], &deleted, &end, |v| (v.results.len(), memory(&v.results)));
    let before = [&txn_header(OpCode::Multi)[..], &count_of(ITEMS)].concat();
    let closed = [&OpCode::CloseSession.code().to_be_bytes()[..], &[0; 4]].concat();
    dense::<TxnEntry>(&before, &closed, &[], |v| match &v.txn {
        Txn::Multi(parts) => (parts.len(), memory(parts)),
        other => panic!("{other:?}"),
    });
}

/// After `before` comes a count with `left` bytes behind it: every count that those cannot hold is refused on sight.
fn lies<T: Debug>(before: &[u8], item: usize, decode: impl Fn(Bytes) -> Result<T, DecodeError>) {
    for left in [0, item - 1, 8 * item - 1, 8 * item] {
        let believable = i32::try_from(left / item).unwrap();
        for declared in [believable + 1, i32::MAX / 2, i32::MAX, -2, i32::MIN] {
            let mut input = BytesMut::from(before);
            input.put_i32(declared);
            input.put_bytes(0, left);
            let refused = decode(input.freeze()).expect_err("a count that is not there");
            assert_eq!(refused, DecodeError::BadLength { declared, left }, "{}", std::any::type_name::<T>());
        }
    }
}

#[test]
fn a_count_beyond_the_input_is_refused_before_anything_is_reserved() {
    lies(&[], 1, String::from_bytes);
    lies(&[], 1, Option::<String>::from_bytes);
    lies(&[], 1, Bytes::from_bytes);
    lies(&[], 1, zk_proto::connect::Password::from_bytes);
    lies(&[], 4, Vec::<String>::from_bytes);
    lies(&[], 12, Vec::<Acl>::from_bytes);
    lies(&[0; 8], 4, |body| Request::decode(OpCode::SetWatches2.code(), body));
    lies(&[0; 8], 12, |body| Request::decode(OpCode::Create.code(), body));
    lies(&[0; 4], 12, |body| Request::decode(OpCode::SetAcl.code(), body));
    lies(&[0; 16], 8, QuorumPacket::from_bytes);
    lies(&txn_header(OpCode::Multi), 8, TxnEntry::from_bytes);
    let file = zk_proto::Encode::to_bytes(&zk_proto::storage::log::FileHeader::SNAPSHOT);
    lies(&file, 12, |bytes| SnapshotReader::new(bytes).map(|_| ()));
    let no_sessions = [&file[..], &[0; 4]].concat();
    lies(&no_sessions, 12, |bytes| SnapshotReader::new(bytes).map(|_| ()));
}
