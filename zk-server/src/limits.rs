//! Every bound of the server, by name and with its unit.

/// Bytes that may wait in one connection's outbox before further watch events close it.
pub const OUTBOX_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes in one connection's outbox above which no more of its requests are read.
pub const OUTBOX_BYTES_HIGH: usize = 1024 * 1024;

/// Unanswered requests of one connection above which no more are read.
pub const PENDING_REQUESTS_MAX: usize = 1024;

/// Requests served under one hold of the state's read lock.
pub const READS_PER_HOLD: usize = 128;

/// Bytes a socket read makes room for.
pub const READ_CHUNK_BYTES: usize = 16 * 1024;

/// Largest handshake frame, in bytes: nobody is allowed a big frame before it has a session.
pub const HANDSHAKE_BYTES_MAX: usize = 4 * 1024;

/// Time for a connection to say something that makes it a session, in milliseconds
/// (`zookeeper.nio.sessionlessCnxnTimeout`).
pub const HANDSHAKE_TIMEOUT_MS: u64 = 10_000;

/// Bytes of encoded transactions after which the pipeline hands a batch to the log at once.
pub const LOG_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Connections that may wait to be accepted when the configuration does not say.
pub const LISTEN_BACKLOG: u32 = 1024;

/// Containers and outlived nodes removed in one go, so that a look does not stop the pipeline
/// (`znode.container.maxPerMinute`).
pub const REAPED_AT_ONCE_MAX: usize = 10_000;

/// Time between two looks for them, in milliseconds (`znode.container.checkIntervalMs`).
pub const REAP_EVERY_MS: u64 = 60_000;
