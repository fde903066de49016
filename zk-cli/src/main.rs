//! `zk`: ZooKeeper from the command line, from scripts, and in a shell.
//!
//! | room | its job |
//! |---|---|
//! | [`args`] | the command line |
//! | [`start`] | one command, a script or the shell: which one, and its exit code |
//! | [`connection`] | the session, and the limit of time on every answer |
//! | [`commands`] | one file per command |
//! | [`shell`] | lines: split, resolved against the current node, edited, completed, run |
//! | [`failure`], [`exit`] | what is said on stderr, and the code that goes with it |
//! | [`output`], [`stat_text`], [`timestamp`] | what is said on stdout |
//! | [`walk`] | a node and everything below it |
//! | [`limits`] | every bound, by name and with its unit |

mod args;
mod commands;
mod connection;
mod exit;
mod failure;
mod limits;
mod output;
mod shell;
mod start;
mod stat_text;
mod timestamp;
mod walk;

fn main() -> std::process::ExitCode {
    start::start().into()
}
