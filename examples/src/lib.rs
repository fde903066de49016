//! What the examples share: a server to talk to, a clock beside what they say, and an end.
//!
//! Each example is a story of its own; run one with `cargo run --release -p examples --example quickstart`.

use clap::Parser;
use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use zk_server::EmbeddedServer;
use zk_server::embed::EmbedError;

/// Whatever ends a story before its end.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Longer than any story takes.
const PATIENCE: Duration = Duration::from_secs(180);

/// A story of processes that share a ZooKeeper. Its source tells what to look for.
#[derive(Debug, Parser)]
struct Arguments {
    /// The ZooKeeper to use, as host:port,host:port/chroot. Without it the example starts its own.
    #[arg(long, env = "ZK_CONNECT")]
    connect: Option<String>,
}

/// Where an example works: the servers it was given, or one of its own inside the process.
#[derive(Debug)]
pub enum Playground {
    /// A connect string from the command line or `ZK_CONNECT`.
    Given(String),
    /// A server of its own, gone when this is dropped.
    Embedded(Box<EmbeddedServer>),
}

impl Playground {
    /// The servers that the command line or `ZK_CONNECT` names, or a new embedded one.
    ///
    /// # Errors
    /// When the embedded server cannot start.
    pub async fn from_command_line() -> Result<Self, EmbedError> {
        Self::open(Arguments::parse().connect).await
    }

    /// The given servers, or a new embedded one.
    ///
    /// # Errors
    /// When the embedded server cannot start.
    pub async fn open(given: Option<String>) -> Result<Self, EmbedError> {
        Ok(match given {
            Some(hosts) => Self::Given(hosts),
            None => Self::Embedded(Box::new(EmbeddedServer::start().await?)),
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

/// Prints with the time since the start, so that the order of things can be read.
#[derive(Debug, Clone, Copy)]
pub struct Narrator(Instant);

impl Narrator {
    /// Now is the start.
    #[must_use]
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// Prints a line.
    pub fn say(self, what: impl Display) {
        println!("{:>6} ms  {what}", self.0.elapsed().as_millis());
    }
}

/// Tells a story, and how it ended if not well.
pub async fn told(name: &str, story: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let outcome = tokio::time::timeout(PATIENCE, story).await;
    ended(name, outcome.unwrap_or_else(|_| Err("it never ended".into())))
}

/// Says how a process ended if not well.
#[must_use]
pub fn ended(name: &str, outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{name}: {failure}");
            ExitCode::FAILURE
        }
    }
}
