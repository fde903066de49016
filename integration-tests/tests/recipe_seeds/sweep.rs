//! Runs a recipe with many seeds, on every core, and says which one failed.

use std::env;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use integration_tests::rehearsal::{Conditions, Counters, Outcome, Recipe, rehearse};

/// Seeds run by default.
const SEEDS: u64 = 24;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Every promise of the recipe is kept with every seed, and each of `often` has happened.
pub(crate) fn every_seed<R: Recipe>(often: &[&str]) {
    if let Some(seed) = number("ZK_RECIPE_SEED") {
        let outcome = rehearse::<R>(&Conditions::of_seed(seed));
        println!("{}\n{outcome}\n{:?}", outcome.trace, outcome.counters);
        assert!(outcome.violation.is_none(), "{} with seed {seed}", R::NAME);
        return;
    }
    let count = number("ZK_RECIPE_SEEDS").unwrap_or(SEEDS);
    let (counters, failure) = sweep(count, rehearse::<R>);
    for (name, count) in &counters {
        println!("{:>12} {name:>26} {count}", R::NAME);
    }
    assert!(failure.is_none(), "{}", failure.unwrap());
    let never: Vec<_> = often.iter().filter(|name| counters.get(**name).is_none_or(|n| *n < count)).collect();
    assert!(never.is_empty(), "too seldom in {count} seeds of {}: {never:?}", R::NAME);
}

/// Runs seeds `0..count`, until one fails; answers with the failure of the lowest seed that ran.
pub(crate) fn sweep(count: u64, run: impl Fn(&Conditions) -> Outcome + Sync) -> (Counters, Option<Outcome>) {
    let next = AtomicU64::new(0);
    let failed = AtomicU64::new(u64::MAX);
    let done = Mutex::new((Counters::new(), None::<Outcome>));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count || seed > failed.load(Ordering::Relaxed) {
                return;
            }
            let outcome = run(&Conditions::of_seed(seed));
            let (counters, worst) = &mut *done.lock().unwrap();
            for (name, count) in &outcome.counters {
                *counters.entry(name).or_default() += count;
            }
            if outcome.violation.is_some() {
                failed.fetch_min(seed, Ordering::Relaxed);
                if worst.as_ref().is_none_or(|w| w.conditions.seed > seed) {
                    *worst = Some(outcome);
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
