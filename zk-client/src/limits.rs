//! Every bound of the client, by name and with its unit.

use std::time::Duration;

/// Weight of everything submitted and not yet answered, in units: one for each operation and one more for each
/// [`UNIT_BYTES`] of path and data. Whoever comes after that waits in line, in order.
pub const QUEUE_UNITS_MAX: usize = 64 * 1024;

/// Bytes that weigh as much as one operation; with [`QUEUE_UNITS_MAX`] this bounds the bytes to 64 MiB.
pub const UNIT_BYTES: usize = 1024;

/// Bytes encoded ahead of the socket. What has not been encoded has not been sent, and can still be cancelled.
pub const WRITE_BATCH_BYTES: usize = 64 * 1024;

/// Bytes of room offered to one read of the socket.
pub const READ_CHUNK_BYTES: usize = 64 * 1024;

/// Capacity kept by an idle write buffer, in bytes. A larger one, left by a large value, is given back.
pub const WRITE_KEEP_BYTES: usize = 1024 * 1024;

/// Values up to this many bytes are copied out of the frame, so that keeping one does not pin a read buffer.
pub const COPY_BYTES_MAX: usize = 1024;

/// Commands taken from the inbox in one turn of the driver.
pub const INBOX_BATCH: usize = 256;

/// Connections that may be lost while one read is the oldest unanswered, before that fails it: a read whose answer
/// breaks every connection must not keep the client from working.
pub const READ_LOSSES_MAX: u32 = 8;

/// Session timeout asked for unless the builder says otherwise.
pub const SESSION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// How long [`crate::Client::connect`] waits for the first session unless the builder says otherwise.
pub const FIRST_SESSION_DEFAULT: Duration = Duration::from_secs(30);

/// Least time given to one host to accept the connection, however many hosts share the session timeout.
pub const DIAL_MIN: Duration = Duration::from_millis(500);

/// Most time given to one host to accept the connection.
pub const DIAL_MAX: Duration = Duration::from_secs(10);

/// Most time a graceful close waits for its answer.
pub const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Most addresses of one host name tried in one attempt.
pub const ADDRESSES_PER_HOST_MAX: usize = 16;

/// Dropped operations still queued before the queue is swept while disconnected.
pub const SWEEP_AFTER: usize = 64;

/// Warnings of one kind that may be said at once, when a connection or session has been quiet for long.
pub const WARNINGS_BURST: u32 = 3;

/// After that, one warning of each kind in this time: a server that flaps for a day says some 3,000 lines.
pub const WARNING_EVERY: Duration = Duration::from_secs(30);

const _: () = assert!(QUEUE_UNITS_MAX * UNIT_BYTES == 64 * 1024 * 1024);
const _: () = assert!(WRITE_BATCH_BYTES <= WRITE_KEEP_BYTES);
