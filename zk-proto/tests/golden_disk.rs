//! The data directories that Java wrote, in `golden/disk`: each transaction as Java's own tool prints it, each node as
//! Java's server shows it, and all of it written again to the same bytes.

#![allow(clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

mod golden;

use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, BTreeSet};
use zk_proto::storage::Owner;
use zk_proto::storage::log::{self, FileHeader, Found};
use zk_proto::storage::snapshot::{
    self, OPEN_ACL, SnapshotAcl, SnapshotEnd, SnapshotNode, SnapshotReader, SnapshotSession, SnapshotWriter,
};
use zk_proto::txn::{CreateTxn, Txn, TxnEntry, TxnHeader};
use zk_proto::{Acl, Decode, Encode, ErrorCode, OpCode, SessionId, Zxid, path};

const VERSIONS: [&str; 2] = ["3.8", "3.9.5"];

/// Zeros that are left behind the last entry of the cut logs.
const ZEROS: usize = 1024;

/// The entries of a log, and where the last one ends.
fn entries(file: &Bytes) -> (Vec<TxnEntry>, usize) {
    assert_eq!(FileHeader::from_bytes(file.clone()), Ok(FileHeader::LOG));
    let (mut entries, mut offset) = (Vec::new(), log::HEADER_BYTES);
    loop {
        match log::read_at(file, offset) {
            Found::Entry { entry, next } => {
                entries.push(*entry);
                offset = next;
            }
            Found::End => return (entries, offset),
            other => panic!("at byte {offset}: {other:?}"),
        }
    }
}

/// Reads a file of `disk` whose name is a log's or a snapshot's.
fn disk(version: &str, name: &str) -> Bytes {
    golden::read(&format!("disk/{version}/{name}"))
}

#[test]
fn logs_are_read_to_their_end_and_written_the_same() {
    for version in VERSIONS {
        let file = disk(version, &log::file_name(Zxid(1)));
        let (entries, end) = entries(&file);
        assert_eq!((entries.len(), end + ZEROS), (25, file.len()), "{version}");
        let mut written = BytesMut::from(&FileHeader::LOG.to_bytes()[..]);
        for entry in &entries {
            log::put_entry(&mut written, entry);
        }
        assert_eq!(written, file[..end], "{version}");
    }
}

#[test]
fn logged_transactions_are_in_order_and_all_but_errors_have_a_digest() {
    for version in VERSIONS {
        let (entries, _) = entries(&disk(version, "log.1"));
        for (entry, zxid) in entries.iter().zip(1..) {
            assert_eq!((entry.header.zxid, entry.header.op), (Zxid(zxid), entry.txn.opcode().code()));
            assert_eq!(entry.digest.is_none(), matches!(entry.txn, Txn::Error(_)), "{version} {zxid:#x}");
            assert!(entry.digest.is_none_or(|digest| digest.version == zk_proto::txn::DIGEST_VERSION));
        }
        // What only the values tell, not the tool's text: null and empty data, and a failed multi.
        let data = |at: usize| match &entries[at - 1].txn {
            Txn::Create(CreateTxn { data, .. }) => data.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!((data(4), data(5)), (None, Some(Bytes::new())));
        let Txn::Multi(parts) = &entries[0x17 - 1].txn else { panic!("no multi") };
        let kinds: Vec<_> = parts.iter().map(Txn::opcode).collect();
        assert_eq!(kinds, [OpCode::Create, OpCode::Error, OpCode::Error]);
        let inconsistent = Txn::Error(Err(ErrorCode::RuntimeInconsistency));
        assert_eq!(parts[1..], [Txn::Error(Err(ErrorCode::BadVersion)), inconsistent]);
    }
}

#[test]
fn logged_transactions_are_those_that_javas_own_tool_prints() {
    for version in VERSIONS {
        let (entries, _) = entries(&disk(version, "log.1"));
        let mut ours = "ZooKeeper Transactional Log File with dbid 0 txnlog format version 2\n".to_owned();
        for TxnEntry { header, txn, .. } in &entries {
            ours += &format!(
                "{} session 0x{:x} cxid 0x{:x} zxid {} {} {}\n",
                date(header.time_ms),
                header.client_id.0,
                header.cxid,
                header.zxid,
                name(txn.opcode()),
                body(txn)
            );
        }
        ours += &format!("EOF reached after {} txns.\n", entries.len());
        let java = golden::text(&format!("disk/{version}/log.1.txt")).replace(" createTtl ", " createTTL ");
        for (ours, java) in ours.lines().zip(java.lines()) {
            assert_eq!(ours, java, "{version}");
        }
        assert_eq!(ours, java, "{version}");
    }
}

/// Java's short date and long time, in UTC: `11/23/26, 12:48:19 AM UTC`.
fn date(time_ms: i64) -> String {
    let seconds = time_ms.div_euclid(1000);
    let (mut days, second) = (seconds.div_euclid(86400), seconds.rem_euclid(86400));
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let mut year = 1970;
    while days >= 365 + i64::from(leap(year)) {
        days -= 365 + i64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, half) = (second / 3600, if second < 43200 { "AM" } else { "PM" });
    let hour = if hour % 12 == 0 { 12 } else { hour % 12 };
    let (minute, second, year) = (second / 60 % 60, second % 60, year % 100);
    format!("{}/{}/{year:02}, {hour}:{minute:02}:{second:02} {half} UTC", month + 1, days + 1)
}

fn name(op: OpCode) -> &'static str {
    match op {
        OpCode::CreateSession => "createSession",
        OpCode::CloseSession => "closeSession",
        OpCode::Create => "create",
        OpCode::Create2 => "create2",
        OpCode::CreateContainer => "createContainer",
        // 3.8 says createTtl.
        OpCode::CreateTtl => "createTTL",
        OpCode::Delete => "delete",
        OpCode::SetData => "setData",
        OpCode::SetAcl => "setACL",
        OpCode::Check => "check",
        OpCode::Multi => "multi",
        OpCode::Error => "error",
        other => panic!("not in these logs: {other:?}"),
    }
}

