//! A transaction log: reading it ends, and moves on with every entry. An even first byte takes the rest as the file,
//! an odd one as entries to be sealed.
#![no_main]

use bytes::Bytes;
use zk_proto::storage::log::{self, Found};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((&sealed, rest)) = input.split_first() else { return };
    let file = if sealed % 2 == 1 { zk_fuzz::sealed_log(rest) } else { Bytes::copy_from_slice(rest) };
    let mut offset = log::HEADER_BYTES;
    while let Found::Entry { entry, next } = log::read_at(&file, offset) {
        assert!(next > offset && next <= file.len(), "{offset} -> {next}");
        zk_fuzz::decode::<zk_proto::txn::TxnEntry>(&file[offset + 12..next - 1]);
        drop(entry);
        offset = next;
    }
    // A reader may also be sent anywhere.
    for at in [0, file.len() / 2, file.len(), usize::MAX] {
        let _ = log::read_at(&file, at);
    }
});
