//! One file per operation: its request, its reply, its number, and the rule the server follows.
//!
//! This file is the map: every number, and [`Request`], which is any of them decoded.

pub mod acl;
pub mod auth;
pub mod create;
pub mod data;
pub mod delete;
pub mod introspect;
pub mod multi;
pub mod reconfig;
pub mod sync;
pub mod watches;

use bytes::Bytes;

use crate::jute::{DecodeError, Reader};
use crate::watch::{SetWatches, SetWatches2};

pub use create::CreateMode;

macro_rules! opcodes {
    ($($(#[$meta:meta])* $name:ident = $n:literal),* $(,)?) => {
        /// The number of an operation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum OpCode { $($(#[$meta])* $name = $n),* }

        impl OpCode {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> i32 { self as i32 }

            /// The operation of this number; `None` when there is none.
            #[must_use]
            pub const fn from_code(code: i32) -> Option<Self> {
                match code { $($n => Some(Self::$name),)* _ => None }
            }
        }
    };
}

opcodes! {
    /// Server to client only.
    Notification = 0,
    /// Create a node; the reply holds its path.
    Create = 1,
    /// Delete a node.
    Delete = 2,
    /// Ask for a node's stat; a watch is set whether or not it exists.
    Exists = 3,
    /// Read data and stat.
    GetData = 4,
    /// Replace the data.
    SetData = 5,
    /// Read the ACL.
    GetAcl = 6,
    /// Replace the ACL.
    SetAcl = 7,
    /// List the children.
    GetChildren = 8,
    /// Wait until this server has applied what was committed before.
    Sync = 9,
    /// Keep the session alive.
    Ping = 11,
    /// List the children, with the node's stat.
    GetChildren2 = 12,
    /// Check a version; only inside a multi.
    Check = 13,
    /// Several writes, all or none.
    Multi = 14,
    /// Create a node; the reply holds path and stat.
    Create2 = 15,
    /// Change the ensemble's configuration.
    Reconfig = 16,
    /// Ask whether a watch is set.
    CheckWatches = 17,
    /// Remove watches.
    RemoveWatches = 18,
    /// Create a container node.
    CreateContainer = 19,
    /// Remove an empty container or an outlived TTL node; inside servers only.
    DeleteContainer = 20,
    /// Create a node with a time to live.
    CreateTtl = 21,
    /// Several reads of one state.
    MultiRead = 22,
    /// Add credentials to the connection.
    Auth = 100,
    /// Arm one-shot watches again.
    SetWatches = 101,
    /// A step of a SASL exchange.
    Sasl = 102,
    /// List this session's ephemeral nodes.
    GetEphemerals = 103,
    /// Count all nodes below one.
    GetAllChildrenNumber = 104,
    /// Arm watches of every kind again.
    SetWatches2 = 105,
    /// Add a persistent watch.
    AddWatch = 106,
    /// Ask which ids the connection has.
    WhoAmI = 107,
    /// Begin a session; inside servers and logs only.
    CreateSession = -10,
    /// End the session.
    CloseSession = -11,
    /// A failed operation; in logs and multi results only.
    Error = -1,
}

impl OpCode {
    /// Whether the operation is ordered and logged as a transaction.
    #[must_use]
    pub const fn is_write(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Delete
                | Self::SetData
                | Self::SetAcl
                | Self::Check
                | Self::Multi
                | Self::Create2
                | Self::Reconfig
                | Self::CreateContainer
                | Self::DeleteContainer
                | Self::CreateTtl
                | Self::CreateSession
                | Self::CloseSession
        )
    }
}

/// A request's body, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant carries the record of the operation it is named after")]
pub enum Request {
    Create(create::CreateRequest),
    Create2(create::CreateRequest),
    CreateContainer(create::CreateRequest),
    CreateTtl(create::CreateTtlRequest),
    Delete(delete::DeleteRequest),
    Exists(data::ExistsRequest),
    GetData(data::GetDataRequest),
    SetData(data::SetDataRequest),
    GetChildren(data::GetChildrenRequest),
    GetChildren2(data::GetChildrenRequest),
    GetAcl(acl::GetAclRequest),
    SetAcl(acl::SetAclRequest),
    Sync(sync::SyncRequest),
    Ping,
    Check(multi::CheckVersionRequest),
    Multi(multi::MultiRequest),
    MultiRead(multi::MultiRequest),
    Reconfig(reconfig::ReconfigRequest),
    CheckWatches(watches::WatchesRequest),
    RemoveWatches(watches::WatchesRequest),
    AddWatch(watches::AddWatchRequest),
    SetWatches(SetWatches2),
    Auth(auth::AuthPacket),
    Sasl(auth::SaslToken),
    GetEphemerals(introspect::GetEphemeralsRequest),
    GetAllChildrenNumber(introspect::GetAllChildrenNumberRequest),
    WhoAmI,
    CloseSession,
}

impl Request {
    /// Decodes the body of a request that a client may send.
    ///
    /// # Errors
    /// [`DecodeError::UnknownTag`] for a number that is no client operation (the server answers
    /// `Unimplemented`); any other error means bytes that are not that operation's record.
    pub fn decode(op: i32, body: Bytes) -> Result<Self, DecodeError> {
        let unknown = DecodeError::UnknownTag { what: "operation", tag: op };
        let r = &mut Reader::new(body);
        Ok(match OpCode::from_code(op).ok_or(unknown.clone())? {
            OpCode::Create => Self::Create(r.read()?),
            OpCode::Create2 => Self::Create2(r.read()?),
            OpCode::CreateContainer => Self::CreateContainer(r.read()?),
            OpCode::CreateTtl => Self::CreateTtl(r.read()?),
            OpCode::Delete => Self::Delete(r.read()?),
            OpCode::Exists => Self::Exists(r.read()?),
            OpCode::GetData => Self::GetData(r.read()?),
            OpCode::SetData => Self::SetData(r.read()?),
            OpCode::GetChildren => Self::GetChildren(r.read()?),
            OpCode::GetChildren2 => Self::GetChildren2(r.read()?),
            OpCode::GetAcl => Self::GetAcl(r.read()?),
            OpCode::SetAcl => Self::SetAcl(r.read()?),
            OpCode::Sync => Self::Sync(r.read()?),
            OpCode::Ping => Self::Ping,
            OpCode::Check => Self::Check(r.read()?),
            OpCode::Multi => Self::Multi(r.read()?),
            OpCode::MultiRead => Self::MultiRead(r.read()?),
            OpCode::Reconfig => Self::Reconfig(r.read()?),
            OpCode::CheckWatches => Self::CheckWatches(r.read()?),
            OpCode::RemoveWatches => Self::RemoveWatches(r.read()?),
            OpCode::AddWatch => Self::AddWatch(r.read()?),
            OpCode::SetWatches => Self::SetWatches(r.read::<SetWatches>()?.into()),
            OpCode::SetWatches2 => Self::SetWatches(r.read()?),
            OpCode::Auth => Self::Auth(r.read()?),
            OpCode::Sasl => Self::Sasl(r.read()?),
            OpCode::GetEphemerals => Self::GetEphemerals(r.read()?),
            OpCode::GetAllChildrenNumber => Self::GetAllChildrenNumber(r.read()?),
            OpCode::WhoAmI => Self::WhoAmI,
            OpCode::CloseSession => Self::CloseSession,
            OpCode::Notification | OpCode::DeleteContainer | OpCode::CreateSession | OpCode::Error => {
                return Err(unknown);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_finds_its_operation() {
        for &op in OpCode::ALL {
            assert_eq!(OpCode::from_code(op.code()), Some(op));
        }
        assert_eq!(OpCode::from_code(10), None);
    }

    #[test]
    fn a_client_may_not_send_what_servers_keep_to_themselves() {
        for op in [0, 20, -10, -1, 10, 99, 1000] {
            assert!(matches!(Request::decode(op, Bytes::new()), Err(DecodeError::UnknownTag { .. })), "{op}");
        }
    }
}
