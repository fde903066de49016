//! A request: the first byte picks the operation, the rest is the body.
#![no_main]

use bytes::Bytes;
use zk_proto::{OpCode, Request};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&op, body)) = input.split_first() else { return };
    let op = OpCode::ALL[usize::from(op) % OpCode::ALL.len()];
    let _ = Request::decode(op.code(), Bytes::copy_from_slice(body));
});
