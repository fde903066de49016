//! Barriers: [`Barrier`], which holds everybody back until somebody removes it, and [`DoubleBarrier`], at which a
//! number of participants begin together and end together.
//!
//! | file | its job |
//! |---|---|
//! | `single` | [`Barrier`] |
//! | `double` | [`DoubleBarrier`]: entering |
//! | `ticket` | [`BarrierTicket`]: leaving |
//! | `stale` | removing what a round has left behind |
//! | `decision` | when to pass and whom to wait for: pure |
//! | `model` | tests: random interleavings of those decisions |

mod decision;
mod double;
#[cfg(test)]
mod model;
mod single;
mod stale;
mod ticket;

pub use double::{DoubleBarrier, DoubleBarrierBuilder};
pub use single::{Barrier, BarrierBuilder};
pub use ticket::BarrierTicket;
