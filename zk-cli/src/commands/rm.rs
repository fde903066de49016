//! `rm`: removes a node, or a node and everything below it.

use std::collections::VecDeque;
use zk_client::Pending;

use crate::connection::Connection;
use crate::failure::{Doing, Failure};
use crate::limits::IN_FLIGHT;
use crate::walk::{Step, Walk};

const COMMAND: &str = "rm";

/// What to remove.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node
    pub(super) path: String,
    /// Only if the data's version is this one
    #[arg(long = "version", value_name = "N", allow_negative_numbers = true)]
    expected: Option<i32>,
    /// Everything below it too. Not all at once: when it fails, part may be gone
    #[arg(short, long, conflicts_with = "expected")]
    recursive: bool,
}

/// Silent when done.
pub(super) async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let path = args.path.as_str();
    if path == "/" {
        return Err(Failure::usage("rm /: the root cannot be removed; name the nodes below it"));
    }
    if args.recursive {
        return everything_below(path, connection).await;
    }
    let delete = connection.client().delete(path).version(args.expected.unwrap_or(-1));
    connection.answer(Doing { command: COMMAND, path }, delete).await
}

/// Removes each node after its children. The session's order keeps it so while many are in flight.
async fn everything_below(path: &str, connection: &Connection) -> Result<(), Failure> {
    let mut walk = Walk::new(connection, COMMAND, path);
    let mut in_flight: VecDeque<(String, Pending<()>)> = VecDeque::new();
    while let Some(step) = walk.next().await? {
        let Step::Leave { path } = step else { continue };
        let delete = connection.client().delete(&path).send();
        in_flight.push_back((path, delete));
        if in_flight.len() >= IN_FLIGHT {
            settle(connection, in_flight.pop_front()).await?;
        }
    }
    while !in_flight.is_empty() {
        settle(connection, in_flight.pop_front()).await?;
    }
    Ok(())
}

async fn settle(connection: &Connection, next: Option<(String, Pending<()>)>) -> Result<(), Failure> {
    let Some((path, delete)) = next else { return Ok(()) };
    match connection.answer(Doing { command: COMMAND, path: &path }, delete).await {
        // Someone else removed it: that is what was wanted.
        Err(failure) if failure.is_no_node() => Ok(()),
        outcome => outcome,
    }
}
