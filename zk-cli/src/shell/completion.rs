//! What Tab offers: commands, their options, and paths, which the server is asked for.

use clap::CommandFactory as _;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use tokio::runtime::Handle;

use super::line::Line;
use super::place::Place;
use super::words::{self, Word};
use crate::connection::Connection;
use crate::limits::COMPLETION_WAIT;
use crate::walk::join;

/// What the word at the cursor is.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// A command, or `help`'s argument.
    Command,
    /// An option of this command.
    Option(String),
    /// A path.
    Path,
    /// Data, or something else that only the user knows.
    Nothing,
}

/// Answers Tab. Lives in the line editor.
pub(super) struct Offers {
    runtime: Handle,
    connection: Connection,
    /// The current node.
    pub(super) place: Place,
    grammar: clap::Command,
}

impl Offers {
    pub(super) fn new(runtime: Handle, connection: Connection) -> Self {
        let mut grammar = Line::command();
        grammar.build();
        Self { runtime, connection, place: Place::default(), grammar }
    }

    fn commands(&self) -> Vec<String> {
        let named = |command: &clap::Command| {
            let aliases = command.get_visible_aliases().map(str::to_owned);
            aliases.chain([command.get_name().to_owned()]).collect::<Vec<_>>()
        };
        let mut names: Vec<String> = self.grammar.get_subcommands().flat_map(named).collect();
        names.sort_unstable();
        names
    }

    fn options(&self, command: &str) -> Vec<String> {
        let arguments =
            self.grammar.find_subcommand(command).into_iter().flat_map(clap::Command::get_arguments);
        let mut names: Vec<String> =
            arguments.filter_map(clap::Arg::get_long).map(|long| format!("--{long}")).collect();
        names.sort_unstable();
        names
    }

    /// The nodes that `typed` may become. What was typed up to the last slash stays as it is.
    fn paths(&self, typed: &str) -> Vec<Pair> {
        let (above, begun) = typed.split_at(typed.rfind('/').map_or(0, |slash| slash + 1));
        let Ok(parent) = (if above.is_empty() { Ok(self.place.clone()) } else { self.place.resolve(above) })
        else {
            return Vec::new();
        };
        self.runtime.block_on(async {
            let client = self.connection.client();
            let listing = client.get_children(parent.path()).send();
            let Ok(Ok(children)) = tokio::time::timeout(COMPLETION_WAIT, listing).await else {
                return Vec::new();
            };
            let mut names = children.names;
            names.retain(|name| name.starts_with(begun));
            names.sort_unstable();
            let [only] = names.as_slice() else {
                return names.into_iter().map(|name| pair(above, name)).collect();
            };
            // One node is left: go on below it if there is anything, to the next argument if not.
            let asked = client.exists(join(parent.path(), only)).send();
            let stat = tokio::time::timeout(COMPLETION_WAIT, asked).await;
            let children = matches!(stat, Ok(Ok(Some(stat))) if stat.num_children > 0);
            vec![single(&format!("{above}{only}"), if children { '/' } else { ' ' })]
        })
    }
}

/// One of several.
fn pair(above: &str, name: String) -> Pair {
    let whole = format!("{above}{name}");
    let replacement = if words::needs_quotes(&whole) { words::in_open_quote(&whole) } else { whole };
    Pair { display: name, replacement }
}

/// The only one, and what follows it.
fn single(whole: &str, next: char) -> Pair {
    let mut replacement =
        if words::needs_quotes(whole) { words::in_open_quote(whole) } else { whole.to_owned() };
    if next == ' ' && replacement.starts_with('"') {
        replacement.push('"');
    }
    replacement.push(next);
    Pair { display: whole.to_owned(), replacement }
}

fn among(names: Vec<String>, begun: &str) -> Vec<Pair> {
    let mut left: Vec<String> = names.into_iter().filter(|name| name.starts_with(begun)).collect();
    if let [only] = left.as_mut_slice() {
        return vec![single(only, ' ')];
    }
    left.into_iter().map(|name| pair("", name)).collect()
}

/// What belongs at the cursor, after the words before it.
fn wanted(grammar: &clap::Command, before: &[String], current: &str) -> Wanted {
    let Some((command, arguments)) = before.split_first() else { return Wanted::Command };
    if command == "help" {
        return if arguments.is_empty() { Wanted::Command } else { Wanted::Nothing };
    }
    let Some(command) = grammar.find_subcommand(command) else { return Wanted::Nothing };
    if current.starts_with('-') {
        return Wanted::Option(command.get_name().to_owned());
    }
    let takes_path = command.get_positionals().next().is_some_and(|first| first.get_id() == "path");
    let mut paths = 0;
    let mut arguments = arguments.iter();
    let mut value_follows = false;
    while let Some(argument) = arguments.next() {
        if let Some(option) = argument.strip_prefix("--") {
            let option = command.get_arguments().find(|known| known.get_long() == Some(option));
            if option.is_some_and(|option| option.get_action().takes_values()) {
                value_follows = arguments.next().is_none();
            }
        } else if !argument.starts_with('-') {
            paths += 1;
        }
    }
    if takes_path && paths == 0 && !value_follows { Wanted::Path } else { Wanted::Nothing }
}

impl Completer for Offers {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (before, Word { start, text }) = words::up_to_cursor(line.get(..pos).unwrap_or(line));
        let offers = match wanted(&self.grammar, &before, &text) {
            Wanted::Command => among(self.commands(), &text),
            Wanted::Option(command) => among(self.options(&command), &text),
            Wanted::Path => self.paths(&text),
            Wanted::Nothing => Vec::new(),
        };
        Ok((start, offers))
    }
}

impl Hinter for Offers {
    type Hint = String;
}
impl Highlighter for Offers {}
impl Validator for Offers {}
impl Helper for Offers {}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: &str) -> Wanted {
        let mut grammar = Line::command();
        grammar.build();
        let (before, word) = words::up_to_cursor(line);
        wanted(&grammar, &before, &word.text)
    }

    #[test]
    fn the_first_word_is_a_command_and_the_next_a_path() {
        assert_eq!(at(""), Wanted::Command);
        assert_eq!(at("ge"), Wanted::Command);
        assert_eq!(at("help s"), Wanted::Command);
        assert_eq!(at("get "), Wanted::Path);
        assert_eq!(at("ls -l /a"), Wanted::Path);
        assert_eq!(at("cd "), Wanted::Path);
        assert_eq!(at("rm --version 3 /"), Wanted::Path);
        assert_eq!(at("get \"/a b"), Wanted::Path);
    }

    #[test]
    fn data_and_numbers_are_the_users() {
        assert_eq!(at("set /a "), Wanted::Nothing);
        assert_eq!(at("rm --version "), Wanted::Nothing);
        assert_eq!(at("pwd "), Wanted::Nothing);
        assert_eq!(at("nonsense "), Wanted::Nothing);
        assert_eq!(at("create -"), Wanted::Option("create".into()));
    }

    #[test]
    fn quotes_are_closed_when_nothing_can_follow() {
        assert_eq!(single("/a", '/').replacement, "/a/");
        assert_eq!(single("/a", ' ').replacement, "/a ");
        assert_eq!(single("/a b", '/').replacement, "\"/a b/");
        assert_eq!(single("/a b", ' ').replacement, "\"/a b\" ");
        assert_eq!(pair("/x y/", "z".into()).replacement, "\"/x y/z");
    }
}
