//! Which warning is one too many: a server that flaps must not fill a disk. Pure; time comes from the caller.

use std::time::Duration;

/// Lets a few of one kind pass at once, then one in each interval, and counts the others.
#[derive(Debug)]
pub(crate) struct RateLimit {
    burst: u32,
    every: Duration,
    /// How many may pass now.
    left: u32,
    /// Since when the next one is being earned.
    earning: Duration,
    held_back: u64,
}

impl RateLimit {
    /// A limit that has not been touched.
    pub(crate) const fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every, left: burst, earning: Duration::ZERO, held_back: 0 }
    }

    /// Whether one may pass now: then how many were held back since the last that did.
    pub(crate) fn pass(&mut self, now: Duration) -> Option<u64> {
        self.earn(now);
        if self.left == 0 {
            self.held_back += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.held_back))
    }

    fn earn(&mut self, now: Duration) {
        if self.left == self.burst {
            self.earning = now;
            return;
        }
        let waited = now.saturating_sub(self.earning);
        let earned = waited.as_nanos() / self.every.as_nanos().max(1);
        let room = self.burst - self.left;
        match u32::try_from(earned) {
            Ok(earned) if earned < room => {
                self.left += earned;
                self.earning += self.every * earned;
            }
            _ => {
                self.left = self.burst;
                self.earning = now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_burst_passes_then_one_in_each_interval() {
        let mut limit = RateLimit::new(3, s(30));
        let passed: Vec<_> = (0..5).map(|_| limit.pass(s(100))).collect();
        assert_eq!(passed, [Some(0), Some(0), Some(0), None, None]);
        assert_eq!(limit.pass(s(129)), None);
        assert_eq!(limit.pass(s(130)), Some(3));
        assert_eq!(limit.pass(s(131)), None);
        // Quiet for long: a whole burst again, and the count is not lost.
        let passed: Vec<_> = (0..4).map(|_| limit.pass(s(10_000))).collect();
        assert_eq!(passed, [Some(1), Some(0), Some(0), None]);
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_none_uncounted(steps in prop::collection::vec(0u64..20_000, 1..200)) {
            let (burst, every) = (3, s(30));
            let mut limit = RateLimit::new(burst, every);
            let mut now = s(5);
            let begun = now;
            let (mut passed, mut counted) = (0u64, 0u64);
            for step in &steps {
                now += Duration::from_millis(*step);
                if let Some(suppressed) = limit.pass(now) {
                    passed += 1;
                    counted += suppressed;
                }
            }
            prop_assert!(passed <= u64::from(burst) + (now - begun).as_secs() / every.as_secs());
            prop_assert_eq!(passed + counted + limit.held_back, steps.len() as u64);
        }
    }
}
