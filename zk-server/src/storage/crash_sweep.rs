//! Crashes after every step of a life of appends, syncs, rolls and snapshots, many ways each: nothing that was
//! synced is lost, nothing torn is accepted, and the server can go on from there.

use std::sync::Arc;

use zk_proto::Zxid;

use super::disk::Disk;
use super::fixture::{Picture, entries};
use super::log_writer::{LogOptions, LogWriter};
use super::memory_disk::MemoryDisk;
use super::recovery::{RecoveryOptions, recover};
use super::snapshots::{purge, write_snapshot};

#[derive(Debug, Clone, Copy)]
enum Step {
    Append(i64),
    Sync,
    Roll,
    Snapshot,
    Purge,
}

const LIFE: &[Step] = {
    use Step::{Append, Purge, Roll, Snapshot, Sync};
    &[
        Append(1),
        Sync,
        Append(3),
        Append(1),
        Sync,
        Roll,
        Snapshot,
        Append(2),
        Sync,
        Append(40),
        Roll,
        Append(5),
        Snapshot,
        Sync,
        Append(1),
        Roll,
        Snapshot,
        Append(1),
        Sync,
        Snapshot,
        Purge,
        Append(7),
        Sync,
        Roll,
        Append(2),
    ]
};

struct Server {
    disk: MemoryDisk,
    log: LogWriter,
    /// The last transaction appended, and the last known to be durable.
    appended: i64,
    durable: i64,
}

impl Server {
    /// Starts on whatever is on the disk; checks that every transaction up to the last one is there once.
    fn start(disk: MemoryDisk, preallocate_bytes: u64) -> Self {
        let mut picture = Picture::default();
        let recovered = recover(&disk, &disk, RecoveryOptions::default(), &mut picture)
            .unwrap_or_else(|e| panic!("{e}\n{:?}", disk.list()));
        let last = recovered.last.0;
        assert_eq!(picture.nodes, Picture::up_to(last).nodes);
        if recovered.is_fresh() {
            write_snapshot(&disk, &Picture::up_to(0)).unwrap();
        }
        let options = LogOptions { preallocate_bytes, force_sync: true };
        let log = LogWriter::new(Arc::new(disk.clone()), options, recovered.last);
        Self { disk, log, appended: last, durable: last }
    }

    /// One step; an injected fault ends the server's life, and then false is returned.
    fn step(&mut self, step: Step) -> bool {
        match step {
            Step::Append(n) => {
                let (first, last) = (self.appended + 1, self.appended + n);
                // The entries may be on disk even when this fails.
                self.appended = last;
                self.log.append(&entries(first, last), Zxid(first), Zxid(last)).is_ok()
            }
            Step::Sync | Step::Roll => {
                let done = if matches!(step, Step::Sync) { self.log.sync() } else { self.log.roll() };
                if done.is_ok() {
                    self.durable = self.appended;
                }
                done.is_ok()
            }
            // Only of what is durable, as the server does it.
            Step::Snapshot => write_snapshot(&self.disk, &Picture::up_to(self.durable)).is_ok(),
            Step::Purge => purge(&self.disk, &self.disk, 3).is_ok(),
        }
    }

    /// Loses the power, starts again, checks.
    fn crash(self, seed: u64, preallocate_bytes: u64) -> Self {
        let (appended, durable) = (self.appended, self.durable);
        self.disk.crash(seed);
        let again = Self::start(self.disk, preallocate_bytes);
        assert!(again.appended >= durable, "lost {durable}, came back with {}", again.appended);
        assert!(again.appended <= appended, "made up {}", again.appended);
        again
    }
}

#[test]
fn nothing_synced_is_lost_wherever_the_power_fails() {
    for preallocate in [0, 4096] {
        for steps in 0..=LIFE.len() {
            for seed in 0..12 {
                let mut server = Server::start(MemoryDisk::new(), preallocate);
                for step in &LIFE[..steps] {
                    assert!(server.step(*step));
                }
                // And once more, so that the repaired directory is written to and crashes as well.
                let mut server = server.crash(seed, preallocate);
                for step in LIFE.iter().take(seed as usize) {
                    assert!(server.step(*step));
                }
                server.crash(seed + 100, preallocate);
            }
        }
    }
}

#[test]
fn nothing_synced_is_lost_when_any_sync_fails() {
    for failing in 0..60 {
        for seed in 0..6 {
            let mut server = Server::start(MemoryDisk::new(), 4096);
            server.disk.fail_sync_after(failing);
            let _ = LIFE.iter().all(|step| server.step(*step));
            server.crash(seed, 4096);
        }
    }
}

#[test]
fn nothing_synced_is_lost_when_the_disk_fills_up() {
    for room in (0..12_000).step_by(97) {
        let mut server = Server::start(MemoryDisk::new(), 0);
        server.disk.fill_after(room);
        let _ = LIFE.iter().all(|step| server.step(*step));
        server.crash(room as u64, 0);
    }
}

#[test]
fn a_killed_process_loses_nothing_it_wrote() {
    let mut server = Server::start(MemoryDisk::new(), 0);
    for step in LIFE {
        assert!(server.step(*step));
    }
    server.disk.kill();
    assert_eq!(Server::start(server.disk, 0).appended, server.appended);
}