fn body(txn: &Txn) -> String {
    let text =
        |data: &Option<Bytes>| String::from_utf8_lossy(data.as_deref().unwrap_or_default()).into_owned();
    let one = |acl: &Acl| format!("{},s{{'{},'{}}}", acl.perms.0, acl.id.scheme, acl.id.id);
    let list = |acls: &[Acl]| match acls {
        [acl] => format!("[{}\n]", one(acl)),
        _ => panic!("not in these logs: {acls:?}"),
    };
    match txn {
        Txn::CreateSession(t) => t.timeout_ms.to_string(),
        Txn::CloseSession(Some(t)) => format!("v{{'{}}}", t.paths_to_delete.join(",'")),
        Txn::Create(t) | Txn::Create2(t) => {
            format!("{},{},{},{},{}", t.path, text(&t.data), list(&t.acl), t.ephemeral, t.parent_cversion)
        }
        Txn::CreateContainer(t) => {
            format!("{},{},{},{}", t.path, text(&t.data), list(&t.acl), t.parent_cversion)
        }
        Txn::CreateTtl(t) => {
            format!("{},{},{},{},{}", t.path, text(&t.data), list(&t.acl), t.parent_cversion, t.ttl_ms)
        }
        Txn::Delete(t) => format!("'{}", t.path),
        Txn::SetData(t) => format!("{},{},{}", t.path, text(&t.data), t.version),
        Txn::SetAcl(t) => {
            let acls: Vec<_> = t.acl.iter().map(|acl| format!("s{{{}}}", one(acl))).collect();
            format!("'{},v{{{}}},{}", t.path, acls.join(","), t.version)
        }
        Txn::Error(outcome) => outcome.map_or_else(ErrorCode::code, |()| 0).to_string(),
        // The tool prints the parts' bytes as if they were text.
        Txn::Multi(parts) => {
            let part =
                |txn: &Txn| format!("{}:{}", name(txn.opcode()), String::from_utf8_lossy(&bytes_of(txn)));
            parts.iter().map(part).collect::<Vec<_>>().join(";")
        }
        other => panic!("not in these logs: {other:?}"),
    }
}

fn bytes_of(txn: &Txn) -> Bytes {
    let op = txn.opcode().code();
    let header = TxnHeader { client_id: SessionId(0), cxid: 0, zxid: Zxid(0), time_ms: 0, op };
    TxnEntry { header, txn: txn.clone(), digest: None }.to_bytes().slice(TxnHeader::MIN_BYTES..)
}

/// Everything in a snapshot.
struct Snapshot {
    sessions: Vec<SnapshotSession>,
    acls: Vec<SnapshotAcl>,
    nodes: Vec<(String, SnapshotNode)>,
    end: SnapshotEnd,
}

impl Snapshot {
    fn read(file: Bytes) -> Self {
        assert!(snapshot::looks_complete(&file));
        let mut reader = SnapshotReader::new(file).expect("a snapshot");
        let (sessions, acls) = (reader.sessions.clone(), reader.acls.clone());
        let nodes = std::iter::from_fn(|| reader.node().expect("a node")).collect();
        Self { sessions, acls, nodes, end: reader.end().expect("seals that match") }
    }

    fn written(&self, last: Zxid) -> Vec<u8> {
        let mut writer = SnapshotWriter::new(&self.sessions, &self.acls);
        for (path, node) in &self.nodes {
            writer.node(path, node.data.as_deref(), node.acl_id, &node.stat);
        }
        writer.finish(self.end.digest.as_ref(), last);
        writer.take().to_vec()
    }
}

