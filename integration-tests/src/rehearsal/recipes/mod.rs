//! A workload and an oracle for each recipe.

mod lock;
mod naive;

pub use lock::{Flaw, LockRecipe};
