//! What was measured, and how it is printed: medians of the rounds, and the two ratios.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// One measurement of one contender.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    rate: f64,
    cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
}

/// A measurement under way.
pub(crate) struct Meter {
    begun: Instant,
    cpu: Duration,
}

impl Measured {
    pub(crate) fn begin() -> Meter {
        Meter { begun: Instant::now(), cpu: cpu_time() }
    }
}

impl Meter {
    pub(crate) fn end(self, count: usize, latencies: Vec<Duration>) -> Measured {
        self.end_without(Duration::ZERO, count, latencies)
    }

    /// As [`Meter::end`], without CPU time that was not the contender's.
    pub(crate) fn end_without(
        self,
        foreign: Duration,
        count: usize,
        mut latencies: Vec<Duration>,
    ) -> Measured {
        let took = self.begun.elapsed().as_secs_f64();
        let cpu = cpu_time().saturating_sub(self.cpu + foreign);
        latencies.sort_unstable();
        let at = |part: f64| {
            let index = (latencies.len() as f64 * part) as usize;
            latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e6)
        };
        let count = count as f64;
        Measured {
            rate: count / took,
            cpu_us: cpu.as_secs_f64() * 1e6 / count,
            p50_us: at(0.5),
            p99_us: at(0.99),
        }
    }
}

/// CPU time of this process so far, to the nanosecond: `/proc` counts in ticks.
fn cpu_time() -> Duration {
    of_clock(ClockId::ProcessCPUTime)
}

/// CPU time of the calling thread so far.
pub(crate) fn cpu_time_of_thread() -> Duration {
    of_clock(ClockId::ThreadCPUTime)
}

fn of_clock(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

/// The measurements of one contender in one row.
pub(crate) struct Column {
    name: &'static str,
    rounds: Vec<Measured>,
}

impl Column {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, rounds: Vec::new() }
    }

    pub(crate) fn push(&mut self, measured: Measured) {
        self.rounds.push(measured);
    }

    fn rate(&self) -> Option<f64> {
        self.median(|m| m.rate)
    }

    fn cpu_us(&self) -> Option<f64> {
        self.median(|m| m.cpu_us)
    }

    fn median(&self, of: impl Fn(&Measured) -> f64) -> Option<f64> {
        let mut values: Vec<f64> = self.rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }
}

/// The contenders in one row of the table.
pub(crate) struct Row {
    pub(crate) raw: Column,
    pub(crate) ours: Column,
    #[cfg_attr(not(feature = "rivals"), allow(dead_code, reason = "stays empty"))]
    pub(crate) rival: Column,
}

impl Row {
    pub(crate) fn new() -> Self {
        Self { raw: Column::new("raw"), ours: Column::new("ours"), rival: Column::new("rival") }
    }

    pub(crate) fn head() {
        println!("{:<20} {:<6} {:>10} {:>9} {:>9} {:>10}", "", "", "per s", "p50 us", "p99 us", "CPU us/op");
    }

    pub(crate) fn print(&self, name: &str) {
        let mut name = name;
        for column in [&self.raw, &self.ours, &self.rival] {
            let (Some(rate), Some(cpu)) = (column.rate(), column.cpu_us()) else { continue };
            let p50 = column.median(|m| m.p50_us).unwrap_or_default();
            let p99 = column.median(|m| m.p99_us).unwrap_or_default();
            let ratios = if column.name == self.ours.name { self.ratios() } else { String::new() };
            println!("{name:<20} {:<6} {rate:>10.0} {p50:>9.0} {p99:>9.0} {cpu:>10.2}{ratios}", column.name);
            name = "";
        }
    }

    /// What the budget is about.
    fn ratios(&self) -> String {
        let mut text = String::new();
        if let (Some(ours), Some(raw)) = (self.ours.rate(), self.raw.rate()) {
            text += &format!("   {:>4.0} % of raw's rate", ours / raw * 100.0);
        }
        if let (Some(ours), Some(rival)) = (self.ours.cpu_us(), self.rival.cpu_us()) {
            text += &format!(", {:.2} of the rival's CPU", ours / rival);
        }
        if let (Some(ours), Some(rival)) = (self.ours.rate(), self.rival.rate()) {
            text += &format!(", {:.2} x its rate", ours / rival);
        }
        text
    }
}
