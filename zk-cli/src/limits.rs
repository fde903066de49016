//! Every bound of the command line tool, by name and with its unit.

use std::time::Duration;

/// How long to wait for a session, and for each answer, unless `--timeout` says otherwise, in seconds as it is
/// written on the command line.
pub(crate) const TIMEOUT_DEFAULT_SECONDS: &str = "10";

/// The longest `--timeout`, in seconds: a day.
pub(crate) const TIMEOUT_MAX_SECONDS: f64 = 86_400.0;

/// Bytes taken from standard input for one value. Servers refuse more by default (`jute.maxbuffer`).
pub(crate) const VALUE_BYTES_MAX: usize = 0xf_ffff;

/// Bytes of one line of a script: a value of the largest size with every byte escaped.
pub(crate) const LINE_BYTES_MAX: usize = 4 * VALUE_BYTES_MAX;

/// Requests kept in flight for one level of a tree, or for one list.
pub(crate) const IN_FLIGHT: usize = 32;

/// How long a press of Tab waits for the server's answer.
pub(crate) const COMPLETION_WAIT: Duration = Duration::from_secs(2);

/// Lines kept in the history file.
pub(crate) const HISTORY_LINES: usize = 1000;

/// Characters of the connect string shown in the prompt.
pub(crate) const PROMPT_SERVERS_CHARS: usize = 40;
