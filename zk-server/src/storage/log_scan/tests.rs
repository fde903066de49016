//! What the scan takes, what it cuts and what it refuses.

use super::*;
use crate::storage::fixture::{entry, log_file};
use crate::storage::memory_disk::MemoryDisk;
use bytes::BytesMut;
use zk_proto::ErrorCode;
use zk_proto::storage::log::put_entry;

fn disk(files: &[(&str, Vec<u8>)]) -> MemoryDisk {
    let disk = MemoryDisk::new();
    for (name, bytes) in files {
        disk.put(name, bytes.clone());
    }
    disk
}

fn run(disk: &MemoryDisk, after: i64) -> Result<(Vec<i64>, Scanned), FaultKind> {
    let mut seen = Vec::new();
    let scanned = scan(disk, Zxid(after), &mut |e| {
        seen.push(e.header.zxid.0);
        Ok(())
    });
    match scanned {
        Ok(scanned) => Ok((seen, scanned)),
        Err(ScanError::Fault(fault)) => Err(fault.kind),
        Err(ScanError::Disk(e)) => panic!("{e}"),
    }
}

fn seen(disk: &MemoryDisk, after: i64) -> Vec<i64> {
    run(disk, after).unwrap().0
}

fn padded(mut file: Vec<u8>) -> Vec<u8> {
    file.resize(file.len() + 10_000, 0);
    file
}

#[test]
fn files_are_read_from_the_one_that_holds_the_next_transaction() {
    let disk = disk(&[
        ("log.1", b"damaged, but not needed".to_vec()),
        ("log.5", padded(log_file(5..=9))),
        ("log.a", padded(log_file(10..=12))),
    ]);
    assert_eq!(seen(&disk, 6), [7, 8, 9, 10, 11, 12]);
    assert_eq!(seen(&disk, 12), []);
    assert_eq!(seen(&disk, 100), []);
    let (_, scanned) = run(&disk, 9).unwrap();
    assert_eq!(scanned, Scanned { last: Zxid(12), replayed: 3, cut: None });
    assert_eq!(
        disk.len("log.a").unwrap() % 10_000,
        log_file(10..=12).len() as u64,
        "padding is no torn tail"
    );
}

#[test]
fn the_torn_tail_of_the_last_file_is_cut_at_every_byte() {
    let (two, three) = (log_file(1..=2).len(), log_file(1..=3).len());
    for cut in two + 1..three {
        for pad in [0, 5000] {
            let mut file = log_file(1..=3);
            file.truncate(cut);
            file.resize(cut + pad, 0);
            let disk = disk(&[("log.1", file)]);
            let (seen, scanned) = run(&disk, 0).unwrap();
            assert_eq!((seen, scanned.last), (vec![1, 2], Zxid(2)), "cut at {cut}");
            if scanned.cut.is_some() {
                assert_eq!(disk.len("log.1").unwrap(), two as u64);
            }
            disk.crash(0);
            assert_eq!(run(&disk, 0).unwrap().1.cut, None, "cut durably");
        }
    }
}

#[test]
fn a_last_file_without_a_whole_entry_is_removed() {
    let one = log_file(1..=1);
    let mut torn_header = one[..9].to_vec();
    torn_header.resize(5000, 0);
    for last in [Vec::new(), vec![0; 5000], one[..16].to_vec(), log_file(3..=3)[..40].to_vec(), torn_header] {
        let disk = disk(&[("log.1", log_file(1..=2)), ("log.3", last)]);
        let (seen, scanned) = run(&disk, 0).unwrap();
        assert_eq!((seen, scanned.cut), (vec![1, 2], Some(("log.3".to_owned(), 0))));
        disk.crash(0);
        assert_eq!(disk.list().unwrap(), ["log.1"]);
    }
}

#[test]
fn an_empty_file_in_the_middle_is_refused() {
    let disk = disk(&[("log.1", log_file(1..=2)), ("log.3", vec![]), ("log.4", log_file(4..=4))]);
    assert!(matches!(run(&disk, 0), Err(FaultKind::Empty)));
    assert_eq!(disk.list().unwrap().len(), 3, "nothing is touched");
}

#[test]
fn a_torn_earlier_file_is_fine_only_when_the_next_one_follows() {
    let mut torn = log_file(1..=3);
    torn.truncate(torn.len() - 5);
    let fine = disk(&[("log.1", torn.clone()), ("log.3", log_file(3..=5))]);
    assert_eq!(seen(&fine, 0), [1, 2, 3, 4, 5]);
    let epoch = Zxid::new(1, 1).0;
    let fine = disk(&[("log.1", torn.clone()), ("log.100000001", log_file([epoch, epoch + 1]))]);
    assert_eq!(seen(&fine, 0), [1, 2, epoch, epoch + 1]);
    let gap = disk(&[("log.1", torn), ("log.4", log_file(4..=5))]);
    let Err(FaultKind::Missing { last, found, torn }) = run(&gap, 0) else { panic!("accepted") };
    assert_eq!((last, found, torn.as_deref()), (Zxid(2), Zxid(4), Some("log.1")));
}

