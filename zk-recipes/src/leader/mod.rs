//! One leader at a time, and others in reserve: as a state ([`LeaderLatch`]), as a callback ([`LeaderSelector`]), or
//! around one piece of work ([`Election`]).
//!
//! | | who | nodes shared with |
//! |---|---|---|
//! | [`LeaderLatch`] | a service that leads or follows for as long as it runs | Curator's `LeaderLatch` |
//! | [`LeaderSelector`] | work that is done in turns by whoever leads | Curator's `LeaderSelector` and locks of any dialect |
//! | [`Election`] | one piece of work, under a leadership of its own | the same, and Kazoo's `Election` |
//!
//! | room | what is in it |
//! |---|---|
//! | `life` | a latch's decisions, as a pure machine |
//! | `latch`, `builder`, `running`, `candidate` | the latch: before it is started, its options, while it runs, its task |
//! | `status` | what a latch shows |
//! | `leadership` | what a leader has in hand, and the term it is held for |
//! | `selector`, `selector_builder`, `turns`, `election` | the other two |

mod builder;
mod candidate;
mod election;
mod latch;
mod leadership;
mod life;
mod running;
mod selector;
mod selector_builder;
mod status;
mod turns;

pub use builder::LeaderLatchBuilder;
pub use election::{Election, ElectionBuilder, Outcome};
pub use latch::LeaderLatch;
pub use leadership::Leadership;
pub use running::RunningLatch;
pub use selector::{LeaderSelector, LeaderSelectorListener, RunningSelector, SelectorState};
pub use selector_builder::LeaderSelectorBuilder;
pub use status::{CloseMode, LeaderState, LeaderStatus};

#[cfg(test)]
mod model;
