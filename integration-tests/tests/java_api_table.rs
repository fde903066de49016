//! The table of Java's API (`zk_client::java_api`) names every public method there is, as Apache ZooKeeper's own jar
//! tells it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;

use integration_tests::peers::{JavaVersion, Peers, or_skip};

const TABLE: &str = include_str!("../../zk-client/src/java_api.rs");

const CLASSES: [&str; 19] = [
    "ZooKeeper",
    "admin.ZooKeeperAdmin",
    "Transaction",
    "Op",
    "OpResult",
    "OpResult$CreateResult",
    "OpResult$ErrorResult",
    "CreateOptions",
    "CreateOptions$Builder",
    "CreateMode",
    "Watcher",
    "Watcher$WatcherType",
    "Watcher$Event$EventType",
    "Watcher$Event$KeeperState",
    "AddWatchMode",
    "ZooKeeper$States",
    "KeeperException",
    "ZKUtil",
    "client.HostProvider",
];

/// What every class or enumeration has, and says nothing about ZooKeeper.
const OF_JAVA: [&str; 10] = [
    "equals",
    "hashCode",
    "toString",
    "values",
    "valueOf",
    "getIntValue",
    "fromInt",
    "getMode",
    "new ZKUtil",
    "new KeeperException",
];

/// Constructors of results, which only the client makes.
const MADE_BY_THE_CLIENT: [&str; 2] = ["new CreateResult", "new ErrorResult"];

/// Whether `name` is in the table as a word of code.
fn is_named(name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    TABLE.match_indices(name).any(|(at, _)| {
        let before = TABLE[..at].chars().next_back();
        let after = TABLE[at + name.len()..].chars().next();
        !before.is_some_and(word) && !after.is_some_and(word)
    })
}

#[test]
fn nothing_of_javas_api_is_missing() -> std::io::Result<()> {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    let version = JavaVersion::V3_9_5;
    if !peers.versions().any(|found| found == version) {
        return Ok(());
    }
    let class_path = peers.zookeeper_class_path(version).map_err(std::io::Error::other)?;
    let classes = CLASSES.map(|class| format!("org.apache.zookeeper.{class}"));
    let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
    let listed = peers.java("PublicApi", class_path, &classes)?.success()?;
    let mut missing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut seen = 0;
    for (class, name) in listed.lines().filter_map(|line| line.split_once(' ')) {
        seen += 1;
        let plain = OF_JAVA.contains(&name) || MADE_BY_THE_CLIENT.contains(&name);
        if !plain && !is_named(name) {
            missing.entry(class).or_default().push(name);
        }
    }
    assert!(seen > 100, "{listed}");
    assert!(missing.is_empty(), "not in the table: {missing:#?}");
    Ok(())
}
