//! Which snapshot is taken, when recovery refuses, and directories that Java wrote.

use std::sync::Arc;

use super::*;
use crate::storage::fixture::{Picture, entries, log_file};
use crate::storage::log_writer::{LogOptions, LogWriter};
use crate::storage::memory_disk::MemoryDisk;
use crate::storage::snapshots::write_snapshot;

fn snapshots_of(zxids: &[i64]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    for &zxid in zxids {
        write_snapshot(&disk, &Picture::up_to(zxid)).unwrap();
    }
    disk
}

fn run(disk: &MemoryDisk) -> (Picture, Result<Recovered, RecoveryError>) {
    let mut picture = Picture::default();
    let result = recover(disk, disk, RecoveryOptions::default(), &mut picture);
    (picture, result)
}

/// Damages a byte in the middle of a file.
fn damage(disk: &MemoryDisk, name: &str) {
    let mut bytes = disk.read(name).unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    disk.put(name, bytes);
}

#[test]
fn nothing_at_all_is_a_new_server() {
    let (_, recovered) = run(&MemoryDisk::new());
    let recovered = recovered.unwrap();
    assert!(recovered.is_fresh());
    assert_eq!(recovered.last, Zxid::ZERO);
}

#[test]
fn the_newest_snapshot_and_the_log_behind_it() {
    let disk = snapshots_of(&[0, 3, 5]);
    disk.put("log.1", log_file(1..=4));
    disk.put("log.5", log_file(5..=8));
    disk.put("snapshot.7.tmp", *b"left by a crash");
    let (picture, recovered) = run(&disk);
    let recovered = recovered.unwrap();
    assert_eq!((recovered.snapshot, recovered.last, recovered.replayed), (Some(Zxid(5)), Zxid(8), 3));
    assert_eq!(picture.nodes, Picture::up_to(8).nodes);
    assert!(!disk.list().unwrap().contains(&"snapshot.7.tmp".to_owned()));
}

#[test]
fn snapshots_and_logs_may_be_apart() {
    let (snaps, logs) = (snapshots_of(&[2]), MemoryDisk::new());
    logs.put("log.1", log_file(1..=4));
    let mut picture = Picture::default();
    assert_eq!(recover(&snaps, &logs, RecoveryOptions::default(), &mut picture).unwrap().last, Zxid(4));
}

/// A killed process leaves entries in the page cache. Once they were recovered, clients see them and the log goes
/// on behind them.
#[test]
fn what_was_recovered_survives_a_later_power_loss() {
    for failed_sync in [false, true] {
        for seed in 0..20 {
            let disk = snapshots_of(&[0]);
            let log = |last| LogWriter::new(Arc::new(disk.clone()), LogOptions::default(), Zxid(last));
            let mut first = log(0);
            first.append(&entries(1, 3), Zxid(1), Zxid(3)).unwrap();
            if failed_sync {
                disk.fail_sync_after(0);
                first.sync().unwrap_err();
            }
            disk.kill();
            assert_eq!(run(&disk).1.unwrap().last, Zxid(3));
            let mut second = log(3);
            second.append(&entries(4, 4), Zxid(4), Zxid(4)).unwrap();
            second.sync().unwrap();
            disk.crash(seed);
            assert_eq!(run(&disk).1.unwrap().last, Zxid(4), "seed {seed}");
        }
    }
}

#[test]
fn an_invalid_snapshot_gives_way_to_an_older_one_with_the_log() {
    for incomplete in [false, true] {
        let disk = snapshots_of(&[0, 5]);
        disk.put("log.1", log_file(1..=8));
        if incomplete {
            disk.put("snapshot.5", *b"ZK");
        } else {
            damage(&disk, "snapshot.5");
        }
        let (picture, recovered) = run(&disk);
        let recovered = recovered.unwrap();
        assert_eq!(
            (recovered.snapshot, recovered.last, recovered.skipped.len()),
            (Some(Zxid(0)), Zxid(8), 1)
        );
        assert_eq!(picture.nodes, Picture::up_to(8).nodes, "nothing of the invalid one is left");
    }
}

#[test]
fn a_snapshot_that_the_log_does_not_reach_is_not_given_up() {
    let disk = snapshots_of(&[0, 5]);
    disk.put("log.1", log_file(1..=3));
    damage(&disk, "snapshot.5");
    let text = run(&disk).1.unwrap_err().to_string();
    assert!(text.contains("snapshot.5") && text.contains("only reach 0x3"), "{text}");
    // Half written, it was never relied on.
    disk.put("snapshot.5", *b"ZKSN....");
    assert_eq!(run(&disk).1.unwrap().last, Zxid(3));
}

