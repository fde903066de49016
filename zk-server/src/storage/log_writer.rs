//! The transaction log as it is written: appends framed entries, syncs them, begins new files. Never reads, never
//! opens a file that exists, and never goes on after an error.

use std::io;
use std::sync::Arc;

use zk_proto::Zxid;
use zk_proto::jute::Encode;
use zk_proto::storage::log::{FileHeader, HEADER_BYTES, file_name};

use super::disk::{Disk, DiskFile};
use super::limits::{PREALLOCATE_BYTES_DEFAULT, PREALLOCATE_MARGIN_BYTES};

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// Bytes of zeros a file grows by ahead of its entries, so that most syncs need not write its length;
    /// 0 for none. `preAllocSize`, there in KiB.
    pub preallocate_bytes: u64,
    /// Whether [`LogWriter::sync`] syncs. Without it (`forceSync=no`) a power loss loses acknowledged
    /// transactions.
    pub force_sync: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { preallocate_bytes: PREALLOCATE_BYTES_DEFAULT, force_sync: true }
    }
}

/// Why a transaction could not be logged. Whatever it is, nothing more can be: stop the server, so that nothing
/// is acknowledged that may not be there after a restart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The disk refused.
    #[error(
        "the transaction log cannot be written ({0}); the server must stop. Free or repair the disk, then restart it"
    )]
    Disk(#[from] io::Error),
    /// An earlier error: what is on disk is no longer known, so an fsync is never retried.
    #[error("the transaction log failed earlier ({first}) and stays closed until the server restarts")]
    Poisoned {
        /// The first error.
        first: String,
    },
    /// Entries out of order: a mistake of the caller.
    #[error("transaction {given} cannot follow {last} in the log")]
    Order {
        /// The last transaction logged.
        last: Zxid,
        /// The one given.
        given: Zxid,
    },
}

/// Writes the transaction log.
#[derive(Debug)]
pub struct LogWriter {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    open: Option<OpenFile>,
    last: Zxid,
    failure: Option<String>,
}

#[derive(Debug)]
struct OpenFile {
    name: String,
    file: Box<dyn DiskFile>,
    /// Bytes of header and entries.
    position: u64,
    /// Length with the zeros behind them.
    size: u64,
    synced: bool,
}

impl LogWriter {
    /// A writer whose next entry follows `last`, which recovery found. Its first append begins a new file: the
    /// tail of an old one is never written to again.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, options: LogOptions, last: Zxid) -> Self {
        Self { disk, options, open: None, last, failure: None }
    }

    /// The last transaction appended, or what recovery found.
    #[must_use]
    pub fn last(&self) -> Zxid {
        self.last
    }

    /// Bytes of header and entries in the file being written; 0 before the first append after a roll.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.open.as_ref().map_or(0, |f| f.position)
    }

    /// Whether everything appended is durable.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.open.as_ref().is_none_or(|f| f.synced)
    }

    /// Appends entries framed by [`zk_proto::storage::log::put_entry`]: the transactions `first` to `last`. They
    /// are durable after the next [`LogWriter::sync`].
    ///
    /// # Errors
    /// [`LogError`]; the writer is then closed for good.
    pub fn append(&mut self, entries: &[u8], first: Zxid, last: Zxid) -> Result<(), LogError> {
        self.check()?;
        if first <= self.last || last < first {
            let error = LogError::Order { last: self.last, given: first };
            self.failure = Some(error.to_string());
            return Err(error);
        }
        let done = self.write(entries, first);
        self.poison(done)?;
        self.last = last;
        Ok(())
    }

    /// Makes every appended entry durable.
    ///
    /// # Errors
    /// [`LogError`]; the writer is then closed for good, and what was appended since the last sync may or may
    /// not be there after a restart.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.check()?;
        let done = self.sync_file();
        self.poison(done)
    }

    /// Ends the current file, synced: the next append begins `log.<its first transaction>`.
    ///
    /// # Errors
    /// As [`LogWriter::sync`].
    pub fn roll(&mut self) -> Result<(), LogError> {
        self.sync()?;
        self.open = None;
        Ok(())
    }

    fn check(&self) -> Result<(), LogError> {
        match &self.failure {
            Some(first) => Err(LogError::Poisoned { first: first.clone() }),
            None => Ok(()),
        }
    }

    fn poison(&mut self, done: io::Result<()>) -> Result<(), LogError> {
        done.map_err(|e| {
            self.failure = Some(e.to_string());
            LogError::Disk(e)
        })
    }

    fn write(&mut self, entries: &[u8], first: Zxid) -> io::Result<()> {
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(OpenFile::create(&*self.disk, file_name(first))?),
        };
        open.synced = false;
        open.preallocate(self.options.preallocate_bytes, entries.len() as u64)?;
        open.file.write_all(entries)?;
        open.position += entries.len() as u64;
        open.size = open.size.max(open.position);
        Ok(())
    }

    fn sync_file(&mut self) -> io::Result<()> {
        let Some(open) = self.open.as_mut().filter(|f| !f.synced) else { return Ok(()) };
        if self.options.force_sync {
            open.file.sync_data()?;
            tracing::trace!(file = open.name, bytes = open.position, "log synced");
        }
        open.synced = true;
        Ok(())
    }
}

impl OpenFile {
    /// The name is made durable at once: a synced entry in a file that no directory names is lost.
    fn create(disk: &dyn Disk, name: String) -> io::Result<Self> {
        let mut file = disk.create(&name)?;
        file.write_all(&FileHeader::LOG.to_bytes())?;
        disk.sync_dir()?;
        let position = HEADER_BYTES as u64;
        Ok(Self { name, file, position, size: position, synced: false })
    }

