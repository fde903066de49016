//! What a seed expands to: every parameter of one rehearsal that is not the workload's. Owns the ranges.

use std::time::Duration;

use super::faults::FAULTS;
use crate::sim::Draw;
use crate::sim::Options;

/// Every parameter of one rehearsal. Printed with a failure.
#[derive(Debug, Clone)]
pub struct Conditions {
    /// Everything else, and all chance, comes from it.
    pub seed: u64,
    /// The beat: nothing that is sent arrives before the next one.
    pub beat: Duration,
    /// How long faults happen, in virtual time; then all is healed.
    pub faulty: Duration,
    /// Longest time between two faults.
    pub fault: Duration,
    /// How often each kind of fault is drawn, in the order of `faults::FAULTS`.
    pub weights: [u64; FAULTS.len()],
    /// The session timeout asked for.
    pub timeout: Duration,
    /// The server's and the network's.
    pub(super) server: Options,
}

impl Conditions {
    /// The conditions of this seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut server = Options::of_seed(seed);
        let draw = &mut Draw::new(seed.wrapping_mul(0x9E6C_63D0_876A_4F1B) ^ 2);
        let ms = Duration::from_millis;
        let mut weights = [0; FAULTS.len()];
        for weight in &mut weights {
            *weight = [0, 1, 1, 2, 4][draw.index(5)];
        }
        // No slower than a session of this timeout can bear.
        server.delay = ms([1, 5, 20, 60][draw.index(4)]);
        server.sync = ms([1, 5, 30, 100][draw.index(4)]);
        server.inbox = Duration::from_micros([0, 50, 2_000, 10_000][draw.index(4)]);
        server.timeout = ms([1_000, 2_000, 4_000, 8_000][draw.index(4)]);
        Self {
            seed,
            beat: ms([1, 2, 5][draw.index(3)]),
            faulty: draw.between(ms(10_000), ms(40_000)),
            fault: ms([300, 1_000, 2_000, 4_000, 100_000][draw.index(5)]),
            weights,
            timeout: server.timeout,
            server,
        }
    }

    /// The same without faults.
    #[must_use]
    pub fn calm(mut self) -> Self {
        self.weights = [0; FAULTS.len()];
        self
    }
}
