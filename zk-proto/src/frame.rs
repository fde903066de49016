//! Frames: a 4-byte big-endian length, then that many bytes. Both directions, the handshake included.
//!
//! The limit is checked on the length alone, before a byte of the body is waited or allocated for.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::fmt;

use crate::jute::Encode;

/// Bytes of the length prefix.
pub const PREFIX_BYTES: usize = 4;

/// A length prefix that is negative or above the limit. The connection cannot be read further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameTooLarge {
    /// The length the peer declared.
    pub declared: i32,
    /// The limit in force, in bytes.
    pub limit: usize,
}

impl fmt::Display for FrameTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame length {} outside 0..={} (jute.maxbuffer)", self.declared, self.limit)
    }
}

impl std::error::Error for FrameTooLarge {}

/// Takes the first whole frame out of `input`, without its prefix; `None` when more bytes are needed.
///
/// # Errors
/// [`FrameTooLarge`] as soon as the prefix shows it.
pub fn take(input: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, FrameTooLarge> {
    let Some(len) = peek_len(input, limit)? else { return Ok(None) };
    if input.len() < PREFIX_BYTES + len {
        return Ok(None);
    }
    input.advance(PREFIX_BYTES);
    Ok(Some(input.split_to(len).freeze()))
}

/// The length of the frame at the front of `input`; `None` when the prefix is not whole yet.
///
/// # Errors
/// [`FrameTooLarge`] when it is negative or above `limit`.
pub fn peek_len(input: &[u8], limit: usize) -> Result<Option<usize>, FrameTooLarge> {
    let Some(prefix) = input.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let declared = i32::from_be_bytes(*prefix);
    match usize::try_from(declared) {
        Ok(len) if len <= limit => Ok(Some(len)),
        _ => Err(FrameTooLarge { declared, limit }),
    }
}

/// Appends one frame to `out`: `body` writes the content, the prefix is filled in behind it.
pub fn put(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_i32(0);
    body(out);
    let len = i32::try_from(out.len() - start - PREFIX_BYTES).unwrap_or(i32::MAX);
    out[start..start + PREFIX_BYTES].copy_from_slice(&len.to_be_bytes());
}

/// One record as a frame of its own.
#[must_use]
pub fn of(record: &impl Encode) -> Bytes {
    let mut out = BytesMut::new();
    put(&mut out, |out| record.encode(out));
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_and_in_order() {
        let mut wire = BytesMut::new();
        put(&mut wire, |out| out.put_slice(b"ab"));
        put(&mut wire, |out| out.put_slice(b""));
        wire.put_slice(&[0, 0, 0, 9, 1]);
        assert_eq!(take(&mut wire, 10).unwrap().unwrap().as_ref(), b"ab");
        assert_eq!(take(&mut wire, 10).unwrap().unwrap().as_ref(), b"");
        assert_eq!(take(&mut wire, 10).unwrap(), None);
    }

    #[test]
    fn the_limit_is_inclusive_and_seen_on_the_prefix_alone() {
        assert_eq!(peek_len(&[0, 0, 0, 9], 9), Ok(Some(9)));
        assert_eq!(peek_len(&[0, 0, 0, 10], 9), Err(FrameTooLarge { declared: 10, limit: 9 }));
        assert_eq!(peek_len(&[0xff, 0xff, 0xff, 0xff], 9), Err(FrameTooLarge { declared: -1, limit: 9 }));
        assert_eq!(peek_len(&[0xff, 0xff], 9), Ok(None));
    }
}
