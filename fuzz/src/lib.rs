//! What every fuzz target holds: no panic, and what was understood is written in a way that is understood the same.

pub mod heap;
pub mod session;

use bytes::{Bytes, BytesMut};
use std::fmt::Debug;
use zk_proto::{Decode, Encode, Reader};

/// Decodes one `T` off the front of `input`; when that succeeds, its own bytes must give the same value.
pub fn decode<T: Decode + Encode + PartialEq + Debug>(input: &[u8]) {
    let Ok(value) = T::decode(&mut Reader::new(Bytes::copy_from_slice(input))) else { return };
    let mut r = Reader::new(value.to_bytes());
    assert_eq!(r.read::<T>().as_ref(), Ok(&value));
    assert!(r.is_empty(), "{} bytes more than it reads: {value:?}", r.remaining());
}

/// `bodies`, each behind a byte with its length, as entries of a log with right checksums: no fuzzer guesses those.
pub fn sealed_log(mut bodies: &[u8]) -> Bytes {
    let mut file = BytesMut::from(&zk_proto::storage::log::FileHeader::LOG.to_bytes()[..]);
    while let Some((&len, rest)) = bodies.split_first() {
        let (body, rest) = rest.split_at(usize::from(len).min(rest.len()));
        i64::from(simd_adler32::adler32(&body)).encode(&mut file);
        body.encode(&mut file);
        file.extend_from_slice(&[zk_proto::storage::log::ENTRY_END]);
        bodies = rest;
    }
    file.freeze()
}

/// Sessions, access lists and nodes as `body` has them, in a snapshot with the right header, end and seal.
pub fn sealed_snapshot(body: &[u8]) -> Bytes {
    let mut file = BytesMut::from(&zk_proto::storage::log::FileHeader::SNAPSHOT.to_bytes()[..]);
    file.extend_from_slice(body);
    "/".encode(&mut file);
    let sum = simd_adler32::adler32(&&file[..]);
    i64::from(sum).encode(&mut file);
    "/".encode(&mut file);
    file.freeze()
}
