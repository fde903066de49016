//! `reconfig` (16): changes the ensemble. Answered by a [`super::data::GetDataResponse`] with the new
//! configuration.

record! {
    /// The request of `reconfig`. Either joining and leaving (incremental), or new members: a server decides by
    /// whether the new members are null.
    pub struct ReconfigRequest {
        /// Server lines to add or change, comma separated.
        pub joining_servers: Option<String>,
        /// Ids of servers to remove, comma separated.
        pub leaving_servers: Option<String>,
        /// The whole new membership, lines separated by commas or line ends.
        pub new_members: Option<String>,
        /// The version of the configuration this changes; -1 for any.
        pub cur_config_id: i64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jute::{Decode, Encode};
    use bytes::Bytes;

    /// Java takes any `newMembers` but null, an empty one included, for a request to replace the membership.
    #[test]
    fn absent_lists_are_null_not_empty() {
        let java = Bytes::from_static(b"\0\0\0\x02,1\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\x05");
        let read = ReconfigRequest::from_bytes(java.clone()).unwrap();
        assert_eq!(read.to_bytes(), java);
    }
}
