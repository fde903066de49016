//! `create`: a new node.

use std::time::Duration;

use super::Invocation;
use super::value::Value;
use crate::connection::Connection;
use crate::failure::{Doing, Failure};
use crate::output::Output;

const COMMAND: &str = "create";

/// What to create.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node; with -s the beginning of its name
    pub(super) path: String,
    /// The data, none if left out; - to read it from standard input, -- before data that begins with a dash
    #[arg(allow_negative_numbers = true)]
    data: Option<Value>,
    /// Removed by the server when this session ends (in a shell or a script)
    #[arg(short, long)]
    ephemeral: bool,
    /// A number that rises is added to the name
    #[arg(short, long)]
    pub(super) sequential: bool,
    /// Removed by the server some time after its last child
    #[arg(long, conflicts_with_all = ["ephemeral", "sequential", "ttl"])]
    container: bool,
    /// Removed by the server when it had no children and no change for this many milliseconds
    #[arg(long, value_name = "MS", conflicts_with = "ephemeral")]
    ttl: Option<u64>,
    /// Missing parents too
    #[arg(short, long)]
    parents: bool,
}

/// See [`super::Command::check`].
pub(super) fn check(args: &Args, invocation: Invocation) -> Result<(), Failure> {
    let path = &args.path;
    if args.ephemeral && invocation == Invocation::Once {
        return Err(Failure::usage(format_args!(
            "create {path}: an ephemeral node lives as long as its session, and this one ends with the command; \
             create it in the shell (`zk` without a command) or in a script"
        )));
    }
    args.data.as_ref().map_or(Ok(()), |data| data.check(Doing { command: COMMAND, path }, invocation))
}

/// Prints the path, which with `-s` only the server knows.
pub(super) async fn run(args: Args, connection: &Connection, output: &mut Output<'_>) -> Result<(), Failure> {
    let Args { path, data, ephemeral, sequential, container, ttl, parents } = args;
    let doing = Doing { command: COMMAND, path: &path };
    let data = data.map(|data| data.read(doing)).transpose()?.unwrap_or_default();
    let mut create = connection.client().create(&path, data);
    if container {
        create = create.container();
    }
    if ephemeral {
        create = create.ephemeral();
    }
    if let Some(ms) = ttl {
        create = create.ttl(Duration::from_millis(ms));
    }
    if sequential {
        create = create.sequential();
    }
    if parents {
        create = create.parents();
    }
    let made = connection.answer(doing, create).await?;
    output.line(made.path)?;
    Ok(())
}
