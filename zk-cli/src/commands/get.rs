//! `get`: a node's data.

use crate::connection::Connection;
use crate::failure::{Doing, Failure};
use crate::output::{Output, visible};
use crate::stat_text::full;

/// What to print.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node
    pub(super) path: String,
    /// The stat after the data, on lines of its own
    #[arg(long)]
    stat: bool,
    /// The exact bytes on a terminal too: nothing escaped, no newline added
    #[arg(long)]
    raw: bool,
}

/// The bytes as they are; made harmless, and ended with a newline, for a terminal.
pub(super) async fn run(
    args: &Args,
    connection: &Connection,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let path = &args.path;
    let node = connection.answer(Doing { command: "get", path }, connection.client().get(path)).await?;
    if args.raw || !output.is_terminal() {
        output.bytes(&node.data)?;
    } else {
        output.bytes(visible(&node.data).as_bytes())?;
    }
    if args.stat || (output.is_terminal() && !args.raw) {
        output.end_line()?;
    }
    if args.stat {
        output.line(full(&node.stat))?;
    }
    Ok(())
}