#[test]
fn when_the_log_cannot_fill_in_the_unusable_snapshots_are_named() {
    let disk = snapshots_of(&[0, 5]);
    disk.put("log.5", log_file(5..=8));
    damage(&disk, "snapshot.5");
    let text = run(&disk).1.unwrap_err().to_string();
    assert!(text.contains("0x5 does not follow 0x0") && text.contains("snapshot.5: "), "{text}");
}

#[test]
fn only_invalid_snapshots_are_an_error() {
    let disk = snapshots_of(&[3]);
    damage(&disk, "snapshot.3");
    assert!(matches!(run(&disk).1, Err(RecoveryError::NoValidSnapshot { .. })));
    disk.put("snapshot.3", *b"");
    assert!(matches!(run(&disk).1, Err(RecoveryError::NoValidSnapshot { .. })));
}

#[test]
fn a_new_server_that_crashed_over_its_first_snapshot_is_still_new() {
    let disk = MemoryDisk::new();
    disk.put("snapshot.0", *b"ZK");
    assert!(run(&disk).1.unwrap().is_fresh());
    disk.put("log.1", log_file(1..=1));
    assert!(matches!(run(&disk).1, Err(RecoveryError::NoValidSnapshot { .. })));
}

#[test]
fn compressed_snapshots_are_named_when_they_are_needed() {
    let disk = snapshots_of(&[0]);
    disk.put("snapshot.5.gz", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0]);
    disk.put("log.1", log_file(1..=8));
    assert_eq!(run(&disk).1.unwrap().last, Zxid(8), "the log holds it all");
    disk.remove("log.1").unwrap();
    let text = run(&disk).1.unwrap_err().to_string();
    assert!(text.contains("snapshot.5.gz: compressed"), "{text}");
}

#[test]
fn logs_without_a_snapshot_must_be_trusted_explicitly() {
    let disk = MemoryDisk::new();
    disk.put("log.1", log_file(1..=8));
    let text = run(&disk).1.unwrap_err().to_string();
    assert!(text.contains("log.1") && text.contains("snapshot.trust.empty"), "{text}");
    let mut picture = Picture::default();
    let recovered = recover(&disk, &disk, RecoveryOptions { trust_empty: true }, &mut picture).unwrap();
    assert_eq!((recovered.last, recovered.is_fresh()), (Zxid(8), false));
    disk.put("log.1", Vec::new());
    assert!(run(&disk).1.unwrap().is_fresh(), "an empty log is no history");
}

#[test]
fn what_the_state_refuses_is_told_with_its_place() {
    let disk = snapshots_of(&[0]);
    disk.put("log.1", log_file(1..=8));
    let mut picture = Picture { refuse: Some("digest differs".into()), ..Picture::default() };
    let error = recover(&disk, &disk, RecoveryOptions::default(), &mut picture).unwrap_err();
    assert!(
        error.to_string().starts_with("log.1 at byte 16: transaction 0x1 cannot be applied: digest differs")
    );
}

/// The files in zk-proto/tests/golden/disk were written by ZooKeeper itself.
#[test]
fn directories_written_by_zookeeper_are_read() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../zk-proto/tests/golden/disk");
    for version in ["3.8", "3.9.5"] {
        let file = |name: &str| std::fs::read(golden.join(version).join(name)).unwrap();
        let disk = MemoryDisk::new();
        disk.put("snapshot.0", file("snapshot.0"));
        disk.put("log.1", file("log.1"));
        let (replayed, recovered) = run(&disk);
        let recovered = recovered.unwrap();
        assert_eq!((recovered.snapshot, recovered.last, recovered.replayed), (Some(Zxid(0)), Zxid(0x19), 25));
        assert_eq!(replayed.replayed.last().unwrap().header.zxid, Zxid(0x19));

        disk.put("snapshot.19", file("snapshot.19"));
        let (picture, recovered) = run(&disk);
        assert_eq!((recovered.unwrap().replayed, picture.zxid), (0, Zxid(0x19)));
        assert_eq!((picture.sessions.len(), picture.acls.len()), (1, 4));
        assert!(
            picture.nodes.contains_key("/alive") && picture.nodes.contains_key("/round-0/container/child")
        );
        assert_eq!(picture.digest.unwrap().zxid, Zxid(0x19));

        // Compressed ones are covered by the log up to 0x19 only.
        disk.put("snapshot.1b.gz", file("snapshot.1b.gz"));
        assert!(matches!(run(&disk).1, Err(RecoveryError::SnapshotLost { .. })));
    }
}
