//! The seam to the disk: the few things asked of one directory. Owns the two traits; never touches a file.
//!
//! Snapshots (`dataDir/version-2`) and logs (`dataLogDir/version-2`) are two values of [`Disk`], which may be
//! the same directory. Every operation blocks; the shell calls it where that does no harm. Errors name the file
//! and the operation.

use std::fmt;
use std::io;

use bytes::Bytes;

/// One directory of files, named relative to it.
///
/// Names made, changed or removed are durable only after [`Disk::sync_dir`], bytes only after
/// [`DiskFile::sync_data`]; [`Disk::truncate`] and [`Disk::rewrite`] are durable when they return.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// The names of the files, sorted.
    ///
    /// # Errors
    /// When the directory cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// A file's length in bytes.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be asked.
    fn len(&self, name: &str) -> io::Result<u64>;

    /// A file's bytes, all of them.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be read.
    fn read(&self, name: &str) -> io::Result<Bytes>;

    /// A file's bytes without the zeros at its end: preallocated files are mostly zeros, and reading those into
    /// memory would be most of a restart.
    ///
    /// # Errors
    /// As [`Disk::read`].
    fn read_data(&self, name: &str) -> io::Result<Bytes> {
        let whole = self.read(name)?;
        Ok(whole.slice(..data_len(&whole)))
    }

    /// At most `len` bytes of a file from `offset` on; fewer when the file ends before.
    ///
    /// # Errors
    /// As [`Disk::read`].
    fn read_at(&self, name: &str, offset: u64, len: usize) -> io::Result<Bytes>;

    /// Creates a file and opens it for appending.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] when the name is taken, or what the file system says.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;

    /// Cuts a file to `len` bytes, durably.
    ///
    /// # Errors
    /// When the file cannot be cut or synced.
    fn truncate(&self, name: &str, len: u64) -> io::Result<()>;

    /// Writes what a file holds in its place once more, durably. What a process wrote before it died may be in the
    /// page cache only; and where one of its syncs failed, the kernel takes those pages for clean, so that
    /// syncing them again would do nothing.
    ///
    /// # Errors
    /// When the file cannot be read, written or synced.
    fn rewrite(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in place of any file that had it.
    ///
    /// # Errors
    /// What the file system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the file system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes every name made, changed or removed so far durable.
    ///
    /// # Errors
    /// What the file system says. Do not go on as if the names were durable.
    fn sync_dir(&self) -> io::Result<()>;

    /// Where a file is, for messages.
    fn describe(&self, name: &str) -> String;
}

/// A file open for appending.
pub trait DiskFile: fmt::Debug + Send {
    /// Writes all of `bytes` behind what was written before.
    ///
    /// # Errors
    /// What the file system says; a part may have been written.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written, and the length, durable.
    ///
    /// # Errors
    /// What the file system says. Never ask again: the kernel may have dropped the unwritten pages and call
    /// the next attempt a success.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Sets the length, with zeros behind what was written; the place of the next write stays.
    ///
    /// # Errors
    /// What the file system says.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
}

/// Bytes up to the last one that is not zero.
#[must_use]
pub fn data_len(bytes: &[u8]) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut end = bytes.len();
    // Whole blocks first: comparing memory is much faster than looking at bytes.
    while end >= ZEROS.len() && bytes[end - ZEROS.len()..end] == ZEROS {
        end -= ZEROS.len();
    }
    bytes[..end].iter().rposition(|&b| b != 0).map_or(0, |at| at + 1)
}
