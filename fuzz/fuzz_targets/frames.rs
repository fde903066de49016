//! The frame splitter: however the bytes come in, the same frames come out, and the same complaint.
//!
//! The first byte is the limit, the second the number of chunk sizes that follow, taken in turn; then the wire.
#![no_main]

use bytes::{Bytes, BytesMut};
use zk_proto::frame::{self, FrameTooLarge};

fn drain(input: &mut BytesMut, limit: usize, frames: &mut Vec<Bytes>) -> Result<(), FrameTooLarge> {
    while let Some(frame) = frame::take(input, limit)? {
        assert!(frame.len() <= limit);
        frames.push(frame);
    }
    Ok(())
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let [limit, sizes, rest @ ..] = input else { return };
    let (limit, (sizes, wire)) = (usize::from(*limit), rest.split_at(usize::from(*sizes).min(rest.len())));

    let mut expected = Vec::new();
    let mut whole = BytesMut::from(wire);
    let outcome = drain(&mut whole, limit, &mut expected);

    let (mut frames, mut chunked, mut left) = (Vec::new(), BytesMut::new(), wire);
    for size in sizes.iter().copied().chain(std::iter::repeat(1)) {
        let (chunk, rest) = left.split_at(usize::from(size).min(left.len()));
        chunked.extend_from_slice(chunk);
        left = rest;
        let so_far = drain(&mut chunked, limit, &mut frames);
        if so_far.is_err() || left.is_empty() {
            assert_eq!(so_far, outcome);
            break;
        }
    }
    assert_eq!(frames, expected);
    assert!(outcome.is_err() || chunked == whole);
});
