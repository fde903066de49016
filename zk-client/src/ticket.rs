//! What it takes to carry on a session elsewhere. Owns its bytes; sends nothing.

use std::fmt;
use std::time::Duration;
use zk_proto::connect::Password;
use zk_proto::limits::PASSWORD_BYTES;
use zk_proto::{SessionId, Zxid};

use crate::error::{Error, ErrorKind};

/// The layout of [`SessionTicket::to_bytes`].
const VERSION: u8 = 1;
/// Version, session, timeout, last zxid, password.
const LEN: usize = 1 + 8 + 4 + 8 + PASSWORD_BYTES;

/// A session that can be carried on by another client, in this process or another: its id, its password, the
/// timeout granted, and the last transaction seen, so that whoever carries on never sees an older state.
///
/// Made by [`crate::Client::detach`] and [`crate::Client::session_ticket`], used by [`crate::Builder::resume`].
///
/// It is a secret: whoever holds it can act as the session, close it, and take its ephemeral nodes away.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionTicket {
    pub(crate) session: SessionId,
    pub(crate) password: Password,
    pub(crate) timeout: Duration,
    pub(crate) last_zxid: Zxid,
}

impl SessionTicket {
    /// The session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// The timeout granted: the server ends the session when nobody has carried it on for that long.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The last transaction seen in the session.
    #[must_use]
    pub const fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// The ticket as bytes, password included: keep them as you would keep a password.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let timeout_ms = u32::try_from(self.timeout.as_millis()).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(LEN);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.session.0.to_be_bytes());
        bytes.extend_from_slice(&timeout_ms.to_be_bytes());
        bytes.extend_from_slice(&self.last_zxid.0.to_be_bytes());
        bytes.extend_from_slice(&self.password.0);
        bytes
    }

    /// The ticket that [`SessionTicket::to_bytes`] made these bytes from.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when they are not a ticket, or one of a version that is not known here.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bad = |why: &str| Error::new(ErrorKind::Config, "resume").with_detail(why);
        let bytes: &[u8; LEN] =
            bytes.try_into().map_err(|_| bad("a session ticket has another number of bytes"))?;
        let [version, rest @ ..] = bytes;
        if *version != VERSION {
            return Err(bad("the session ticket is of another version"));
        }
        let session = SessionId(i64::from_be_bytes(part(rest, 0)));
        let timeout = Duration::from_millis(u32::from_be_bytes(part(rest, 8)).into());
        let last_zxid = Zxid(i64::from_be_bytes(part(rest, 12)));
        if session == SessionId::NONE || timeout.is_zero() {
            return Err(bad("the session ticket names no session"));
        }
        Ok(Self { session, password: Password(part(rest, 20)), timeout, last_zxid })
    }
}

/// The bytes from `at` on; zeros beyond the end, which the layout has none of.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|part| part.try_into().ok()).unwrap_or([0; N])
}

/// Without the password.
impl fmt::Debug for SessionTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionTicket")
            .field("session", &self.session)
            .field("timeout", &self.timeout)
            .field("last_zxid", &self.last_zxid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_ticket_is_its_bytes(
            session in 1i64.., password: [u8; 16], timeout_ms in 1u32.., last_zxid: i64, cut in 0..LEN,
        ) {
            let ticket = SessionTicket {
                session: SessionId(session),
                password: Password(password),
                timeout: Duration::from_millis(timeout_ms.into()),
                last_zxid: Zxid(last_zxid),
            };
            let mut bytes = ticket.to_bytes();
            prop_assert_eq!(SessionTicket::from_bytes(&bytes).unwrap(), ticket);
            prop_assert!(SessionTicket::from_bytes(&bytes[..cut]).is_err());
            bytes[0] ^= 0x80;
            prop_assert_eq!(SessionTicket::from_bytes(&bytes).unwrap_err().kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn the_layout_stays() {
        let mut bytes = vec![1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0x27, 0x10, 0, 0, 0, 3, 0, 0, 0, 4];
        bytes.extend([7; 16]);
        let ticket = SessionTicket::from_bytes(&bytes).unwrap();
        assert_eq!((ticket.session(), ticket.timeout()), (SessionId(5), Duration::from_secs(10)));
        assert_eq!(ticket.last_zxid(), Zxid(0x3_0000_0004));
        assert_eq!(ticket.to_bytes(), bytes);
        let nobody = [&[1][..], &[0; 36]].concat();
        assert_eq!(SessionTicket::from_bytes(&nobody).unwrap_err().kind(), ErrorKind::Config);
    }

    #[test]
    fn the_password_is_not_shown() {
        let ticket = SessionTicket {
            session: SessionId(5),
            password: Password([77; 16]),
            timeout: Duration::from_secs(1),
            last_zxid: Zxid(9),
        };
        let shown = format!("{ticket:?}");
        assert!(shown.contains("0x5") && !shown.contains("77"), "{shown}");
    }
}
