//! Transaction and session identifiers.

use bytes::BytesMut;
use std::fmt;

use crate::jute::{Decode, DecodeError, Encode, Reader};

/// A transaction id: the leader's epoch in the high 32 bits, a counter in the low 32. Ordered as transactions
/// are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Zxid(pub i64);

impl Zxid {
    /// Before every transaction.
    pub const ZERO: Self = Self(0);

    /// The zxid with this epoch and counter.
    #[must_use]
    pub fn new(epoch: u32, counter: u32) -> Self {
        Self((i64::from(epoch) << 32) | i64::from(counter))
    }

    /// The leader's epoch.
    #[must_use]
    pub fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The position within the epoch.
    #[must_use]
    pub fn counter(self) -> u32 {
        self.0 as u32
    }

    /// The next zxid of the same epoch.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Debug for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As ZooKeeper prints it: `0x` and lower-case hex.
impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A session id; 0 asks for a new session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SessionId(pub i64);

impl SessionId {
    /// No session: asks for a new one in a handshake, and is what a refused handshake answers.
    pub const NONE: Self = Self(0);
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As ZooKeeper prints it: `0x` and lower-case hex.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

macro_rules! id_codec {
    ($($t:ident),*) => {$(
        impl Encode for $t {
            fn encode(&self, out: &mut BytesMut) {
                self.0.encode(out);
            }
        }
        impl Decode for $t {
            const MIN_BYTES: usize = 8;
            fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
                Ok(Self(r.read()?))
            }
        }
        #[cfg(test)]
        impl crate::jute::sample::Sample for $t {
            fn sample(g: &mut crate::jute::sample::Gen) -> Self {
                Self(crate::jute::sample::Sample::sample(g))
            }
        }
    )*};
}
id_codec!(Zxid, SessionId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoch_and_counter_split_and_join() {
        let z = Zxid::new(5, 0xffff_ffff);
        assert_eq!((z.epoch(), z.counter()), (5, 0xffff_ffff));
        assert_eq!(z.to_string(), "0x5ffffffff");
        assert!(z < Zxid::new(6, 0));
    }
}
