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
//! | `driver`, `connect` | the one task that owns the socket, and how it gets one |
//! | `submit`, `pending` | the line in front of the driver, and the future of one operation |
//! | [`hosts`] | the connect string, and the order in which servers are tried |
//! | [`Watch`], [`SessionState`], [`Error`], [`retry`] | what an application sees |
//! | [`seen`] | names of spans, events and metrics, and what tells of them |
//! | [`limits`] | every bound, by name and with its unit |

pub mod core;
pub mod hosts;
pub mod limits;
pub mod ops;
pub mod retry;
pub mod seen;

mod builder;
mod chroot;
mod client;
mod connect;
mod driver;
mod error;
mod pending;
mod state;
mod submit;
mod watch;

pub use builder::Builder;
pub use client::Client;
pub use error::{Error, ErrorKind};
pub use ops::{Children, Created, Node, TransactionResult};
pub use pending::Pending;
pub use retry::RetryPolicy;
pub use state::{SessionInfo, SessionState};
pub use watch::{Watch, WatchedEvent};

pub use zk_proto::{Acl, AuthId, CreateMode, ErrorCode, EventType, Perms, SessionId, Stat, Zxid};
