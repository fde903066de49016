//! Scripts: lines on standard input, which also exercises the shell's lines without a terminal.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use zk_client::SessionId;

use crate::zk::{Ended, Zk, assert_said};

#[tokio::test(flavor = "multi_thread")]
async fn one_command_a_line() {
    let zk = Zk::start().await;
    let script = br#"
        # comments and blank lines do nothing

        create /app "two words"
        create "/app/with blank" 'it''s'
        get /app
        ls /app
        set /app "line\nline"
        get /app
        stat /app
    "#;
    let ended = zk.feed(&[], script);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    let out = ended.text();
    assert!(out.starts_with("/app\n/app/with blank\ntwo wordswith blank\nline\nlinecreated "), "{out}");
    assert_eq!(zk.ok(&["get", "/app/with blank"]), "its");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_are_relative_to_the_current_node() {
    let zk = Zk::start().await;
    let ended = zk.feed(&[], b"pwd\ncreate -p a/b\ncd a/b\npwd\ncreate c\ncreate -s ./n/\n");
    assert_said(&ended, 1, &["line 6: create /a/b/n/", "parent /a/b/n"]);
    assert_eq!(ended.text(), "/\n/a/b\n/a/b\n/a/b/c\n");
    let ended = zk.feed(&[], b"cd /a/b/\nls\ncd ..\nls\ncd\npwd\ncd nowhere\n");
    assert_said(&ended, 1, &["line 7: cd /nowhere", "no such node"]);
    assert_eq!(ended.text(), "c\nb\n/\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_stops_at_the_first_failure() {
    let zk = Zk::start().await;
    let ended = zk.feed(&[], b"create /a\nget /nope\ncreate /b\n");
    assert_said(&ended, 1, &["line 2: get /nope", "no such node"]);
    assert_eq!(zk.ok(&["ls", "/"]), "a\nzookeeper\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn unless_told_to_go_on() {
    let zk = Zk::start().await;
    let ended = zk.feed(&["--keep-going"], b"frobnicate\nget /nope\n'open\ncreate /b\nrm \"\"\n");
    assert_eq!((ended.code, ended.text()), (2, "/b\n"));
    let lines: Vec<&str> = ended.err.lines().collect();
    assert_eq!(lines.len(), 4, "{}", ended.err);
    assert!(lines[0].starts_with("zk: line 1: ") && lines[0].contains("frobnicate"));
    assert!(lines[1].starts_with("zk: line 2: get /nope: "));
    assert!(lines[2].starts_with("zk: line 3: ") && lines[2].contains("not closed"));
    assert!(lines[3].starts_with("zk: line 5: ") && lines[3].contains("empty"));
    // The code is the first failure's.
    assert_eq!(zk.feed(&["--keep-going"], b"get /nope\nfrobnicate\n").code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_line_cannot_do() {
    let zk = Zk::start().await;
    assert_said(
        &zk.feed(&[], b"create /a -\n"),
        2,
        &["line 1: create /a", "standard input", "zk create /a -"],
    );
    assert_said(&zk.feed(&[], b"set /a \xff\n"), 2, &["line 1: ", "UTF-8"]);
    assert_said(&zk.feed(&[], b"set /a\n"), 2, &["line 1: ", "<DATA>", "help"]);
    let ended = zk.feed(&[], b"help\nhelp ls\nquit\nfrobnicate\n");
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(ended.text().contains("List a node's children") && ended.text().contains("--recursive"));
    assert_eq!(zk.feed(&[], b"").code, 0);
}

/// A script whose lines are given one by one.
struct Talk {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Talk {
    fn start(zk: &Zk) -> Self {
        let mut command = zk.command();
        command.args(["--timeout", "2"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn end(self) -> Ended {
        drop(self.input);
        self.child.wait_with_output().unwrap().into()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ephemeral_nodes_live_as_long_as_the_script() {
    let zk = Zk::start().await;
    let mut talk = Talk::start(&zk);
    talk.say("create -es /live-");
    let path = talk.hear();
    assert_eq!(path, "/live-0000000000");
    assert!(zk.ok(&["stat", &path]).contains("owner            0x"));
    assert_eq!(talk.end().code, 0);
    // The session was closed, not left to its timeout.
    zk.fails(&["stat", &path], 1, &["no such node"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_is_3_even_when_told_to_go_on() {
    let zk = Zk::start().await;
    let mut talk = Talk::start(&zk);
    talk.say("create -e /mine");
    assert_eq!(talk.hear(), "/mine");
    let stat = zk.ok(&["stat", "/mine"]);
    let owner = stat.lines().last().unwrap().split_once("0x").unwrap().1;
    let session = SessionId(i64::from_str_radix(owner, 16).unwrap());
    assert!(zk.server.expire_session(session).await);
    talk.say("create /after");
    let ended = talk.end();
    // The write may have left before the news came: then it is the connection that was lost.
    assert_said(&ended, 3, &["line 2: create /after: "]);
    assert_eq!(zk.ok(&["ls", "/"]), "zookeeper\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_is_3() {
    let zk = Zk::start().await;
    let mut talk = Talk::start(&zk);
    talk.say("create /a");
    assert_eq!(talk.hear(), "/a");
    zk.server.stop().await;
    talk.say("get /a");
    assert_said(&talk.end(), 3, &["line 2: get /a", "no server could be reached within 2s"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_is_mended() {
    let zk = Zk::start().await;
    let mut talk = Talk::start(&zk);
    talk.say("create -e /a");
    assert_eq!(talk.hear(), "/a");
    zk.server.drop_connections();
    talk.say("ls /");
    assert_eq!(talk.hear(), "a");
    assert_eq!(talk.end().code, 0);
}
