//! One file per command: its arguments and what it does.
//!
//! | room | its job |
//! |---|---|
//! | [`ls`], [`get`], [`set`], [`create`], [`rm`], [`stat`] | the commands |
//! | [`command`] | the list of them: which one it is, where it may run |
//! | [`value`] | the DATA argument |

mod command;
mod create;
mod get;
mod ls;
mod rm;
mod set;
mod stat;
mod value;

pub(crate) use command::{Command, Invocation};
