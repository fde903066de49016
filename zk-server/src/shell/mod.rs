//! The only rooms with tokio, threads and a clock: they carry bytes and moments to the core and back.
//!
//! | room | its job |
//! |---|---|
//! | [`server`] | starts and stops everything |
//! | [`configured`] | from a `zoo.cfg` to a running server |
//! | [`listener`] | accepts connections, within their limits |
//! | [`client_io`] | one task per connection: frames in, reads served, outbox out |
//! | [`pipeline`] | the thread that owns the node, the thread that owns the log, the thread that writes snapshots |
//! | [`mailbox`] | how work reaches those threads |
//! | [`clock`] | what time it is |

pub mod client_io;
pub mod clock;
pub mod configured;
pub mod listener;
pub mod mailbox;
pub mod pipeline;
pub mod report;
pub mod server;
