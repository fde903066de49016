//! A ZooKeeper server: client protocol, transactions and files of Apache ZooKeeper 3.9.
//!
//! | room | its job |
//! |---|---|
//! | [`core`] | pure state machines: tree, watches, sessions, request to transaction to state |
//! | [`auth`] | who a connection is, and what that allows |
//! | [`limits`] | every bound, by name |

pub mod auth;
pub mod core;
pub mod limits;
