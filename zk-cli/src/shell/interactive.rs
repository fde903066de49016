//! The shell: lines from a person at a terminal. A command that fails is reported, and the shell goes on.

use rustyline::Editor;
use rustyline::config::{CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use std::path::PathBuf;
use tokio::runtime::Runtime;

use super::completion::Offers;
use super::history;
use super::line::{self, Next};
use super::place::Place;
use super::prompt::{Notice, is_final, prompt};
use crate::args::Target;
use crate::connection::{Connection, Expiry};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::limits::HISTORY_LINES;
use crate::output::on_stdout;

/// Runs until the user leaves, or nothing can work any more.
pub(crate) fn run(runtime: &Runtime, target: &Target) -> Result<Exit, Failure> {
    let connection = runtime.block_on(Connection::open(target, Expiry::Renews))?;
    let outcome = Shell::new(runtime, target, &connection).and_then(Shell::run);
    runtime.block_on(connection.close());
    outcome
}

struct Shell<'a> {
    runtime: &'a Runtime,
    servers: &'a str,
    connection: &'a Connection,
    editor: Editor<Offers, FileHistory>,
    history: Option<PathBuf>,
    notice: Notice,
    place: Place,
}

impl<'a> Shell<'a> {
    fn new(runtime: &'a Runtime, target: &'a Target, connection: &'a Connection) -> Result<Self, Failure> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .history_ignore_space(true)
            .max_history_size(HISTORY_LINES)
            .map_err(no_terminal)?
            .build();
        let mut editor = Editor::with_config(config).map_err(no_terminal)?;
        editor.set_helper(Some(Offers::new(runtime.handle().clone(), connection.clone())));
        let history = history::file();
        if let Some(file) = &history {
            // There is none before the first time.
            let _ = editor.load_history(file);
        }
        let notice = Notice::new(&connection.state());
        let place = Place::default();
        Ok(Self { runtime, servers: &target.server, connection, editor, history, notice, place })
    }

    fn run(mut self) -> Result<Exit, Failure> {
        loop {
            let state = self.connection.state();
            if let Some(news) = self.notice.of(&state) {
                eprintln!("zk: {news}");
            }
            if is_final(&state) {
                return Ok(Exit::Lost);
            }
            match self.editor.readline(&prompt(self.servers, &state, &self.place)) {
                Ok(line) => {
                    self.remember(&line);
                    if self.obey(&line) == Next::Quit {
                        return Ok(Exit::Done);
                    }
                }
                // Ctrl-C drops the line, as in other shells.
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(Exit::Done),
                Err(error) => return Err(no_terminal(error)),
            }
        }
    }

    /// Runs one line. Ctrl-C gives it up.
    fn obey(&mut self, line: &str) -> Next {
        let mut next = Next::Go;
        let Self { runtime, connection, place, .. } = self;
        let outcome = on_stdout(|output| {
            let outcome = runtime.block_on(async {
                tokio::select! {
                    outcome = line::run(line, place, connection, output) => outcome,
                    _ = tokio::signal::ctrl_c() => Err(Failure::local("given up; what was sent may still happen")),
                }
            });
            output.end_line()?;
            next = outcome?;
            Ok::<(), Failure>(())
        });
        if let Err(failure) = outcome {
            failure.report();
        }
        if let Some(offers) = self.editor.helper_mut() {
            offers.place = self.place.clone();
        }
        next
    }

    /// Line by line, so that nothing is lost when the terminal goes away.
    fn remember(&mut self, line: &str) {
        if line.trim().is_empty() || !self.editor.add_history_entry(line).unwrap_or(false) {
            return;
        }
        let Some(file) = &self.history else { return };
        if let Err(error) = self.editor.append_history(file) {
            eprintln!("zk: cannot write {}: {error}; this shell's lines are not remembered", file.display());
            self.history = None;
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn no_terminal(error: ReadlineError) -> Failure {
    Failure::local(format_args!(
        "cannot read from the terminal: {error}; give the commands as a script instead"
    ))
}
