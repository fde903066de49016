//! The lock: [`Lock`], its options and its guard.

mod builder;
mod guard;
mod handle;
mod others;
mod ticket;

pub use builder::LockBuilder;
pub use guard::LockGuard;
pub use handle::Lock;
pub use ticket::LockTicket;
