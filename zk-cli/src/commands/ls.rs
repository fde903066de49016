//! `ls`: a node's children, or everything below it.

use std::collections::VecDeque;

use crate::connection::Connection;
use crate::failure::{Doing, Failure};
use crate::limits::IN_FLIGHT;
use crate::output::Output;
use crate::stat_text::{HEADING, row};
use crate::walk::{Step, Walk, join};

const COMMAND: &str = "ls";

/// What to list.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node; the root, or the shell's current node, if left out
    pub(super) path: Option<String>,
    /// With version, number of children, bytes, time of the last change, and owner of an ephemeral node
    #[arg(short, long)]
    long: bool,
    /// The node and everything below it, as full paths
    #[arg(short = 'R', long)]
    recursive: bool,
}

/// One name a line, sorted.
pub(super) async fn run(
    args: &Args,
    connection: &Connection,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let path = args.path.as_deref().unwrap_or("/");
    if args.recursive {
        return everything_below(path, args.long, connection, output).await;
    }
    let listing = connection.client().get_children(path);
    let mut names = connection.answer(Doing { command: COMMAND, path }, listing).await?.names;
    names.sort_unstable();
    if args.long {
        return with_stats(path, names, connection, output).await;
    }
    for name in names {
        output.line(name)?;
    }
    Ok(())
}

async fn with_stats(
    parent: &str,
    names: Vec<String>,
    connection: &Connection,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    heading(output)?;
    let mut names = names.into_iter();
    let mut ahead = VecDeque::new();
    loop {
        while ahead.len() < IN_FLIGHT {
            let Some(name) = names.next() else { break };
            let path = join(parent, &name);
            let asked = connection.client().exists(&path).send();
            ahead.push_back((name, path, asked));
        }
        let Some((name, path, asked)) = ahead.pop_front() else { return Ok(()) };
        let doing = Doing { command: COMMAND, path: &path };
        // A child that has gone since it was listed is not there to be shown.
        if let Some(stat) = connection.answer(doing, asked).await? {
            output.line(row(&name, &stat))?;
        }
    }
}

async fn everything_below(
    path: &str,
    long: bool,
    connection: &Connection,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let mut walk = Walk::new(connection, COMMAND, path);
    let mut begun = false;
    while let Some(step) = walk.next().await? {
        let Step::Enter { path, stat } = step else { continue };
        if !long {
            output.line(path)?;
            continue;
        }
        if !begun {
            heading(output)?;
            begun = true;
        }
        output.line(row(&path, &stat))?;
    }
    Ok(())
}

/// For people; a program that reads the rows needs none.
fn heading(output: &mut Output<'_>) -> Result<(), Failure> {
    if output.is_terminal() {
        output.line(HEADING)?;
    }
    Ok(())
}
