//! Snapshot files as they are written and removed: each is whole or absent. Never reads a snapshot's content, and
//! decides nothing about when one is due.

use std::collections::BTreeSet;
use std::io;

use zk_proto::Zxid;
use zk_proto::stat::StatPersisted;
use zk_proto::storage::snapshot::{
    MAGIC, SnapshotAcl, SnapshotDigest, SnapshotSession, SnapshotWriter, file_name, parse_file_name,
};
use zk_proto::txn::DIGEST_VERSION;

use super::disk::Disk;
use super::limits::{SNAPSHOT_CHUNK_BYTES, SNAPSHOTS_KEPT_MIN};
use super::log_scan;

/// What a snapshot is made of: the state after exactly one transaction, which does not change meanwhile.
pub trait SnapshotSource {
    /// The last transaction in it.
    fn zxid(&self) -> Zxid;
    /// The live sessions.
    fn sessions(&self) -> Vec<SnapshotSession>;
    /// The ACL table.
    fn acls(&self) -> Vec<SnapshotAcl>;
    /// The digest of the tree, when digests are kept.
    fn digest(&self) -> Option<i64>;
    /// Calls `f` with every node: path (empty for the root), data, ACL id, metadata. The root first, every
    /// parent before its children.
    ///
    /// # Errors
    /// The first error of `f`.
    #[allow(clippy::type_complexity, reason = "spelled out, the callback is easier to implement")]
    fn for_each_node(
        &self,
        f: &mut dyn FnMut(&str, Option<&[u8]>, i64, &StatPersisted) -> io::Result<()>,
    ) -> io::Result<()>;
}

/// How a snapshot file is compressed; ZooKeeper's `snapshot.compression.method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: the only kind that is written and read here.
    None,
    /// `.gz`
    Gzip,
    /// `.snappy`
    Snappy,
}

/// The zxid and compression of the snapshot with this name; `None` when it is no snapshot's name.
#[must_use]
pub fn parse_name(name: &str) -> Option<(Zxid, Compression)> {
    let (plain, compression) = if let Some(plain) = name.strip_suffix(".gz") {
        (plain, Compression::Gzip)
    } else if let Some(plain) = name.strip_suffix(".snappy") {
        (plain, Compression::Snappy)
    } else {
        (name, Compression::None)
    };
    parse_file_name(plain).map(|zxid| (zxid, compression))
}

/// A snapshot file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFile {
    /// The transaction in its name.
    pub zxid: Zxid,
    /// How it is compressed.
    pub compression: Compression,
    /// Its name.
    pub name: String,
}

/// The snapshots of a directory, newest first.
///
/// # Errors
/// When the directory cannot be listed.
pub fn list(disk: &dyn Disk) -> io::Result<Vec<SnapshotFile>> {
    let mut found = Vec::new();
    for name in disk.list()? {
        if let Some((zxid, compression)) = parse_name(&name) {
            found.push(SnapshotFile { zxid, compression, name });
        }
    }
    found.sort_by(|a, b| b.zxid.cmp(&a.zxid).then_with(|| a.name.cmp(&b.name)));
    Ok(found)
}

/// Writes a snapshot under a temporary name, syncs it, and only then gives it its own. Durable on return.
///
/// # Errors
/// What the disk says; the temporary file is removed if that is still possible, and no snapshot is there.
pub fn write_snapshot(disk: &dyn Disk, source: &dyn SnapshotSource) -> io::Result<()> {
    let name = file_name(source.zxid());
    let temporary = format!("{name}.tmp");
    if disk.list()?.contains(&temporary) {
        disk.remove(&temporary)?;
    }
    if let Err(e) = write_to(disk, source, &temporary) {
        // The first error is the one to tell; a file left behind is removed at the next start.
        let _ = disk.remove(&temporary);
        return Err(e);
    }
    disk.rename(&temporary, &name)?;
    disk.sync_dir()
}

fn write_to(disk: &dyn Disk, source: &dyn SnapshotSource, name: &str) -> io::Result<()> {
    let mut file = disk.create(name)?;
    let mut writer = SnapshotWriter::new(&source.sessions(), &source.acls());
    source.for_each_node(&mut |path, data, acl_id, stat| {
        writer.node(path, data, acl_id, stat);
        if writer.pending() >= SNAPSHOT_CHUNK_BYTES {
            file.write_all(&writer.take())?;
        }
        Ok(())
    })?;
    let zxid = source.zxid();
    let digest = source.digest().map(|digest| SnapshotDigest { zxid, version: DIGEST_VERSION, digest });
    writer.finish(digest.as_ref(), zxid);
    file.write_all(&writer.take())?;
    file.sync_data()
}

/// Removes what snapshots interrupted by a crash left behind. The epoch files' temporaries are left alone: they
/// mean something.
///
/// # Errors
/// What the disk says.
pub fn remove_stale(disk: &dyn Disk) -> io::Result<()> {
    for name in disk.list()? {
        if name.strip_suffix(".tmp").is_some_and(|plain| parse_name(plain).is_some()) {
            disk.remove(&name)?;
        }
    }
    Ok(())
}

/// Whether a snapshot's first and last bytes are those of a complete one: ZooKeeper's quick check.
///
/// # Errors
/// When the file cannot be read.
pub fn looks_complete(disk: &dyn Disk, name: &str, compression: Compression) -> io::Result<bool> {
    let len = disk.len(name)?;
    let head = disk.read_at(name, 0, 8)?;
    Ok(match compression {
        Compression::Gzip => head.starts_with(&[0x1f, 0x8b]),
        Compression::Snappy => head.starts_with(b"\x82SNAPPY\0"),
        Compression::None => {
            len >= 10
                && head.starts_with(&MAGIC.to_be_bytes())
                && disk.read_at(name, len - 5, 5)?.as_ref() == [0, 0, 0, 1, b'/']
        }
    })
}

