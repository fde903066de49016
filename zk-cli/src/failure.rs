//! What is said when something did not work: one sentence with the command, the path, the reason and what to do.
//! Owns the wording; the code that goes with it is [`crate::exit`]'s.

use std::fmt;
use std::io;
use std::time::Duration;
use zk_client::{Error, ErrorCode, ErrorKind};

use crate::exit::Exit;

/// A command that did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    code: Option<ErrorCode>,
    /// `None` when there is nobody to tell: the reader of our output has gone.
    text: Option<String>,
}

/// What was being done, for the sentence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Doing<'a> {
    /// The command as the user typed it.
    pub(crate) command: &'static str,
    /// The node it is about.
    pub(crate) path: &'a str,
}

impl Failure {
    /// The command line is wrong.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// Something outside ZooKeeper is wrong: a file, the terminal.
    pub(crate) fn local(text: impl fmt::Display) -> Self {
        Self::new(Exit::Failed, text)
    }

    fn new(exit: Exit, text: impl fmt::Display) -> Self {
        Self { exit, code: None, text: Some(text.to_string()) }
    }

    /// No session was opened at `servers`.
    pub(crate) fn not_connected(servers: &str, error: &Error) -> Self {
        let advice = match error.kind() {
            ErrorKind::Timeout => {
                "check the address and that a server runs there, or give a longer --timeout"
            }
            ErrorKind::AuthFailed => "check the scheme and the credentials in --auth or ZK_AUTH",
            ErrorKind::Config => "write --server as host:port,host:port/chroot",
            _ => "try again",
        };
        Self {
            exit: Exit::of(error.kind()),
            code: error.code(),
            text: Some(format!("connect to {servers}: {}; {advice}", reason(error))),
        }
    }

    /// The client reported `error`. `doing.path` is used where the error names none.
    pub(crate) fn refused(doing: Doing<'_>, error: &Error) -> Self {
        let Doing { command, path } = doing;
        let path = error.path().unwrap_or(path);
        let because = because(command, path, error);
        Self {
            exit: Exit::of(error.kind()),
            code: error.code(),
            text: Some(format!("{command} {path}: {because}")),
        }
    }

    /// No answer came within `limit`.
    pub(crate) fn no_answer(doing: Doing<'_>, limit: Duration, connected: bool) -> Self {
        let Doing { command, path } = doing;
        let why = if connected { "the server gave no answer" } else { "no server could be reached" };
        let outcome = if changes(command) {
            "it may or may not have happened, look before trying again"
        } else {
            "try again, or give a longer --timeout"
        };
        Self::new(Exit::Lost, format_args!("{command} {path}: {why} within {limit:?}; {outcome}"))
    }

    /// There is no node at the path.
    pub(crate) fn no_node(doing: Doing<'_>) -> Self {
        let Doing { command, path } = doing;
        Self {
            code: Some(ErrorCode::NoNode),
            ..Self::new(Exit::Failed, format_args!("{command} {path}: {}", missing(command, path)))
        }
    }

    /// The same, said of a line of a script.
    pub(crate) fn at_line(mut self, line: usize) -> Self {
        self.text = self.text.map(|text| format!("line {line}: {text}"));
        self
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether it is that a node does not exist.
    pub(crate) fn is_no_node(&self) -> bool {
        self.code == Some(ErrorCode::NoNode)
    }

    /// Whether nobody reads our output any more.
    pub(crate) fn is_unheard(&self) -> bool {
        self.text.is_none()
    }

    /// Says it on stderr.
    pub(crate) fn report(&self) {
        if let Some(text) = &self.text {
            eprintln!("zk: {text}");
        }
    }
}

/// Standard output could not be written. A reader that has seen enough (`zk ls / | head`) needs no message.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { exit: Exit::Failed, code: None, text: None };
        }
        Self::local(format_args!("cannot write the output: {error}"))
    }
}

fn changes(command: &str) -> bool {
    matches!(command, "set" | "create" | "rm")
}

