//! Jute, ZooKeeper's record encoding: big-endian, no tags, no padding, fields in declared order.
//!
//! Owns the [`Reader`], the [`Encode`] and [`Decode`] traits for the primitive types, and the `record!` macro
//! that declares a record once. Decoding never panics and never allocates more than the remaining bytes
//! justify: declared lengths are checked against what is really there first, and no list
//! compiles whose items outgrow their bytes.

use bytes::{BufMut, Bytes, BytesMut};
use std::fmt;

use crate::limits::{MEMORY_PER_INPUT_BYTE_MAX, VECTOR_RESERVE_MAX};

/// Why bytes could not be read as a record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ended inside a field.
    Truncated {
        /// Bytes the field needed.
        needed: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// A string, buffer or vector declared a length below -1, or above what the input holds.
    BadLength {
        /// The declared length.
        declared: i32,
        /// Bytes that were left.
        left: usize,
    },
    /// A tag (opcode, transaction type, event type) that the format does not define.
    UnknownTag {
        /// What the tag selects.
        what: &'static str,
        /// The value found.
        tag: i32,
    },
    /// A structural rule of the format was broken.
    Malformed(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, left } => {
                write!(f, "record cut short: a field needs {needed} bytes, {left} left")
            }
            Self::BadLength { declared, left } => {
                write!(f, "unreasonable length {declared} with {left} bytes left")
            }
            Self::UnknownTag { what, tag } => write!(f, "unknown {what} {tag}"),
            Self::Malformed(what) => write!(f, "malformed record: {what}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// A cursor over the bytes of one frame, entry or file part. Buffers read from it are slices of the input, not
/// copies.
#[derive(Debug, Clone)]
pub struct Reader {
    bytes: Bytes,
}

impl Reader {
    /// A reader over all of `bytes`.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self { bytes }
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// Whether everything has been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Everything not yet read, leaving the reader empty.
    pub fn take_rest(&mut self) -> Bytes {
        std::mem::take(&mut self.bytes)
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] when fewer are left.
    pub fn take(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        self.need(len)?;
        Ok(self.bytes.split_to(len))
    }

    /// Reads one value.
    ///
    /// # Errors
    /// Whatever the value's [`Decode`] says.
    pub fn read<T: Decode>(&mut self) -> Result<T, DecodeError> {
        T::decode(self)
    }

    fn need(&self, needed: usize) -> Result<(), DecodeError> {
        let left = self.bytes.len();
        if needed > left { Err(DecodeError::Truncated { needed, left }) } else { Ok(()) }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.need(N)?;
        let mut out = [0u8; N];
        out.copy_from_slice(&self.bytes[..N]);
        bytes::Buf::advance(&mut self.bytes, N);
        Ok(out)
    }

    /// A declared length of things that take `unit` bytes each at the least: `None` for -1 (null).
    pub(crate) fn length(&mut self, unit: usize) -> Result<Option<usize>, DecodeError> {
        let declared: i32 = self.read()?;
        if declared == -1 {
            return Ok(None);
        }
        let left = self.bytes.len();
        match usize::try_from(declared) {
            Ok(n) if n.saturating_mul(unit) <= left => Ok(Some(n)),
            _ => Err(DecodeError::BadLength { declared, left }),
        }
    }
}

/// A value that can be written as jute.
pub trait Encode {
    /// Appends the value's bytes to `out`.
    fn encode(&self, out: &mut BytesMut);

    /// The value's bytes as a frozen buffer, without a length prefix.
    fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::new();
        self.encode(&mut out);
        out.freeze()
    }
}

/// A value that can be read from jute.
pub trait Decode: Sized {
    /// The fewest bytes any value of this type takes; bounds what a vector may reserve.
    const MIN_BYTES: usize;

    /// Reads one value, leaving the reader behind it. Bytes after the value are not an error: the protocol
    /// grows by appending fields.
    ///
    /// # Errors
    /// [`DecodeError`] says what was wrong; the reader's position is then unspecified.
    fn decode(r: &mut Reader) -> Result<Self, DecodeError>;

    /// Reads one value from the front of `bytes`.
    ///
    /// # Errors
    /// As [`Decode::decode`].
    fn from_bytes(bytes: Bytes) -> Result<Self, DecodeError> {
        Self::decode(&mut Reader::new(bytes))
    }
}

macro_rules! fixed_width {
    ($($t:ty => $put:ident),*) => {$(
        impl Encode for $t {
            fn encode(&self, out: &mut BytesMut) {
                out.$put(*self);
            }
        }
        impl Decode for $t {
            const MIN_BYTES: usize = size_of::<$t>();
            fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
                Ok(Self::from_be_bytes(r.array()?))
            }
        }
    )*};
}
fixed_width!(i32 => put_i32, i64 => put_i64);

