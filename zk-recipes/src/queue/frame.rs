//! Items as Curator's queues write them: a version, then each item with its length, then an end mark. Pure.
//!
//! | bytes | what |
//! |---|---|
//! | `00 01 00 01` | version |
//! | `01`, length (4, big-endian), data | an item; as many as there are |
//! | `02` | the end |

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use std::fmt;

const VERSION: u32 = 0x0001_0001;
const ITEM: u8 = 0x01;
const END: u8 = 0x02;

/// Why bytes are no items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadFrame {
    /// It begins with another version.
    Version(u32),
    /// An item begins with another mark.
    Mark(u8),
    /// It ends before it should.
    Short,
    /// An item has a length that cannot be.
    Length(i32),
}

impl fmt::Display for BadFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "version {version:#010x} is not Curator's"),
            Self::Mark(mark) => write!(f, "{mark:#04x} begins no item"),
            Self::Short => f.write_str("it ends in the middle"),
            Self::Length(length) => write!(f, "an item of {length} bytes cannot be"),
        }
    }
}

impl std::error::Error for BadFrame {}

/// The bytes of these items.
#[must_use]
pub fn encode_items(items: &[Bytes]) -> Bytes {
    let length: usize = items.iter().map(|item| 5 + item.len()).sum();
    let mut bytes = BytesMut::with_capacity(5 + length);
    bytes.put_u32(VERSION);
    for item in items {
        bytes.put_u8(ITEM);
        // A node holds a megabyte or so.
        bytes.put_u32(u32::try_from(item.len()).unwrap_or(u32::MAX));
        bytes.put_slice(item);
    }
    bytes.put_u8(END);
    bytes.freeze()
}

/// The items in these bytes, which are shared. A missing end mark is no error, as to Curator.
///
/// # Errors
/// [`BadFrame`].
pub fn decode_items(mut bytes: Bytes) -> Result<Vec<Bytes>, BadFrame> {
    let version = bytes.try_get_u32().map_err(|_| BadFrame::Short)?;
    if version != VERSION {
        return Err(BadFrame::Version(version));
    }
    let mut items = Vec::new();
    loop {
        match bytes.try_get_u8() {
            Err(_) | Ok(END) => return Ok(items),
            Ok(ITEM) => {}
            Ok(mark) => return Err(BadFrame::Mark(mark)),
        }
        let length = bytes.try_get_i32().map_err(|_| BadFrame::Short)?;
        let length = usize::try_from(length).map_err(|_| BadFrame::Length(length))?;
        if length > bytes.len() {
            return Err(BadFrame::Short);
        }
        items.push(bytes.split_to(length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Printed by Curator 5.9.
    #[test]
    fn the_bytes_of_curator() {
        let golden = b"\x00\x01\x00\x01\x01\x00\x00\x00\x02ab\x02";
        assert_eq!(&encode_items(&[Bytes::from_static(b"ab")])[..], golden);
        assert_eq!(decode_items(Bytes::from_static(golden)), Ok(vec![Bytes::from_static(b"ab")]));
    }

    #[test]
    fn what_is_no_frame_is_told() {
        let judge = |bytes: &'static [u8]| decode_items(Bytes::from_static(bytes)).unwrap_err();
        assert_eq!(judge(b""), BadFrame::Short);
        assert_eq!(judge(b"\x00\x01\x00\x02"), BadFrame::Version(0x0001_0002));
        assert_eq!(judge(b"\x00\x01\x00\x01\x07"), BadFrame::Mark(7));
        assert_eq!(judge(b"\x00\x01\x00\x01\x01\x00\x00"), BadFrame::Short);
        assert_eq!(judge(b"\x00\x01\x00\x01\x01\xff\xff\xff\xff"), BadFrame::Length(-1));
        assert_eq!(judge(b"\x00\x01\x00\x01\x01\x7f\xff\xff\xffx"), BadFrame::Short);
        assert_eq!(decode_items(Bytes::from_static(b"\x00\x01\x00\x01")), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn every_list_comes_back(items: Vec<Vec<u8>>) {
            let items: Vec<Bytes> = items.into_iter().map(Bytes::from).collect();
            prop_assert_eq!(decode_items(encode_items(&items)), Ok(items));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes: Vec<u8>) {
            let _ = decode_items(bytes.into());
        }
    }
}
