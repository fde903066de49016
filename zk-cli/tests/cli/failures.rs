//! Each way to fail: its code, its sentence, and what is never said.

use std::net::TcpListener;
use std::time::{Duration, Instant};
use zk_client::{Acl, Client};

use crate::zk::{Zk, assert_said, binary, run};

/// Beyond the `--timeout` of these tests: time to start and to close. A hang would take longer.
const SLACK: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_command_path_and_remedy() {
    let zk = Zk::start().await;
    zk.ok(&["create", "/a"]);
    zk.ok(&["create", "/a/b"]);
    for command in ["ls", "get", "stat", "rm"] {
        zk.fails(&[command, "/a/no"], 1, &[&format!("{command} /a/no: "), "no such node", "`ls /a`"]);
    }
    zk.fails(&["set", "/a/no", "x"], 1, &["set /a/no: ", "no such node"]);
    zk.fails(&["ls", "-R", "/no"], 1, &["ls /no: ", "no such node"]);
    zk.fails(&["create", "/no/x"], 1, &["create /no/x: ", "parent /no does not exist", "-p"]);
    zk.fails(&["create", "/a"], 1, &["create /a: ", "exists already", "set"]);
    zk.fails(&["rm", "/a"], 1, &["rm /a: ", "children", "-r"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_2() {
    let zk = Zk::start().await;
    zk.fails(&["get", "a"], 2, &["get a: ", "does not start with '/'"]);
    zk.fails(&["get", "/a/"], 2, &["get /a/: ", "ends with '/'"]);
    zk.fails(&["rm", "/"], 2, &["rm /: ", "root"]);
    zk.fails(&["rm", "-r", "/"], 2, &["rm /: ", "root"]);
    zk.fails(&["create", "-e", "/a"], 2, &["create /a: ", "ephemeral", "shell"]);
    zk.fails(&["create", "--ttl", "0", "/a"], 2, &["create /a: ", "time to live"]);
    zk.fails(&["--keep-going", "ls", "/"], 2, &["--keep-going", "scripts"]);
    zk.fails(&["--auth", "oops", "ls", "/"], 2, &["--auth", "SCHEME:CREDENTIALS"]);
    assert_said(&run(&["--server", "a:x", "ls", "/"]), 2, &["connect to a:x: ", "port", "host:port"]);
    assert_said(&run(&["--server", "", "ls", "/"]), 2, &["host:port"]);
    for wrong in [
        &["frobnicate"][..],
        &["get"],
        &["set", "/a"],
        &["set", "/a", "x", "--version", "soon"],
        &["create", "/a", "--container", "-s"],
        &["create", "/a", "--ttl", "5", "-e"],
        &["rm", "-r", "--version", "1", "/a"],
        &["--timeout", "0", "ls", "/"],
    ] {
        assert_eq!(run(wrong).code, 2, "{wrong:?}");
    }
    assert_eq!(run(&["--help"]).code, 0);
    assert_eq!(run(&["--version"]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_too_large_is_refused() {
    let zk = Zk::start().await;
    zk.ok(&["create", "/a"]);
    let mib = vec![b'x'; 0x10_0000];
    assert_said(&zk.feed(&["set", "/a", "-"], &mib), 1, &["set /a: ", "bytes"]);
    // Fits a value, but not with its path in a frame.
    assert_said(&zk.feed(&["set", "/a", "-"], &mib[1..]), 1, &["set /a: ", "jute.maxbuffer"]);
    assert_eq!(zk.feed(&["set", "/a", "-"], &mib[100..]).code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_open_the_door_and_are_never_shown() {
    let zk = Zk::start().await;
    let owner =
        Client::builder().auth("digest", "ann:s3cret-pw").connect(&zk.server.connect_string()).await.unwrap();
    owner.create("/private", "treasure").acl(Acl::creator()).await.unwrap();
    owner.close().await;

    zk.fails(&["get", "/private"], 1, &["get /private: ", "ACL", "--auth", "ZK_AUTH"]);
    let with = |auth: &str| {
        let output = zk.command().env("ZK_AUTH", auth).args(["get", "/private"]).output().unwrap();
        crate::zk::Ended::from(output)
    };
    assert_eq!(with("digest:ann:s3cret-pw").text(), "treasure");
    assert_eq!(zk.ok(&["--auth", "digest:ann:s3cret-pw", "get", "/private"]), "treasure");
    assert_said(&with(""), 1, &["ACL"]);
    for wrong in ["digest:ann:wr0ng-pw", "nonsense:wr0ng-pw", "wr0ng-pw", ":wr0ng-pw"] {
        let ended = with(wrong);
        assert!(matches!(ended.code, 1 | 2), "{ended:?}");
        assert_said(&ended, ended.code, &["auth"]);
        assert!(!ended.err.contains("wr0ng"), "{}", ended.err);
    }
    let help = binary().env("ZK_AUTH", "digest:ann:s3cret-pw").arg("--help").output().unwrap();
    assert!(!String::from_utf8(help.stdout).unwrap().contains("s3cret"));
}

/// Runs `ls /` there with a timeout of a second.
fn expect_no_session(server: &str) {
    let begun = Instant::now();
    let ended = run(&["--server", server, "--timeout", "1", "ls", "/"]);
    assert!(begun.elapsed() < Duration::from_secs(1) + SLACK);
    assert_said(&ended, 3, &[&format!("connect to {server}: "), "within 1s", "--timeout"]);
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    expect_no_session(&address.to_string());
}

#[test]
fn a_server_that_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    expect_no_session(&listener.local_addr().unwrap().to_string());
}

#[test]
fn a_server_that_hangs_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // Ends with the test's process.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    expect_no_session(&address);
}

#[test]
fn something_else_than_zookeeper() {
    use std::io::Write as _;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    expect_no_session(&address);
}

#[test]
fn a_name_that_does_not_resolve() {
    expect_no_session("zk.invalid:2181");
}
