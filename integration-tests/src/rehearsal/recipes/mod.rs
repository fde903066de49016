//! A workload and an oracle for each recipe.

mod barrier;
mod counter;
mod double_barrier;
mod durable_lock;
mod election;
mod latch;
mod lock;
mod multi_lock;
mod naive;
mod rw_lock;
mod semaphore;

pub use barrier::BarrierRecipe;
pub use counter::CounterRecipe;
pub use double_barrier::DoubleBarrierRecipe;
pub use durable_lock::DurableLockRecipe;
pub use election::ElectionRecipe;
pub use latch::LatchRecipe;
pub use lock::{Flaw, LockRecipe};
pub use multi_lock::MultiLockRecipe;
pub use rw_lock::RwLockRecipe;
pub use semaphore::SemaphoreRecipe;
