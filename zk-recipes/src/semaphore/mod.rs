//! The semaphore: [`Semaphore`], its options and its guards.
//!
//! | room | what is in it |
//! |---|---|
//! | `handle`, `builder`, `permit`, `others` | what an application uses |
//! | `layout`, `size` | where nodes are and what they mean; how many permits there are |
//! | `core`, `steps`, `messages` | one acquisition as a pure machine |
//! | `shell`, `flight` | what runs it over a client |

mod builder;
mod core;
mod flight;
mod handle;
mod layout;
mod messages;
mod others;
mod permit;
mod shell;
mod size;
mod steps;

pub use builder::SemaphoreBuilder;
pub use handle::Semaphore;
pub use layout::Layout;
pub use permit::{Permit, Permits};

#[cfg(test)]
mod model;
