//! Writes the seeds of every target to `corpus/`, from the golden files: what Java sent and stored.
//!
//! `cargo run --manifest-path fuzz/Cargo.toml --example seeds`

use bytes::{Bytes, BytesMut};
use std::fs;
use std::path::{Path, PathBuf};
use zk_proto::storage::log::{self, Found};
use zk_proto::{OpCode, frame};

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn golden(file: &str) -> Bytes {
    let path = fuzz_dir().join("../zk-proto/tests/golden").join(file);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).into()
}

fn text(file: &str) -> String {
    String::from_utf8(golden(file).into()).expect("the file is text")
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn seed(target: &str, name: &str, parts: &[&[u8]]) {
    let dir = fuzz_dir().join("corpus").join(target);
    fs::create_dir_all(&dir).expect("a directory for seeds");
    fs::write(dir.join(name), parts.concat()).expect("a seed");
}

/// Every record goes to every target that could meet one: the fuzzer keeps what is new to it.
fn records() {
    for line in text("records.txt").lines() {
        let mut columns = line.split(' ');
        let (Some(name), Some(hex)) = (columns.next(), columns.next()) else { continue };
        let bytes = unhex(hex);
        for index in 0..u8::try_from(OpCode::ALL.len()).expect("few operations") {
            if name.contains("Request")
                || name.contains("Record")
                || name.contains("Packet")
                || name.contains("Set")
            {
                seed("request", &format!("{name}-{index}"), &[&[index], &bytes]);
            }
        }
        for index in 0..17 {
            if name.contains("Response") || name.contains("Header") || name.contains("Packet") {
                seed("reply", &format!("{name}-{index}"), &[&[index], &bytes]);
            }
        }
        for target in
            ["connect_request", "connect_response", "multi_request", "multi_response", "watcher_event"]
        {
            let class = target.replace('_', "").replace("multirequest", "multioperationrecord");
            if name.to_lowercase().starts_with(&class) {
                seed(target, name, &[&bytes]);
            }
        }
        if name == "entry.multi" {
            seed("txn_entry", name, &[&bytes]);
        }
    }
}

/// A session's two directions as two wires, whole and in small pieces.
fn wires() {
    for version in ["3.8", "3.9.5"] {
        let session = text(&format!("session-{version}.txt"));
        for side in ["C ", "S "] {
            let wire: Vec<u8> =
                session.lines().filter_map(|l| l.strip_prefix(side)).flat_map(unhex).collect();
            let name = format!("{version}-{}", side.trim());
            seed("frames", &name, &[&[255, 0], &wire]);
            seed("frames", &format!("{name}-pieces"), &[&[255, 6, 1, 3, 4, 60, 7, 200], &wire]);
            seed("frames", &format!("{name}-limit"), &[&[40, 2, 100, 100], &wire]);
            let mut input = BytesMut::from(&wire[..]);
            let mut index = 0;
            while let Ok(Some(body)) = frame::take(&mut input, wire.len()) {
                let target = match (index, side) {
                    (0, "C ") => "connect_request",
                    (0, _) => "connect_response",
                    _ => "watcher_event",
                };
                if index == 0 || (side == "S " && body.starts_with(&[0xff; 4])) {
                    seed(target, &format!("{version}-{index}"), &[&body[if index == 0 { 0 } else { 16 }..]]);
                }
                index += 1;
            }
        }
    }
}

fn files() {
    for version in ["3.8", "3.9.5"] {
        let file = golden(&format!("disk/{version}/log.1"));
        seed("log_file", version, &[&[0], &file]);
        let mut sealed = vec![1];
        let mut offset = log::HEADER_BYTES;
        while let Found::Entry { next, .. } = log::read_at(&file, offset) {
            let body = &file[offset + 12..next - 1];
            seed("txn_entry", &format!("{version}-{offset}"), &[body]);
            if let Ok(len) = u8::try_from(body.len()) {
                sealed.push(len);
                sealed.extend_from_slice(body);
                seed("log_file", &format!("{version}-{offset}"), &[&[1, len], body]);
            }
            offset = next;
        }
        seed("log_file", &format!("{version}-sealed"), &[&sealed]);
        for name in ["snapshot.0", "snapshot.19"] {
            let file = golden(&format!("disk/{version}/{name}"));
            seed("snapshot", &format!("{version}-{name}"), &[&[0], &file]);
            seed("snapshot", &format!("{version}-{name}-sealed"), &[&[1], &file[log::HEADER_BYTES..]]);
        }
    }
}

/// Lives of a session, in the words of `zk_fuzz::session`: connected, busy, cut, connected again, expired, closed.
fn lives() {
    const DIAL: [u8; 5] = [10, 7, 18, 255, 4];
    // Granted for 6 s, as asked or expired; with the read-only byte.
    const GRANTED: u8 = 0x43;
    const EXPIRED: u8 = 0x41;
    let connected = [&DIAL[..], &[GRANTED]].concat();
    // Watched reads of three nodes, two writes, a pinned one, sent; then answers, an event, and one refusal.
    let asked = [11, 0x08, 11, 0x49, 12, 0x8a, 13, 2, 13, 1, 18, 255];
    let answered = [2, 0, 0, 3, 2, 0, 5, 0x80, 2, 0, 0, 3, 0, 0, 3, 3, 0];
    let credentials = [15, 1, 18, 255, 6, 0, 0];
    let silence = [9, 40, 18, 255, 6, 1, 0, 10, 10];
    let given_up = [11, 0x09, 13, 4, 16, 0, 16, 1, 17, 2, 18, 255];
    let garbage = [0, 5, 1, 2, 3, 4, 5];
    let close = [19, 0, 18, 255, 2, 0, 0];
    let cut = [8];
    let expired = [&DIAL[..], &[EXPIRED]].concat();
    for flags in [0, 4, 8, 16, 27] {
        let parts: [(&str, &[&[u8]]); 6] = [
            ("busy", &[&connected, &asked, &answered, &silence, &close]),
            ("cut", &[&connected, &asked, &cut, &connected, &[18, 255, 6, 2, 0], &answered, &close]),
            ("cuts", &[&connected, &asked, &cut, &DIAL, &cut, &connected, &garbage, &connected, &answered]),
            (
                "expired",
                &[&connected, &asked, &answered, &cut, &given_up, &expired, &connected, &asked, &close],
            ),
            ("credentials", &[&connected, &credentials, &asked, &cut, &connected, &credentials, &[6, 0, 3]]),
            ("given-up", &[&given_up, &connected, &given_up, &answered, &[19, 9], &connected, &given_up]),
        ];
        for (name, parts) in parts {
            seed("session_core", &format!("{name}-{flags}"), &[&[&[flags, 1][..]], parts].concat());
        }
    }
}

fn main() {
    records();
    wires();
    files();
    lives();
    println!("seeds are in {}", fuzz_dir().join("corpus").display());
}
