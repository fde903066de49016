//! From a `zoo.cfg` to a running server: the configuration in the server's own terms.

use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::listener::AcceptLimits;
use super::server::{Server, ServerOptions, StartError};
use crate::admin::report::ConfReport;
use crate::config::{ConfigError, ServerConfig};
use crate::core::prep::Rules;
use crate::limits::LISTEN_BACKLOG;

/// Why a configured server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfiguredError {
    /// The configuration, or a directory it names, cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `clientPortAddress` is no address.
    #[error("clientPortAddress={name}: cannot be resolved: {source}")]
    Address {
        /// What it says.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// The server did not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Starts the server that `config` describes.
///
/// # Errors
/// [`ConfiguredError`] says what to mend.
pub async fn start(config: &ServerConfig) -> Result<Server, ConfiguredError> {
    let (snapshots, logs) = config.open_disks()?;
    let options = options(config).await?;
    Ok(Server::start(options, Arc::new(snapshots), Arc::new(logs)).await?)
}

async fn options(config: &ServerConfig) -> Result<ServerOptions, ConfiguredError> {
    let millis = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    Ok(ServerOptions {
        listen: listen_address(config).await?,
        listen_backlog: config.listen_backlog.unwrap_or(LISTEN_BACKLOG),
        tick: Duration::from_millis(config.tick_time_ms.into()),
        session_timeout_min: millis(config.min_session_timeout_ms),
        session_timeout_max: millis(config.max_session_timeout_ms),
        accept: AcceptLimits {
            per_address: config.max_client_cnxns as usize,
            total: config.max_cnxns as usize,
        },
        frame_bytes_max: config.max_frame_bytes,
        rules: Rules { skip_acl: config.skip_acl, extended_types: config.extended_types },
        super_digest: config.super_digest.as_ref().map(|secret| secret.0.clone()),
        log: config.log,
        snapshot: config.snapshots,
        keep_snapshots: config.purge.every.map(|_| config.purge.keep),
        recovery: config.recovery,
        words: config.words.clone(),
        conf: ConfReport {
            client_port: config.client_port,
            data_dir: config.data_dir.join(crate::config::server_config::VERSION_DIR).display().to_string(),
            data_log_dir: config
                .data_log_dir
                .join(crate::config::server_config::VERSION_DIR)
                .display()
                .to_string(),
            tick_time_ms: config.tick_time_ms,
            max_client_cnxns: config.max_client_cnxns,
            min_session_timeout_ms: config.min_session_timeout_ms,
            max_session_timeout_ms: config.max_session_timeout_ms,
            listen_backlog: config.listen_backlog.map_or(-1, i64::from),
            ..ConfReport::default()
        },
    })
}

/// Without an address: all of them, IPv4 included, as Java does.
async fn listen_address(config: &ServerConfig) -> Result<SocketAddr, ConfiguredError> {
    let Some(name) = &config.client_port_address else {
        return Ok((Ipv6Addr::UNSPECIFIED, config.client_port).into());
    };
    let found =
        tokio::net::lookup_host((name.as_str(), config.client_port)).await.and_then(|mut addresses| {
            addresses.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address"))
        });
    found.map_err(|source| ConfiguredError::Address { name: name.clone(), source })
}
