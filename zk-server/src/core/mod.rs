//! The server's pure state machines: requests and time in, transactions and replies out. No clock, socket,
//! thread, file or random source is touched here, so the simulation runs exactly what production runs.
//!
//! ```text
//!  connection ──read──► read ◄─────────────┐ (at once, or in its place behind the session's own writes)
//!      │ write                             │
//!      ▼                                   │
//!    prep ──txn──► [log, fsync] ──durable──► commit ──► apply ──► tree, sessions ──► watches ──► connection
//! ```
//!
//! | room | its job |
//! |---|---|
//! | [`tree`], [`acl_table`], [`digest`] | the znodes, their ACLs, the digest that proves two trees equal |
//! | [`watches`] | who wants to hear of what |
//! | [`sessions`] | which sessions live, and until when |
//! | [`connection`] | one client's place: its ids, the order of its requests, its outgoing bytes |
//! | [`intake`] | a connection's bytes to requests, each to its place |
//! | [`prep`], [`changes`] | request to transaction, checked against what is committed and what is in flight |
//! | [`apply`] | transaction to new state and the events it causes |
//! | [`read`] | answers that need no transaction |
//! | [`committed`] | the state all of them share, at one exact zxid |
//! | [`persist`] | that state as snapshots and logs hold it |
//! | [`node`] | composes them |

pub mod acl_table;
pub mod apply;
pub mod changes;
pub mod committed;
pub mod connection;
pub mod digest;
pub mod intake;
pub mod node;
pub mod persist;
pub mod prep;
pub mod read;
pub mod sessions;
pub mod tree;
pub mod watches;
