//! Files: the transaction log, snapshots and epoch files, and how a server comes back from them. Synchronous
//! code over one seam to the disk; no runtime, clock or socket. What the bytes mean is `zk_proto::storage`.
//!
//! | file | its job |
//! |---|---|
//! | [`disk`] | the seam: the few things asked of a directory |
//! | [`real_disk`], [`memory_disk`] | the file system; a directory in memory that can lose what was not synced |
//! | [`log_writer`] | appends entries, syncs, begins new files |
//! | [`snapshots`] | writes a snapshot so that it is whole or absent; removes old files |
//! | [`trigger`] | when the next snapshot is due |
//! | [`recovery`] | newest valid snapshot, then every later entry of the log, or a refusal that says why |
//! | [`log_scan`] | reads one log file after another for recovery, strictly |
//! | [`epochs`] | the two epoch files |
//! | [`limits`] | bounds |

pub mod disk;
pub mod epochs;
pub mod limits;
pub mod log_scan;
pub mod log_writer;
pub mod memory_disk;
pub mod real_disk;
pub mod recovery;
pub mod snapshots;
pub mod trigger;

#[cfg(test)]
mod crash_sweep;
#[cfg(test)]
mod fixture;

pub use disk::{Disk, DiskFile};
pub use log_writer::{LogError, LogOptions, LogWriter};
pub use memory_disk::MemoryDisk;
pub use real_disk::RealDisk;
pub use recovery::{Recovered, RecoveryError, RecoveryOptions, Restore, recover};
pub use snapshots::{SnapshotSource, purge, write_snapshot};
pub use trigger::SnapshotTrigger;
