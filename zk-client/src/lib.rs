//! A ZooKeeper client: one logical [`Client`] over many connections and sessions.
//!
//! ```no_run
//! # async fn example() -> Result<(), zk_client::Error> {
//! use zk_client::Client;
//!
//! let zk = Client::connect("zk1:2181,zk2:2181/app").await?;
//! let made = zk.create("/jobs/j-", "payload").ephemeral().sequential().parents().await?;
//! let (node, changed) = zk.get(&made.path).watch().await?;
//! zk.set(&made.path, "done").version(node.stat.version).await?;
//! println!("{:?}", changed.await?.event_type);
//! zk.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! | room | what is in it |
//! |---|---|
//! | [`Client`], [`Builder`] | the cheap handle and its options |
//! | [`ops`] | one builder per operation |
//! | [`core`] | the pure session machine: what is pending, what is watched, timers, what to replay |
//! | `driver` | the one task that owns the connection |
//! | `connect` | how it gets one: [`Dialer`], [`TcpDialer`] |
//! | `tls` | TLS and X.509 client certificates, with the feature of that name |
//! | `submit`, `pending` | the line in front of the driver, and the future of one operation |
//! | [`ensemble`] | the configuration of an ensemble, as its servers write it |
//! | [`hosts`] | the servers, the order in which they are tried, who moves when they change |
//! | [`SessionTicket`] | a session handed over to another client |
//! | [`sasl`] | proving who the client is before anything else is sent |
//! | `board` | what the driver shows besides the state |
//! | [`Watch`], [`WatchStream`], [`SessionState`], [`Error`], [`retry`] | what an application sees |
//! | [`java_api`] | Java's API beside ours |
//! | [`seen`] | names of spans, events and metrics, and what tells of them |
//! | [`limits`] | every bound, by name and with its unit |

pub mod core;
pub mod ensemble;
pub mod hosts;
pub mod java_api;
pub mod limits;
pub mod ops;
pub mod retry;
pub mod sasl;
pub mod seen;
#[cfg(feature = "tls")]
pub mod tls;

mod board;
mod builder;
mod chroot;
mod client;
mod connect;
mod driver;
mod error;
mod pending;
mod state;
mod submit;
mod ticket;
mod watch;

pub use builder::Builder;
pub use client::Client;
pub use connect::{Connection, Dialer, TcpDialer};
pub use error::{Error, ErrorKind};
pub use ops::{
    Children, ClientInfo, ConfigNode, Created, Node, ReadResult, TransactionResult, Upserted, Walk,
    WalkedNode,
};
pub use pending::Pending;
pub use retry::RetryPolicy;
pub use state::{SessionInfo, SessionState};
pub use ticket::SessionTicket;
pub use watch::{Watch, WatchItem, WatchStream, WatchedEvent};

/// For implementations of [`Dialer`].
pub use async_trait::async_trait;
pub use zk_proto::{Acl, AuthId, CreateMode, ErrorCode, EventType, Perms, SessionId, Stat, Zxid};
