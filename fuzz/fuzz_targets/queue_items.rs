//! A queue node's items, as a stranger wrote them: what was understood is written the same.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use zk_recipes::queue::{decode_items, encode_items};

fuzz_target!(|input: &[u8]| {
    if let Ok(items) = decode_items(Bytes::copy_from_slice(input)) {
        let written = encode_items(&items);
        // Curator reads a list without its end mark, and nothing behind the mark.
        assert!(input.starts_with(&written[..written.len() - 1]));
        assert_eq!(decode_items(written), Ok(items));
    }
});
