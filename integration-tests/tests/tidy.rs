//! The rules of the house that a machine can hold: which crate may use which, what pure rooms may not name, how long
//! a file gets, that every file says its job, and that documents link to what exists.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every file below `dir` with this extension, except what is built or vendored.
fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn name_of(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The crates of this workspace that `package` names under `section`.
fn uses(package: &str, section: &str) -> Vec<String> {
    let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
    let in_section =
        manifest.lines().skip_while(|l| *l != section).skip(1).take_while(|l| !l.starts_with('['));
    let first_word = |l: &str| l.split(['.', ' ', '=']).next().unwrap_or_default().to_owned();
    in_section.map(first_word).filter(|name| name.starts_with("zk-")).collect()
}

#[test]
fn dependencies_point_one_way() {
    let allowed: [(&str, &[&str]); 5] = [
        ("zk-proto", &[]),
        ("zk-client", &["zk-proto"]),
        ("zk-recipes", &["zk-proto", "zk-client"]),
        ("zk-server", &["zk-proto"]),
        ("zk-cli", &["zk-proto", "zk-client", "zk-recipes", "zk-server"]),
    ];
    for (package, allowed) in allowed {
        for used in uses(package, "[dependencies]") {
            assert!(allowed.contains(&used.as_str()), "{package} must not use {used}");
        }
    }
}

#[test]
fn pure_rooms_name_nothing_impure() {
    const IMPURE: [&str; 12] = [
        "Instant::now",
        "SystemTime",
        "tokio::",
        "std::thread",
        "std::fs",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "rand::random",
        "rand::rng()",
        "thread_rng",
        "std::env",
    ];
    let rooms = ["zk-proto/src", "zk-server/src/core", "zk-client/src/core"];
    for file in rooms.iter().flat_map(|room| files(&root().join(room), "rs")) {
        let text = fs::read_to_string(&file).unwrap();
        for name in IMPURE {
            assert!(!text.contains(name), "{} is in a pure room and names {name}", name_of(&file));
        }
    }
}

#[test]
fn every_file_says_its_job_and_stays_short() {
    const LINES_MAX: usize = 600;
    const DRAWERS: [&str; 6] = ["utils", "util", "common", "manager", "helpers", "misc"];
    for file in files(&root(), "rs") {
        let text = fs::read_to_string(&file).unwrap();
        let name = name_of(&file);
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines");
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!DRAWERS.contains(&stem.as_str()), "{name} is named as a drawer");
        let opening = text.lines().find(|l| !l.trim().is_empty() && !l.starts_with("#!")).unwrap_or_default();
        assert!(opening.starts_with("//!"), "{name} does not say its job in its first line");
    }
}

#[test]
fn documents_link_to_what_exists() {
    for file in files(&root(), "md") {
        let text = fs::read_to_string(&file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(file.parent().unwrap().join(target).exists(), "{} links to {target}", name_of(&file));
        }
    }
}

#[test]
fn the_map_names_every_room() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for package in ["zk-proto", "zk-client", "zk-recipes", "zk-server", "zk-cli", "integration-tests"] {
        for entry in fs::read_dir(root().join(package).join("src")).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            if !["lib", "main"].contains(&stem.as_str()) {
                assert!(
                    map.contains(&format!("`{stem}`")),
                    "ARCHITECTURE.md has no row for {}",
                    name_of(&path)
                );
            }
        }
    }
}
