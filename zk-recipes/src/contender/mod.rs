//! A contender: an ephemeral sequential node in line behind its predecessor. What locks, semaphores and latches
//! are made of.

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
    Answer, Failure, Grant, Input, Leftover, Made, Options, Output, Parents, Patience, Refusal, Request,
    RequestId, Seen,
};

pub(crate) use keeper::{GivenUp, Holding};
pub(crate) use shell::{Context, NotGranted, stand_in_line};

#[cfg(test)]
mod model;
#[cfg(test)]
mod scenarios;
