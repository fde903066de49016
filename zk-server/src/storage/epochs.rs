//! `acceptedEpoch` and `currentEpoch`: which leaders a member of an ensemble has promised to and has followed.
//! Written whole or not at all. A standalone server neither writes nor needs them.

use std::io;

use zk_proto::Zxid;

use super::disk::Disk;

/// The last epoch proposed by a leader and accepted.
pub const ACCEPTED: &str = "acceptedEpoch";
/// The last epoch whose leader was followed.
pub const CURRENT: &str = "currentEpoch";

/// Both epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epochs {
    /// Of the last accepted proposal for an epoch.
    pub accepted: u32,
    /// Of the last leader followed.
    pub current: u32,
}

/// Why the epoch files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EpochError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// Not a number.
    #[error(
        "{file} should hold one decimal number but holds {content:?}; restore it, or empty this server's data directories and let it copy the data from the others"
    )]
    NotANumber {
        /// The file.
        file: String,
        /// Its content.
        content: String,
    },
    /// The log is ahead of the epoch file.
    #[error("{file} says epoch {current}, but the log ends with {last} of epoch {}; restore the file, or empty this server's data directories and let it copy the data from the others", .last.epoch())]
    BehindLog {
        /// The file.
        file: String,
        /// What it says.
        current: u32,
        /// The log's last transaction.
        last: Zxid,
    },
    /// A leader was followed that was never accepted.
    #[error(
        "{file} says epoch {accepted}, less than the current epoch {current}; restore the files, or empty this server's data directories and let it copy the data from the others"
    )]
    AcceptedBehindCurrent {
        /// The file of the accepted epoch.
        file: String,
        /// What it says.
        accepted: u32,
        /// The current epoch.
        current: u32,
    },
}

fn read(disk: &dyn Disk, name: &str) -> Result<Option<u32>, EpochError> {
    if !disk.list()?.iter().any(|n| n == name) {
        return Ok(None);
    }
    let bytes = disk.read(name)?;
    let content = String::from_utf8_lossy(&bytes);
    content.trim().parse().map(Some).map_err(|_| EpochError::NotANumber {
        file: disk.describe(name),
        content: content.chars().take(40).collect(),
    })
}

/// Reads both files, after recovery found `last`. Missing files are made with the epoch of `last`.
///
/// # Errors
/// [`EpochError`], which says what to do.
pub fn load(disk: &dyn Disk, last: Zxid) -> Result<Epochs, EpochError> {
    let mut current = or_make(disk, CURRENT, last)?;
    if last.epoch() > current {
        // A crash between writing the new epoch and giving the file its name: the leader was followed.
        match read(disk, &format!("{CURRENT}.tmp"))?.filter(|epoch| *epoch >= last.epoch()) {
            Some(epoch) => {
                write(disk, CURRENT, epoch)?;
                current = epoch;
            }
            None => return Err(EpochError::BehindLog { file: disk.describe(CURRENT), current, last }),
        }
    }
    let accepted = or_make(disk, ACCEPTED, last)?;
    if accepted < current {
        return Err(EpochError::AcceptedBehindCurrent { file: disk.describe(ACCEPTED), accepted, current });
    }
    Ok(Epochs { accepted, current })
}

fn or_make(disk: &dyn Disk, name: &str, last: Zxid) -> Result<u32, EpochError> {
    if let Some(epoch) = read(disk, name)? {
        return Ok(epoch);
    }
    write(disk, name, last.epoch())?;
    Ok(last.epoch())
}

/// Writes one of the files; durable on return. Acknowledge the epoch only then.
///
/// # Errors
/// What the disk says; the file holds the old or the new epoch.
pub fn write(disk: &dyn Disk, name: &str, epoch: u32) -> io::Result<()> {
    let temporary = format!("{name}.tmp");
    if disk.list()?.contains(&temporary) {
        disk.remove(&temporary)?;
    }
    let mut file = disk.create(&temporary)?;
    file.write_all(epoch.to_string().as_bytes())?;
    file.sync_data()?;
    disk.rename(&temporary, name)?;
    disk.sync_dir()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::memory_disk::MemoryDisk;

    #[test]
    fn missing_files_are_made_from_the_log() {
        let disk = MemoryDisk::new();
        assert_eq!(load(&disk, Zxid::new(4, 7)).unwrap(), Epochs { accepted: 4, current: 4 });
        assert_eq!(disk.read(CURRENT).unwrap().as_ref(), b"4");
        write(&disk, ACCEPTED, 6).unwrap();
        assert_eq!(load(&disk, Zxid::new(4, 9)).unwrap(), Epochs { accepted: 6, current: 4 });
        assert_eq!(disk.list().unwrap(), [ACCEPTED, CURRENT]);
    }

    #[test]
    fn an_interrupted_rename_is_completed() {
        let disk = MemoryDisk::new();
        disk.put(CURRENT, *b"3");
        disk.put(ACCEPTED, *b"4");
        assert!(matches!(load(&disk, Zxid::new(4, 1)), Err(EpochError::BehindLog { current: 3, .. })));
        disk.put("currentEpoch.tmp", *b"4");
        assert_eq!(load(&disk, Zxid::new(4, 1)).unwrap(), Epochs { accepted: 4, current: 4 });
    }

    #[test]
    fn contradictions_are_refused_with_advice() {
        let disk = MemoryDisk::new();
        disk.put(CURRENT, *b"5");
        disk.put(ACCEPTED, *b"4");
        let text = load(&disk, Zxid::new(5, 1)).unwrap_err().to_string();
        assert!(text.contains("acceptedEpoch says epoch 4") && text.contains("empty"), "{text}");
        disk.put(ACCEPTED, *b"five");
        assert!(matches!(load(&disk, Zxid::new(5, 1)), Err(EpochError::NotANumber { .. })));
    }

    #[test]
    fn a_crash_while_writing_leaves_the_old_or_the_new_epoch() {
        for syncs in 0..2 {
            for seed in 0..8 {
                let disk = MemoryDisk::new();
                write(&disk, CURRENT, 1).unwrap();
                disk.fail_sync_after(syncs);
                assert!(write(&disk, CURRENT, 2).is_err());
                disk.crash(seed);
                assert!(matches!(read(&disk, CURRENT).unwrap(), Some(1 | 2)));
            }
        }
    }
}
