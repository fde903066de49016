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

fn main() {
    records();
    wires();
    files();
    println!("seeds are in {}", fuzz_dir().join("corpus").display());
}
