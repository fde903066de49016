//! Decides between one command, a script and the shell, runs it, and turns its end into an exit code.

use clap::Parser as _;
use std::io::{self, IsTerminal as _};
use tokio::runtime::{Builder, Runtime};

use crate::args::{Cli, Target};
use crate::commands::{Command, Invocation};
use crate::connection::{Connection, Expiry};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::on_stdout;
use crate::shell::{interactive, script};

/// `zk`, from its arguments to its exit code. Wrong arguments end the process here, with clap's message.
pub(crate) fn start() -> Exit {
    let cli = Cli::parse();
    match run(cli) {
        Ok(exit) => exit,
        Err(failure) => {
            failure.report();
            failure.exit()
        }
    }
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let Cli { target, keep_going, command } = cli;
    // The client runs on a thread of its own, so that the session lives on while this one waits for a key.
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::local(format_args!("cannot start: {error}")))?;
    let outcome = match command {
        Some(_) if keep_going => Err(Failure::usage(
            "--keep-going: is for scripts; leave it out, or leave out the command and give a script",
        )),
        Some(command) => once(&runtime, &target, command).map(|()| Exit::Done),
        None if io::stdin().is_terminal() => interactive::run(&runtime, &target),
        None => script::run(&runtime, &target, keep_going),
    };
    // A name server that does not answer holds a thread, which must not hold us.
    runtime.shutdown_background();
    outcome
}

fn once(runtime: &Runtime, target: &Target, command: Command) -> Result<(), Failure> {
    command.check(Invocation::Once)?;
    let connection = runtime.block_on(Connection::open(target, Expiry::Ends))?;
    let outcome = on_stdout(|output| runtime.block_on(command.run(&connection, output)));
    // Nothing hangs on this session: when no server is there, its end is not worth waiting for.
    if !matches!(&outcome, Err(failure) if failure.exit() == Exit::Lost) {
        runtime.block_on(connection.close());
    }
    outcome
}
