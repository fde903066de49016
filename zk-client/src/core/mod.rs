//! The pure session machine: what is pending, what is watched, when to ping, where to connect, what to replay.
//!
//! No clock, socket, task or channel: time is a [`std::time::Duration`] since any origin the caller likes, bytes
//! go in and out, and randomness comes from a seed. The driver runs it on tokio; a simulation runs many side by
//! side with virtual time.

mod config;
mod request;

pub use config::{Config, Credentials};
pub use request::{Completion, Failure, OpId, Reply, Request, encode_body, into_path, opcode, units};

/// The session machine of one client.
#[derive(Debug)]
pub struct Core {
    config: Config,
}

impl Core {
    /// A core that will look for a server at its first tick.
    #[must_use]
    pub fn new(config: Config, _seed: u64) -> Self {
        Self { config }
    }
}
