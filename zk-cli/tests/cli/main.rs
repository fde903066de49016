//! The binary `zk` against an embedded server: what it prints, what it says, and the code it ends with.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod commands;
mod failures;
mod script;
mod zk;
