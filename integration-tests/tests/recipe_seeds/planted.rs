//! Mistakes put in on purpose: the oracles find them.

use integration_tests::rehearsal::recipes::{Flaw, LockRecipe};
use integration_tests::rehearsal::{Conditions, rehearse_this};
use integration_tests::sim::Draw;

/// Seeds within which a mistake must be found.
const SEEDS_TO_FIND: u64 = 24;

/// What is found with the first seed that shows two holders at once; others show something else.
fn found(flaw: Flaw) -> String {
    let found = (0..SEEDS_TO_FIND).find_map(|seed| {
        let recipe = LockRecipe::with_flaw(&mut Draw::new(seed), flaw);
        let violation = rehearse_this(recipe, &Conditions::of_seed(seed)).violation;
        violation.filter(|violation| violation.contains("two hold at once"))
    });
    found.unwrap_or_else(|| panic!("{flaw:?} was not found"))
}

#[test]
fn a_holder_that_never_asks_is_found() {
    println!("{}", found(Flaw::NeverAsks));
}

#[test]
fn a_lock_that_takes_any_wake_for_its_turn_is_found() {
    println!("{}", found(Flaw::GrantsOnWake));
}
