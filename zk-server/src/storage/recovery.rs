//! How a server comes back: the newest valid snapshot, then every later transaction of the log. Chooses the
//! files and says why it will not start; applying is the caller's [`Restore`].

use std::fmt;
use std::io;

use zk_proto::acl::Acl;
use zk_proto::storage::snapshot::{SnapshotDigest, SnapshotNode, SnapshotReader};
use zk_proto::txn::TxnEntry;
use zk_proto::{SessionId, Zxid};

use super::disk::Disk;
use super::limits::SNAPSHOTS_TRIED_MAX;
use super::log_scan::{self, LogFault, ScanError, Scanned};
use super::snapshots::{self, Compression, SnapshotFile};

/// What recovery fills. Buffers it hands over are slices of the whole file: copy what is kept.
pub trait Restore {
    /// Forgets everything, the initial nodes too: a snapshot follows, perhaps after an invalid one.
    fn reset(&mut self);
    /// There is no snapshot to follow: becomes the state of a new server.
    fn initial(&mut self) {
        self.reset();
    }
    /// A live session.
    fn session(&mut self, id: SessionId, timeout_ms: i32);
    /// An entry of the ACL table.
    fn acl(&mut self, id: i64, acl: Vec<Acl>);
    /// A node; its path is empty for the root.
    ///
    /// # Errors
    /// Why it cannot be: the snapshot is then invalid.
    fn node(&mut self, path: &str, node: SnapshotNode) -> Result<(), String>;
    /// The snapshot is complete and its checksums are right. Java's snapshots are fuzzy: they may hold the
    /// effects of transactions behind `zxid`, which come again with [`Restore::replay`].
    ///
    /// # Errors
    /// Why the state cannot be: the snapshot is then invalid.
    fn snapshot_done(&mut self, zxid: Zxid, digest: Option<SnapshotDigest>) -> Result<(), String>;
    /// The next transaction, strictly in order.
    ///
    /// # Errors
    /// Why it cannot be applied: the server then does not start.
    fn replay(&mut self, entry: TxnEntry) -> Result<(), String>;
}

/// How strict recovery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecoveryOptions {
    /// Whether a log without any snapshot is the whole history: `snapshot.trust.empty`, for directories of
    /// versions before 3.5.
    pub trust_empty: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The snapshot that was read; none in a new directory.
    pub snapshot: Option<Zxid>,
    /// The last transaction, from which the next one follows.
    pub last: Zxid,
    /// Transactions replayed.
    pub replayed: u64,
    /// Newer snapshots that could not be read, and why.
    pub skipped: Vec<SkippedSnapshot>,
    /// What was cut off the log: the last file and the bytes left of it, 0 when it was removed.
    pub cut: Option<(String, u64)>,
}

impl Recovered {
    /// Whether the directories held nothing: write `snapshot.0` before anything is logged.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.snapshot.is_none() && self.replayed == 0
    }
}

/// A snapshot that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedSnapshot {
    /// The file.
    pub file: String,
    /// The transaction in its name.
    pub zxid: Zxid,
    /// Why.
    pub why: String,
    /// Whether it is only half written, as a crash leaves it, and so was never relied on.
    pub incomplete: bool,
}

impl fmt::Display for SkippedSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.why)
    }
}

fn listed(skipped: &[SkippedSnapshot]) -> String {
    let all: Vec<String> = skipped.iter().map(ToString::to_string).collect();
    if all.is_empty() {
        String::new()
    } else {
        format!(" Snapshots that could not be used: {}.", all.join("; "))
    }
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// Every snapshot is invalid.
    #[error("no snapshot in the data directory can be read. Restore one from a backup or, in an ensemble, empty this server's data directories and let it copy the data from the others.{}", listed(.skipped))]
    NoValidSnapshot {
        /// What was tried, and why not.
        skipped: Vec<SkippedSnapshot>,
    },
    /// Transactions, but nothing to apply them to.
    #[error(
        "there are transaction logs ({log}) but no snapshot. A snapshot was lost: restore it, or in an ensemble empty this server's data directories and let it copy the data from the others. Only when the logs are known to be complete from the first transaction on, set snapshot.trust.empty=true once"
    )]
    LogWithoutSnapshot {
        /// The oldest log.
        log: String,
    },
    /// An older snapshot and the log do not reach what a newer, unreadable snapshot holds.
    #[error(
        "{skipped} The other files only reach {last}: starting would lose what is in it. Restore the file from a backup or, in an ensemble, empty this server's data directories and let it copy the data from the others"
    )]
    SnapshotLost {
        /// The newer snapshot.
        skipped: SkippedSnapshot,
        /// How far the other files reach.
        last: Zxid,
    },
    /// The log has a fault.
    #[error("{fault}.{}", listed(.skipped))]
    Log {
        /// Where and what.
        fault: LogFault,
        /// Newer snapshots that would perhaps not have needed that place.
        skipped: Vec<SkippedSnapshot>,
    },
}

