//! The transaction log: a 16-byte header, then entries of `adler32 i64, length i32, bytes, 'B'`, then zeros.
//!
//! Where Java takes anything odd for the end of the file, this reader tells a torn tail (nothing but zeros or a
//! cut entry at the end of the file) from damage in the middle, so that acknowledged transactions are never
//! skipped in silence (spec/reliability, take-away 10).

use bytes::{BufMut, Bytes, BytesMut};

use crate::jute::{Decode, Encode, Reader};
use crate::txn::TxnEntry;
use crate::zxid::Zxid;

/// `ZKLG`.
pub const MAGIC: i32 = 0x5A4B_4C47;
/// The version of the layout.
pub const VERSION: i32 = 2;
/// Bytes of the file header.
pub const HEADER_BYTES: usize = 16;
/// Ends every entry.
pub const ENTRY_END: u8 = b'B';
/// What a disk writes as a whole, at the least.
const SECTOR_BYTES: usize = 512;
/// Bytes around an entry's own: checksum, length, end mark.
pub const ENTRY_OVERHEAD: usize = 8 + 4 + 1;

record! {
    /// The first bytes of a log or snapshot file.
    #[derive(Copy)]
    pub struct FileHeader {
        /// Which kind of file.
        pub magic: i32,
        /// The version of its layout: 2.
        pub version: i32,
        /// 0 in logs, -1 in snapshots.
        pub dbid: i64,
    }
}

impl FileHeader {
    /// The header of a log.
    pub const LOG: Self = Self { magic: MAGIC, version: VERSION, dbid: 0 };
}

/// The name of the log whose first transaction is `first`.
#[must_use]
pub fn file_name(first: Zxid) -> String {
    format!("log.{:x}", first.0)
}

/// The first transaction of the log with this name; `None` when it is no log's name.
#[must_use]
pub fn parse_file_name(name: &str) -> Option<Zxid> {
    i64::from_str_radix(name.strip_prefix("log.")?, 16).ok().map(Zxid)
}

/// Appends one entry, framed and checksummed.
pub fn put_entry(out: &mut BytesMut, entry: &TxnEntry) {
    let start = out.len();
    out.put_i64(0);
    crate::frame::put(out, |out| entry.encode(out));
    let sum = i64::from(simd_adler32::adler32(&&out[start + 12..]));
    out[start..start + 8].copy_from_slice(&sum.to_be_bytes());
    out.put_u8(ENTRY_END);
}

/// What is at one place of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A whole entry; the next one is at `next`.
    Entry {
        /// The transaction.
        entry: Box<TxnEntry>,
        /// The offset behind it.
        next: usize,
    },
    /// Nothing but zeros, or nothing, from here on.
    End,
    /// An entry that was being written when the writer stopped: nothing whole can follow it.
    Torn,
    /// Bytes that no writer leaves behind. Whatever follows cannot be trusted.
    Damaged(Damage),
}

/// What is wrong with a damaged place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The checksum is not that of the bytes.
    Checksum,
    /// The length reaches beyond the file, but whole entries follow.
    Length,
    /// Zeros where an entry should be, and data behind them.
    Hole,
    /// The bytes are whole but are no transaction.
    Record(crate::jute::DecodeError),
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Checksum => f.write_str("checksum mismatch"),
            Self::Length => f.write_str("wrong length of an entry"),
            Self::Hole => f.write_str("zeros in the middle of the log"),
            Self::Record(e) => write!(f, "not a transaction: {e}"),
        }
    }
}

/// Reads what is at `offset` of the whole log file `file`. A bad entry counts as torn only when it looks like one
/// that was being written: nothing but zeros behind the bytes it claims, and its end mark or a sector of it still
/// zero. Anything else was once whole.
#[must_use]
pub fn read_at(file: &Bytes, offset: usize) -> Found {
    let rest = file.slice(offset.min(file.len())..);
    let zeros = |b: &[u8]| b.iter().all(|&x| x == 0);
    if rest.len() < 12 {
        return if zeros(&rest) { Found::End } else { Found::Torn };
    }
    let mut r = Reader::new(rest.clone());
    let (Ok(sum), Ok(declared)) = (r.read::<i64>(), r.read::<i32>()) else { return Found::Torn };
    if sum == 0 && declared == 0 {
        return if zeros(&rest) { Found::End } else { Found::Damaged(Damage::Hole) };
    }
    let whole = usize::try_from(declared).ok().filter(|len| *len > 0 && len + ENTRY_OVERHEAD <= rest.len());
    let Some(len) = whole else {
        // The length is beyond the file (a cut tail), or was itself torn: a torn entry is the last.
        return if whole_entry_in(&rest[12..]) { Found::Damaged(Damage::Length) } else { Found::Torn };
    };
    let behind = len + ENTRY_OVERHEAD;
    let body = rest.slice(12..12 + len);
    let good = rest[behind - 1] == ENTRY_END && sum == i64::from(simd_adler32::adler32(&body.as_ref()));
    if !good {
        let unwritten = rest[behind - 1] == 0 || misses_a_sector(&rest[..behind], offset);
        let torn = unwritten && zeros(&rest[behind..]);
        return if torn { Found::Torn } else { Found::Damaged(Damage::Checksum) };
    }
    match TxnEntry::decode(&mut Reader::new(body)) {
        Ok(entry) => Found::Entry { entry: Box::new(entry), next: offset + behind },
        Err(e) => Found::Damaged(Damage::Record(e)),
    }
}

