//! When the next snapshot is due: after a number of transactions or bytes of log that is different each time, so
//! that the servers of an ensemble do not all snapshot at once. Owns the counters; randomness is handed in.

use super::limits::{SNAP_COUNT_DEFAULT, SNAP_COUNT_MIN, SNAP_SIZE_BYTES_DEFAULT};

/// How often snapshots are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TriggerOptions {
    /// Transactions between snapshots, at most: `snapCount`. At least 2.
    pub snap_count: u64,
    /// Bytes of log between snapshots, at most: `snapSizeLimitInKb`, there in KiB. 0 for no such limit.
    pub snap_size_bytes: u64,
}

impl Default for TriggerOptions {
    fn default() -> Self {
        Self { snap_count: SNAP_COUNT_DEFAULT, snap_size_bytes: SNAP_SIZE_BYTES_DEFAULT }
    }
}

/// Counts towards the next snapshot.
#[derive(Debug)]
pub struct SnapshotTrigger {
    options: TriggerOptions,
    transactions: u64,
    bytes: u64,
    transactions_due: u64,
    bytes_due: u64,
}

impl SnapshotTrigger {
    /// A trigger whose first limits are drawn from `random`, any uniform value.
    #[must_use]
    pub fn new(options: TriggerOptions, random: u64) -> Self {
        let mut new = Self { options, transactions: 0, bytes: 0, transactions_due: 0, bytes_due: 0 };
        new.reset(random);
        new
    }

    /// Counts what was appended to the log; true when a snapshot is due. Then roll the log, take the snapshot
    /// unless one is still being written, and call [`SnapshotTrigger::reset`].
    pub fn appended(&mut self, transactions: u64, bytes: u64) -> bool {
        self.transactions += transactions;
        self.bytes += bytes;
        self.transactions > self.transactions_due || (self.bytes_due > 0 && self.bytes > self.bytes_due)
    }

    /// Starts counting anew, with limits drawn from `random`: each between half of what is configured and all
    /// of it.
    pub fn reset(&mut self, random: u64) {
        let half_and_some = |limit: u64, random: u64| limit / 2 + random % (limit / 2).max(1);
        (self.transactions, self.bytes) = (0, 0);
        self.transactions_due = half_and_some(self.options.snap_count.max(SNAP_COUNT_MIN), random);
        self.bytes_due = match self.options.snap_size_bytes {
            0 => 0,
            limit => half_and_some(limit, random.rotate_left(32)).max(1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(options: TriggerOptions, random: u64, bytes: u64) -> u64 {
        let mut trigger = SnapshotTrigger::new(options, random);
        (1..).find(|_| trigger.appended(1, bytes)).unwrap()
    }

    #[test]
    fn due_between_half_the_count_and_the_count() {
        let options = TriggerOptions { snap_count: 100, snap_size_bytes: 0 };
        let all: Vec<u64> = (0..200).map(|random| counted(options, random, 1 << 40)).collect();
        assert_eq!((all.iter().min(), all.iter().max()), (Some(&51), Some(&100)));
    }

    #[test]
    fn due_by_bytes_as_well() {
        let options = TriggerOptions { snap_count: 1_000_000, snap_size_bytes: 1000 };
        for random in [0, 1, u64::MAX, 0x1234_5678_9abc_def0] {
            assert!((51..=100).contains(&counted(options, random, 10)));
        }
    }

    #[test]
    fn a_count_below_two_counts_as_two_and_reset_starts_over() {
        let mut trigger = SnapshotTrigger::new(TriggerOptions { snap_count: 0, snap_size_bytes: 0 }, 7);
        assert!(!trigger.appended(1, 1));
        assert!(trigger.appended(1, 1));
        trigger.reset(9);
        assert!(!trigger.appended(1, 1));
    }
}
