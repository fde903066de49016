//! What a seed expands to: every parameter of one simulation. Owns the ranges; decides nothing while it runs.

use std::time::Duration;

use super::draw::Draw;

/// A mistake put in on purpose, to show that the checks find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bug {
    /// The server's glue says that a batch is durable before the disk has synced it.
    ReplyBeforeFsync,
}

/// Every parameter of one simulation. Printed with a failure.
#[derive(Debug, Clone)]
pub struct Options {
    /// Everything else, and all chance, comes from it.
    pub seed: u64,
    /// The mistake put in, if any.
    pub bug: Option<Bug>,
    /// How long faults happen, in virtual time; then all is healed.
    pub faulty: Duration,
    /// Longest delay of a piece of bytes on its way.
    pub delay: Duration,
    /// Whether bytes arrive in arbitrary pieces.
    pub pieces: bool,
    /// Longest time of a disk sync.
    pub sync: Duration,
    /// Longest wait of work in front of the server's node.
    pub inbox: Duration,
    /// The grain of session expiry at the server.
    pub tick: Duration,
    /// The session timeout asked for.
    pub timeout: Duration,
    /// Longest pause between two steps of a client's workload.
    pub act: Duration,
    /// Longest time between two faults.
    pub fault: Duration,
    /// How often each kind of fault is drawn, in the order of `faults::FAULTS`.
    pub weights: [u64; 7],
    /// Transactions between snapshots.
    pub snap_count: u64,
    /// Bytes by which log files grow ahead.
    pub preallocate: u64,
    /// Whether old snapshots and logs are removed.
    pub purge: bool,
}

impl Options {
    /// The parameters of this seed, without a bug.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let draw = &mut Draw::new(seed);
        let ms = Duration::from_millis;
        let fault = ms([150, 400, 1_000, 3_000, 100_000][draw.index(5)]);
        let mut weights = [0; 7];
        for weight in &mut weights {
            *weight = [0, 1, 1, 2, 4][draw.index(5)];
        }
        Self {
            seed,
            bug: None,
            faulty: draw.between(ms(2_000), ms(9_000)),
            delay: ms([1, 5, 20, 100][draw.index(4)]),
            pieces: draw.chance(1, 2),
            sync: ms([1, 5, 30, 150][draw.index(4)]),
            inbox: Duration::from_micros([0, 50, 2_000, 40_000][draw.index(4)]),
            tick: ms([20, 100, 300][draw.index(3)]),
            timeout: ms([600, 1_000, 2_000, 4_000][draw.index(4)]),
            act: ms([20, 60, 200][draw.index(3)]),
            fault,
            weights,
            snap_count: [2, 8, 40, 1_000][draw.index(4)],
            preallocate: [0, 0, 4_096, 65_536][draw.index(4)],
            purge: draw.chance(1, 2),
        }
    }

    /// The same with a mistake in it.
    #[must_use]
    pub fn with_bug(mut self, bug: Bug) -> Self {
        self.bug = Some(bug);
        self
    }
}
