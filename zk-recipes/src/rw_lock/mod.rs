//! The read/write lock: [`RwLock`], its options and its guards.

mod builder;
pub(crate) mod downgrade;
mod guard;
mod handle;
pub(crate) mod rules;
mod step_down;

pub use builder::RwLockBuilder;
pub use guard::{ReadGuard, WriteGuard};
pub use handle::RwLock;
