//! Bounds and sizes of the storage room, each with its unit.

/// Snapshots tried at start, newest first, before giving up. The same as ZooKeeper's.
pub const SNAPSHOTS_TRIED_MAX: usize = 100;

/// Bytes of a snapshot gathered before they are written to the file.
pub const SNAPSHOT_CHUNK_BYTES: usize = 256 * 1024;

/// Bytes by which a log file grows ahead of its entries by default: `preAllocSize`, 64 MiB.
pub const PREALLOCATE_BYTES_DEFAULT: u64 = 64 << 20;

/// A log file grows again when its entries come within this many bytes of its end. The same as ZooKeeper's.
pub const PREALLOCATE_MARGIN_BYTES: u64 = 4096;

/// Transactions between snapshots by default: `snapCount`.
pub const SNAP_COUNT_DEFAULT: u64 = 100_000;

/// Fewest transactions between snapshots.
pub const SNAP_COUNT_MIN: u64 = 2;

/// Bytes of log between snapshots by default: `snapSizeLimitInKb`, 4 GiB.
pub const SNAP_SIZE_BYTES_DEFAULT: u64 = 4 << 30;

/// Fewest snapshots that purging may leave: `autopurge.snapRetainCount`.
pub const SNAPSHOTS_KEPT_MIN: usize = 3;

/// Bytes read at a time from a file that may be mostly zeros.
pub const READ_CHUNK_BYTES: usize = 256 * 1024;
