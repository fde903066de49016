//! Reads one log file after another for recovery, strictly: every transaction behind a given one, none missing,
//! none twice. Cuts the torn tail of the last file; refuses everything that could hide a lost transaction.
//!
//! Java takes anything it cannot read for the end of a file and goes on with the next, which loses acknowledged
//! transactions in silence when a sector in the middle was zeroed; here that is an error with file and offset.

use std::fmt;
use std::io;

use zk_proto::Zxid;
use zk_proto::jute::Encode;
use zk_proto::storage::log::{Damage, FileHeader, Found, HEADER_BYTES, parse_file_name, read_at};
use zk_proto::txn::{Txn, TxnEntry};

use super::disk::{Disk, data_len};

/// A place in the log that recovery will not pass.
#[derive(Debug)]
pub struct LogFault {
    /// The file, as the disk describes it.
    pub file: String,
    /// The place in it, in bytes.
    pub offset: u64,
    /// What is wrong there.
    pub kind: FaultKind,
}

/// What is wrong with the log.
#[derive(Debug)]
#[non_exhaustive]
pub enum FaultKind {
    /// The file does not begin as a log does.
    NotALog,
    /// An empty file that is not the last one.
    Empty,
    /// Bytes that no writer leaves behind.
    Damaged(Damage),
    /// The file's first transaction is not the one in its name.
    Misnamed {
        /// The transaction found.
        found: Zxid,
    },
    /// Transactions are missing.
    Missing {
        /// The last one before the gap.
        last: Zxid,
        /// The first one behind it.
        found: Zxid,
        /// The file whose torn tail may have held the missing ones.
        torn: Option<String>,
    },
    /// A transaction that is not above the one before it.
    OutOfOrder {
        /// The one before.
        last: Zxid,
        /// The one found.
        found: Zxid,
    },
    /// The server's state did not take the transaction.
    Refused {
        /// Which.
        zxid: Zxid,
        /// Why.
        why: String,
    },
}

impl fmt::Display for LogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: ", self.file, self.offset)?;
        match &self.kind {
            FaultKind::NotALog => f.write_str("not a transaction log")?,
            FaultKind::Empty => f.write_str("the file is empty, but later logs exist")?,
            FaultKind::Damaged(damage) => write!(f, "{damage}")?,
            FaultKind::Misnamed { found } => {
                write!(f, "the first transaction is {found}, not that of the name")?;
            }
            FaultKind::Missing { last, found, torn } => {
                write!(f, "transactions are missing: {found} does not follow {last}")?;
                torn.iter().try_for_each(|torn| write!(f, " (and {torn} ends in a torn entry)"))?;
            }
            FaultKind::OutOfOrder { last, found } => write!(f, "transaction {found} behind {last}")?,
            FaultKind::Refused { zxid, why } => write!(f, "transaction {zxid} cannot be applied: {why}")?,
        }
        f.write_str(
            ". Starting would lose acknowledged transactions. In an ensemble, empty this server's data \
             directories and let it copy the data from the others. Alone, restore the missing or damaged file \
             from a backup; to accept the loss instead, ",
        )?;
        match self.kind {
            FaultKind::Damaged(_) | FaultKind::OutOfOrder { .. } | FaultKind::Refused { .. } => {
                write!(f, "truncate this file to {} bytes and move all later log files away", self.offset)
            }
            _ => f.write_str("move this file and all later log files away"),
        }
    }
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] io::Error),
    /// The log has a fault.
    #[error("{0}")]
    Fault(LogFault),
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scanned {
    /// The last transaction, or the one the scan began behind.
    pub last: Zxid,
    /// Transactions handed on.
    pub replayed: u64,
    /// The torn tail that was cut, or the last file removed because nothing whole was in it: its name, and the
    /// bytes that are left of it.
    pub cut: Option<(String, u64)>,
}

/// The log files of a directory, oldest first.
///
/// # Errors
/// When the directory cannot be listed.
pub fn list(disk: &dyn Disk) -> io::Result<Vec<(Zxid, String)>> {
    let mut files: Vec<_> = disk
        .list()?
        .into_iter()
        .filter_map(|name| parse_file_name(&name).map(|start| (start, name)))
        .collect();
    files.sort();
    Ok(files)
}

