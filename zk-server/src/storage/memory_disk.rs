//! A directory in memory that keeps what was synced apart from what was not. Serves servers without a disk and
//! the simulation: a crash loses what was not synced, chosen by a seed, and syncs and writes can be told to
//! fail. Deterministic; knows nothing of logs or snapshots.
//!
//! What a power loss does here: of each file's unsynced bytes any prefix survives, perhaps with zeros in place of
//! the rest, and of the changes to names since the last [`Disk::sync_dir`] any prefix, as on a journaling file
//! system. A failed sync loses its bytes
//! for good while later syncs report success, as Linux does.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::disk::{Disk, DiskFile, data_len};

/// A directory in memory. Clones are the same directory.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Files by number, so that a name can change while its file is open.
    files: BTreeMap<u64, Contents>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    unsynced_names: Vec<NameChange>,
    next_file: u64,
    /// Rises with every crash; older handles are dead.
    life: u64,
    syncs_before_failure: Option<u64>,
    bytes_before_full: Option<usize>,
}

/// `bytes`, then zeros up to `len`.
#[derive(Debug, Default, Clone)]
struct Contents {
    bytes: Vec<u8>,
    len: u64,
    synced_bytes: usize,
    synced_len: u64,
    /// A sync failed: its bytes will never be durable, whatever later syncs say.
    lost: bool,
}

#[derive(Debug)]
enum NameChange {
    Create(String, u64),
    Rename(String, String),
    Remove(String),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Create(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

/// One step of SplitMix64: enough to choose what a crash spares.
fn draw(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) % below.max(1)
}

impl MemoryDisk {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The power fails: what was not synced is lost, except what `seed` spares. Open files are dead afterwards,
    /// and no fault is pending.
    pub fn crash(&self, seed: u64) {
        let mut seed = seed;
        let state = &mut *self.lock();
        let survive = draw(&mut seed, state.unsynced_names.len() as u64 + 1) as usize;
        let mut names = std::mem::take(&mut state.durable_names);
        for change in state.unsynced_names.drain(..).take(survive) {
            change.apply(&mut names);
        }
        for file in state.files.values_mut() {
            let unsynced = file.bytes.len() - file.synced_bytes;
            let kept = if file.lost { 0 } else { draw(&mut seed, unsynced as u64 + 1) as usize };
            file.bytes.truncate(file.synced_bytes + kept);
            let len = if draw(&mut seed, 2) == 0 { file.synced_len } else { file.len };
            file.len = len.max(file.bytes.len() as u64);
            (file.synced_bytes, file.synced_len, file.lost) = (file.bytes.len(), file.len, false);
        }
        state.names = names.clone();
        state.durable_names = names;
        state.restart();
    }

    /// The process dies but the machine stays up: everything written is kept, open files are dead.
    pub fn kill(&self) {
        self.lock().restart();
    }

    /// After `syncs` more successful syncs, of files or of the directory, one fails.
    pub fn fail_sync_after(&self, syncs: u64) {
        self.lock().syncs_before_failure = Some(syncs);
    }

    /// After `bytes` more written bytes the disk is full.
    pub fn fill_after(&self, bytes: usize) {
        self.lock().bytes_before_full = Some(bytes);
    }

    /// Takes back every fault that has not happened yet, and the full disk.
    pub fn heal(&self) {
        let mut state = self.lock();
        (state.syncs_before_failure, state.bytes_before_full) = (None, None);
    }

    /// Puts a file there, durably: for tests that start from given bytes.
    pub fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        let mut state = self.lock();
        let (len, synced_bytes) = (bytes.len() as u64, bytes.len());
        let number = state.number();
        state.files.insert(number, Contents { bytes, len, synced_bytes, synced_len: len, lost: false });
        state.names.insert(name.to_owned(), number);
        state.durable_names.insert(name.to_owned(), number);
    }

