//! Several locks as one: [`MultiLock`], its options and its guard.

mod builder;
mod bundle;
mod combine;
mod guard;
mod handle;

pub use builder::MultiLockBuilder;
pub use guard::MultiGuard;
pub use handle::MultiLock;
