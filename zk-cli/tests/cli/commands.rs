//! Each command when it works.

use crate::zk::{Zk, binary};
use std::process::Stdio;

#[tokio::test(flavor = "multi_thread")]
async fn ls_lists_sorted() {
    let zk = Zk::start().await;
    for path in ["/b", "/a", "/a/z", "/a/y", "/a/y/x"] {
        assert_eq!(zk.ok(&["create", path, "12345"]), format!("{path}\n"));
    }
    assert_eq!(zk.ok(&["ls", "/"]), "a\nb\nzookeeper\n");
    assert_eq!(zk.ok(&["ls"]), zk.ok(&["ls", "/"]));
    assert_eq!(zk.ok(&["ls", "/b"]), "");
    assert_eq!(zk.ok(&["ls", "-R", "/a"]), "/a\n/a/y\n/a/y/x\n/a/z\n");

    let long = zk.ok(&["ls", "-l", "/a"]);
    let rows: Vec<Vec<&str>> = long.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0][..3], &rows[0][4..]), (&["0", "1", "5"][..], &["-", "y"][..]), "{long}");
    assert_eq!((&rows[1][..3], &rows[1][4..]), (&["0", "0", "5"][..], &["-", "z"][..]), "{long}");
    let both = zk.ok(&["ls", "-R", "--long", "/a"]);
    assert_eq!(both.lines().filter_map(|row| row.split_whitespace().last()).count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn get_gives_the_exact_bytes() {
    let zk = Zk::start().await;
    let every_byte: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    assert_eq!(zk.feed(&["create", "/a", "-"], &every_byte).code, 0);
    assert_eq!(zk.run(&["get", "/a"]).out, every_byte);
    assert_eq!(zk.run(&["get", "--raw", "/a"]).out, every_byte);

    assert_eq!(zk.feed(&["set", "/a", "-"], b"\n\x00").code, 0);
    assert_eq!(zk.run(&["get", "/a"]).out, b"\n\x00");
    zk.ok(&["set", "/a", "text"]);
    let with_stat = zk.ok(&["get", "/a", "--stat"]);
    assert!(with_stat.starts_with("text\ncreated "), "{with_stat}");
    assert!(with_stat.contains("\nversion          2\n"), "{with_stat}");
    assert_eq!(zk.feed(&["set", "/a", "-"], b"").code, 0);
    assert_eq!(zk.ok(&["get", "/a"]), "");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_argument_may_be_any_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let zk = Zk::start().await;
    let status = zk.command().args(["create", "/a"]).arg(OsStr::from_bytes(b"\xff\xfe")).output().unwrap();
    assert!(status.status.success());
    assert_eq!(zk.run(&["get", "/a"]).out, b"\xff\xfe");
}

#[tokio::test(flavor = "multi_thread")]
async fn set_minds_the_version() {
    let zk = Zk::start().await;
    zk.ok(&["create", "/a"]);
    assert_eq!(zk.ok(&["set", "/a", "one", "--version", "0"]), "");
    zk.fails(&["set", "/a", "two", "--version", "0"], 1, &["set /a", "version", "stat /a"]);
    assert_eq!(zk.ok(&["get", "/a"]), "one");
    zk.ok(&["set", "/a", "three", "--version", "-1"]);
    zk.ok(&["set", "/a", "-5"]);
    zk.ok(&["set", "/a", "--", "--dashes"]);
    assert_eq!(zk.ok(&["get", "/a"]), "--dashes");
    zk.ok(&["set", "/a", ""]);
    assert_eq!(zk.ok(&["get", "/a"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn create_in_every_mode() {
    let zk = Zk::start().await;
    assert_eq!(zk.ok(&["create", "-p", "/deep/er/est", "data"]), "/deep/er/est\n");
    assert_eq!(zk.ok(&["get", "/deep/er/est"]), "data");
    assert_eq!(zk.ok(&["create", "-s", "/deep/n-"]), "/deep/n-0000000001\n");
    assert_eq!(zk.ok(&["create", "-s", "/deep/"]), "/deep/0000000002\n");
    assert_eq!(zk.ok(&["create", "-sp", "/other/n-"]), "/other/n-0000000000\n");
    assert_eq!(zk.ok(&["create", "--container", "/box"]), "/box\n");
    assert_eq!(zk.ok(&["create", "--ttl", "60000", "/brief"]), "/brief\n");
    assert_eq!(zk.ok(&["create", "--ttl", "60000", "-s", "/brief/"]), "/brief/0000000000\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn rm_removes_one_or_everything_below() {
    let zk = Zk::start().await;
    let mut script = String::from("create /tree\n");
    for branch in 0..50 {
        script.push_str(&format!("create /tree/{branch}\n"));
        for leaf in 0..4 {
            script.push_str(&format!("create -p /tree/{branch}/{leaf}/x\n"));
        }
    }
    assert_eq!(zk.feed(&[], script.as_bytes()).code, 0);
    assert_eq!(zk.ok(&["ls", "-R", "/tree"]).lines().count(), 1 + 50 + 2 * 200);
    zk.fails(&["rm", "/tree"], 1, &["rm /tree", "children", "-r"]);
    zk.ok(&["rm", "/tree/7/3/x"]);
    zk.ok(&["rm", "--version", "0", "/tree/7/3"]);
    zk.fails(&["rm", "--version", "4", "/tree/7/2/x"], 1, &["rm /tree/7/2/x", "version"]);
    assert_eq!(zk.ok(&["rm", "-r", "/tree"]), "");
    assert_eq!(zk.ok(&["ls", "/"]), "zookeeper\n");
    zk.fails(&["rm", "-r", "/tree"], 1, &["rm /tree", "no such node"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn stat_says_everything() {
    let zk = Zk::start().await;
    zk.ok(&["create", "/a", "abc"]);
    zk.ok(&["create", "/a/b"]);
    let stat = zk.ok(&["stat", "/a"]);
    let field = |name: &str| {
        let line = stat.lines().find(|line| line.split_whitespace().next() == Some(name)).unwrap();
        line[name.len()..].trim().to_owned()
    };
    assert_eq!([field("version"), field("bytes"), field("children"), field("owner")], ["0", "3", "1", "-"]);
    assert!(field("created").contains("Z in 0x"), "{stat}");
    assert_eq!(stat.lines().count(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_may_come_from_the_environment_with_a_chroot() {
    let zk = Zk::start().await;
    zk.ok(&["create", "/app"]);
    let connect = format!("{}/app", zk.server.connect_string());
    let made = binary().env("ZK_CONNECT", &connect).args(["create", "/a"]).output().unwrap();
    assert_eq!((made.status.code(), made.stdout), (Some(0), b"/a\n".to_vec()));
    assert_eq!(zk.ok(&["ls", "/app"]), "a\n");
    // Options may stand behind the command, and the command line wins.
    let listed =
        binary().env("ZK_CONNECT", "127.0.0.1:1").args(["ls", "/", "--server", &connect]).output().unwrap();
    assert_eq!(listed.stdout, b"a\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_has_seen_enough_is_no_error_message() {
    let zk = Zk::start().await;
    let mut child =
        zk.command().args(["ls", "-R", "/"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    assert!(ended.status.code().is_some());
}
