//! The headers in front of every request and reply, and the xids with a meaning of their own.

use crate::error::Outcome;
use crate::zxid::Zxid;

/// The xid of a watch notification.
pub const XID_NOTIFICATION: i32 = -1;
/// The xid of a ping and its reply.
pub const XID_PING: i32 = -2;
/// The xid of an auth packet and its reply.
pub const XID_AUTH: i32 = -4;
/// The xid of a watch re-arming request and its reply.
pub const XID_SET_WATCHES: i32 = -8;

/// The xid after `xid`: 1 follows `i32::MAX`, so that an ordinary request never wears a special xid
/// (ZOOKEEPER-3253).
#[must_use]
pub const fn next_xid(xid: i32) -> i32 {
    if xid <= 0 || xid == i32::MAX { 1 } else { xid + 1 }
}

record! {
    /// In front of every request but the handshake.
    #[derive(Copy)]
    pub struct RequestHeader {
        /// Chosen by the client, echoed in the reply.
        pub xid: i32,
        /// The operation's number; see [`crate::OpCode`].
        pub op: i32,
    }
}

record! {
    /// In front of every reply but the handshake's, and of every notification.
    #[derive(Copy)]
    pub struct ReplyHeader {
        /// The request's xid, or one of the special ones.
        pub xid: i32,
        /// The last transaction the server had applied when it answered: the state a read shows.
        pub zxid: Zxid,
        /// The outcome. After an error no body follows, except in a multi.
        pub outcome: Outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xids_wrap_past_the_special_ones() {
        assert_eq!(next_xid(0), 1);
        assert_eq!(next_xid(41), 42);
        assert_eq!(next_xid(i32::MAX), 1);
        assert_eq!(next_xid(-8), 1);
    }
}
