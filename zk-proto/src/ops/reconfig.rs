//! `reconfig` (16): changes the ensemble. Answered by a [`super::data::GetDataResponse`] with the new
//! configuration.

record! {
    /// The request of `reconfig`. Either joining and leaving (incremental), or new members.
    pub struct ReconfigRequest {
        /// Server lines to add or change, comma separated; empty for none.
        pub joining_servers: String,
        /// Ids of servers to remove, comma separated; empty for none.
        pub leaving_servers: String,
        /// The whole new membership; empty for none.
        pub new_members: String,
        /// The version of the configuration this changes; -1 for any.
        pub cur_config_id: i64,
    }
}