impl Encode for bool {
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(u8::from(*self));
    }
}

impl Decode for bool {
    const MIN_BYTES: usize = 1;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let [byte] = r.array()?;
        Ok(byte != 0)
    }
}

/// Lengths come from memory we hold; a value that does not fit 31 bits cannot be framed anyway, and the frame
/// limit refuses it before the wire does.
pub(crate) fn put_len(out: &mut BytesMut, len: usize) {
    out.put_i32(i32::try_from(len).unwrap_or(i32::MAX));
}

impl Encode for str {
    fn encode(&self, out: &mut BytesMut) {
        put_len(out, self.len());
        out.put_slice(self.as_bytes());
    }
}

impl Encode for String {
    fn encode(&self, out: &mut BytesMut) {
        self.as_str().encode(out);
    }
}

/// A null string reads as an empty one; bytes that are not UTF-8 are replaced, as Java's reader does.
impl Decode for String {
    const MIN_BYTES: usize = 4;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let Some(len) = r.length(1)? else { return Ok(Self::new()) };
        let raw = r.take(len)?;
        Ok(match std::str::from_utf8(&raw) {
            Ok(text) => text.to_owned(),
            Err(_) => replaced_as_in_java(&raw),
        })
    }
}

/// One U+FFFD for each longest beginning of a character. Unlike [`String::from_utf8_lossy`], half a surrogate pair
/// is one such beginning: Java's writer makes two of them of a character beyond U+FFFF, and its reader two U+FFFD.
/// Servers of a mixed ensemble must read the same.
fn replaced_as_in_java(raw: &[u8]) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Err(e) = std::str::from_utf8(rest) {
        let (good, bad) = rest.split_at(e.valid_up_to());
        text.push_str(&String::from_utf8_lossy(good));
        text.push(char::REPLACEMENT_CHARACTER);
        let skip = match bad {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
            [0xed, 0xa0..=0xbf, ..] => 2,
            _ => e.error_len().unwrap_or(bad.len()),
        };
        rest = &bad[skip..];
    }
    text.push_str(&String::from_utf8_lossy(rest));
    text
}

impl Encode for Option<String> {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Some(text) => text.encode(out),
            None => out.put_i32(-1),
        }
    }
}

/// For the few fields where null and empty strings differ.
impl Decode for Option<String> {
    const MIN_BYTES: usize = 4;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let is_null = r.bytes.starts_with(&[0xff; 4]);
        r.read().map(|text| (!is_null).then_some(text))
    }
}

impl Encode for [u8] {
    fn encode(&self, out: &mut BytesMut) {
        put_len(out, self.len());
        out.put_slice(self);
    }
}

impl Encode for Bytes {
    fn encode(&self, out: &mut BytesMut) {
        self.as_ref().encode(out);
    }
}

/// A null buffer reads as an empty one. Where the difference matters the field is an `Option<Bytes>`.
impl Decode for Bytes {
    const MIN_BYTES: usize = 4;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(r.read::<Option<Self>>()?.unwrap_or_default())
    }
}

impl Encode for Option<Bytes> {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Some(data) => data.encode(out),
            None => out.put_i32(-1),
        }
    }
}

impl Decode for Option<Bytes> {
    const MIN_BYTES: usize = 4;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        match r.length(1)? {
            None => Ok(None),
            Some(len) => r.take(len).map(Some),
        }
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, out: &mut BytesMut) {
        put_len(out, self.len());
        for item in self {
            item.encode(out);
        }
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut BytesMut) {
        self.as_slice().encode(out);
    }
}

/// Does not compile for a list whose items would take far more memory than the `bytes` of input that each of them
/// must have. Every decoder of a list calls it.
pub(crate) const fn assert_bounded<T>(bytes: usize) {
    assert!(
        bytes > 0 && size_of::<T>() <= MEMORY_PER_INPUT_BYTE_MAX * bytes,
        "a few bytes would fill much memory"
    );
}

