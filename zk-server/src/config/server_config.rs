//! What a server needs to know before it starts, typed, with ZooKeeper's defaults. Reads the configuration file
//! and opens the data directories; opens nothing else.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ConfigError, ConfigWarning};
use super::keys;
use crate::admin::words::Whitelist;
use crate::storage::log_writer::LogOptions;
use crate::storage::recovery::RecoveryOptions;
use crate::storage::trigger::TriggerOptions;
use crate::storage::{Disk, RealDisk, log_scan, snapshots};

/// Below the data directories: the version of the layout.
pub const VERSION_DIR: &str = "version-2";

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// When old snapshots and logs are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purge {
    /// Snapshots kept: `autopurge.snapRetainCount`, 3 or more.
    pub keep: usize,
    /// How often: `autopurge.purgeInterval`; `None` for never.
    pub every: Option<Duration>,
}

/// A server's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Where snapshots go, below [`VERSION_DIR`]: `dataDir`.
    pub data_dir: PathBuf,
    /// Where logs go, below [`VERSION_DIR`]: `dataLogDir`, by default the same as `dataDir`.
    pub data_log_dir: PathBuf,
    /// Where clients connect: `clientPort`; 0 for any free port.
    pub client_port: u16,
    /// On which address or host name: `clientPortAddress`; `None` for all.
    pub client_port_address: Option<String>,
    /// Connections that wait to be accepted: `clientPortListenBacklog`; `None` for the system's default.
    pub listen_backlog: Option<u32>,
    /// The unit of time, in milliseconds: `tickTime`.
    pub tick_time_ms: u32,
    /// Shortest session timeout granted, in milliseconds: `minSessionTimeout`, two ticks.
    pub min_session_timeout_ms: i32,
    /// Longest session timeout granted, in milliseconds: `maxSessionTimeout`, twenty ticks.
    pub max_session_timeout_ms: i32,
    /// Connections from one address: `maxClientCnxns`; 0 for any number.
    pub max_client_cnxns: u32,
    /// Connections in all: `maxCnxns`; 0 for any number.
    pub max_cnxns: u32,
    /// Ticks a member may take to sync with its leader: `initLimit`.
    pub init_limit: Option<u32>,
    /// Ticks a member may be behind its leader: `syncLimit`.
    pub sync_limit: Option<u32>,
    /// When snapshots are due: `snapCount`, `snapSizeLimitInKb`.
    pub snapshots: TriggerOptions,
    /// How the log is written: `preAllocSize`, `forceSync`.
    pub log: LogOptions,
    /// How files are read at start: `snapshot.trust.empty`.
    pub recovery: RecoveryOptions,
    /// When old files are removed: `autopurge.*`.
    pub purge: Purge,
    /// The four-letter words that are answered: `4lw.commands.whitelist`.
    pub words: Whitelist,
    /// Largest frame accepted from a client, in bytes: `jute.maxbuffer`.
    pub max_frame_bytes: usize,
    /// Whether TTL nodes may be created: `extendedTypesEnabled`.
    pub extended_types: bool,
    /// Whether the tree's digest is kept: `digest.enabled`.
    pub digest: bool,
    /// Whether ACLs are not checked: `skipACL`.
    pub skip_acl: bool,
    /// `user:hash` who may do everything: `DigestAuthenticationProvider.superDigest`.
    pub super_digest: Option<Secret>,
    /// This server's id, when a `server.N` line names it.
    pub server_id: Option<u8>,
    /// Keys that have no effect, and values that were adjusted.
    pub warnings: Vec<ConfigWarning>,
}