#[test]
fn snapshots_are_written_the_same() {
    for (version, zxid) in VERSIONS.iter().flat_map(|version| [(version, Zxid(0)), (version, Zxid(0x19))]) {
        let file = disk(version, &snapshot::file_name(zxid));
        let read = Snapshot::read(file.clone());
        let written = read.written(zxid);
        // 3.9 added the last zxid and its seal behind the digest, 21 bytes.
        let expected = if *version == "3.8" { (None, file.len() + 21) } else { (Some(zxid), file.len()) };
        assert_eq!((read.end.last_zxid, written.len()), expected, "{version} {zxid}");
        assert_eq!(written[..file.len()], file, "{version} {zxid}");
    }
}

#[test]
fn the_digest_of_a_snapshot_is_that_of_the_last_transaction_in_it() {
    for version in VERSIONS {
        let (entries, _) = entries(&disk(version, "log.1"));
        let logged = entries.last().and_then(|entry| entry.digest).expect("a digest");
        let digest = Snapshot::read(disk(version, "snapshot.19")).end.digest.expect("a digest");
        assert_eq!(digest.zxid, Zxid(0x19));
        assert_eq!((digest.version, digest.digest), (logged.version, logged.tree_digest), "{version}");
        // Before the first transaction Java writes a blank one, though its tree has a digest already.
        let blank = Snapshot::read(disk(version, "snapshot.0")).end.digest.expect("a digest");
        assert_eq!((blank.zxid, blank.version, blank.digest), (Zxid(0), 2, 0));
        assert_ne!(entries[0].digest.map(|digest| digest.tree_digest), Some(0));
    }
}

#[test]
fn the_nodes_of_a_snapshot_are_those_that_javas_server_shows() {
    for version in VERSIONS {
        let snapshot = Snapshot::read(disk(version, "snapshot.19"));
        let tree = tree(&snapshot);
        let java = golden::text(&format!("disk/{version}/tree.txt"));
        assert_eq!(tree.len(), java.lines().count(), "{version}");
        for (ours, java) in tree.values().zip(java.lines()) {
            assert_eq!(ours, java, "{version}");
        }
        let owner = |path: &str| {
            let (_, node) = snapshot.nodes.iter().find(|(at, _)| at == path).expect("the node is there");
            Owner::from_field(node.stat.ephemeral_owner, true)
        };
        assert_eq!(owner("/round-0/container"), Owner::Container);
        assert_eq!(owner("/round-0/ttl"), Owner::Ttl(3_600_000));
        let [session] = &snapshot.sessions[..] else { panic!("one session is alive") };
        assert_eq!((owner("/alive"), session.timeout_ms), (Owner::Session(session.id.0), 10_000));
    }
}

/// Parents first, and each node as `DumpTree.java` prints it, by path.
fn tree(snapshot: &Snapshot) -> BTreeMap<&str, String> {
    let tables: BTreeMap<i64, &[Acl]> =
        snapshot.acls.iter().map(|entry| (entry.id, &entry.acl[..])).collect();
    let mut seen = BTreeSet::new();
    let mut children: BTreeMap<&str, i32> = BTreeMap::new();
    let root = |path: &'_ str| path.is_empty();
    for (at, _) in &snapshot.nodes {
        if !root(at) {
            let parent = path::parent(at).expect("a path");
            assert!(seen.contains(parent), "{at} before its parent");
            *children.entry(parent).or_default() += 1;
        }
        assert!(seen.insert(if root(at) { "/" } else { at }), "{at} twice");
    }
    let line = |at: &str, node: &SnapshotNode| {
        let s = &node.stat;
        // Clients see creations and deletions, which is twice the creations less the children.
        let cversion = 2 * s.cversion - children.get(at).copied().unwrap_or_default();
        let owner = match Owner::from_field(s.ephemeral_owner, true) {
            Owner::Session(id) => id,
            _ => 0,
        };
        let data = match node.data.as_deref() {
            None => "null".into(),
            Some([]) => "-".into(),
            Some(data) => data.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        };
        let open = Acl::open();
        let acl = if node.acl_id == OPEN_ACL { &open[..] } else { tables[&node.acl_id] };
        let acl: Vec<_> = acl.iter().map(|acl| format!("{}:{}", acl.perms.0, acl.id)).collect();
        format!(
            "{at} {:x} {:x} {:x} {} {cversion} {} {owner:x} {data} {} {} {}",
            s.czxid.0,
            s.mzxid.0,
            s.pzxid.0,
            s.version,
            s.aversion,
            s.ctime,
            s.mtime,
            acl.join(",")
        )
    };
    let shown = |at| if root(at) { "/" } else { at };
    snapshot.nodes.iter().map(|(at, node)| (shown(at), line(shown(at), node))).collect()
}

#[test]
fn compressed_snapshots_are_not_taken_for_plain_ones() {
    for version in VERSIONS {
        for name in ["snapshot.1b.gz", "snapshot.1d.snappy"] {
            assert_eq!(snapshot::parse_file_name(name), None);
            let file = disk(version, name);
            assert!(
                !snapshot::looks_complete(&file) && SnapshotReader::new(file).is_err(),
                "{version} {name}"
            );
        }
    }
}
