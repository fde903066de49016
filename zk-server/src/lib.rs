//! A ZooKeeper server: client protocol, transactions and files of Apache ZooKeeper 3.9, in one process or
//! embedded in yours.
//!
//! | room | its job |
//! |---|---|
//! | [`core`] | pure state machines: tree, watches, sessions, request to transaction to state |
//! | [`auth`] | who a connection is, and what that allows |
//! | [`storage`] | transaction log, snapshots, recovery; the disk behind one seam |
//! | [`shell`] | sockets, threads and the clock around them |
//! | [`config`] | `zoo.cfg`, typed and checked |
//! | [`admin`] | four-letter words |
//! | [`embed`] | [`EmbeddedServer`]: one line in a test |
//! | [`limits`] | every bound, by name |

pub mod admin;
pub mod auth;
pub mod config;
pub mod core;
pub mod embed;
pub mod limits;
pub mod shell;
pub mod storage;

pub use embed::EmbeddedServer;