/// Removes snapshots and logs that are not needed to come back from any of the `keep` newest complete snapshots
/// (at least three are kept, whatever `keep` says). With fewer complete ones than that, nothing is removed.
/// Returns the names removed.
///
/// # Errors
/// What the disks say; some files may be removed already, which harms nothing.
pub fn purge(snapshots: &dyn Disk, logs: &dyn Disk, keep: usize) -> io::Result<Vec<String>> {
    let keep = keep.max(SNAPSHOTS_KEPT_MIN);
    let all = list(snapshots)?;
    let mut complete = BTreeSet::new();
    for file in &all {
        if complete.len() < keep && looks_complete(snapshots, &file.name, file.compression)? {
            complete.insert(file.zxid);
        }
    }
    let Some(&oldest) = complete.first().filter(|_| complete.len() == keep) else { return Ok(Vec::new()) };

    let mut removed = Vec::new();
    // Snapshots go before the logs that complete them, oldest first: whatever a crash leaves is usable.
    for file in all.into_iter().rev().filter(|file| file.zxid < oldest) {
        snapshots.remove(&file.name)?;
        removed.push(file.name);
    }
    snapshots.sync_dir()?;
    let mut starts = log_scan::list(logs)?;
    // The log that contains the transaction after the oldest snapshot begins at or before it.
    let first_needed = starts.iter().rposition(|(start, _)| *start <= oldest).unwrap_or(0);
    for (_, name) in starts.drain(..first_needed) {
        logs.remove(&name)?;
        removed.push(name);
    }
    logs.sync_dir()?;
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fixture::Picture;
    use crate::storage::memory_disk::MemoryDisk;
    use zk_proto::storage::snapshot::SnapshotReader;

    fn names(disk: &MemoryDisk) -> Vec<String> {
        disk.list().unwrap()
    }

    #[test]
    fn a_snapshot_of_many_chunks_reads_back() {
        let disk = MemoryDisk::new();
        let mut picture = Picture::up_to(5000);
        picture.sessions.insert(7, 4000);
        picture.digest = Some(SnapshotDigest { zxid: Zxid(0), version: 2, digest: 99 });
        write_snapshot(&disk, &picture).unwrap();
        assert_eq!(names(&disk), ["snapshot.1388"]);
        assert!(looks_complete(&disk, "snapshot.1388", Compression::None).unwrap());
        let mut r = SnapshotReader::new(disk.read("snapshot.1388").unwrap()).unwrap();
        assert_eq!(r.sessions.len(), 1);
        let mut nodes = 0;
        while r.node().unwrap().is_some() {
            nodes += 1;
        }
        assert_eq!(nodes, 5001);
        assert_eq!(
            r.end().unwrap().digest,
            Some(SnapshotDigest { zxid: Zxid(5000), version: 2, digest: 99 })
        );
    }

    #[test]
    fn a_failed_snapshot_leaves_nothing() {
        for fault in 0..3 {
            let disk = MemoryDisk::new();
            match fault {
                0 => disk.fill_after(100),
                n => disk.fail_sync_after(n - 1),
            }
            assert!(write_snapshot(&disk, &Picture::up_to(50)).is_err());
            disk.crash(0);
            for name in names(&disk) {
                assert!(name.ends_with(".tmp") || looks_complete(&disk, &name, Compression::None).unwrap());
            }
        }
    }

    #[test]
    fn stale_temporaries_go_and_epoch_ones_stay() {
        let disk = MemoryDisk::new();
        for name in ["snapshot.5.tmp", "snapshot.6.gz.tmp", "currentEpoch.tmp", "snapshot.5"] {
            disk.put(name, *b"x");
        }
        remove_stale(&disk).unwrap();
        assert_eq!(names(&disk), ["currentEpoch.tmp", "snapshot.5"]);
    }

    #[test]
    fn purging_keeps_the_newest_complete_snapshots_and_every_log_they_need() {
        let (snaps, logs) = (MemoryDisk::new(), MemoryDisk::new());
        for zxid in [0, 10, 20, 30, 40, 50] {
            write_snapshot(&snaps, &Picture::up_to(zxid)).unwrap();
        }
        snaps.put("snapshot.3c", *b"broken, so it counts for nothing");
        snaps.put("currentEpoch", *b"1");
        for zxid in [1, 0xb, 0x1c, 0x20, 0x29, 0x33] {
            logs.put(&format!("log.{zxid:x}"), *b"x");
        }
        let removed = purge(&snaps, &logs, 3).unwrap();
        // 30, 40 and 50 stay; 0x1c = 28 begins before 30 and holds 31.
        assert_eq!(removed, ["snapshot.0", "snapshot.a", "snapshot.14", "log.1", "log.b"]);
        assert_eq!(names(&logs), ["log.1c", "log.20", "log.29", "log.33"]);
        assert_eq!(names(&snaps).len(), 5);
        assert!(purge(&snaps, &logs, 3).unwrap().is_empty(), "nothing more to do");
    }

    #[test]
    fn too_few_complete_snapshots_and_nothing_is_purged() {
        let disk = MemoryDisk::new();
        for zxid in [10, 20] {
            write_snapshot(&disk, &Picture::up_to(zxid)).unwrap();
        }
        disk.put("snapshot.1", *b"broken");
        disk.put("log.1", *b"x");
        assert!(purge(&disk, &disk, 0).unwrap().is_empty());
    }
}
