//! The words both sides of a ZooKeeper connection speak.
//!
//! Bytes become values and values become bytes; nothing here opens a socket, a file or a clock, so client,
//! server, command line, fuzzers and tests share one definition of every record.
//!
//! | room | what is in it |
//! |---|---|
//! | [`jute`] | reader, writer and the macro that declares a record once |
//! | [`frame`], [`limits`] | the length prefix, and the bounds checked before anything is allocated |
//! | [`path`], [`acl`], [`stat`], [`error`], [`event`], [`zxid`] | the vocabulary every crate shares |
//! | [`ops`] | one file per operation: request, reply, opcode, and the rule the server follows |
//! | [`connect`], [`header`], [`watch`] | the handshake, the headers, watch events and re-arming records |
//! | [`txn`], [`storage`] | transactions as they are logged; log and snapshot layouts |
//! | `sasl` | the mechanism DIGEST-MD5, with the feature `sasl-digest-md5` |
//! | [`quorum`] | packets between the servers of an ensemble |

#[macro_use]
pub mod jute;

pub mod acl;
pub mod connect;
pub mod error;
pub mod event;
pub mod frame;
pub mod header;
pub mod limits;
pub mod ops;
pub mod path;
pub mod quorum;
#[cfg(feature = "sasl-digest-md5")]
pub mod sasl;
pub mod stat;
pub mod storage;
pub mod txn;
pub mod watch;
pub mod zxid;

pub use acl::{Acl, AuthId, Perms};
pub use error::ErrorCode;
pub use event::{EventType, KeeperState};
pub use jute::{Decode, DecodeError, Encode, Reader};
pub use ops::{CreateMode, OpCode, Request};
pub use stat::Stat;
pub use watch::WatcherEvent;
pub use zxid::{SessionId, Zxid};
