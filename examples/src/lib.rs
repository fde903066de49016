//! What the examples share: a server to talk to.
//!
//! Each example is a story of its own; run one with `cargo run --release -p examples --example quickstart`.

use zk_server::EmbeddedServer;
use zk_server::embed::EmbedError;

/// Where an example works: the servers it was given, or one of its own inside the process.
#[derive(Debug)]
pub enum Playground {
    /// A connect string from the command line or `ZK_CONNECT`.
    Given(String),
    /// A server of its own, gone when this is dropped.
    Embedded(EmbeddedServer),
}

impl Playground {
    /// The given servers, or a new embedded one.
    ///
    /// # Errors
    /// When the embedded server cannot start.
    pub async fn open(given: Option<String>) -> Result<Self, EmbedError> {
        Ok(match given {
            Some(hosts) => Self::Given(hosts),
            None => Self::Embedded(EmbeddedServer::start().await?),
        })
    }

    /// What clients connect to.
    #[must_use]
    pub fn connect_string(&self) -> String {
        match self {
            Self::Given(hosts) => hosts.clone(),
            Self::Embedded(server) => server.connect_string(),
        }
    }
}
