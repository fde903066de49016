//! For the tests of this room: framed entries, and a restored state that is only what recovery said.

use std::collections::BTreeMap;
use std::io;

use bytes::BytesMut;
use zk_proto::acl::Acl;
use zk_proto::stat::StatPersisted;
use zk_proto::storage::log::put_entry;
use zk_proto::storage::snapshot::{OPEN_ACL, SnapshotAcl, SnapshotDigest, SnapshotNode, SnapshotSession};
use zk_proto::txn::{CreateTxn, Txn, TxnEntry, TxnHeader};
use zk_proto::{SessionId, Zxid};

use super::recovery::Restore;
use super::snapshots::SnapshotSource;

/// A create of `/n<zxid>`.
pub(crate) fn entry(zxid: i64) -> TxnEntry {
    let header = TxnHeader { client_id: SessionId(1), cxid: 0, zxid: Zxid(zxid), time_ms: 5, op: 1 };
    let txn = Txn::Create(CreateTxn {
        path: format!("/n{zxid:x}"),
        data: None,
        acl: Acl::open(),
        ephemeral: false,
        parent_cversion: 1,
    });
    TxnEntry { header, txn, digest: None }
}

/// The framed entries `from` to `to`.
pub(crate) fn entries(from: i64, to: i64) -> Vec<u8> {
    let mut out = BytesMut::new();
    for zxid in from..=to {
        put_entry(&mut out, &entry(zxid));
    }
    out.to_vec()
}

/// A whole log file with these transactions.
pub(crate) fn log_file(zxids: impl IntoIterator<Item = i64>) -> Vec<u8> {
    use zk_proto::jute::Encode;
    let mut out = BytesMut::new();
    zk_proto::storage::log::FileHeader::LOG.encode(&mut out);
    for zxid in zxids {
        put_entry(&mut out, &entry(zxid));
    }
    out.to_vec()
}

/// The nodes created by [`entry`], as recovery delivers them: path and creating transaction.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) zxid: Zxid,
    pub(crate) nodes: BTreeMap<String, i64>,
    pub(crate) sessions: BTreeMap<i64, i32>,
    pub(crate) acls: BTreeMap<i64, Vec<Acl>>,
    pub(crate) digest: Option<SnapshotDigest>,
    pub(crate) replayed: Vec<TxnEntry>,
    pub(crate) refuse: Option<String>,
}

impl Picture {
    /// The state after the transactions `1..=zxid`.
    pub(crate) fn up_to(zxid: i64) -> Self {
        let nodes = (1..=zxid).map(|z| (format!("/n{z:x}"), z)).collect();
        Self { zxid: Zxid(zxid), nodes, ..Self::default() }
    }
}

impl Restore for Picture {
    fn reset(&mut self) {
        *self = Self { refuse: self.refuse.take(), ..Self::default() };
    }
    fn session(&mut self, id: SessionId, timeout_ms: i32) {
        self.sessions.insert(id.0, timeout_ms);
    }
    fn acl(&mut self, id: i64, acl: Vec<Acl>) {
        self.acls.insert(id, acl);
    }
    fn node(&mut self, path: &str, node: SnapshotNode) -> Result<(), String> {
        if !path.is_empty() {
            self.nodes.insert(path.to_owned(), node.stat.czxid.0);
        }
        Ok(())
    }
    fn snapshot_done(&mut self, zxid: Zxid, digest: Option<SnapshotDigest>) -> Result<(), String> {
        (self.zxid, self.digest) = (zxid, digest);
        Ok(())
    }
    fn replay(&mut self, entry: TxnEntry) -> Result<(), String> {
        if let Some(why) = &self.refuse {
            return Err(why.clone());
        }
        self.zxid = entry.header.zxid;
        if let Txn::Create(create) = &entry.txn {
            self.nodes.insert(create.path.clone(), entry.header.zxid.0);
        }
        self.replayed.push(entry);
        Ok(())
    }
}

impl SnapshotSource for Picture {
    fn zxid(&self) -> Zxid {
        self.zxid
    }
    fn sessions(&self) -> Vec<SnapshotSession> {
        self.sessions
            .iter()
            .map(|(&id, &timeout_ms)| SnapshotSession { id: SessionId(id), timeout_ms })
            .collect()
    }
    fn acls(&self) -> Vec<SnapshotAcl> {
        self.acls.iter().map(|(&id, acl)| SnapshotAcl { id, acl: acl.clone() }).collect()
    }
    fn digest(&self) -> Option<i64> {
        self.digest.map(|d| d.digest)
    }
    fn for_each_node(
        &self,
        f: &mut dyn FnMut(&str, Option<&[u8]>, i64, &StatPersisted) -> io::Result<()>,
    ) -> io::Result<()> {
        f("", None, OPEN_ACL, &StatPersisted::default())?;
        for (path, czxid) in &self.nodes {
            f(path, Some(b"data"), OPEN_ACL, &StatPersisted { czxid: Zxid(*czxid), ..Default::default() })?;
        }
        Ok(())
    }
}