/// Whether some sector's part of these bytes, which begin at `offset` of the file, is all zeros: disks write
/// whole sectors, in any order.
fn misses_a_sector(bytes: &[u8], offset: usize) -> bool {
    let first = bytes.len().min(SECTOR_BYTES - offset % SECTOR_BYTES);
    let (head, others) = bytes.split_at(first);
    std::iter::once(head).chain(others.chunks(SECTOR_BYTES)).any(|part| part.iter().all(|&b| b == 0))
}

/// Whether a whole entry begins anywhere in `bytes`. Only looked for behind a bad length.
fn whole_entry_in(bytes: &[u8]) -> bool {
    bytes.windows(12).enumerate().any(|(at, head)| {
        let [0, 0, 0, 0, s0, s1, s2, s3, l0, l1, l2, l3] = *head else { return false };
        let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let rest = &bytes[at + 12..];
        len >= TxnEntry::MIN_BYTES
            && rest.get(len) == Some(&ENTRY_END)
            && u32::from_be_bytes([s0, s1, s2, s3]) == simd_adler32::adler32(&&rest[..len])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::{CreateSessionTxn, Txn, TxnHeader};
    use crate::zxid::SessionId;

    fn entry(zxid: i64) -> TxnEntry {
        let header = TxnHeader { client_id: SessionId(1), cxid: 0, zxid: Zxid(zxid), time_ms: 5, op: -10 };
        TxnEntry { header, txn: Txn::CreateSession(CreateSessionTxn { timeout_ms: 30_000 }), digest: None }
    }

    fn log(entries: usize, tail: usize) -> Vec<u8> {
        let mut out = BytesMut::new();
        for zxid in 1..=entries {
            put_entry(&mut out, &entry(zxid as i64));
        }
        out.put_bytes(0, tail);
        out.to_vec()
    }

    fn scan(file: Vec<u8>) -> (usize, Found) {
        let file = Bytes::from(file);
        let (mut offset, mut count) = (0, 0);
        loop {
            match read_at(&file, offset) {
                Found::Entry { next, .. } => (offset, count) = (next, count + 1),
                other => return (count, other),
            }
        }
    }

    #[test]
    fn whole_logs_end_in_zeros_or_at_the_end_of_the_file() {
        assert_eq!(scan(log(3, 0)), (3, Found::End));
        assert_eq!(scan(log(3, 4096)), (3, Found::End));
    }

    #[test]
    fn a_tail_cut_at_any_byte_is_torn_never_damaged() {
        let whole = log(3, 0);
        let two = log(2, 0).len();
        for cut in two + 1..whole.len() {
            let mut padded = whole[..cut].to_vec();
            padded.resize(whole.len() + 100, 0);
            for file in [whole[..cut].to_vec(), padded] {
                let (count, found) = scan(file);
                // A cut within the leading zeros of the checksum leaves only zeros: the same end of data.
                assert!(count == 2 && matches!(found, Found::Torn | Found::End), "cut at {cut}: {found:?}");
            }
        }
    }

    #[test]
    fn a_flipped_bit_in_the_middle_is_damage() {
        let two = log(2, 0).len();
        for at in two - 20..two {
            let mut file = log(4, 64);
            file[at] ^= 1;
            let (count, found) = scan(file);
            assert!(count == 1 && matches!(found, Found::Damaged(Damage::Checksum)), "{at}: {found:?}");
        }
    }

    #[test]
    fn a_hole_of_zeros_is_damage() {
        let (one, two) = (log(1, 0).len(), log(2, 0).len());
        let mut file = log(4, 64);
        file[one..two].fill(0);
        assert_eq!(scan(file), (1, Found::Damaged(Damage::Hole)));
    }
    #[test]
    fn a_wrong_length_in_the_middle_is_damage() {
        let one = log(1, 0).len();
        for bit in [0x40, 0x80] {
            let mut file = log(4, 64);
            file[one + 8] ^= bit;
            assert_eq!(scan(file), (1, Found::Damaged(Damage::Length)));
        }
    }

    #[test]
    fn a_whole_last_entry_with_a_flipped_bit_is_damage_and_one_with_a_missing_sector_is_torn() {
        let mut file = log(2, 64);
        let at = log(1, 0).len() + 20;
        file[at] ^= 1;
        assert_eq!(scan(file), (1, Found::Damaged(Damage::Checksum)));

        let mut big = entry(1);
        let data = Some(Bytes::from(vec![7; 2000]));
        big.header.op = 5;
        big.txn = Txn::SetData(crate::txn::SetDataTxn { path: "/a".into(), data, version: 1 });
        let mut file = BytesMut::new();
        put_entry(&mut file, &big);
        let mut flipped = file.to_vec();
        flipped[700] ^= 1;
        assert_eq!(scan(flipped), (0, Found::Damaged(Damage::Checksum)));
        let mut torn = file.to_vec();
        torn[512..1024].fill(0);
        assert_eq!(scan(torn), (0, Found::Torn));
    }
}
