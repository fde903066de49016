//! A workload and an oracle for each recipe.

mod lock;

pub use lock::{Flaw, LockRecipe};
