//! The production cores under faults drawn from seeds. `SIM_SEED=n` runs one seed and prints its trace, `SIM_SEEDS=n`
//! changes how many are run.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's helpers cannot do fails the test")]

use std::env;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use integration_tests::sim::{Bug, Counters, Options, Report, run};

/// Seeds run by default.
const SEEDS: u64 = 3_000;
/// What needs several coincidences at once.
const RARE: [&str; 1] = ["moved"];
/// Seeds within which a planted bug must be found.
const SEEDS_TO_FIND_A_BUG: u64 = 50;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Runs seeds `0..count` on every core, until one fails; answers with the failure of the lowest seed that ran.
fn sweep(count: u64, options: impl Fn(u64) -> Options + Sync) -> (Counters, Option<Report>) {
    let next = AtomicU64::new(0);
    let done = Mutex::new((Counters::default(), None::<Report>));
    let failed = AtomicU64::new(u64::MAX);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count || seed > failed.load(Ordering::Relaxed) {
                return;
            }
            let report = run(&options(seed));
            let (counters, worst) = &mut *done.lock().unwrap();
            counters.add(&report.counters);
            if report.violation.is_some() {
                failed.fetch_min(seed, Ordering::Relaxed);
                if worst.as_ref().is_none_or(|w| w.options.seed > seed) {
                    *worst = Some(report);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(work);
        }
    });
    done.into_inner().unwrap()
}

#[test]
fn every_property_holds_under_faults() {
    if let Some(seed) = number("SIM_SEED") {
        let report = run(&Options::of_seed(seed));
        println!("{}\n{report}", report.trace);
        assert!(report.violation.is_none(), "seed {seed}: {}", report.violation.unwrap());
        return;
    }
    let count = number("SIM_SEEDS").unwrap_or(SEEDS);
    let (counters, failure) = sweep(count, Options::of_seed);
    for (name, count) in counters.all() {
        println!("{name:>20} {count}");
    }
    assert!(failure.is_none(), "{}", failure.unwrap());
    if count >= SEEDS {
        // A fault that never happens tests nothing.
        let least = |name| if RARE.contains(&name) { 1 } else { count / 20 };
        let never: Vec<_> = counters.all().into_iter().filter(|(name, n)| *n < least(name)).collect();
        assert!(never.is_empty(), "too seldom in {count} seeds: {never:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..100 {
        let (first, second) = (run(&Options::of_seed(seed)), run(&Options::of_seed(seed)));
        assert_eq!(first.trace_hash(), second.trace_hash(), "seed {seed}");
        if seed % 20 == 0 {
            assert!(first.trace == second.trace && first.trace.lines().count() > 50, "seed {seed}");
        }
    }
    assert_ne!(run(&Options::of_seed(1)).trace_hash(), run(&Options::of_seed(2)).trace_hash());
}

#[test]
fn a_reply_before_the_fsync_is_found() {
    let found = (0..SEEDS_TO_FIND_A_BUG).find_map(|seed| {
        run(&Options::of_seed(seed).with_bug(Bug::ReplyBeforeFsync)).violation.map(|v| (seed, v))
    });
    let (seed, violation) = found.expect("the planted bug was not found");
    println!("found with seed {seed}: {violation}");
    assert_eq!(violation.property, "durability");
}
