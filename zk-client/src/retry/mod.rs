//! What is tried again, and how long to wait before.

mod policy;

pub use policy::{Pacing, RetryPolicy};
