//! The semaphore.

mod core;
mod layout;
mod messages;
mod steps;

pub use layout::Layout;

#[cfg(test)]
mod model;
