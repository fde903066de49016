//! Barriers: [`Barrier`], which holds everybody back until somebody removes it, and [`DoubleBarrier`], at which a
//! number of participants begin together and end together.
//!
//! | file | its job |
//! |---|---|
//! | `single` | [`Barrier`] |
//! | `double` | [`DoubleBarrier`]: entering |
//! | `late` | entering a round that was opened before |
//! | `pending` | a participant's node that may be there |
//! | `ticket` | [`BarrierTicket`]: leaving |
//! | `stale` | removing what a round has left behind |
//! | `decision` | when to pass and whom to wait for: pure |
//! | `model` | tests: random interleavings of those decisions |

mod decision;
mod double;
mod late;
#[cfg(test)]
mod model;
mod pending;
mod single;
mod stale;
mod ticket;

pub use double::{DoubleBarrier, DoubleBarrierBuilder};
pub use single::{Barrier, BarrierBuilder};
pub use ticket::BarrierTicket;
