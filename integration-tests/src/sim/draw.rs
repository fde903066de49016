//! The one source of chance of a simulation: everything is drawn from one seed. Owns a SplitMix64 generator;
//! never reads a clock, an address or the system's entropy.

use std::time::Duration;

/// A generator. The same seed gives the same numbers on every machine.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// A generator that begins here.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut draw = Self(seed ^ 0x5EED_0F2C_0FFE_E000);
        draw.bits();
        draw
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 when `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.bits() % n.max(1)
    }

    /// An index below `n`.
    pub fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap_or(0)
    }

    /// True `part` times out of `of`.
    pub fn chance(&mut self, part: u64, of: u64) -> bool {
        self.below(of) < part
    }

    /// A time from `from` to `to`, in microseconds.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let (from, to) = (micros(from), micros(to));
        Duration::from_micros(from + self.below(to.saturating_sub(from) + 1))
    }

    /// Below `most`, and far below it most of the time.
    pub fn mostly_short(&mut self, most: Duration) -> Duration {
        let most = if self.chance(1, 8) { most } else { most / 10 };
        self.between(Duration::ZERO, most)
    }

    /// One of them, if there is any.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.index(of.len()))
    }
}

/// Whole microseconds, the grain of virtual time.
pub(crate) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
