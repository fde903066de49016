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
    LockRecipe, MultiLockRecipe, QueueRecipe, RwLockRecipe, SemaphoreRecipe,
};
use integration_tests::rehearsal::{Conditions, Recipe, rehearse};
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
fn queue() {
    every_seed::<QueueRecipe>(&["put", "taken"]);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    same::<LockRecipe>(12);
    same::<DurableLockRecipe>(2);
    same::<RwLockRecipe>(2);
    same::<SemaphoreRecipe>(2);
    same::<BarrierRecipe>(2);
    same::<DoubleBarrierRecipe>(2);
    same::<CounterRecipe>(2);
}

/// Of recipes with one task in each process that waits for news of the session: several are woken in an order that
/// tokio draws.
fn same<R: Recipe>(seeds: u64) {
    for seed in 0..seeds {
        let conditions = Conditions::of_seed(seed);
        let (first, second) = (rehearse::<R>(&conditions), rehearse::<R>(&conditions));
        let differ = first.trace.lines().zip(second.trace.lines()).find(|(a, b)| a != b);
        assert_eq!(differ, None, "{} with seed {seed}", R::NAME);
        assert!(first.trace == second.trace && first.trace.lines().count() > 100, "seed {seed}");
    }
}