/// Brings back the newest state that the files hold, strictly: whatever could hide a lost transaction is an
/// error. On success what a crash left half written is gone from the disks.
///
/// # Errors
/// [`RecoveryError`], which names the file and says what to do. The caller's state is then meaningless.
pub fn recover(
    snapshot_disk: &dyn Disk,
    log_disk: &dyn Disk,
    options: RecoveryOptions,
    into: &mut dyn Restore,
) -> Result<Recovered, RecoveryError> {
    let mut skipped = Vec::new();
    let snapshot = newest_snapshot(snapshot_disk, into, &mut skipped)?;
    if snapshot.is_none() {
        without_snapshot(log_disk, options, &skipped)?;
        into.initial();
    }
    let scanned = log_scan::scan(log_disk, snapshot.unwrap_or(Zxid::ZERO), &mut |entry| into.replay(entry));
    let Scanned { last, replayed, cut } = match scanned {
        Ok(scanned) => scanned,
        Err(ScanError::Disk(e)) => return Err(e.into()),
        Err(ScanError::Fault(fault)) => return Err(RecoveryError::Log { fault, skipped }),
    };
    // A snapshot is written of transactions that are logged, so a half written one is covered by the log, or
    // was a copy of another server's state that nobody relied on yet. A complete one was relied on.
    if let Some(lost) = skipped.iter().find(|s| s.zxid > last && !s.incomplete) {
        return Err(RecoveryError::SnapshotLost { skipped: lost.clone(), last });
    }
    snapshots::remove_stale(snapshot_disk)?;
    Ok(Recovered { snapshot, last, replayed, skipped, cut })
}

fn newest_snapshot(
    disk: &dyn Disk,
    into: &mut dyn Restore,
    skipped: &mut Vec<SkippedSnapshot>,
) -> io::Result<Option<Zxid>> {
    for file in snapshots::list(disk)?.into_iter().take(SNAPSHOTS_TRIED_MAX) {
        let SnapshotFile { zxid, compression, name } = file;
        let incomplete = !snapshots::looks_complete(disk, &name, compression)?;
        let read = match compression {
            _ if incomplete => Err("the file is incomplete".to_owned()),
            Compression::None => read_snapshot(disk, &name, zxid, into),
            Compression::Gzip | Compression::Snappy => Err(
                "compressed snapshots cannot be read yet; let ZooKeeper write one without snapshot.compression.method"
                    .to_owned(),
            ),
        };
        match read {
            Ok(()) => return Ok(Some(zxid)),
            Err(why) => {
                tracing::warn!(snapshot = name, why, "skipping a snapshot");
                skipped.push(SkippedSnapshot { file: disk.describe(&name), zxid, why, incomplete });
            }
        }
    }
    Ok(None)
}

fn read_snapshot(disk: &dyn Disk, name: &str, zxid: Zxid, into: &mut dyn Restore) -> Result<(), String> {
    into.reset();
    let mut reader =
        SnapshotReader::new(disk.read(name).map_err(|e| e.to_string())?).map_err(|e| e.to_string())?;
    for session in std::mem::take(&mut reader.sessions) {
        into.session(session.id, session.timeout_ms);
    }
    for entry in std::mem::take(&mut reader.acls) {
        into.acl(entry.id, entry.acl);
    }
    while let Some((path, node)) = reader.node().map_err(|e| e.to_string())? {
        into.node(&path, node).map_err(|why| format!("node {path:?}: {why}"))?;
    }
    let end = reader.end().map_err(|e| e.to_string())?;
    into.snapshot_done(zxid, end.digest)
}

fn without_snapshot(
    logs: &dyn Disk,
    options: RecoveryOptions,
    skipped: &[SkippedSnapshot],
) -> Result<(), RecoveryError> {
    let logged = log_scan::holds_entries(logs)?;
    // A crash of a new server may leave snapshot.0 half written: there is nothing to lose in it.
    let only_the_first = skipped.iter().all(|s| s.zxid == Zxid::ZERO && s.incomplete);
    if !only_the_first || (logged && !skipped.is_empty()) {
        return Err(RecoveryError::NoValidSnapshot { skipped: skipped.to_vec() });
    }
    match log_scan::list(logs)?.first() {
        Some((_, name)) if logged && !options.trust_empty => {
            Err(RecoveryError::LogWithoutSnapshot { log: logs.describe(name) })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
