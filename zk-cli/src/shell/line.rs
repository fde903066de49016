//! A line's words into something to do, and doing it.

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use super::place::Place;
use super::words;
use crate::commands::{Command, Invocation};
use crate::connection::Connection;
use crate::failure::{Doing, Failure};
use crate::output::Output;

/// The commands of the shell. Paths may be relative to the current node
#[derive(Debug, Parser)]
#[command(multicall = true, disable_version_flag = true)]
pub(super) struct Line {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    #[command(flatten)]
    Zk(Command),
    /// Make a node the current one
    Cd {
        /// The node; the root if left out
        #[arg(default_value = "/")]
        path: String,
    },
    /// Print the current node's path
    Pwd,
    /// Leave; so does Ctrl-D
    #[command(visible_alias = "exit")]
    Quit,
}

/// Whether there is to be a next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    Quit,
}

/// Runs one line. Blank lines and those that begin with `#` do nothing.
pub(super) async fn run(
    line: &str,
    place: &mut Place,
    connection: &Connection,
    output: &mut Output<'_>,
) -> Result<Next, Failure> {
    if line.trim_start().starts_with('#') {
        return Ok(Next::Go);
    }
    let words = words::split(line).map_err(Failure::usage)?;
    if words.is_empty() {
        return Ok(Next::Go);
    }
    let action = match Line::try_parse_from(words) {
        Ok(line) => line.action,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp) => {
            output.line(error.render().to_string().trim_end())?;
            return Ok(Next::Go);
        }
        Err(error) => return Err(Failure::usage(said_plainly(&error))),
    };
    match action {
        Action::Zk(mut command) => {
            let prefix = command.path_is_prefix();
            let path = command.path_mut();
            *path = if prefix { place.resolve_prefix(path)? } else { place.resolve(path)?.path().to_owned() };
            command.check(Invocation::Line)?;
            command.run(connection, output).await?;
        }
        Action::Cd { path } => {
            let there = place.resolve(&path)?;
            let doing = Doing { command: "cd", path: there.path() };
            let exists = connection.client().exists(there.path());
            connection.answer(doing, exists).await?.ok_or_else(|| Failure::no_node(doing))?;
            *place = there;
        }
        Action::Pwd => output.line(place.path())?,
        Action::Quit => return Ok(Next::Quit),
    }
    Ok(Next::Go)
}

/// clap's message as one sentence: its first line, and where to look.
fn said_plainly(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    // "the following arguments were not provided:" goes on below.
    let missing: Vec<&str> =
        if first.ends_with(':') { lines.take_while(|line| !line.is_empty()).collect() } else { Vec::new() };
    let blank = if missing.is_empty() { "" } else { " " };
    format!("{first}{blank}{}; try `help`, or `help COMMAND`", missing.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn refusal(line: &str) -> String {
        said_plainly(&Line::try_parse_from(words::split(line).unwrap()).unwrap_err())
    }

    #[test]
    fn the_grammar_is_sound() {
        Line::command().debug_assert();
    }

    #[test]
    fn a_wrong_line_is_refused_in_one_sentence() {
        assert_eq!(
            refusal("frobnicate /a"),
            "unrecognized subcommand 'frobnicate'; try `help`, or `help COMMAND`"
        );
        let missing = refusal("set");
        assert!(missing.contains("<PATH> <DATA>") && !missing.contains('\n'), "{missing}");
    }
}
