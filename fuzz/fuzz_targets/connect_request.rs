//! The client's first frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| zk_fuzz::decode::<zk_proto::connect::ConnectRequest>(input));
