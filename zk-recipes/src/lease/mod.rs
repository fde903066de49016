//! Leases by the wall clock, as Kazoo's: [`NonBlockingLease`], [`MultiNonBlockingLease`], and what they give out.

mod calendar;
mod handle;
mod multi;
mod record;
mod taking;

pub use handle::{Lease, LeaseHolder, NonBlockingLease, NonBlockingLeaseBuilder};
pub use multi::MultiNonBlockingLease;
