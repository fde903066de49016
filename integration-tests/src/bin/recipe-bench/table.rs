//! What was measured, and how it is printed: medians of the rounds, ratios, and whether the budget is met.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::player::{Library, Round};
use crate::rows::{Budget, Kind, Row};
use crate::server::Tally;

/// One round of one library.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    count: f64,
    seconds: f64,
    /// CPU time of the library's process.
    cpu_us: f64,
    server_cpu_us: f64,
    requests: f64,
    /// Microseconds of single events, where they were taken.
    samples: Vec<f64>,
    /// Barriers that somebody passed before all were there.
    early: f64,
}

impl Measured {
    pub(crate) const fn new(count: f64, seconds: f64, cpu_us: f64, samples: Vec<f64>, early: f64) -> Self {
        Self { count, seconds, cpu_us, server_cpu_us: 0.0, requests: 0.0, samples, early }
    }

    pub(crate) fn at_server(mut self, before: Tally, after: Tally) -> Self {
        self.server_cpu_us = after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6;
        self.requests = after.received.saturating_sub(before.received) as f64;
        self
    }
}

/// All rounds of one row.
#[derive(Debug, Default)]
pub(crate) struct Results(BTreeMap<Library, Vec<Round>>);

pub(crate) fn head() {
    println!(
        "{:<15} {:<8} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8}",
        "", "", "per s", "ms", "p99 ms", "CPU us", "srv us", "requests"
    );
}

impl Results {
    pub(crate) fn push(&mut self, library: Library, round: Round) {
        self.0.entry(library).or_default().push(round);
    }

    /// How often it was killed.
    pub(crate) fn hung(&self, library: Library) -> usize {
        let rounds = self.0.get(&library).map(Vec::as_slice).unwrap_or_default();
        rounds.iter().filter(|round| matches!(round, Round::Hung)).count()
    }

    pub(crate) fn print(&self, row: &Row) {
        let columns: Vec<Column> =
            self.0.iter().map(|(library, rounds)| Column::of(*library, rounds)).collect();
        let mut name = row.name;
        for column in &columns {
            let line = column.line(row);
            let verdict =
                if column.library == Library::Ours { verdict(row, &columns) } else { String::new() };
            println!("{name:<15} {:<8} {line}{verdict}", column.library.name());
            name = "";
        }
    }
}

/// The medians of one library in one row.
struct Column {
    library: Library,
    rounds: usize,
    hung: usize,
    failed: usize,
    early: f64,
    median: Option<Median>,
}

#[derive(Debug, Clone, Copy)]
struct Median {
    rate: f64,
    /// Of the one thing that the row is about.
    ms: f64,
    p99_ms: Option<f64>,
    cpu_us: f64,
    server_cpu_us: f64,
    requests: f64,
    seconds: f64,
}

impl Column {
    fn of(library: Library, rounds: &[Round]) -> Self {
        let hung = rounds.iter().filter(|round| matches!(round, Round::Hung)).count();
        let failed = rounds.iter().filter(|round| matches!(round, Round::Failed(_))).count();
        let measured: Vec<&Measured> = rounds
            .iter()
            .filter_map(|round| match round {
                Round::Measured(measured) => Some(measured),
                _ => None,
            })
            .collect();
        let of = |value: fn(&Measured) -> f64| median(measured.iter().map(|m| value(m)).collect());
        let mut samples: Vec<f64> = measured.iter().flat_map(|m| m.samples.iter().copied()).collect();
        samples.sort_by(f64::total_cmp);
        let at = |part: f64| samples.get((samples.len() as f64 * part) as usize).map(|us| us / 1e3);
        let each = of(|m| m.seconds * 1e3 / m.count);
        let median = of(|m| m.count / m.seconds).map(|rate| Median {
            rate,
            ms: at(0.5).or(each).unwrap_or_default(),
            p99_ms: at(0.99),
            cpu_us: of(|m| m.cpu_us / m.count).unwrap_or_default(),
            server_cpu_us: of(|m| m.server_cpu_us / m.count).unwrap_or_default(),
            requests: of(|m| m.requests / m.count).unwrap_or_default(),
            seconds: of(|m| m.seconds).unwrap_or_default(),
        });
        let early = measured.iter().map(|m| m.early).sum();
        Self { library, rounds: rounds.len(), hung, failed, early, median }
    }

    fn line(&self, row: &Row) -> String {
        let mut line = match self.median {
            Some(median) => {
                let rate = match row.kind {
                    Kind::Rate | Kind::Drain => format!("{:.0}", median.rate),
                    Kind::Total => format!("{:.2} s", median.seconds),
                    Kind::Latency | Kind::Killed => String::new(),
                };
                let p99 = median.p99_ms.map_or(String::new(), |ms| format!("{ms:.2}"));
                let Median { ms, cpu_us, server_cpu_us, requests, .. } = median;
                format!("{rate:>9} {ms:>9.3} {p99:>9} {cpu_us:>8.0} {server_cpu_us:>8.0} {requests:>8.1}")
            }
            None if self.hung + self.failed == 0 => format!("{:>9}", "not there"),
            None => String::new(),
        };
        let mut add = |count: usize, what: &str| {
            if count > 0 {
                // A string takes it always.
                let _written = write!(line, "   {count} of {} {what}", self.rounds);
            }
        };
        add(self.hung, "hung");
        add(self.failed, "failed");
        if self.early > 0.0 {
            let _written = write!(line, "   passed early: {}", self.early);
        }
        line
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// What the budget is about: ours beside the others.
fn verdict(row: &Row, columns: &[Column]) -> String {
    let of = |library| columns.iter().find(|column| column.library == library).and_then(|c| c.median);
    let Some(ours) = of(Library::Ours) else { return String::new() };
    let faster = |theirs: Median| match row.kind {
        Kind::Rate | Kind::Drain => ours.rate / theirs.rate,
        Kind::Latency | Kind::Killed => theirs.ms / ours.ms,
        Kind::Total => theirs.seconds / ours.seconds,
    };
    let mut text = String::new();
    for other in [Library::Before, Library::Curator, Library::Kazoo] {
        let Some(theirs) = of(other) else { continue };
        let _written = write!(text, "   {:.2} x {}", faster(theirs), other.name());
        if ours.cpu_us > 0.0 {
            let _written = write!(text, " ({:.2} of its CPU)", ours.cpu_us / theirs.cpu_us);
        }
    }
    let met = match row.budget {
        Budget::None => return text,
        Budget::Times(wanted) => of(Library::Curator).map(|theirs| faster(theirs) >= wanted),
        Budget::Millis(wanted) => Some(ours.ms <= wanted),
        Budget::Seconds(wanted) => Some(ours.seconds <= wanted),
    };
    let budget = match row.budget {
        Budget::Times(times) => format!("{times} x curator"),
        Budget::Millis(ms) => format!("{ms} ms"),
        Budget::Seconds(seconds) => format!("{seconds} s"),
        Budget::None => String::new(),
    };
    let met = met.map_or("", |met| if met { ": met" } else { ": MISSED" });
    text + &format!("   [{budget}{met}]")
}
