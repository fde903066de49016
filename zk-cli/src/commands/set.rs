//! `set`: replaces a node's data.

use super::Invocation;
use super::value::Value;
use crate::connection::Connection;
use crate::failure::{Doing, Failure};

const COMMAND: &str = "set";

/// What to write.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node
    pub(super) path: String,
    /// The data; '' for none, - to read it from standard input, -- before data that begins with a dash
    #[arg(allow_negative_numbers = true)]
    data: Value,
    /// Only if the data's version is this one
    #[arg(long = "version", value_name = "N", allow_negative_numbers = true)]
    expected: Option<i32>,
}

/// See [`super::Command::check`].
pub(super) fn check(args: &Args, invocation: Invocation) -> Result<(), Failure> {
    args.data.check(Doing { command: COMMAND, path: &args.path }, invocation)
}

/// Silent when done.
pub(super) async fn run(args: Args, connection: &Connection) -> Result<(), Failure> {
    let Args { path, data, expected } = args;
    let doing = Doing { command: COMMAND, path: &path };
    let data = data.read(doing)?;
    let set = connection.client().set(&path, data).version(expected.unwrap_or(-1));
    connection.answer(doing, set).await.map(drop)
}