impl ServerConfig {
    /// The defaults, for a server that keeps its files in `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>, client_port: u16) -> Self {
        let data_dir = data_dir.into();
        Self {
            data_log_dir: data_dir.clone(),
            data_dir,
            client_port,
            client_port_address: None,
            listen_backlog: None,
            tick_time_ms: keys::TICK_TIME_MS_DEFAULT,
            min_session_timeout_ms: 2 * keys::TICK_TIME_MS_DEFAULT as i32,
            max_session_timeout_ms: 20 * keys::TICK_TIME_MS_DEFAULT as i32,
            max_client_cnxns: keys::MAX_CLIENT_CNXNS_DEFAULT,
            max_cnxns: 0,
            init_limit: None,
            sync_limit: None,
            snapshots: TriggerOptions::default(),
            log: LogOptions::default(),
            recovery: RecoveryOptions::default(),
            purge: Purge { keep: crate::storage::limits::SNAPSHOTS_KEPT_MIN, every: None },
            words: Whitelist::default(),
            max_frame_bytes: zk_proto::limits::FRAME_BYTES_DEFAULT,
            extended_types: false,
            digest: true,
            skip_acl: false,
            super_digest: None,
            server_id: None,
            warnings: Vec::new(),
        }
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`], with file and line.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let bytes =
            std::fs::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        // Java reads these files as Latin-1; what is UTF-8 is meant to be UTF-8.
        let text =
            String::from_utf8(bytes).unwrap_or_else(|e| e.into_bytes().into_iter().map(char::from).collect());
        keys::read(&path.display().to_string(), &text)
    }

    /// Reads a configuration from text; errors call the file `zoo.cfg`.
    ///
    /// # Errors
    /// As [`ServerConfig::from_file`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        keys::read("zoo.cfg", text)
    }

    /// Opens the directories of snapshots and logs, made if need be, and makes sure that they can be written and
    /// that neither holds the other's files.
    ///
    /// # Errors
    /// [`ConfigError::Directory`] or [`ConfigError::Misplaced`].
    pub fn open_disks(&self) -> Result<(RealDisk, RealDisk), ConfigError> {
        let snapshot_disk = writable("dataDir", &self.data_dir)?;
        let log_disk = writable("dataLogDir", &self.data_log_dir)?;
        if self.data_dir == self.data_log_dir {
            return Ok((snapshot_disk, log_disk));
        }
        let logs = log_scan::list(&snapshot_disk).map_err(unusable("dataDir", &self.data_dir))?;
        let misplaced_log = logs.into_iter().next().map(|(_, name)| name);
        refuse_misplaced(misplaced_log, "log", &snapshot_disk, &log_disk)?;
        let snapshots = snapshots::list(&log_disk).map_err(unusable("dataLogDir", &self.data_log_dir))?;
        let misplaced_snapshot = snapshots.into_iter().next().map(|file| file.name);
        refuse_misplaced(misplaced_snapshot, "snapshot", &log_disk, &snapshot_disk)?;
        Ok((snapshot_disk, log_disk))
    }
}

fn unusable(key: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ConfigError + use<> {
    let path = path.to_owned();
    move |source| ConfigError::Directory { key, path, source }
}

fn refuse_misplaced(
    file: Option<String>,
    kind: &'static str,
    found_in: &RealDisk,
    belongs_into: &RealDisk,
) -> Result<(), ConfigError> {
    let Some(file) = file else { return Ok(()) };
    let (found_in, belongs_into) = (found_in.dir().to_owned(), belongs_into.dir().to_owned());
    Err(ConfigError::Misplaced { file, kind, found_in, belongs_into })
}

fn writable(key: &'static str, configured: &Path) -> Result<RealDisk, ConfigError> {
    /// No log's and no snapshot's name.
    const PROBE: &str = "write-probe";
    let probe = || {
        let disk = RealDisk::open(configured.join(VERSION_DIR))?;
        if disk.list()?.iter().any(|name| name == PROBE) {
            disk.remove(PROBE)?;
        }
        disk.create(PROBE)?;
        disk.remove(PROBE)?;
        Ok(disk)
    };
    probe().map_err(unusable(key, configured))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_made_and_those_that_cannot_be_used_are_named() {
        let home = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::new(home.path().join("data"), 0);
        config.data_log_dir = home.path().join("logs");
        config.open_disks().unwrap();
        assert!(home.path().join("logs/version-2").is_dir());

        std::fs::write(home.path().join("data/version-2/log.5"), "").unwrap();
        let text = config.open_disks().unwrap_err().to_string();
        assert!(text.contains("log.5") && text.contains("logs/version-2"), "{text}");

        std::fs::write(home.path().join("file"), "").unwrap();
        config.data_dir = home.path().join("file");
        let text = config.open_disks().unwrap_err().to_string();
        assert!(text.starts_with("dataDir=") && text.contains("cannot create directory"), "{text}");
    }

    #[test]
    fn files_are_read_and_missing_ones_named() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("zoo.cfg");
        assert!(ServerConfig::from_file(&path).unwrap_err().to_string().contains("zoo.cfg"));
        std::fs::write(&path, b"dataDir=/d\xe9\nclientPort=2181\n").unwrap();
        assert_eq!(ServerConfig::from_file(&path).unwrap().data_dir, Path::new("/d\u{e9}"));
        std::fs::write(&path, b"dataDir=/d\nclientPort=x\n").unwrap();
        let text = ServerConfig::from_file(&path).unwrap_err().to_string();
        assert!(text.contains("zoo.cfg:2: clientPort=x"), "{text}");
    }
}
