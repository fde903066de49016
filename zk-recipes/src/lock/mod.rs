//! The lock: [`Lock`], its options and its guard.

mod builder;
mod guard;
mod handle;

pub use builder::LockBuilder;
pub use guard::{LockGuard, Released};
pub use handle::Lock;
