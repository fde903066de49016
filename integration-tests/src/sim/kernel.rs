//! What every part of a simulation shares: virtual time, the ordered queue of what will happen, chance, the trace
//! and the history. Knows nothing of what the events do.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::time::Duration;

use super::draw::{Draw, micros};
use super::history::History;
use super::report::{Counters, Violation};
use super::world::Event;

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) now: Duration,
    queue: BTreeMap<(Duration, u64), Event>,
    next: u64,
    pub(crate) draw: Draw,
    pub(crate) trace: String,
    pub(crate) history: History,
    pub(crate) counters: Counters,
    pub(crate) violation: Option<Violation>,
}

impl Kernel {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Duration::ZERO,
            queue: BTreeMap::new(),
            next: 0,
            draw: Draw::new(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ 1),
            trace: String::new(),
            history: History::default(),
            counters: Counters::default(),
            violation: None,
        }
    }

    /// Lets `event` happen at `when`, behind everything that is already due then.
    pub(crate) fn at(&mut self, when: Duration, event: Event) {
        self.next += 1;
        self.queue.insert((when.max(self.now), self.next), event);
    }

    pub(crate) fn after(&mut self, wait: Duration, event: Event) {
        self.at(self.now + wait, event);
    }

    /// Puts an event that was taken out back at a later time, in its place among others put back.
    pub(crate) fn postpone(&mut self, until: Duration, sequence: u64, event: Event) {
        self.queue.insert((until, sequence), event);
    }

    /// The next event and its sequence; time moves to it.
    pub(crate) fn take(&mut self) -> Option<(u64, Event)> {
        let ((when, sequence), event) = self.queue.pop_first()?;
        self.now = when;
        Some((sequence, event))
    }

    /// When the next event is due.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|((when, _), _)| *when)
    }

    /// Adds a line to the trace.
    pub(crate) fn note(&mut self, line: fmt::Arguments<'_>) {
        let now = micros(self.now);
        // Writing to a string does not fail.
        let _ = writeln!(self.trace, "{:>4}.{:06} {line}", now / 1_000_000, now % 1_000_000);
    }

    /// Notes that a property does not hold; the first one counts.
    pub(crate) fn violated(&mut self, property: &'static str, detail: String) {
        self.note(format_args!("VIOLATED {property}: {detail}"));
        self.violation.get_or_insert(Violation { property, detail });
    }
}
