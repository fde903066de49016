//! `zk-server zoo.cfg`: a standalone ZooKeeper server on an ordinary configuration file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use zk_server::config::{ConfigError, ServerConfig};
use zk_server::shell::configured::{self, ConfiguredError};
use zk_server::shell::server::StartError;

/// A ZooKeeper server.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration: an ordinary zoo.cfg.
    config: PathBuf,
}

/// Exit codes, as Java's server has them (spec 02, section 12).
const BAD_INVOCATION: u8 = 2;
const BAD_DATA_DIR: u8 = 3;
const FAILED: u8 = 1;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, reason)) => {
            tracing::error!("{reason}");
            ExitCode::from(code)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), (u8, String)> {
    let config = ServerConfig::from_file(&arguments.config).map_err(|e| (BAD_INVOCATION, e.to_string()))?;
    for warning in &config.warnings {
        tracing::warn!(line = warning.line, key = warning.key, "{}", warning.what);
    }
    let failed = |e: std::io::Error| (FAILED, e.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(serve(&config))
}

async fn serve(config: &ServerConfig) -> Result<(), (u8, String)> {
    let server = configured::start(config).await.map_err(|e| (code_of(&e), e.to_string()))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| (FAILED, e.to_string()))?;
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
        reason = server.failed() => Err((FAILED, reason)),
    };
    tracing::info!("stopping");
    server.stop().await;
    ended
}

fn code_of(error: &ConfiguredError) -> u8 {
    match error {
        ConfiguredError::Config(ConfigError::Directory { .. } | ConfigError::Misplaced { .. })
        | ConfiguredError::Start(StartError::Recovery(_) | StartError::Snapshot(_)) => BAD_DATA_DIR,
        ConfiguredError::Config(_) | ConfiguredError::Address { .. } => BAD_INVOCATION,
        ConfiguredError::Start(_) => FAILED,
    }
}
