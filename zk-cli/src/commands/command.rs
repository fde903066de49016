//! The list of commands, shared by the command line and the shell.

use clap::Subcommand;

use super::{create, get, ls, rm, set, stat};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::Output;

/// One command with its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List a node's children
    Ls(ls::Args),
    /// Print a node's data
    Get(get::Args),
    /// Replace a node's data
    Set(set::Args),
    /// Create a node and print its path
    Create(create::Args),
    /// Remove a node
    Rm(rm::Args),
    /// Print what ZooKeeper knows about a node
    Stat(stat::Args),
}

/// Where a command comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invocation {
    /// The command line: the session ends with the command, and standard input is free for data.
    Once,
    /// A line of a shell or a script: the session stays, and standard input brings the next line.
    Line,
}

impl Command {
    /// Refuses what cannot work where the command comes from, before anything is sent.
    pub(crate) fn check(&self, invocation: Invocation) -> Result<(), Failure> {
        match self {
            Self::Set(args) => set::check(args, invocation),
            Self::Create(args) => create::check(args, invocation),
            Self::Ls(_) | Self::Get(_) | Self::Rm(_) | Self::Stat(_) => Ok(()),
        }
    }

    /// The path it is about, to be resolved by a shell; `.` for a list of the current node.
    pub(crate) fn path_mut(&mut self) -> &mut String {
        match self {
            Self::Ls(args) => args.path.get_or_insert_with(|| ".".to_owned()),
            Self::Get(args) => &mut args.path,
            Self::Set(args) => &mut args.path,
            Self::Create(args) => &mut args.path,
            Self::Rm(args) => &mut args.path,
            Self::Stat(args) => &mut args.path,
        }
    }

    /// Whether a slash at the path's end means something: the name is to be the number alone.
    pub(crate) fn path_is_prefix(&self) -> bool {
        matches!(self, Self::Create(args) if args.sequential)
    }

    /// Runs it.
    pub(crate) async fn run(self, connection: &Connection, output: &mut Output<'_>) -> Result<(), Failure> {
        match self {
            Self::Ls(args) => ls::run(&args, connection, output).await,
            Self::Get(args) => get::run(&args, connection, output).await,
            Self::Set(args) => set::run(args, connection).await,
            Self::Create(args) => create::run(args, connection, output).await,
            Self::Rm(args) => rm::run(&args, connection).await,
            Self::Stat(args) => stat::run(&args, connection, output).await,
        }
    }
}
