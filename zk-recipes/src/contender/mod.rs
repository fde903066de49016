//! A contender: an ephemeral sequential node in line behind its predecessor. What locks, semaphores and latches
//! are made of.
//!
//! The decisions are in [`Core`], which is pure: it takes [`Input`]s in and gives [`Output`]s out, knows no clock
//! but the `now` it is told, and sends nothing. A shell runs it over a client; a simulation may drive as many as
//! it likes, side by side.
//!
//! 1. Tell it [`Input::Session`]. It asks for create and list, to be sent back to back: one round trip.
//! 2. Carry out each [`Output::Send`], and tell the outcome as [`Input::Answer`], after [`Input::Heard`] with the
//!    session's local deadline as it is then. Reads may be repeated at will; a write whose answer was lost is
//!    [`Refusal::Unknown`]. Everything is pinned to the session.
//! 3. A watch that fires is [`Input::Fired`] with the id of the request that left it.
//! 4. Tell what becomes of the session, and come back with [`Input::Tick`] when [`Core::deadline`] says so.
//! 5. [`Output::Grant`]: from here [`Core::hold`] tells what is held. [`Output::Fail`]: it has ended.
//! 6. [`Input::Cancel`] gives up, at any time: the place in line, or what is held. [`Output::Leave`] says what is
//!    to be deleted for that, and must be, as long as its session lives.
//!
//! | room | what is in it |
//! |---|---|
//! | `core`, `acquiring`, `holding`, `hold` | the state machine, on its way in and once it is in |
//! | `line` | the rule that decides from a listing |
//! | `messages` | inputs and outputs |
//! | `shell`, `keeper`, `flight` | what runs it over a client: until the grant, after it, and one request |

mod acquiring;
mod core;
mod flight;
mod hold;
mod holding;
mod keeper;
mod line;
mod messages;
mod shell;

pub use self::core::Core;
pub use hold::HoldState;
pub use line::{Rule, Standing, Survey};
pub use messages::{
    Answer, Claimed, Durable, Failure, Grant, Input, Leftover, Made, Options, Output, Parents, Patience,
    Prefix, Refusal, Request, RequestId, Seen,
};

pub(crate) use flight::{Creation, classify, seen};
pub(crate) use keeper::{Deleting, GivenUp, Holding};
pub(crate) use shell::{Context, Entrant, NotGranted, final_reason, reason, stand_in_line};

#[cfg(test)]
mod model;
#[cfg(test)]
mod scenarios;