/// The reason and the advice.
fn because(command: &str, path: &str, error: &Error) -> String {
    let text = match error.kind() {
        ErrorKind::Server(ErrorCode::NoNode) => return missing(command, path),
        ErrorKind::Server(ErrorCode::NodeExists) => "the node exists already; use `set` to change its data",
        ErrorKind::Server(ErrorCode::BadVersion) => {
            return format!("the node's version is another one; look with `stat {path}` and try again");
        }
        ErrorKind::Server(ErrorCode::NotEmpty) => {
            "the node has children; remove them first, or give -r to remove them all"
        }
        ErrorKind::Server(ErrorCode::NoAuth) => {
            "the node's ACL does not allow it; give credentials in --auth or ZK_AUTH, or check those given"
        }
        ErrorKind::Server(ErrorCode::NoChildrenForEphemerals) => {
            "the parent is ephemeral and can have no children; choose another parent"
        }
        ErrorKind::Server(ErrorCode::Unimplemented) => {
            "the server cannot do this; a time to live needs extendedTypesEnabled there"
        }
        ErrorKind::Server(ErrorCode::NotReadOnly) => {
            "the server has lost its quorum and only answers reads; try again when it is back"
        }
        ErrorKind::Server(ErrorCode::QuotaExceeded) => {
            "a quota is exceeded; remove nodes or data, or raise it"
        }
        ErrorKind::Server(ErrorCode::BadArguments) => {
            "the server refuses the arguments; check the path (nodes below /zookeeper are its own)"
        }
        ErrorKind::FrameTooLarge => {
            "larger than what client and server accept (jute.maxbuffer); use less data"
        }
        ErrorKind::ConnectionLoss if !error.outcome_unknown() => "the connection was lost; try again",
        ErrorKind::ConnectionLoss => {
            "the connection was lost before the answer came; it may or may not have happened, look before \
             trying again"
        }
        ErrorKind::SessionExpired | ErrorKind::Closed => {
            "the session is over, and its ephemeral nodes with it; connect again"
        }
        ErrorKind::AuthFailed => {
            "the server refused the credentials; check the scheme and the credentials in --auth or ZK_AUTH"
        }
        ErrorKind::InvalidPath => {
            return format!("{}; paths look like /a/b, without a slash at the end", reason(error));
        }
        _ if error.is_retryable() => return format!("{}; try again", reason(error)),
        _ => return format!("{}; check the arguments", reason(error)),
    };
    text.to_owned()
}

fn missing(command: &str, path: &str) -> String {
    let parent = match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    };
    if command == "create" {
        format!("its parent {parent} does not exist; create that first, or give -p")
    } else {
        format!("there is no such node; see what is there with `ls {parent}`")
    }
}

/// The error's text without operation and path, which the sentence has already.
fn reason(error: &Error) -> String {
    let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
    let unknown = if error.outcome_unknown() { "; it may or may not have happened" } else { "" };
    format!("{}{detail}{unknown}", error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_node_points_to_its_parent() {
        let failure = Failure::no_node(Doing { command: "get", path: "/a/b" });
        assert_eq!(
            failure.text.as_deref(),
            Some("get /a/b: there is no such node; see what is there with `ls /a`")
        );
        assert!(failure.is_no_node());
        assert_eq!(failure.exit(), Exit::Failed);
        assert!(missing("create", "/a").contains("its parent / does not exist"));
    }

    #[test]
    fn a_write_without_an_answer_says_that_it_may_have_happened() {
        let limit = Duration::from_secs(2);
        let said = |command| {
            let failure = Failure::no_answer(Doing { command, path: "/a" }, limit, false);
            assert_eq!(failure.exit(), Exit::Lost);
            failure.text.unwrap()
        };
        assert!(said("set").contains("may or may not have happened"));
        assert!(!said("get").contains("may or may not"));
        assert!(said("get").starts_with("get /a: no server could be reached within 2s; "));
    }

    #[test]
    fn a_reader_that_is_gone_is_not_told() {
        assert!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).text.is_none());
        assert!(Failure::from(io::Error::from(io::ErrorKind::StorageFull)).text.is_some());
    }
}
