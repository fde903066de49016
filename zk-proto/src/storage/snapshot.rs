//! The snapshot: sessions, ACL table, nodes with parents first, and seals of a cumulative Adler-32.
//!
//! [`SnapshotWriter`] produces the bytes piece by piece and [`SnapshotReader`] consumes them, both checking the
//! seals; neither touches a file.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::log::FileHeader;
use crate::acl::Acl;
use crate::jute::{Decode, DecodeError, Encode, Reader};
use crate::stat::StatPersisted;
use crate::zxid::{SessionId, Zxid};

/// `ZKSN`.
pub const MAGIC: i32 = 0x5A4B_534E;

/// The id that nodes use for the ACL `world:anyone:cdrwa`, which is never in the table.
pub const OPEN_ACL: i64 = -1;

/// Where the node list ends.
const END_OF_NODES: &str = "/";

impl FileHeader {
    /// The header of a snapshot.
    pub const SNAPSHOT: Self = Self { magic: MAGIC, version: super::log::VERSION, dbid: -1 };
}

/// The name of the snapshot of the state after `zxid`.
#[must_use]
pub fn file_name(zxid: Zxid) -> String {
    format!("snapshot.{:x}", zxid.0)
}

/// The zxid of the snapshot with this name; `None` when it is no (uncompressed) snapshot's name.
#[must_use]
pub fn parse_file_name(name: &str) -> Option<Zxid> {
    i64::from_str_radix(name.strip_prefix("snapshot.")?, 16).ok().map(Zxid)
}

record! {
    /// A node's part of the snapshot, behind its path.
    pub struct SnapshotNode {
        /// Its data.
        pub data: Option<Bytes>,
        /// Its ACL's id in the table, or [`OPEN_ACL`].
        pub acl_id: i64,
        /// Its metadata.
        pub stat: StatPersisted,
    }
}

record! {
    /// A live session.
    #[derive(Copy)]
    pub struct SnapshotSession {
        /// Which.
        pub id: SessionId,
        /// Its timeout in milliseconds.
        pub timeout_ms: i32,
    }
}

record! {
    /// An entry of the ACL table.
    pub struct SnapshotAcl {
        /// The id nodes refer to.
        pub id: i64,
        /// The list.
        pub acl: Vec<Acl>,
    }
}

record! {
    /// The digest of the whole tree, behind the nodes.
    #[derive(Copy)]
    pub struct SnapshotDigest {
        /// The transaction after which it holds.
        pub zxid: Zxid,
        /// The digest's algorithm: 2.
        pub version: i32,
        /// The sum of all nodes' digests.
        pub digest: i64,
    }
}

/// Writes a snapshot piece by piece. Call [`SnapshotWriter::take`] often; what was taken is already counted in
/// the checksum.
#[allow(missing_debug_implementations, reason = "the running checksum has none")]
pub struct SnapshotWriter {
    out: BytesMut,
    summed: usize,
    sum: simd_adler32::Adler32,
}

impl SnapshotWriter {
    /// Begins with the header, the sessions and the ACL table. Both lists are written as given.
    #[must_use]
    pub fn new(sessions: &[SnapshotSession], acls: &[SnapshotAcl]) -> Self {
        let mut out = BytesMut::new();
        FileHeader::SNAPSHOT.encode(&mut out);
        sessions.encode(&mut out);
        acls.encode(&mut out);
        Self { out, summed: 0, sum: simd_adler32::Adler32::new() }
    }

    /// Appends a node. The root's path is empty and it comes first; every parent comes before its children.
    pub fn node(&mut self, path: &str, data: Option<&[u8]>, acl_id: i64, stat: &StatPersisted) {
        path.encode(&mut self.out);
        match data {
            Some(data) => data.encode(&mut self.out),
            None => self.out.put_i32(-1),
        }
        acl_id.encode(&mut self.out);
        stat.encode(&mut self.out);
    }

    /// Ends the nodes and appends the digest and the last zxid, each with its seal.
    pub fn finish(&mut self, digest: Option<&SnapshotDigest>, last: Zxid) {
        END_OF_NODES.encode(&mut self.out);
        self.seal();
        // Java parses what is behind the nodes by its own settings (digest on by default): the last zxid is
        // only found behind a digest.
        if let Some(digest) = digest {
            digest.encode(&mut self.out);
            self.seal();
            last.encode(&mut self.out);
            self.seal();
        }
    }

    /// What was written since the last call.
    pub fn take(&mut self) -> Bytes {
        self.add_up();
        self.summed = 0;
        self.out.split().freeze()
    }

    /// Bytes waiting to be taken.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.out.len()
    }

    fn add_up(&mut self) {
        self.sum.write(&self.out[self.summed..]);
        self.summed = self.out.len();
    }

    fn seal(&mut self) {
        self.add_up();
        i64::from(self.sum.finish()).encode(&mut self.out);
        END_OF_NODES.encode(&mut self.out);
    }
}