    /// Grows the file as ZooKeeper does, by whole steps, before entries of `coming` bytes are written.
    fn preallocate(&mut self, step: u64, coming: u64) -> io::Result<()> {
        let end = self.position + coming;
        if step == 0 || end + PREALLOCATE_MARGIN_BYTES < self.size {
            return Ok(());
        }
        let size = if end > self.size { (end + step) / step * step } else { self.size + step };
        // The first step comes on top of the header, as with ZooKeeper: 16 bytes and 64 MiB.
        let size = size.max(self.size + step);
        self.file.set_len(size)?;
        self.size = size;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fixture::entries;
    use crate::storage::memory_disk::MemoryDisk;

    fn writer(disk: &MemoryDisk, preallocate_bytes: u64) -> LogWriter {
        LogWriter::new(Arc::new(disk.clone()), LogOptions { preallocate_bytes, force_sync: true }, Zxid(0))
    }

    fn append(log: &mut LogWriter, from: i64, to: i64) -> Result<(), LogError> {
        log.append(&entries(from, to), Zxid(from), Zxid(to))
    }

    #[test]
    fn a_file_is_named_after_its_first_transaction() {
        let disk = MemoryDisk::new();
        let mut log = writer(&disk, 0);
        assert!(disk.list().unwrap().is_empty(), "nothing before the first append");
        append(&mut log, 1, 3).unwrap();
        append(&mut log, 4, 4).unwrap();
        log.roll().unwrap();
        append(&mut log, 0x1b, 0x1c).unwrap();
        assert_eq!(disk.list().unwrap(), ["log.1", "log.1b"]);
        let first = disk.read("log.1").unwrap();
        assert_eq!(first[..16], [0x5a, 0x4b, 0x4c, 0x47, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(first[16..], entries(1, 4)[..]);
    }

    #[test]
    fn files_grow_ahead_in_whole_steps() {
        let disk = MemoryDisk::new();
        let mut log = writer(&disk, 8192);
        append(&mut log, 1, 1).unwrap();
        assert_eq!(disk.len("log.1").unwrap(), 16 + 8192, "the first step comes behind the header");
        let mut zxid = 1;
        while log.file_bytes() + 4096 < 16 + 8192 {
            zxid += 1;
            append(&mut log, zxid, zxid).unwrap();
        }
        append(&mut log, zxid + 1, zxid + 1).unwrap();
        assert_eq!(disk.len("log.1").unwrap(), 16 + 2 * 8192);
        // A batch larger than a step.
        append(&mut log, zxid + 2, zxid + 1000).unwrap();
        assert!(disk.len("log.1").unwrap() > log.file_bytes());
        assert_eq!(disk.len("log.1").unwrap() % 8192, 0);
    }

    #[test]
    fn the_first_file_has_the_size_of_zookeepers() {
        let mut file = OpenFile {
            name: String::new(),
            file: MemoryDisk::new().create("f").unwrap(),
            position: 16,
            size: 16,
            synced: true,
        };
        file.preallocate(PREALLOCATE_BYTES_DEFAULT, 49).unwrap();
        assert_eq!(file.size, 67_108_880);
    }

    #[test]
    fn a_failed_sync_closes_the_log_for_good() {
        let disk = MemoryDisk::new();
        let mut log = writer(&disk, 0);
        append(&mut log, 1, 1).unwrap();
        disk.fail_sync_after(0);
        assert!(matches!(log.sync(), Err(LogError::Disk(_))));
        // The disk would now say yes; the writer must not ask.
        assert!(matches!(log.sync(), Err(LogError::Poisoned { .. })));
        assert!(matches!(append(&mut log, 2, 2), Err(LogError::Poisoned { .. })));
        assert!(matches!(log.roll(), Err(LogError::Poisoned { .. })));
    }

    #[test]
    fn a_full_disk_closes_the_log_for_good() {
        let disk = MemoryDisk::new();
        let mut log = writer(&disk, 0);
        disk.fill_after(150);
        append(&mut log, 1, 1).unwrap();
        let text = append(&mut log, 2, 9).unwrap_err().to_string();
        assert!(text.contains("disk full") && text.contains("must stop"), "{text}");
        disk.heal();
        assert!(matches!(append(&mut log, 10, 10), Err(LogError::Poisoned { .. })));
    }

    #[test]
    fn a_file_that_exists_is_never_opened() {
        let disk = MemoryDisk::new();
        disk.put("log.1", *b"old");
        let error = append(&mut writer(&disk, 0), 1, 1).unwrap_err();
        assert!(matches!(error, LogError::Disk(e) if e.kind() == io::ErrorKind::AlreadyExists));
        assert_eq!(disk.read("log.1").unwrap().as_ref(), b"old");
    }

    #[test]
    fn transactions_only_go_up() {
        let disk = MemoryDisk::new();
        let mut log = writer(&disk, 0);
        append(&mut log, 1, 5).unwrap();
        assert!(matches!(append(&mut log, 5, 6), Err(LogError::Order { .. })));
    }

    #[test]
    fn rolling_syncs_first_and_without_forced_syncs_nothing_is_synced() {
        let disk = MemoryDisk::new();
        let mut log = writer(&disk, 0);
        append(&mut log, 1, 5).unwrap();
        assert!(!log.is_synced());
        log.roll().unwrap();
        disk.crash(3);
        assert_eq!(disk.len("log.1").unwrap(), 16 + entries(1, 5).len() as u64);

        let disk = MemoryDisk::new();
        disk.fail_sync_after(1);
        let options = LogOptions { preallocate_bytes: 0, force_sync: false };
        let mut log = LogWriter::new(Arc::new(disk.clone()), options, Zxid(0));
        append(&mut log, 1, 5).unwrap();
        log.sync().unwrap();
        assert!(log.is_synced());
    }
}