#[test]
fn gaps_are_refused_wherever_they_are() {
    let second = |counter| Zxid::new(1, counter).0;
    for files in [
        vec![("log.1", log_file([1, 2, 4]))],
        vec![("log.1", log_file(1..=2)), ("log.4", log_file(4..=5))],
        vec![("log.2", log_file(2..=5))],
        vec![("log.1", log_file([1, 2, second(2)]))],
    ] {
        assert!(matches!(run(&disk(&files), 0), Err(FaultKind::Missing { .. })));
    }
    // The same gap below what the snapshot covers does not matter.
    assert_eq!(seen(&disk(&[("log.1", log_file([1, 2, 4, 5]))]), 4), [5]);
    let rollover = disk(&[("log.1", log_file([1, second(1)]))]);
    assert_eq!(seen(&rollover, 0), [1, second(1)]);
}

#[test]
fn decreasing_and_repeated_transactions_are_refused() {
    for zxids in [vec![1, 2, 1], vec![1, 2, 2]] {
        assert!(matches!(run(&disk(&[("log.1", log_file(zxids))]), 0), Err(FaultKind::OutOfOrder { .. })));
    }
    let overlap = disk(&[("log.1", log_file(1..=4)), ("log.3", log_file(3..=6))]);
    assert!(matches!(run(&overlap, 0), Err(FaultKind::OutOfOrder { .. })));
}

#[test]
fn an_error_with_the_zxid_before_it_is_passed_over() {
    let mut file = BytesMut::from(&log_file(1..=2)[..]);
    let mut error = entry(2);
    (error.header.op, error.txn) = (-1, Txn::Error(Err(ErrorCode::MarshallingError)));
    put_entry(&mut file, &error);
    put_entry(&mut file, &entry(3));
    assert_eq!(seen(&disk(&[("log.1", file.to_vec())]), 0), [1, 2, 3]);
}

#[test]
fn damage_is_refused_with_its_place() {
    let (one, two) = (log_file([1]).len(), log_file(1..=2).len());
    for at in one..two {
        let mut file = padded(log_file(1..=4));
        file[at] ^= 0x40;
        let disk = disk(&[("log.1", file)]);
        assert!(run(&disk, 0).is_err(), "a flipped bit at {at} was accepted");
    }
    let mut file = padded(log_file(1..=4));
    file[one..two].fill(0);
    let disk = disk(&[("log.1", file)]);
    let fault = scan(&disk, Zxid(0), &mut |_| Ok(())).unwrap_err();
    let text = fault.to_string();
    assert!(text.starts_with(&format!("log.1 at byte {one}: zeros in the middle")), "{text}");
    assert!(text.contains(&format!("truncate this file to {one} bytes")), "{text}");
}

#[test]
fn a_flipped_bit_in_the_last_entry_is_no_torn_tail() {
    let (two, three) = (log_file(1..=2).len(), log_file(1..=3).len());
    // The end mark itself cannot be told from one that was never written.
    for at in two..three - 1 {
        let mut file = padded(log_file(1..=3));
        file[at] ^= 1;
        let result = run(&disk(&[("log.1", file)]), 0);
        // A length that became larger reaches into zeros: that is how a torn entry looks.
        assert!(result.is_err() || (two + 8..two + 12).contains(&at), "byte {at}: {result:?}");
    }
}

#[test]
fn foreign_and_misnamed_files_are_refused() {
    let mut foreign = log_file(1..=2);
    foreign[3] = b'X';
    assert!(matches!(run(&disk(&[("log.1", foreign)]), 0), Err(FaultKind::NotALog)));
    let misnamed = disk(&[("log.3", log_file(2..=5))]);
    assert!(matches!(run(&misnamed, 2), Err(FaultKind::Misnamed { found: Zxid(2) })));
    assert!(seen(&disk(&[("log.txt", vec![1]), ("snapshot.1", vec![2])]), 0).is_empty(), "not logs at all");
}

#[test]
fn what_the_state_refuses_stops_the_scan_and_leaves_the_files() {
    let mut torn = log_file(1..=3);
    torn.truncate(torn.len() - 1);
    let disk = disk(&[("log.1", torn.clone())]);
    let error = scan(&disk, Zxid(0), &mut |_| Err("no parent".to_owned())).unwrap_err();
    assert!(error.to_string().contains("transaction 0x1 cannot be applied: no parent"), "{error}");
    assert_eq!(disk.read("log.1").unwrap(), torn);
}
