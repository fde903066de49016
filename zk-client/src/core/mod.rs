//! The pure session machine: what is pending, what is watched, when to ping, where to connect, what to replay.
//!
//! No clock, socket, task or channel: time is a [`std::time::Duration`] since any origin the caller likes, bytes
//! go in and out, and randomness comes from a seed. The driver runs it on tokio; a simulation runs many side by
//! side with virtual time. A shell does this, in any order it likes:
//!
//! - [`Core::submit`], [`Core::cancel`], [`Core::forget`], [`Core::close`] when the application asks;
//! - [`Core::update_hosts`], [`Core::detach`] likewise; [`Core::resume`] before anything else;
//! - [`Core::tick`] when [`Core::deadline`] has come (at once, at the start);
//! - [`Core::connected`], [`Core::received`] (one frame, without its prefix), [`Core::disconnected`] as the
//!   connection goes;
//! - [`Core::sasl_step`] or [`Core::sasl_failed`] when the mechanism has answered [`Output::Sasl`], unless the
//!   connection is gone by then;
//! - after each of these it takes all of [`Core::poll_output`], then, while connected and able to write,
//!   [`Core::transmit`].
//!
//! After [`Output::Disconnect`] the connection no longer exists for the core: what still comes from it must not
//! be fed in, and [`Core::disconnected`] is not to be called for it.
//!
//! | file | what it owns |
//! |---|---|
//! | `machine` | the state, the inputs, the phases of a connection |
//! | `session` | handshake, establishment, suspension, expiry, the end |
//! | `replies` | frames from the server: replies in order, the special xids, events |
//! | `sasl` | the exchange between the handshake and everything else |
//! | `transmit` | bytes to the server: handshake, credentials, re-arming, ping, operations |
//! | `queue` | operations waiting and in flight, in order |
//! | `watches` | registered interests, whom an event concerns, what the server watches for nobody |
//! | `rearm` | arming every watch again on a new connection, in batches |
//! | `timers` | when to ping, when silence is too long |
//! | `servers` | which server, when it is left for another, pacing |
//! | `probe` | the search for a writable server |
//! | `handover` | taking a session over, giving it away, giving up on its close |
//! | `replay` | the one table of what a lost connection means for an operation |

mod config;
mod handover;
mod machine;
mod output;
mod probe;
mod queue;
mod rearm;
mod replay;
mod replies;
mod request;
mod sasl;
mod servers;
mod session;
mod timers;
mod transmit;
mod watches;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod properties_of_watches;
#[cfg(test)]
mod sasl_scenarios;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod scenarios_of_servers;
#[cfg(test)]
mod scenarios_of_watches;
#[cfg(test)]
mod testkit;

pub use config::{Config, Credentials};
pub use machine::Core;
pub use output::{DropReason, Output, SessionEnd, WatchLost};
pub use request::{Completion, Failure, OpId, Reply, Request, Terms, encode_body, into_path, opcode, units};
