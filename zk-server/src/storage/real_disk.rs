//! A directory of the file system. Owns the mapping of [`Disk`] to `std::fs`; decides nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::disk::{Disk, DiskFile, data_len};
use super::limits::READ_CHUNK_BYTES;

/// A directory on a real disk.
#[derive(Debug)]
pub struct RealDisk {
    dir: PathBuf,
}

/// Says what was being done to which file.
fn named<T>(result: io::Result<T>, operation: &str, path: &Path) -> io::Result<T> {
    result.map_err(|e| io::Error::new(e.kind(), format!("cannot {operation} {}: {e}", path.display())))
}

fn sync_directory(dir: &Path) -> io::Result<()> {
    named(File::open(dir).and_then(|d| d.sync_all()), "sync directory", dir)
}

impl RealDisk {
    /// Opens `dir`, made with all its parents when it is not there. New directories are synced into theirs.
    ///
    /// # Errors
    /// When it cannot be made, read or synced, or is no directory.
    pub fn open(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        let missing: Vec<&Path> =
            dir.ancestors().take_while(|d| !d.as_os_str().is_empty() && !d.exists()).collect();
        named(fs::create_dir_all(&dir), "create directory", &dir)?;
        for made in missing {
            match made.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent)?,
                _ => sync_directory(Path::new("."))?,
            }
        }
        named(fs::read_dir(&dir), "read directory", &dir)?;
        Ok(Self { dir })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl Disk for RealDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        let read = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.dir)? {
                let entry = entry?;
                // A name that is not UTF-8 is none of ours.
                if let (true, Ok(name)) = (!entry.file_type()?.is_dir(), entry.file_name().into_string()) {
                    names.push(name);
                }
            }
            names.sort_unstable();
            Ok(names)
        };
        named(read(), "list", &self.dir)
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        let path = self.path(name);
        named(fs::metadata(&path).map(|m| m.len()), "examine", &path)
    }

    fn read(&self, name: &str) -> io::Result<Bytes> {
        let path = self.path(name);
        named(fs::read(&path).map(Bytes::from), "read", &path)
    }

    fn read_data(&self, name: &str) -> io::Result<Bytes> {
        let path = self.path(name);
        let read = || -> io::Result<Bytes> {
            let mut file = File::open(&path)?;
            let mut chunk = vec![0; READ_CHUNK_BYTES];
            let (mut data, mut zeros) = (Vec::new(), 0);
            loop {
                let read = match file.read(&mut chunk) {
                    Ok(0) => return Ok(Bytes::from(data)),
                    Ok(read) => &chunk[..read],
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    Err(e) => return Err(e),
                };
                let used = data_len(read);
                if used > 0 {
                    data.resize(data.len() + zeros, 0);
                    data.extend_from_slice(&read[..used]);
                    zeros = 0;
                }
                zeros += read.len() - used;
            }
        };
        named(read(), "read", &path)
    }

    fn read_at(&self, name: &str, offset: u64, len: usize) -> io::Result<Bytes> {
        let path = self.path(name);
        let read = || -> io::Result<Bytes> {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.take(len as u64).read_to_end(&mut bytes)?;
            Ok(Bytes::from(bytes))
        };
        named(read(), "read", &path)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path(name);
        let file = named(OpenOptions::new().write(true).create_new(true).open(&path), "create", &path)?;
        Ok(Box::new(RealFile { file, path }))
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        let path = self.path(name);
        let cut = || -> io::Result<()> {
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(len)?;
            file.sync_all()
        };
        named(cut(), "truncate", &path)
    }

    fn rewrite(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        let again = || -> io::Result<()> {
            let bytes = fs::read(&path)?;
            // Zeros behind the last data were never anything else.
            let data = bytes.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1);
            let mut file = OpenOptions::new().write(true).open(&path)?;
            file.write_all(&bytes[..data])?;
            file.sync_all()
        };
        named(again(), "rewrite", &path)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let path = self.path(from);
        named(fs::rename(&path, self.path(to)), &format!("rename to {to}:"), &path)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        named(fs::remove_file(&path), "remove", &path)
    }

    fn sync_dir(&self) -> io::Result<()> {
        sync_directory(&self.dir)
    }

    fn describe(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    path: PathBuf,
}

impl DiskFile for RealFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        named(self.file.write_all(bytes), "write", &self.path)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        named(self.file.sync_data(), "sync", &self.path)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        named(self.file.set_len(len), "extend", &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_and_files_keep_what_was_written() {
        let home = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(home.path().join("a/version-2")).unwrap();
        let mut file = disk.create("f").unwrap();
        file.write_all(b"abc").unwrap();
        file.set_len(10).unwrap();
        file.write_all(b"de").unwrap();
        file.sync_data().unwrap();
        assert_eq!(disk.read("f").unwrap().as_ref(), b"abcde\0\0\0\0\0");
        assert_eq!((disk.len("f").unwrap(), disk.read_at("f", 3, 3).unwrap().as_ref()), (10, &b"de\0"[..]));
        disk.rewrite("f").unwrap();
        assert_eq!(disk.read("f").unwrap().as_ref(), b"abcde\0\0\0\0\0");
        disk.truncate("f", 2).unwrap();
        disk.rename("f", "g").unwrap();
        disk.sync_dir().unwrap();
        assert_eq!(
            (disk.list().unwrap(), disk.read("g").unwrap().as_ref()),
            (vec!["g".to_owned()], &b"ab"[..])
        );
        assert_eq!(disk.create("g").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        disk.remove("g").unwrap();
        assert!(disk.list().unwrap().is_empty());
    }

    #[test]
    fn zeros_at_the_end_are_not_read_and_others_are() {
        let home = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(home.path()).unwrap();
        for used in [0, 1, 5000, READ_CHUNK_BYTES, READ_CHUNK_BYTES + 1, 3 * READ_CHUNK_BYTES + 7] {
            let mut data = vec![0; used];
            data.iter_mut().step_by(READ_CHUNK_BYTES * 2).for_each(|b| *b = 1);
            data.last_mut().into_iter().for_each(|b| *b = 2);
            let name = used.to_string();
            let mut file = disk.create(&name).unwrap();
            file.write_all(&data).unwrap();
            file.set_len(4 * READ_CHUNK_BYTES as u64).unwrap();
            assert_eq!(disk.read_data(&name).unwrap(), data);
        }
    }

    #[test]
    fn errors_name_the_file_and_the_operation() {
        let home = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(home.path()).unwrap();
        let text = disk.read("log.1").unwrap_err().to_string();
        assert!(text.contains("cannot read") && text.contains("log.1"), "{text}");
    }
}
