//! Production recipes on production clients, in virtual time, under faults drawn from seeds: see
//! [`integration_tests::rehearsal`]. One test for each recipe.
//!
//! `ZK_RECIPE_SEEDS=1000` changes how many seeds are run, `ZK_RECIPE_SEED=n` runs one and prints its trace:
//! `ZK_RECIPE_SEED=7 cargo test -p integration-tests --test recipe_seeds lock -- --nocapture`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's helpers cannot do fails the test")]

mod planted;
mod sweep;

use integration_tests::rehearsal::recipes::{
    BarrierRecipe, CounterRecipe, DoubleBarrierRecipe, DurableLockRecipe, ElectionRecipe, LatchRecipe,
    LockRecipe, MultiLockRecipe, RwLockRecipe, SemaphoreRecipe,
};
use integration_tests::rehearsal::{Conditions, rehearse};
use sweep::every_seed;

#[test]
fn lock() {
    every_seed::<LockRecipe>(&["grants", "lost"]);
}

#[test]
fn durable_lock() {
    every_seed::<DurableLockRecipe>(&["grants"]);
}

#[test]
fn latch() {
    every_seed::<LatchRecipe>(&["grants", "lost"]);
}

#[test]
fn election() {
    every_seed::<ElectionRecipe>(&["grants", "lost"]);
}

#[test]
fn rw_lock() {
    every_seed::<RwLockRecipe>(&["grants", "lost", "writers", "readers together"]);
}

#[test]
fn double_barrier() {
    every_seed::<DoubleBarrierRecipe>(&["entered", "left"]);
}

#[test]
fn semaphore() {
    every_seed::<SemaphoreRecipe>(&["grants", "lost"]);
}

#[test]
fn multi_lock() {
    every_seed::<MultiLockRecipe>(&["grants", "lost"]);
}

#[test]
fn barrier() {
    every_seed::<BarrierRecipe>(&["set", "removed", "passed"]);
}

#[test]
fn counter() {
    every_seed::<CounterRecipe>(&["counted", "unknown"]);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..12 {
        let conditions = Conditions::of_seed(seed);
        let (first, second) = (rehearse::<LockRecipe>(&conditions), rehearse::<LockRecipe>(&conditions));
        let differ = first.trace.lines().zip(second.trace.lines()).find(|(a, b)| a != b);
        assert_eq!(differ, None, "seed {seed}");
        assert!(first.trace == second.trace && first.trace.lines().count() > 100, "seed {seed}");
    }
}