    /// A copy that shares nothing with this one: to crash it in more than one way.
    #[must_use]
    pub fn fork(&self) -> Self {
        let state = self.lock();
        let unsynced_names = state
            .unsynced_names
            .iter()
            .map(|change| match change {
                NameChange::Create(name, file) => NameChange::Create(name.clone(), *file),
                NameChange::Rename(from, to) => NameChange::Rename(from.clone(), to.clone()),
                NameChange::Remove(name) => NameChange::Remove(name.clone()),
            })
            .collect();
        let copy = State {
            files: state.files.clone(),
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            unsynced_names,
            ..*state
        };
        Self { state: Arc::new(Mutex::new(copy)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_such_file(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file {name} on the memory disk"))
}

impl State {
    fn number(&mut self) -> u64 {
        self.next_file += 1;
        self.next_file
    }

    fn restart(&mut self) {
        self.life += 1;
        (self.syncs_before_failure, self.bytes_before_full) = (None, None);
    }

    fn file(&self, name: &str) -> io::Result<&Contents> {
        self.names.get(name).and_then(|number| self.files.get(number)).ok_or_else(|| no_such_file(name))
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn sync_may_fail(&mut self) -> io::Result<()> {
        match self.syncs_before_failure {
            Some(0) => {
                self.syncs_before_failure = None;
                Err(io::Error::other("injected: sync failed"))
            }
            Some(left) => {
                self.syncs_before_failure = Some(left - 1);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.lock().names.keys().cloned().collect())
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        self.lock().file(name).map(|f| f.len)
    }

    fn read(&self, name: &str) -> io::Result<Bytes> {
        let state = self.lock();
        let file = state.file(name)?;
        let mut bytes = file.bytes.clone();
        bytes.resize(file.len as usize, 0);
        Ok(Bytes::from(bytes))
    }

    fn read_data(&self, name: &str) -> io::Result<Bytes> {
        let state = self.lock();
        let bytes = &state.file(name)?.bytes;
        Ok(Bytes::copy_from_slice(&bytes[..data_len(bytes)]))
    }

    fn read_at(&self, name: &str, offset: u64, len: usize) -> io::Result<Bytes> {
        let whole = self.read(name)?;
        let from = whole.len().min(offset as usize);
        Ok(whole.slice(from..whole.len().min(from + len)))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.lock();
        if state.names.contains_key(name) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{name} exists on the memory disk"),
            ));
        }
        let number = state.number();
        state.files.insert(number, Contents::default());
        state.change(NameChange::Create(name.to_owned(), number));
        Ok(Box::new(MemoryFile { disk: self.clone(), number, life: state.life }))
    }

    fn truncate(&self, name: &str, len: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.sync_may_fail()?;
        let number = *state.names.get(name).ok_or_else(|| no_such_file(name))?;
        if let Some(file) = state.files.get_mut(&number) {
            file.bytes.truncate(len as usize);
            (file.len, file.synced_len, file.synced_bytes) = (len, len, file.bytes.len());
        }
        Ok(())
    }

    fn rewrite(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.sync_may_fail()?;
        let number = *state.names.get(name).ok_or_else(|| no_such_file(name))?;
        if let Some(file) = state.files.get_mut(&number) {
            (file.synced_len, file.synced_bytes, file.lost) = (file.len, file.bytes.len(), false);
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.file(from)?;
        state.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.file(name)?;
        state.change(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.sync_may_fail()?;
        let state = &mut *state;
        state.unsynced_names.clear();
        state.durable_names = state.names.clone();
        // Nothing names the others any more, now or after a crash.
        let named: Vec<u64> = state.names.values().copied().collect();
        state.files.retain(|number, _| named.contains(number));
        Ok(())
    }

    fn describe(&self, name: &str) -> String {
        name.to_owned()
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    number: u64,
    life: u64,
}

impl MemoryFile {
    fn with<T>(&self, f: impl FnOnce(&mut State, &mut Contents) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.lock();
        if state.life != self.life {
            return Err(io::Error::other("the file was opened before a crash"));
        }
        let Some(mut file) = state.files.remove(&self.number) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the file was removed"));
        };
        let result = f(&mut state, &mut file);
        state.files.insert(self.number, file);
        result
    }
}

impl DiskFile for MemoryFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.with(|state, file| {
            let room = state.bytes_before_full.unwrap_or(usize::MAX);
            let written = bytes.len().min(room);
            file.bytes.extend_from_slice(&bytes[..written]);
            file.len = file.len.max(file.bytes.len() as u64);
            state.bytes_before_full = state.bytes_before_full.map(|room| room - written);
            if written < bytes.len() {
                return Err(io::Error::new(io::ErrorKind::StorageFull, "injected: disk full"));
            }
            Ok(())
        })
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.with(|state, file| {
            if let Err(e) = state.sync_may_fail() {
                file.lost = true;
                return Err(e);
            }
            if !file.lost {
                (file.synced_bytes, file.synced_len) = (file.bytes.len(), file.len);
            }
            Ok(())
        })
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.with(|_, file| {
            file.bytes.truncate(len as usize);
            file.len = len;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn synced(disk: &MemoryDisk, name: &str, bytes: &[u8]) -> Box<dyn DiskFile> {
        let mut file = disk.create(name).unwrap();
        file.write_all(bytes).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir().unwrap();
        file
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_a_prefix_of_the_rest() {
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let disk = MemoryDisk::new();
            synced(&disk, "f", b"abc").write_all(b"defg").unwrap();
            disk.crash(seed);
            let bytes = disk.read("f").unwrap();
            let kept = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            assert!(
                b"abcdefg".starts_with(&bytes[..kept]) && kept >= 3 && bytes[kept..].iter().all(|b| *b == 0)
            );
            lengths.insert(kept);
        }
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    }

    #[test]
    fn names_not_synced_may_be_lost_in_order() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let disk = MemoryDisk::new();
            drop(synced(&disk, "a", b"1"));
            disk.rename("a", "b").unwrap();
            disk.create("c").unwrap();
            disk.crash(seed);
            seen.insert(disk.list().unwrap().join(" "));
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["a", "b", "b c"]);
    }

    #[test]
    fn a_seed_chooses_the_same_every_time_and_forks_are_apart() {
        let disk = MemoryDisk::new();
        synced(&disk, "f", b"abc").write_all(&[7; 1000]).unwrap();
        let (one, two) = (disk.fork(), disk.fork());
        one.crash(5);
        two.crash(5);
        assert_eq!(one.read("f").unwrap(), two.read("f").unwrap());
        assert_eq!(disk.read("f").unwrap().len(), 1003);
    }

    #[test]
    fn a_failed_sync_loses_its_bytes_though_the_next_one_succeeds() {
        let disk = MemoryDisk::new();
        let mut file = synced(&disk, "f", b"abc");
        disk.fail_sync_after(1);
        file.write_all(b"d").unwrap();
        file.sync_data().unwrap();
        file.write_all(b"e").unwrap();
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        disk.crash(1);
        assert_eq!(disk.read_at("f", 0, 4).unwrap().as_ref(), b"abcd");
        assert!(!disk.read("f").unwrap().contains(&b'e'));
        assert!(file.write_all(b"x").is_err(), "a handle from before the crash");
    }

    #[test]
    fn a_full_disk_takes_a_part() {
        let disk = MemoryDisk::new();
        disk.fill_after(4);
        let mut file = disk.create("f").unwrap();
        assert_eq!(file.write_all(b"abcdef").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.read("f").unwrap().as_ref(), b"abcd");
        disk.heal();
        file.write_all(b"z").unwrap();
        disk.kill();
        assert_eq!(disk.read("f").unwrap().as_ref(), b"abcdz");
    }
}
