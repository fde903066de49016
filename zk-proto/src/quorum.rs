//! What servers of an ensemble send each other on the quorum port: one packet for everything, and what a learner
//! says of itself. Which packet may follow which is the server's business.

use bytes::Bytes;

use crate::acl::AuthId;
use crate::zxid::Zxid;

record! {
    /// The one packet between a leader and its learners. No length goes in front of it.
    pub struct QuorumPacket {
        /// Which kind: proposal, acknowledgement, commit, ...
        pub kind: i32,
        /// A transaction, an epoch, or -1, as the kind says.
        pub zxid: Zxid,
        /// The kind's own content.
        pub data: Option<Bytes>,
        /// Ids of the session behind a forwarded request. Java leaves it null, which reads as empty; it does not
        /// look at what others write.
        pub auth_info: Vec<AuthId>,
    }
}

record! {
    /// What a learner says of itself: the content of its first packet.
    #[derive(Copy)]
    pub struct LearnerInfo {
        /// Its id in the ensemble (`myid`).
        pub server_id: i64,
        /// The protocol it speaks: 0x10000.
        pub protocol_version: i32,
        /// The version of its ensemble configuration.
        pub config_version: i64,
    }
}