/// Whether any log holds anything behind its header.
///
/// # Errors
/// When a file cannot be read.
pub fn holds_entries(disk: &dyn Disk) -> io::Result<bool> {
    for (_, name) in list(disk)? {
        if disk.read_data(&name)?.len() > HEADER_BYTES {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Hands every transaction behind `after` to `replay`, in order. Changes the disk only when all of them were
/// taken: then what a crash left at the end of the last file is cut off, and the rest of it is made durable.
///
/// # Errors
/// [`ScanError`]; the disk is as it was.
pub fn scan(
    disk: &dyn Disk,
    after: Zxid,
    replay: &mut dyn FnMut(TxnEntry) -> Result<(), String>,
) -> Result<Scanned, ScanError> {
    let mut files = list(disk)?;
    let from = files.iter().rposition(|(start, _)| *start <= after).unwrap_or(0);
    files.drain(..from);
    let mut scan = Scan { disk, replay, after, last: after, previous: None, replayed: 0, torn: None };
    let mut left = None;
    let count = files.len();
    let newest = files.last().map(|(_, name)| name.clone());
    for (index, (start, name)) in files.into_iter().enumerate() {
        left = scan.file(start, &name, index + 1 == count)?.map(|len| (name, len));
    }
    match &left {
        Some((name, 0)) => {
            disk.remove(name)?;
            disk.sync_dir()?;
        }
        Some((name, len)) => {
            disk.truncate(name, *len)?;
            disk.rewrite(name)?;
        }
        // Nobody knows whether its writer had synced it: from here on it is shown to clients, and followed.
        None => newest.iter().try_for_each(|name| disk.rewrite(name))?,
    }
    Ok(Scanned { last: scan.last, replayed: scan.replayed, cut: left })
}

struct Scan<'a> {
    disk: &'a dyn Disk,
    replay: &'a mut dyn FnMut(TxnEntry) -> Result<(), String>,
    /// What the snapshot covers.
    after: Zxid,
    /// The last transaction known to be in the state.
    last: Zxid,
    /// The last transaction read.
    previous: Option<Zxid>,
    replayed: u64,
    torn: Option<String>,
}

/// Whether nothing can be missing between the two: the next of the same epoch, or the first of a later one.
/// Failed requests take a zxid too, and are logged.
fn follows(last: Zxid, next: Zxid) -> bool {
    next == last.next() || (next.epoch() > last.epoch() && next.counter() <= 1)
}

impl Scan<'_> {
    fn fault(&self, name: &str, offset: usize, kind: FaultKind) -> ScanError {
        ScanError::Fault(LogFault { file: self.disk.describe(name), offset: offset as u64, kind })
    }

    /// Reads one file. For the last one, returns the length to cut it to, 0 to remove it.
    fn file(&mut self, start: Zxid, name: &str, is_last: bool) -> Result<Option<u64>, ScanError> {
        // Behind the last data are only zeros, however many: what is there is told apart the same without them.
        let data = self.disk.read_data(name)?;
        let len = self.disk.len(name)?;
        if !self.header(name, &data, len, is_last)? {
            return Ok(Some(0));
        }
        let mut offset = HEADER_BYTES;
        let torn = loop {
            match read_at(&data, offset) {
                Found::Entry { entry, next } => {
                    if offset == HEADER_BYTES && entry.header.zxid != start {
                        let found = entry.header.zxid;
                        return Err(self.fault(name, offset, FaultKind::Misnamed { found }));
                    }
                    self.entry(name, offset, *entry)?;
                    offset = next;
                }
                Found::End => break false,
                Found::Torn => break true,
                Found::Damaged(damage) => return Err(self.fault(name, offset, FaultKind::Damaged(damage))),
            }
        };
        if torn {
            tracing::warn!(file = name, offset, "the log ends in a torn entry");
            self.torn = Some(self.disk.describe(name));
        }
        Ok(match (is_last, offset) {
            // The next transaction may want this very name.
            (true, HEADER_BYTES) => Some(0),
            (true, _) if torn => Some(offset as u64),
            _ => None,
        })
    }

    /// Whether the file begins as it should; false for a last file that a crash left without a whole header.
    fn header(&self, name: &str, data: &[u8], len: u64, is_last: bool) -> Result<bool, ScanError> {
        let header = FileHeader::LOG.to_bytes();
        // The header itself ends in zeros, which are not among the data when nothing follows.
        let written = &header[..data_len(&header)];
        match is_last {
            _ if data.starts_with(&header) || (data == written && len >= header.len() as u64) => Ok(true),
            true if header.starts_with(data) => Ok(false),
            false if len == 0 => Err(self.fault(name, 0, FaultKind::Empty)),
            _ => Err(self.fault(name, 0, FaultKind::NotALog)),
        }
    }

    fn entry(&mut self, name: &str, offset: usize, entry: TxnEntry) -> Result<(), ScanError> {
        let zxid = entry.header.zxid;
        if let Some(previous) = self.previous {
            // A request Java could not parse is logged as an error with the zxid before it.
            if zxid == previous && matches!(entry.txn, Txn::Error(_)) {
                return Ok(());
            }
            if zxid <= previous {
                return Err(self.fault(name, offset, FaultKind::OutOfOrder { last: previous, found: zxid }));
            }
        }
        self.previous = Some(zxid);
        if zxid <= self.after {
            return Ok(());
        }
        if !follows(self.last, zxid) {
            let kind = FaultKind::Missing { last: self.last, found: zxid, torn: self.torn.take() };
            return Err(self.fault(name, offset, kind));
        }
        (self.replay)(entry).map_err(|why| self.fault(name, offset, FaultKind::Refused { zxid, why }))?;
        self.last = zxid;
        self.replayed += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
