//! A deterministic simulation of the production cores: one server, three clients and their locks in one thread,
//! with virtual time, a network that delays, cuts and loses, and a disk that loses what was not synced. One seed
//! draws everything; the same seed gives the same trace.
//!
//! | file | its job |
//! |---|---|
//! | [`options`] | what a seed expands to |
//! | `world` | the loop, its events, the two phases: faults, then healing |
//! | `kernel`, `draw` | virtual time and its queue; chance |
//! | `network`, `faults` | connections as pipes of bytes; what goes wrong |
//! | `server`, `recovery` | the server's cores on a memory disk; what a restart brings back |
//! | `client`, `workload` | a client's core on the network; what its application does |
//! | `contender`, `lock_requests`, `leftovers` | a lock's core on a client's core, and what it leaves behind |
//! | `history` | what could be seen from outside |
//! | `reference`, `oracle` | an independent tree; one file for each property that is checked over the history |
//! | [`report`] | how a simulation ended |

pub mod options;
pub mod report;

mod client;
mod contender;
pub(crate) mod draw;
mod faults;
mod history;
pub(crate) mod kernel;
mod leftovers;
mod lock_requests;
pub(crate) mod network;
mod oracle;
mod recovery;
mod reference;
pub(crate) mod server;
mod workload;
pub(crate) mod world;

pub use draw::Draw;
pub use options::{Bug, Options};
pub use report::{Counters, Report, Violation};
pub use world::run;
