//! Credentials: `auth` (100) and `sasl` (102), handled on the connection before the pipeline.

use bytes::Bytes;

record! {
    /// The request of `auth`; xid -4. Failure is answered `AuthFailed` and the connection closed.
    pub struct AuthPacket {
        /// Always 0.
        pub auth_type: i32,
        /// The scheme, such as `digest`.
        pub scheme: String,
        /// The scheme's own credentials, such as `user:password`.
        pub auth: Option<Bytes>,
    }
}

record! {
    /// The request and reply of one step of a SASL exchange.
    pub struct SaslToken {
        /// The mechanism's token.
        pub token: Option<Bytes>,
    }
}