/// What a snapshot says besides its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotEnd {
    /// The tree's digest, when the writer left one.
    pub digest: Option<SnapshotDigest>,
    /// The last transaction in it, when the writer left it.
    pub last_zxid: Option<Zxid>,
}

/// Reads a snapshot held in memory as a whole.
#[derive(Debug)]
pub struct SnapshotReader {
    whole: Bytes,
    rest: Reader,
    /// The live sessions.
    pub sessions: Vec<SnapshotSession>,
    /// The ACL table.
    pub acls: Vec<SnapshotAcl>,
}

impl SnapshotReader {
    /// Reads everything in front of the nodes.
    ///
    /// # Errors
    /// [`DecodeError`] when these are not the bytes of a snapshot.
    pub fn new(whole: Bytes) -> Result<Self, DecodeError> {
        let mut rest = Reader::new(whole.clone());
        let header: FileHeader = rest.read()?;
        if header.magic != MAGIC || header.version != FileHeader::SNAPSHOT.version {
            return Err(DecodeError::Malformed("not a snapshot: wrong magic or version"));
        }
        let (sessions, acls) = (rest.read()?, rest.read()?);
        Ok(Self { whole, rest, sessions, acls })
    }

    /// The next node and its path, `None` behind the last one.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are no node.
    pub fn node(&mut self) -> Result<Option<(String, SnapshotNode)>, DecodeError> {
        let path: String = self.rest.read()?;
        if path == END_OF_NODES {
            return Ok(None);
        }
        Ok(Some((path, self.rest.read()?)))
    }

    /// Checks the seals, and reads what is behind the nodes. The parts are told apart by their lengths, because
    /// their presence depends on the writer's settings: a digest and its seal take 20 and 13 bytes, the last
    /// zxid and its seal 8 and 13.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] when a seal does not match.
    pub fn end(mut self) -> Result<SnapshotEnd, DecodeError> {
        const SEAL_BYTES: usize = 13;
        self.check_seal()?;
        let mut end = SnapshotEnd { digest: None, last_zxid: None };
        if self.rest.remaining() >= SnapshotDigest::MIN_BYTES + SEAL_BYTES {
            let digest: SnapshotDigest = self.rest.read()?;
            end.digest = Some(digest);
            self.check_seal()?;
        }
        if self.rest.remaining() >= Zxid::MIN_BYTES + SEAL_BYTES {
            end.last_zxid = Some(self.rest.read()?);
            self.check_seal()?;
        }
        Ok(end)
    }

    fn check_seal(&mut self) -> Result<(), DecodeError> {
        let read = self.whole.len() - self.rest.remaining();
        let sum = simd_adler32::adler32(&&self.whole[..read]);
        if self.rest.read::<i64>()? != i64::from(sum) || self.rest.read::<String>()? != END_OF_NODES {
            return Err(DecodeError::Malformed("snapshot seal does not match its bytes"));
        }
        Ok(())
    }
}

/// Whether the last bytes are those of a complete snapshot: Java's quick check, made before a full read.
#[must_use]
pub fn looks_complete(file: &[u8]) -> bool {
    file.len() >= 10 && file.ends_with(&[0, 0, 0, 1, b'/']) && file.chunk().starts_with(&MAGIC.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Bytes {
        let sessions = [SnapshotSession { id: SessionId(5), timeout_ms: 4000 }];
        let acls = [SnapshotAcl { id: 1, acl: Acl::read_only() }];
        let mut w = SnapshotWriter::new(&sessions, &acls);
        let mut out = BytesMut::new();
        let stat = StatPersisted { czxid: Zxid(3), ..StatPersisted::default() };
        w.node("", None, OPEN_ACL, &StatPersisted::default());
        out.extend_from_slice(&w.take());
        w.node("/a", Some(b"data"), 1, &stat);
        w.finish(Some(&SnapshotDigest { zxid: Zxid(3), version: 2, digest: 77 }), Zxid(3));
        out.extend_from_slice(&w.take());
        out.freeze()
    }

    #[test]
    fn what_is_written_in_pieces_is_read_as_a_whole() {
        let file = written();
        assert!(looks_complete(&file));
        let mut r = SnapshotReader::new(file).unwrap();
        assert_eq!(r.sessions[0].id, SessionId(5));
        assert_eq!(r.node().unwrap().unwrap().0, "");
        let (path, node) = r.node().unwrap().unwrap();
        assert_eq!((path.as_str(), node.data.unwrap().as_ref(), node.acl_id), ("/a", &b"data"[..], 1));
        assert!(r.node().unwrap().is_none());
        let end = r.end().unwrap();
        assert_eq!((end.digest.unwrap().digest, end.last_zxid), (77, Some(Zxid(3))));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        let file = written();
        for at in 0..file.len() {
            let mut bad = file.to_vec();
            bad[at] ^= 4;
            let read = || -> Result<SnapshotEnd, DecodeError> {
                let mut r = SnapshotReader::new(Bytes::from(bad))?;
                while r.node()?.is_some() {}
                r.end()
            };
            assert!(read().is_err(), "bit at byte {at}");
        }
    }
}
