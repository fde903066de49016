//! What was noted by workloads, and what befell the processes. Judges nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::changes::Change;

/// One process: its place, and how many were there before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who {
    /// Its place, from 0.
    pub slot: usize,
    /// How many processes were killed in this place before.
    pub life: u32,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}.{}", self.slot, self.life)
    }
}

/// Something that a workload noted.
#[derive(Debug, Clone)]
pub struct Entry<E> {
    /// In virtual time, by the process's own clock, which is everybody's.
    pub at: Duration,
    /// Whose.
    pub who: Who,
    /// What.
    pub event: E,
}

/// Everything that an oracle sees.
#[derive(Debug, Clone)]
pub struct History<E> {
    /// In the order of time; at one time, in the order in which the processes had their turns.
    pub entries: Vec<Entry<E>>,
    /// When processes were killed.
    pub killed: BTreeMap<Who, Duration>,
    /// From when to when processes stood still.
    pub still: Vec<(Who, Duration, Duration)>,
    /// When the faults ended.
    pub healed: Duration,
    /// The nodes below [`ROOT`](super::recipe::ROOT) and their data, when everybody had done what they had to.
    pub tree: BTreeMap<String, Vec<u8>>,
    /// Which of them came and went.
    pub changes: Vec<Change>,
}

/// How long after it goes on a process that stood still has had its next turn.
pub const TURN: Duration = Duration::from_millis(10);

impl<E> History<E> {
    /// Whether `who` had just gone on at `at`, after it stood still.
    #[must_use]
    pub fn went_on(&self, who: Who, at: Duration) -> bool {
        self.still.iter().any(|(w, _, until)| *w == who && *until <= at && at <= *until + TURN)
    }

    /// The end of the time in which `who` stood still at `at`, if it did. Until its first turn after that it has done
    /// nothing either.
    #[must_use]
    pub fn stood_still(&self, who: Who, at: Duration) -> Option<Duration> {
        let still =
            self.still.iter().filter(|(w, from, until)| *w == who && *from <= at && at <= *until + TURN);
        still.map(|(.., until)| *until).max()
    }
}
