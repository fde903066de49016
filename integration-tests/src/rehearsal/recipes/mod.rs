//! A workload and an oracle for each recipe.

mod durable_lock;
mod lock;
mod naive;

pub use durable_lock::DurableLockRecipe;
pub use lock::{Flaw, LockRecipe};
