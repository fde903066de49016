//! A workload and an oracle for each recipe.

mod double_barrier;
mod durable_lock;
mod election;
mod latch;
mod lock;
mod naive;
mod rw_lock;

pub use double_barrier::DoubleBarrierRecipe;
pub use durable_lock::DurableLockRecipe;
pub use election::ElectionRecipe;
pub use latch::LatchRecipe;
pub use lock::{Flaw, LockRecipe};
pub use rw_lock::RwLockRecipe;
