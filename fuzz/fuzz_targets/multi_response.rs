//! The reply of a multi.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| zk_fuzz::decode::<zk_proto::ops::multi::MultiResponse>(input));
