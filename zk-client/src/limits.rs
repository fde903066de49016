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

/// Items a [`crate::WatchStream`] holds for a consumer that does not read. One more, and they collapse into
/// [`crate::WatchItem::Resync`].
pub const STREAM_ITEMS_MAX: usize = 1024;

/// Bytes of paths a [`crate::WatchStream`] holds for a consumer that does not read.
pub const STREAM_BYTES_MAX: usize = 256 * 1024;

/// Watches to be taken off the server that wait behind operations; more of them go first.
pub const REMOVALS_HELD_MAX: usize = 1024;

/// Session timeout asked for unless the builder says otherwise.
pub const SESSION_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// How long [`crate::Client::connect`] waits for the first session unless the builder says otherwise.
pub const FIRST_SESSION_DEFAULT: Duration = Duration::from_secs(30);

/// Least time given to one host to accept the connection, however many hosts share the session timeout.
pub const DIAL_MIN: Duration = Duration::from_millis(500);

/// Most time given to one host to accept the connection.
pub const DIAL_MAX: Duration = Duration::from_secs(10);

/// Largest SASL token sent or accepted, in bytes: the largest Kerberos ticket that Active Directory makes.
pub const SASL_TOKEN_BYTES_MAX: usize = 64 * 1024;

/// Challenges of a server in one SASL exchange. DIGEST-MD5 needs 2, GSSAPI 3.
pub const SASL_ROUNDS_MAX: usize = 16;

/// Most time a graceful close waits for its answer.
pub const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Most addresses of one host name tried in one attempt.
pub const ADDRESSES_PER_HOST_MAX: usize = 16;

/// Host names of which a dialer remembers how often it has dialled them. Past that it begins anew.
pub const HOSTS_REMEMBERED_MAX: usize = 256;

/// Most bytes of one PEM file of certificates or of a key.
#[cfg(feature = "tls")]
pub const PEM_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Most time for telling by their addresses whether servers of a new list are known under other names.
pub const RESOLVE_MAX: Duration = Duration::from_secs(5);

/// Most time given to requests in flight when a connection is left for another server: a move should cost nobody
/// an answer, and a server that is leaving the ensemble may not be there much longer.
pub const MOVE_MAX: Duration = Duration::from_secs(1);

/// Wait before a read-only session first looks for a writable server. It doubles up to [`SEARCH_MAX`].
pub const SEARCH_MIN: Duration = Duration::from_millis(100);

/// Longest wait between two rounds of looking for a writable server.
pub const SEARCH_MAX: Duration = Duration::from_secs(60);

/// Most time for one server to say whether it is writable, connecting included.
pub const PROBE_MAX: Duration = Duration::from_secs(2);

/// Bytes read of a server's answer to `isro`; `rw` is 2.
pub const PROBE_ANSWER_BYTES: usize = 64;

/// Servers whose last failure is remembered and named when no session can be established.
pub const REASONS_MAX: usize = 8;

/// Wait before a followed configuration that cannot be read is asked for again.
pub const FOLLOW_RETRY: Duration = Duration::from_secs(30);

/// Dropped operations still queued before the queue is swept while disconnected.
pub const SWEEP_AFTER: usize = 64;

/// Lost answers borne by one operation that may be sent again (idempotent and protected writes, parents,
/// conveniences) before it fails: a write that breaks every connection must not keep the client from working.
pub const LOST_REPLIES_MAX: u32 = 16;

/// Times an upsert finds the node gone when it sets and there when it creates, before it fails.
pub const UPSERT_ROUNDS_MAX: u32 = 32;

/// Nodes of a walk that are asked for at a time.
pub const WALK_IN_FLIGHT: usize = 64;

/// Deletions in one transaction of `delete_recursive`.
pub const DELETE_BATCH_OPS: usize = 500;

/// Bytes of one transaction of `delete_recursive`, however large the client's frame limit is: the server's may be
/// smaller.
pub const DELETE_BATCH_BYTES: usize = 128 * 1024;

/// Transactions of one `delete_recursive` in flight at a time.
pub const DELETE_BATCHES_IN_FLIGHT: usize = 4;

/// Times `delete_recursive` looks for nodes that others have created meanwhile, before it fails.
pub const DELETE_ROUNDS_MAX: u32 = 16;
/// Warnings of one kind that may be said at once, when a connection or session has been quiet for long.
pub const WARNINGS_BURST: u32 = 3;

/// After that, one warning of each kind in this time: a server that flaps for a day says some 3,000 lines.
pub const WARNING_EVERY: Duration = Duration::from_secs(30);

const _: () = assert!(QUEUE_UNITS_MAX * UNIT_BYTES == 64 * 1024 * 1024);
const _: () = assert!(WRITE_BATCH_BYTES <= WRITE_KEEP_BYTES);
