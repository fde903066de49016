//! Every bound of the recipes, by name and with its unit.

use std::time::Duration;

/// Part of the session timeout by which the local deadline lies before the server's, in percent. It covers the
/// drift between the two clocks' rates and the time a holder takes to stop.
pub const DEADLINE_MARGIN_PERCENT: u32 = 10;

/// Pause before a request is repeated that the server refused for now (a throttled one, say).
pub const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How much later than at its limit one who was let in to a barrier in the last moment, or gives up, may be done.
pub const LAST_LOOK: Duration = Duration::from_millis(100);

/// How long something is held before its node is watched. What is given up sooner costs no read and no event, and
/// nobody could have done anything about it in that time.
pub const OWN_WATCH_DELAY: Duration = Duration::from_millis(10);

/// Longest random wait before one who holds, or waits in line, looks at its own node after a reconnect, so that not
/// all of a process, and not all who lost the same server, look at once. Never more than a tenth of the session timeout.
pub const RECONNECT_JITTER_MAX: Duration = Duration::from_secs(1);

/// First pause of the reaper after a delete that failed; doubled up to [`REAPER_PAUSE_MAX`].
pub const REAPER_PAUSE_MIN: Duration = Duration::from_millis(50);

/// Longest pause of the reaper between two tries.
pub const REAPER_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Nodes the reaper works on at once; more wait their turn. What waits is bounded by the number of guards and
/// acquire futures that were dropped.
pub const REAPER_AT_ONCE_MAX: usize = 256;

/// Foreign children reported by one listing.
pub const FOREIGN_PER_LISTING_MAX: usize = 16;

/// Foreign children remembered by one lock, so that each is warned about once. Further ones pass in silence.
pub const FOREIGN_WARNED_MAX: usize = 256;

/// Children of one lock above which listing them is expensive enough to warn.
pub const CHILDREN_WARN: usize = 10_000;

/// Nodes that are read at once when the participants of a line are listed.
pub const PARTICIPANTS_AT_ONCE: usize = 256;

/// Members of one multi lock.
pub const MULTI_LOCK_MEMBERS_MAX: usize = 1_000;

/// Bytes of the paths that are deleted by one request at most; one longer path goes alone. Half of ZooKeeper's usual
/// frame.
pub const RELEASE_BATCH_BYTES: usize = 512 * 1024;

/// Tries of an optimistic change before it gives up, or is promoted to a lock.
pub const OPTIMISTIC_TRIES: u32 = 20;

/// Longest pause after the first try at which somebody else was faster; doubled with each further one.
pub const OPTIMISTIC_PAUSE: Duration = Duration::from_millis(1);

/// Doublings of [`OPTIMISTIC_PAUSE`] at most.
pub const OPTIMISTIC_PAUSE_DOUBLINGS_MAX: u32 = 6;

/// Items that a taker remembers from one listing; it lists again when it has tried them.
pub const QUEUE_AHEAD_MAX: usize = 1_000;

/// Items put or taken by one request at most.
pub const QUEUE_BATCH_MAX: usize = 500;

/// Bytes of the items put by one request at most; one larger item goes alone. Half of ZooKeeper's usual frame.
pub const QUEUE_BATCH_BYTES: usize = 512 * 1024;

/// How often a write that was certainly not made is sent again after a lost connection: a server that finds it too
/// large drops the connection, each time.
pub const LOST_WRITES_MAX: u32 = 8;

/// Items in each queue of a sharded one before another is begun.
pub const QUEUE_SHARD_THRESHOLD: usize = 10_000;

/// Queues of a sharded one.
pub const QUEUE_SHARDS_MAX: usize = 10;

/// Permits of a semaphore that are acquired together: their leases are made in one transaction, which has to fit into
/// a frame.
pub const PERMITS_AT_ONCE_MAX: u32 = 1000;
