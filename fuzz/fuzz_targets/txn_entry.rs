//! A logged or proposed transaction, its digest included.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| zk_fuzz::decode::<zk_proto::txn::TxnEntry>(input));
