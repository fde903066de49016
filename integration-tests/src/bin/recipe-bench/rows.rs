//! The rows of the table: what is measured, how it is counted, and its budget.

use std::fmt::Write as _;

use crate::Failure;

/// How a row is measured and what of it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As many as there is time for: how many a second.
    Rate,
    /// So many, whatever time they take: how many a second.
    Drain,
    /// Single events: their median.
    Latency,
    /// So many turns: how long they take together.
    Total,
    /// As [`Kind::Latency`], by processes that are killed.
    Killed,
}

/// What is asked of ours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Budget {
    /// So many times Curator's rate.
    Times(f64),
    /// At most so many milliseconds.
    Millis(f64),
    /// At most so many seconds.
    Seconds(f64),
    /// Nothing.
    None,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What it is, for the list.
    pub(crate) what: &'static str,
    /// What the players call it.
    play: &'static str,
    pub(crate) kind: Kind,
    clients: usize,
    /// Turns, samples or items, where time does not end it.
    pub(crate) count: usize,
    pub(crate) budget: Budget,
}

const fn rate(name: &'static str, play: &'static str, clients: usize, what: &'static str) -> Row {
    Row { name, what, play, kind: Kind::Rate, clients, count: 0, budget: Budget::None }
}

const fn drain(name: &'static str, play: &'static str, clients: usize, what: &'static str) -> Row {
    Row { name, what, play, kind: Kind::Drain, clients, count: 2000, budget: Budget::None }
}

const fn barrier(name: &'static str, play: &'static str, count: usize, what: &'static str) -> Row {
    Row { name, what, play, kind: Kind::Total, clients: 50, count, budget: Budget::None }
}

const ONE_PATH: &str = "50 clients enter and leave one double barrier so often";
const MANY_PATHS: &str = "50 clients enter and leave so many double barriers";

const ROWS: [Row; 25] = [
    Row { budget: Budget::Times(2.0), ..rate("lock-1", "lock", 1, "acquired and released, free") },
    rate("try-lock-1", "try-lock", 1, "tried, had and released, free"),
    Row { budget: Budget::Times(2.0), ..rate("lock-10", "lock", 10, "handed on among 10 contenders") },
    Row { budget: Budget::Times(3.0), ..rate("lock-50", "lock", 50, "handed on among 50 contenders") },
    rate("rw-1", "rw", 1, "read lock, every tenth time the write lock, free"),
    rate("rw-10", "rw", 10, "read lock, every tenth time the write lock, 10 contenders"),
    rate("semaphore-1", "semaphore", 1, "permit acquired and released, free"),
    rate("semaphore-10", "semaphore", 10, "permit acquired and released, 10 contenders for 3 permits"),
    Row {
        name: "latch-closed",
        what: "leader closes its latch, until the next leads; 3 candidates",
        play: "latch",
        kind: Kind::Latency,
        clients: 3,
        count: 100,
        budget: Budget::Millis(1.5),
    },
    Row {
        name: "latch-killed",
        what: "leader's process is killed, until the next leads: session timeout 2 s and the election",
        play: "latch-stand",
        kind: Kind::Killed,
        clients: 2,
        count: 5,
        budget: Budget::None,
    },
    rate("counter-1", "counter", 1, "incremented by one writer"),
    rate("counter-10", "counter", 10, "incremented by 10 writers"),
    rate("queue-put", "queue-put", 1, "100 bytes put, one after the other"),
    rate("queue-put-many", "queue-put-many", 1, "100 bytes put, 100 at once, each a node of its own"),
    rate("queue-put-multi", "queue-put-multi", 1, "100 bytes put, 100 at once in one node"),
    drain("queue-take-1", "queue-take", 1, "taken by 1 consumer, 2,000 there"),
    drain("queue-take-10", "queue-take", 10, "taken by 10 consumers, 2,000 there"),
    drain("work-queue-1", "work-queue", 1, "taken, worked and acknowledged under a lock, 1 consumer"),
    drain("work-queue-10", "work-queue", 10, "taken, worked and acknowledged under a lock, 10 consumers"),
    Row { budget: Budget::Seconds(4.0), ..barrier("barrier-200", "barrier", 200, ONE_PATH) },
    barrier("barrier-400", "barrier", 400, ONE_PATH),
    barrier("barrier-800", "barrier", 800, ONE_PATH),
    barrier("barrier-1600", "barrier", 1600, ONE_PATH),
    barrier("barriers-200", "barriers", 200, MANY_PATHS),
    barrier("barriers-800", "barriers", 800, MANY_PATHS),
];

impl Row {
    /// What a player is told.
    pub(crate) fn order(&self, seconds: f64, warming: bool, path: &str) -> String {
        let mut order = format!("run {} path={path} clients={}", self.play, self.clients);
        // Not all of it is needed to warm up, and not every library ends.
        let count = if warming { self.count.div_ceil(10) } else { self.count };
        // A string takes it always.
        let _written = write!(order, " seconds={seconds} count={count}");
        order
    }
}

/// The rows of these names, or whose names begin with them; `list` gives none.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<&'static Row>, Failure> {
    if names.iter().any(|name| name == "list") {
        return Ok(Vec::new());
    }
    if names.is_empty() {
        return Ok(ROWS.iter().collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        let exact: Vec<_> = ROWS.iter().filter(|row| row.name == name).collect();
        let begin: Vec<_> = ROWS.iter().filter(|row| row.name.starts_with(name.as_str())).collect();
        match (exact.is_empty(), begin.is_empty()) {
            (false, _) => chosen.extend(exact),
            (true, false) => chosen.extend(begin),
            (true, true) => return Err(format!("no row {name}; `list` lists them").into()),
        }
    }
    Ok(chosen)
}

/// Prints what there is.
pub(crate) fn list() {
    for row in &ROWS {
        println!("{:<16} {}", row.name, row.what);
    }
}
