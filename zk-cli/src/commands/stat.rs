//! `stat`: what ZooKeeper knows about a node.

use crate::connection::Connection;
use crate::failure::{Doing, Failure};
use crate::output::Output;
use crate::stat_text::full;

/// Of which node.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node
    pub(super) path: String,
}

/// One field a line.
pub(super) async fn run(
    args: &Args,
    connection: &Connection,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let doing = Doing { command: "stat", path: &args.path };
    let exists = connection.client().exists(&args.path);
    let stat = connection.answer(doing, exists).await?.ok_or_else(|| Failure::no_node(doing))?;
    output.line(full(&stat))?;
    Ok(())
}
