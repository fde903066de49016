//! Questions about the tree and the session: `getEphemerals` (103), `getAllChildrenNumber` (104), `whoAmI` (107).

record! {
    /// The request of `getEphemerals`.
    pub struct GetEphemeralsRequest {
        /// A string prefix (not path aware); empty or `/` for all.
        pub prefix_path: String,
    }
}

record! {
    /// The reply of `getEphemerals`.
    pub struct GetEphemeralsResponse {
        /// This session's ephemeral nodes below the prefix.
        pub ephemerals: Vec<String>,
    }
}

record! {
    /// The request of `getAllChildrenNumber`.
    pub struct GetAllChildrenNumberRequest {
        /// Which node.
        pub path: String,
    }
}

record! {
    /// The reply of `getAllChildrenNumber`.
    #[derive(Copy)]
    pub struct GetAllChildrenNumberResponse {
        /// All nodes below, at any depth.
        pub total: i32,
    }
}

record! {
    /// One id of a connection.
    pub struct ClientInfo {
        /// The scheme.
        pub auth_scheme: String,
        /// The user, without its secret part.
        pub user: String,
    }
}

record! {
    /// The reply of `whoAmI`.
    pub struct WhoAmIResponse {
        /// Every id of the connection.
        pub client_info: Vec<ClientInfo>,
    }
}