/// A null vector reads as an empty one.
impl<T: Decode> Decode for Vec<T> {
    const MIN_BYTES: usize = 4;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        const { assert_bounded::<T>(T::MIN_BYTES) };
        let Some(count) = r.length(T::MIN_BYTES)? else { return Ok(Self::new()) };
        let mut items = Self::with_capacity(count.min(VECTOR_RESERVE_MAX));
        for _ in 0..count {
            items.push(r.read()?);
        }
        Ok(items)
    }
}

/// Declares a jute record once: the struct, its [`Encode`] and its [`Decode`], fields in wire order. In this
/// crate's tests it also gains a proptest strategy, so that no record escapes the round-trip test.
macro_rules! record {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident : $ty:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $($(#[$fmeta])* pub $field: $ty),* }

        impl $crate::jute::Encode for $name {
            #[allow(unused_variables, reason = "a record without fields writes nothing")]
            fn encode(&self, out: &mut ::bytes::BytesMut) {
                $($crate::jute::Encode::encode(&self.$field, out);)*
            }
        }

        impl $crate::jute::Decode for $name {
            const MIN_BYTES: usize = 0 $(+ <$ty as $crate::jute::Decode>::MIN_BYTES)*;
            #[allow(unused_variables, reason = "a record without fields reads nothing")]
            fn decode(r: &mut $crate::jute::Reader) -> Result<Self, $crate::jute::DecodeError> {
                Ok(Self { $($field: r.read()?),* })
            }
        }

        #[cfg(test)]
        impl $crate::jute::sample::Sample for $name {
            fn sample(g: &mut $crate::jute::sample::Gen) -> Self {
                Self { $($field: $crate::jute::sample::Sample::sample(g)),* }
            }
        }
    };
}

#[cfg(test)]
pub(crate) mod sample;

#[cfg(test)]
mod round_trip;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_buffers_differ_on_the_wire() {
        assert_eq!(None::<Bytes>.to_bytes().as_ref(), [0xff, 0xff, 0xff, 0xff]);
        assert_eq!(Some(Bytes::new()).to_bytes().as_ref(), [0, 0, 0, 0]);
        assert_eq!(Option::<Bytes>::from_bytes(Bytes::from_static(&[0xff; 4])), Ok(None));
    }

    #[test]
    fn a_declared_length_is_checked_against_what_is_there() {
        let lie = Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 1, 2]);
        assert_eq!(
            Vec::<i64>::from_bytes(lie.clone()),
            Err(DecodeError::BadLength { declared: i32::MAX, left: 2 })
        );
        assert!(String::from_bytes(lie).is_err());
        assert!(Bytes::from_bytes(Bytes::from_static(&[0xff, 0xff, 0xff, 0xfe])).is_err());
    }

    #[test]
    fn invalid_utf8_is_replaced_not_refused() {
        let text = String::from_bytes(Bytes::from_static(&[0, 0, 0, 2, b'a', 0xff])).unwrap();
        assert_eq!(text, "a\u{fffd}");
    }

    /// What `new String(bytes, UTF_8)` of Java 17 makes of these, as UTF-8.
    #[test]
    fn replacement_characters_are_as_many_as_in_java() {
        let cases: [(&[u8], &str); 8] = [
            (b"\xed\xa0\xbd\xed\xb8\x80", "\u{fffd}\u{fffd}"),
            (b"\xed\xa0\xbda", "\u{fffd}a"),
            (b"\xed\xa0", "\u{fffd}"),
            (b"\xed\xa0\xed", "\u{fffd}\u{fffd}"),
            (b"\xed\xbf\xbfa\xff", "\u{fffd}a\u{fffd}"),
            (b"\xed\x80", "\u{fffd}"),
            (b"\xe0\x80\x80", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xc3\xa9\xf0\x9f\x98", "\u{e9}\u{fffd}"),
        ];
        for (raw, expected) in cases {
            assert_eq!(String::from_bytes(raw.to_bytes()).as_deref(), Ok(expected), "{raw:02x?}");
        }
    }

    #[test]
    fn buffers_are_slices_of_the_frame() {
        let frame = Bytes::from(vec![0, 0, 0, 2, 7, 8]);
        let data = Bytes::from_bytes(frame.clone()).unwrap();
        assert_eq!(data.as_ptr(), frame[4..].as_ptr());
    }
}
