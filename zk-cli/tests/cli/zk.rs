//! Runs the binary and gathers what it printed. Judges nothing.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use zk_server::EmbeddedServer;

/// A server and the binary pointed at it.
pub(crate) struct Zk {
    pub(crate) server: EmbeddedServer,
}

/// How one run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: output.stdout,
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// Standard output as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }
}

/// The binary, without the variables of whoever runs the tests.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zk"));
    command.env_remove("ZK_CONNECT").env_remove("ZK_AUTH").stdin(Stdio::null());
    command
}

/// Runs the binary with these arguments alone.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    binary().args(arguments).output().unwrap().into()
}

impl Zk {
    pub(crate) async fn start() -> Self {
        Self { server: EmbeddedServer::start().await.unwrap() }
    }

    /// The binary, told where the server is.
    pub(crate) fn command(&self) -> Command {
        let mut command = binary();
        command.args(["--server", &self.server.connect_string()]);
        command
    }

    /// One command.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.command().args(arguments).output().unwrap().into()
    }

    /// One command that must succeed in silence on stderr; its output as text.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{arguments:?}");
        ended.text().to_owned()
    }

    /// One command that must fail with this code and say all of these words in one line.
    pub(crate) fn fails(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let ended = self.run(arguments);
        assert_said(&ended, code, words);
    }

    /// The arguments with these bytes on standard input; without arguments, a script.
    pub(crate) fn feed(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end before it has read everything; the test looks at how it ended.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap().into()
    }
}

/// The code, and one line on stderr with all of these words.
pub(crate) fn assert_said(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, code, "{ended:?}");
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    assert!(ended.err.starts_with("zk: "), "{}", ended.err);
    for word in words {
        assert!(ended.err.contains(word), "no {word:?} in {}", ended.err);
    }
}
