//! The handshake: the first frame each way, without headers; and the session password.

use bytes::{BufMut, Bytes, BytesMut};

use crate::jute::{Decode, DecodeError, Encode, Reader};
use crate::limits::PASSWORD_BYTES;
use crate::zxid::{SessionId, Zxid};

/// The 16 bytes that prove the ownership of a session. Compared in constant time, never shown by `Debug`.
#[derive(Clone, Copy, Default)]
pub struct Password(pub [u8; PASSWORD_BYTES]);

impl Password {
    /// The password of `session`, as every ZooKeeper server computes it: `java.util.Random` seeded with the id
    /// xor 0xB3415C00. All servers of a mixed ensemble must agree on it.
    #[must_use]
    pub fn of_session(session: SessionId) -> Self {
        const MULTIPLIER: u64 = 0x5_DEEC_E66D;
        const MASK: u64 = (1 << 48) - 1;
        let mut state = ((session.0 ^ 0xB341_5C00) as u64 ^ MULTIPLIER) & MASK;
        let mut bytes = [0; PASSWORD_BYTES];
        for chunk in bytes.chunks_exact_mut(4) {
            state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
            chunk.copy_from_slice(&((state >> 16) as u32).to_le_bytes());
        }
        Self(bytes)
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
    }
}

impl Eq for Password {}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

impl Encode for Password {
    fn encode(&self, out: &mut BytesMut) {
        self.0.as_slice().encode(out);
    }
}

/// A password of another length (some clients send none for a new session) reads as zeros, which no session
/// has.
impl Decode for Password {
    const MIN_BYTES: usize = 4;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        let raw: Bytes = r.read()?;
        Ok(Self(raw.as_ref().try_into().unwrap_or_default()))
    }
}

#[cfg(test)]
impl crate::jute::sample::Sample for Password {
    fn sample(g: &mut crate::jute::sample::Gen) -> Self {
        Self(std::array::from_fn(|_| g.next() as u8))
    }
}

/// The read-only byte at the end of both handshake messages. Peers older than 3.4 leave it out, and then it is
/// left out of the answer too (ZOOKEEPER-4814).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOnlyFlag {
    /// The byte is not there.
    Absent,
    /// The byte is there, and says this.
    Present(bool),
}

impl ReadOnlyFlag {
    /// What the peer means: absent is `false`.
    #[must_use]
    pub fn is_set(self) -> bool {
        self == Self::Present(true)
    }
}

impl Encode for ReadOnlyFlag {
    fn encode(&self, out: &mut BytesMut) {
        if let Self::Present(flag) = self {
            out.put_u8(u8::from(*flag));
        }
    }
}

impl Decode for ReadOnlyFlag {
    const MIN_BYTES: usize = 0;
    fn decode(r: &mut Reader) -> Result<Self, DecodeError> {
        if r.is_empty() { Ok(Self::Absent) } else { Ok(Self::Present(r.read()?)) }
    }
}

#[cfg(test)]
impl crate::jute::sample::Sample for ReadOnlyFlag {
    fn sample(g: &mut crate::jute::sample::Gen) -> Self {
        [Self::Absent, Self::Present(true), Self::Present(false)][g.below(3)]
    }
}

record! {
    /// The client's first frame.
    pub struct ConnectRequest {
        /// Always 0.
        pub protocol_version: i32,
        /// The last transaction the client has seen; a server behind it must refuse.
        pub last_zxid_seen: Zxid,
        /// The session timeout asked for, in milliseconds.
        pub timeout_ms: i32,
        /// The session to continue, or [`SessionId::NONE`] for a new one.
        pub session_id: SessionId,
        /// That session's password; zeros for a new one.
        pub password: Password,
        /// Whether a server without quorum will do.
        pub read_only: ReadOnlyFlag,
    }
}

record! {
    /// The server's first frame. A timeout of 0 means that the session has expired or the password is wrong.
    pub struct ConnectResponse {
        /// Always 0.
        pub protocol_version: i32,
        /// The session timeout granted, in milliseconds.
        pub timeout_ms: i32,
        /// The session.
        pub session_id: SessionId,
        /// Its password.
        pub password: Password,
        /// Whether the server is without quorum.
        pub read_only: ReadOnlyFlag,
    }
}

impl ConnectResponse {
    /// The answer to a session that has expired, never was, or is not the caller's.
    #[must_use]
    pub fn refused(read_only: ReadOnlyFlag) -> Self {
        Self {
            protocol_version: 0,
            timeout_ms: 0,
            session_id: SessionId::NONE,
            password: Password::default(),
            read_only,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_those_of_java() {
        let expected =
            [0x05, 0x4c, 0xc7, 0x4a, 0x37, 0x32, 0x7d, 0xb2, 0x15, 0xe7, 0x02, 0xe2, 0x0c, 0x73, 0xf0, 0x05];
        assert_eq!(Password::of_session(SessionId(1)).0, expected);
        assert_eq!(Password::of_session(SessionId(0x100_0000_0000_0001)).0, expected);
    }

    #[test]
    fn both_lengths_of_the_answer_are_understood() {
        let mut answer = ConnectResponse::refused(ReadOnlyFlag::Present(false));
        assert_eq!(answer.to_bytes().len(), 37);
        answer.read_only = ReadOnlyFlag::Absent;
        assert_eq!(answer.to_bytes().len(), 36);
        assert_eq!(ConnectResponse::from_bytes(answer.to_bytes()), Ok(answer));
    }
}
