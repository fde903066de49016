//! Pacing of connection attempts: exponential, without limit of time, with full jitter from a generator that is
//! handed in.
//!
//! The arithmetic is the `backoff` crate's, which never appears outside this file: its own randomisation is off,
//! it has no elapsed-time limit, and its clock stands still.

use backoff::backoff::Backoff as _;
use backoff::exponential::ExponentialBackoff;
use rand::{Rng, RngExt as _};
use std::time::{Duration, Instant};

/// How a client paces its attempts to connect, and whether it asks again what a lost connection left unanswered.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    initial: Duration,
    max: Duration,
    multiplier: f64,
    resend_reads: bool,
}

impl Default for RetryPolicy {
    /// Waits up to 100 ms before each attempt until every server was tried once, then doubles that up to 5 s;
    /// reads are resent.
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(5),
            multiplier: 2.0,
            resend_reads: true,
        }
    }
}

impl RetryPolicy {
    /// The longest wait before an attempt until every server was tried once; at least a millisecond.
    #[must_use]
    pub fn initial(mut self, initial: Duration) -> Self {
        self.initial = initial.max(Duration::from_millis(1));
        self
    }

    /// The longest wait before any attempt. While a session may still be saved, a quarter of its timeout is the
    /// limit if that is shorter.
    #[must_use]
    pub fn max(mut self, max: Duration) -> Self {
        self.max = max.max(Duration::from_millis(1));
        self
    }

    /// How much longer each wait may be than the one before; at least 1.
    #[must_use]
    pub fn multiplier(mut self, multiplier: f64) -> Self {
        self.multiplier = if multiplier.is_finite() { multiplier.max(1.0) } else { 1.0 };
        self
    }

    /// Whether reads that were sent and not answered are sent again after a reconnect (the default), or fail
    /// with [`crate::ErrorKind::ConnectionLoss`].
    #[must_use]
    pub fn resend_reads(mut self, resend: bool) -> Self {
        self.resend_reads = resend;
        self
    }

    pub(crate) fn resends_reads(&self) -> bool {
        self.resend_reads
    }

    /// A pacing that follows this policy from its start.
    #[must_use]
    pub fn pacing(&self) -> Pacing {
        // The crate measures elapsed time against a limit; there is none, and time does not pass for it.
        let epoch = Instant::now();
        Pacing(ExponentialBackoff {
            current_interval: self.initial.min(self.max),
            initial_interval: self.initial.min(self.max),
            randomization_factor: 0.0,
            multiplier: self.multiplier,
            max_interval: self.max,
            start_time: epoch,
            max_elapsed_time: None,
            clock: StoppedClock(epoch),
        })
    }
}

/// The sequence of waits, one for each attempt.
#[derive(Debug)]
pub struct Pacing(ExponentialBackoff<StoppedClock>);

#[derive(Debug)]
struct StoppedClock(Instant);

impl backoff::Clock for StoppedClock {
    fn now(&self) -> Instant {
        self.0
    }
}

impl Pacing {
    /// The wait before the next attempt: anything up to the sequence's next step, and up to `cap`.
    pub fn next_delay(&mut self, cap: Duration, rng: &mut impl Rng) -> Duration {
        random_up_to(self.next_step().min(cap), rng)
    }

    /// A wait as before the first attempt, which does not count as one.
    pub fn first_delay(&self, cap: Duration, rng: &mut impl Rng) -> Duration {
        random_up_to(self.0.initial_interval.min(cap), rng)
    }

    /// Starts over. To be called when a session is established, not when a connection is: a server that accepts
    /// and closes at once would otherwise be asked without pause.
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// The longest the next wait may be, in whole microseconds: the crate adds a random nanosecond even with its
    /// randomisation off.
    fn next_step(&mut self) -> Duration {
        let step = self.0.next_backoff().unwrap_or(self.0.max_interval);
        Duration::from_micros(u64::try_from(step.as_micros()).unwrap_or(u64::MAX))
    }
}

fn random_up_to(longest: Duration, rng: &mut impl Rng) -> Duration {
    let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(rng.random_range(0..=micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    #[test]
    fn the_default_doubles_up_to_five_seconds_for_ever() {
        let mut pacing = RetryPolicy::default().pacing();
        let steps: Vec<u128> = (0..8).map(|_| pacing.next_step().as_millis()).collect();
        assert_eq!(steps, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert!((0..10_000).all(|_| pacing.next_step() == Duration::from_secs(5)));
        pacing.reset();
        assert_eq!(pacing.next_step().as_millis(), 100);
    }

    proptest! {
        /// Pins the sequence, so that another implementation of it can be shown to be the same.
        #[test]
        fn steps_follow_the_formula_and_waits_stay_below(
            initial in 1u64..2_000, max in 1u64..60_000, multiplier in 1u32..5, cap in 1u64..10_000, seed: u64,
        ) {
            let policy = RetryPolicy::default()
                .initial(Duration::from_millis(initial))
                .max(Duration::from_millis(max))
                .multiplier(f64::from(multiplier));
            let (mut steps, mut waits) = (policy.pacing(), policy.pacing());
            let mut again = policy.pacing();
            let (mut rng, mut same) = (StdRng::seed_from_u64(seed), StdRng::seed_from_u64(seed));
            let mut expected = initial.min(max);
            for _ in 0..20 {
                prop_assert_eq!(steps.next_step(), Duration::from_millis(expected));
                let cap = Duration::from_millis(cap);
                let wait = waits.next_delay(cap, &mut rng);
                prop_assert!(wait <= cap.min(Duration::from_millis(expected)));
                prop_assert_eq!(wait, again.next_delay(cap, &mut same));
                expected = (expected * u64::from(multiplier)).min(max);
            }
        }
    }
}
