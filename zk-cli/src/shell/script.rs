//! A script: one command a line on standard input, to the first failure or, if told so, to the end.

use std::io::{self, BufRead, Read as _};
use tokio::runtime::Runtime;

use super::line::{self, Next};
use super::place::Place;
use crate::args::Target;
use crate::connection::{Connection, Expiry};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::limits::LINE_BYTES_MAX;
use crate::output::on_stdout;

/// Runs standard input. The exit code is the first failure's.
pub(crate) fn run(runtime: &Runtime, target: &Target, keep_going: bool) -> Result<Exit, Failure> {
    let connection = runtime.block_on(Connection::open(target, Expiry::Ends))?;
    let exit = lines(runtime, &connection, keep_going);
    runtime.block_on(connection.close());
    Ok(exit)
}

fn lines(runtime: &Runtime, connection: &Connection, keep_going: bool) -> Exit {
    let mut input = io::stdin().lock();
    let mut place = Place::default();
    let mut exit = Exit::Done;
    for number in 1.. {
        let outcome = match next_line(&mut input) {
            Ok(None) => break,
            Ok(Some(text)) => run_line(runtime, &text, &mut place, connection),
            // Where the next line begins is not known after this one.
            Err(failure) => {
                failure.at_line(number).report();
                return if exit == Exit::Done { Exit::Usage } else { exit };
            }
        };
        match outcome {
            Ok(Next::Go) => {}
            Ok(Next::Quit) => break,
            Err(failure) => {
                let failure = failure.at_line(number);
                failure.report();
                if exit == Exit::Done {
                    exit = failure.exit();
                }
                // Without its session a script's ephemeral nodes are gone: what follows would be about nothing.
                if !keep_going || failure.exit() == Exit::Lost || failure.is_unheard() {
                    break;
                }
            }
        }
    }
    exit
}

fn run_line(
    runtime: &Runtime,
    text: &str,
    place: &mut Place,
    connection: &Connection,
) -> Result<Next, Failure> {
    let mut next = Next::Go;
    on_stdout(|output| {
        next = runtime.block_on(line::run(text, place, connection, output))?;
        Ok::<(), Failure>(())
    })?;
    Ok(next)
}

/// The next line without its end; `None` after the last.
fn next_line(input: &mut impl BufRead) -> Result<Option<String>, Failure> {
    let mut bytes = Vec::new();
    let most = LINE_BYTES_MAX as u64 + 1;
    input
        .take(most)
        .read_until(b'\n', &mut bytes)
        .map_err(|error| Failure::local(format_args!("cannot read standard input: {error}")))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() > LINE_BYTES_MAX {
        return Err(Failure::usage(format_args!(
            "the line has more than {LINE_BYTES_MAX} bytes; ZooKeeper takes no value that large"
        )));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned())),
        Err(_) => Err(Failure::usage("the line is not UTF-8; write such data with `zk set PATH -`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_and_so_does_the_input() {
        let mut input = &b"ls /\r\n\nget /a"[..];
        let mut next = || next_line(&mut input).unwrap();
        assert_eq!(next().as_deref(), Some("ls /"));
        assert_eq!(next().as_deref(), Some(""));
        assert_eq!(next().as_deref(), Some("get /a"));
        assert_eq!(next(), None);
    }

    #[test]
    fn what_is_no_line_is_refused() {
        assert!(next_line(&mut &b"\xff\n"[..]).is_err());
        assert!(next_line(&mut io::BufReader::new(io::repeat(b'x'))).is_err());
    }
}
