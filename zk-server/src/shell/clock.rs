//! What time it is: the one place that asks the system.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::core::node::Clock;

/// The system's clocks, from a fixed origin.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Time since the origin; never goes back, whatever the calendar does (ZOOKEEPER-1626).
    #[must_use]
    pub fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Both clocks.
    #[must_use]
    pub fn moment(&self) -> Clock {
        Clock { now: self.now(), wall_ms: wall_ms() }
    }
}

/// Milliseconds since the Unix epoch.
#[must_use]
pub fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
