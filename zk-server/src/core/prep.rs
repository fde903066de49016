//! Request to transaction. Every write is checked here, in order, against what is committed and what is in
//! flight; what comes out can be applied by any server without a further check.
//!
//! A request that fails still becomes a transaction, an error that consumes its zxid, so that every server agrees
//! on what happened and each client is told by the log.

use bytes::Bytes;
use zk_proto::acl::{AuthId, Perms};
use zk_proto::ops::create::CreateRequest;
use zk_proto::ops::multi::MultiOp;
use zk_proto::stat::StatPersisted;
use zk_proto::storage::Owner;
use zk_proto::storage::owner::TTL_MS_MAX;
use zk_proto::txn::{
    CheckVersionTxn, CloseSessionTxn, CreateContainerTxn, CreateSessionTxn, CreateTtlTxn, CreateTxn,
    DIGEST_VERSION, DeleteTxn, SetAclTxn, SetDataTxn, Txn, TxnDigest, TxnEntry, TxnHeader,
};
use zk_proto::{Acl, CreateMode, ErrorCode, Request, SessionId, Zxid, path};

use super::changes::{Changes, Record, Value};
use super::tree::Tree;
use crate::auth;

/// What the configuration says about requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// ACLs are not checked (`skipACL`).
    pub skip_acl: bool,
    /// Nodes with a time to live may be created (`zookeeper.extendedTypesEnabled`).
    pub extended_types: bool,
}

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The session.
    pub session: SessionId,
    /// The request's xid.
    pub cxid: i32,
    /// Who the connection is.
    pub ids: &'a [AuthId],
    /// The time to stamp on the transaction, in milliseconds since the Unix epoch.
    pub time_ms: i64,
}

/// See the module's head.
#[derive(Debug)]
pub struct Prep {
    rules: Rules,
    changes: Changes,
    last: Zxid,
}

/// Nodes that no client may delete.
const LASTING: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

impl Prep {
    /// Ready for requests on top of `tree`, whose last transaction was `last`.
    #[must_use]
    pub fn new(rules: Rules, tree: &Tree, last: Zxid) -> Self {
        Self { rules, changes: Changes::new(tree.digest()), last }
    }

    /// The last zxid given out.
    #[must_use]
    pub fn last(&self) -> Zxid {
        self.last
    }

    /// Everything up to `zxid` is in the tree now.
    pub fn applied(&mut self, zxid: Zxid) {
        self.changes.applied(zxid);
    }

    /// Makes the transaction of a request. `refused` is the reason to refuse it whatever it says.
    pub fn request(
        &mut self,
        tree: &Tree,
        from: Origin<'_>,
        request: &Request,
        refused: Option<ErrorCode>,
    ) -> TxnEntry {
        let step =
            &mut Step { tree, changes: &mut self.changes, rules: self.rules, from, zxid: self.last.next() };
        let txn = match refused {
            Some(code) => Err(code),
            None => step.request(request),
        };
        self.finish(from, txn.unwrap_or_else(|code| Txn::Error(Err(code))))
    }

    /// Makes the transaction that begins a session.
    pub fn create_session(&mut self, session: SessionId, timeout_ms: i32, time_ms: i64) -> TxnEntry {
        let from = Origin { session, cxid: 0, ids: &[], time_ms };
        self.finish(from, Txn::CreateSession(CreateSessionTxn { timeout_ms }))
    }

    /// Makes the transaction that ends a session and deletes its ephemeral nodes.
    pub fn close_session(&mut self, tree: &Tree, session: SessionId, cxid: i32, time_ms: i64) -> TxnEntry {
        let from = Origin { session, cxid, ids: &[], time_ms };
        let step =
            &mut Step { tree, changes: &mut self.changes, rules: self.rules, from, zxid: self.last.next() };
        let paths_to_delete = step.close_session();
        self.finish(from, Txn::CloseSession(Some(CloseSessionTxn { paths_to_delete })))
    }

    /// Makes the transaction that removes a container or a node whose time has passed; `None` when something in
    /// flight keeps it.
    pub fn delete_container(&mut self, tree: &Tree, path: &str, time_ms: i64) -> Option<TxnEntry> {
        let from = Origin { session: SessionId::NONE, cxid: 0, ids: &[], time_ms };
        let step =
            &mut Step { tree, changes: &mut self.changes, rules: self.rules, from, zxid: self.last.next() };
        let txn = step.delete_container(path)?;
        Some(self.finish(from, txn))
    }

    fn finish(&mut self, from: Origin<'_>, txn: Txn) -> TxnEntry {
        self.last = self.last.next();
        let header = TxnHeader {
            client_id: from.session,
            cxid: from.cxid,
            zxid: self.last,
            time_ms: from.time_ms,
            op: txn.opcode().code(),
        };
        // Java puts no digest behind an error.
        let digest = (!matches!(txn, Txn::Error(_)))
            .then(|| TxnDigest { version: DIGEST_VERSION, tree_digest: self.changes.digest() });
        TxnEntry { header, txn, digest }
    }
}

/// The preparation of one transaction.
struct Step<'a> {
    tree: &'a Tree,
    changes: &'a mut Changes,
    rules: Rules,
    from: Origin<'a>,
    zxid: Zxid,
}

/// A node to create, whichever operation asks for it.
struct Creation<'a> {
    path: &'a str,
    data: &'a Option<Bytes>,
    acl: &'a [Acl],
    mode: CreateMode,
    ttl_ms: i64,
}

impl Step<'_> {
    fn request(&mut self, request: &Request) -> Result<Txn, ErrorCode> {
        match request {
            Request::Create(r) => self.plain_create(r).map(Txn::Create),
            Request::Create2(r) => self.plain_create(r).map(Txn::Create2),
            Request::CreateContainer(r) => self.create_container(r),
            Request::CreateTtl(r) => self.create_ttl(r),
            Request::Delete(r) => self.delete(&r.path, r.version),
            Request::SetData(r) => self.set_data(&r.path, &r.data, r.version),
            Request::SetAcl(r) => self.set_acl(&r.path, &r.acl, r.version),
            Request::Multi(r) => Ok(self.multi(&r.ops)),
            Request::Reconfig(_) => Err(ErrorCode::ReconfigDisabled),
            _ => Err(ErrorCode::Unimplemented),
        }
    }

    /// All parts, or none.
    fn multi(&mut self, ops: &[MultiOp]) -> Txn {
        self.changes.begin();
        let mut parts = Vec::with_capacity(ops.len());
        for op in ops {
            match self.part(op) {
                Ok(txn) => parts.push(txn),
                Err(code) => {
                    self.changes.take_back();
                    // As Java logs it: what came before keeps its type, and one error voids the whole.
                    parts.push(Txn::Error(Err(code)));
                    parts.resize(ops.len(), Txn::Error(Err(ErrorCode::RuntimeInconsistency)));
                    return Txn::Multi(parts);
                }
            }
        }
        self.changes.keep();
        Txn::Multi(parts)
    }

    fn part(&mut self, op: &MultiOp) -> Result<Txn, ErrorCode> {
        match op {
            MultiOp::Create(r) => self.plain_create(r).map(Txn::Create),
            MultiOp::Create2(r) => self.plain_create(r).map(Txn::Create2),
            MultiOp::CreateContainer(r) => self.create_container(r),
            MultiOp::CreateTtl(r) => self.create_ttl(r),
            MultiOp::Delete(r) => self.delete(&r.path, r.version),
            MultiOp::SetData(r) => self.set_data(&r.path, &r.data, r.version),
            MultiOp::Check(r) => self.check(&r.path, r.version),
            MultiOp::GetData(_) | MultiOp::GetChildren(_) => Err(ErrorCode::MarshallingError),
        }
    }

    fn plain_create(&mut self, r: &CreateRequest) -> Result<CreateTxn, ErrorCode> {
        let mode = CreateMode::from_flags(r.flags).ok_or(ErrorCode::BadArguments)?;
        if mode.has_ttl() || mode == CreateMode::Container {
            return Err(ErrorCode::BadArguments);
        }
        let (path, acl, parent_cversion) =
            self.create(&Creation { path: &r.path, data: &r.data, acl: &r.acl, mode, ttl_ms: 0 })?;
        Ok(CreateTxn { path, data: r.data.clone(), acl, ephemeral: mode.is_ephemeral(), parent_cversion })
    }

    fn create_container(&mut self, r: &CreateRequest) -> Result<Txn, ErrorCode> {
        if r.flags != CreateMode::Container.flags() {
            return Err(ErrorCode::BadArguments);
        }
        let mode = CreateMode::Container;
        let (path, acl, parent_cversion) =
            self.create(&Creation { path: &r.path, data: &r.data, acl: &r.acl, mode, ttl_ms: 0 })?;
        Ok(Txn::CreateContainer(CreateContainerTxn { path, data: r.data.clone(), acl, parent_cversion }))
    }

    fn create_ttl(&mut self, r: &zk_proto::ops::create::CreateTtlRequest) -> Result<Txn, ErrorCode> {
        if !self.rules.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        let mode = CreateMode::from_flags(r.flags).filter(|m| m.has_ttl()).ok_or(ErrorCode::BadArguments)?;
        if !(1..=TTL_MS_MAX).contains(&r.ttl_ms) {
            return Err(ErrorCode::BadArguments);
        }
        let creation = Creation { path: &r.path, data: &r.data, acl: &r.acl, mode, ttl_ms: r.ttl_ms };
        let (path, acl, parent_cversion) = self.create(&creation)?;
        Ok(Txn::CreateTtl(CreateTtlTxn {
            path,
            data: r.data.clone(),
            acl,
            parent_cversion,
            ttl_ms: r.ttl_ms,
        }))
    }

    /// The checks and changes that all kinds of creation share; the order of the checks is ZooKeeper's.
    fn create(&mut self, new: &Creation<'_>) -> Result<(String, Vec<Acl>, i32), ErrorCode> {
        let (parent_path, _) = new.path.rsplit_once('/').ok_or(ErrorCode::BadArguments)?;
        if new.path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let parent_path = if parent_path.is_empty() { "/" } else { parent_path };
        let acl = auth::fix_up(new.acl, self.from.ids)?;
        let parent = self.node(parent_path)?;
        self.allow(&parent, Perms::CREATE)?;
        let path = if new.mode.is_sequential() {
            path::sequential(new.path, parent.stat.cversion)
        } else {
            new.path.to_owned()
        };
        path::validate(&path).map_err(|_| ErrorCode::BadArguments)?;
        if self.changes.get(self.tree, &path).is_some() {
            return Err(ErrorCode::NodeExists);
        }
        if matches!(Owner::from_field(parent.stat.ephemeral_owner, true), Owner::Session(_)) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let parent_cversion = parent.stat.cversion.wrapping_add(1);
        let mut after = parent.clone();
        after.children += 1;
        // The tree refuses to lower the counter, which matters only where it wraps (spec 01, section 10).
        if parent_cversion > after.stat.cversion {
            after.stat.cversion = parent_cversion;
            after.stat.pzxid = self.zxid;
        }
        self.changes.put(self.zxid, parent_path, Some(&parent), Some(after));
        let owner = match new.mode {
            CreateMode::Ephemeral | CreateMode::EphemeralSequential => Owner::Session(self.from.session.0),
            CreateMode::Container => Owner::Container,
            CreateMode::PersistentTtl | CreateMode::PersistentSequentialTtl => Owner::Ttl(new.ttl_ms),
            CreateMode::Persistent | CreateMode::PersistentSequential => Owner::Persistent,
        };
        let stat = StatPersisted {
            czxid: self.zxid,
            mzxid: self.zxid,
            pzxid: self.zxid,
            ctime: self.from.time_ms,
            mtime: self.from.time_ms,
            ephemeral_owner: owner.to_field(),
            ..StatPersisted::default()
        };
        let data = new.data.clone().map(Value::Coming);
        self.changes.put(
            self.zxid,
            &path,
            None,
            Some(Record { stat, data, acl: acl.as_slice().into(), children: 0 }),
        );
        Ok((path, acl, parent_cversion))
    }

    fn delete(&mut self, path: &str, version: i32) -> Result<Txn, ErrorCode> {
        let (parent_path, _) = path::split(path).ok_or(ErrorCode::BadArguments)?;
        if path.contains('\0') || LASTING.contains(&path) {
            return Err(ErrorCode::BadArguments);
        }
        let parent = self.node(parent_path)?;
        self.allow(&parent, Perms::DELETE)?;
        let node = self.node(path)?;
        check_version(version, node.stat.version)?;
        if node.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(path, &node, parent_path, &parent);
        Ok(Txn::Delete(DeleteTxn { path: path.to_owned() }))
    }

    fn set_data(&mut self, path: &str, data: &Option<Bytes>, version: i32) -> Result<Txn, ErrorCode> {
        path::validate(path).map_err(|_| ErrorCode::BadArguments)?;
        let node = self.node(path)?;
        self.allow(&node, Perms::WRITE)?;
        check_version(version, node.stat.version)?;
        let mut after = node.clone();
        after.stat.version = next_version(node.stat.version);
        after.stat.mzxid = self.zxid;
        after.stat.mtime = self.from.time_ms;
        after.data = data.clone().map(Value::Coming);
        let version = after.stat.version;
        self.changes.put(self.zxid, path, Some(&node), Some(after));
        Ok(Txn::SetData(SetDataTxn { path: path.to_owned(), data: data.clone(), version }))
    }

    fn set_acl(&mut self, path: &str, acl: &[Acl], version: i32) -> Result<Txn, ErrorCode> {
        path::validate(path).map_err(|_| ErrorCode::BadArguments)?;
        let acl = auth::fix_up(acl, self.from.ids)?;
        let node = self.node(path)?;
        self.allow(&node, Perms::ADMIN)?;
        check_version(version, node.stat.aversion)?;
        let mut after = node.clone();
        after.stat.aversion = next_version(node.stat.aversion);
        after.acl = acl.as_slice().into();
        let version = after.stat.aversion;
        self.changes.put(self.zxid, path, Some(&node), Some(after));
        Ok(Txn::SetAcl(SetAclTxn { path: path.to_owned(), acl, version }))
    }

    fn check(&mut self, path: &str, version: i32) -> Result<Txn, ErrorCode> {
        path::validate(path).map_err(|_| ErrorCode::BadArguments)?;
        let node = self.node(path)?;
        self.allow(&node, Perms::READ)?;
        check_version(version, node.stat.version)?;
        Ok(Txn::Check(CheckVersionTxn { path: path.to_owned(), version: next_version(node.stat.version) }))
    }

    fn close_session(&mut self) -> Vec<String> {
        let paths = self.changes.ephemerals(self.tree, self.from.session);
        for path in &paths {
            let Some((parent_path, _)) = path::split(path) else { continue };
            let (Some(parent), Some(node)) =
                (self.changes.get(self.tree, parent_path), self.changes.get(self.tree, path))
            else {
                continue;
            };
            self.remove(path, &node, parent_path, &parent);
        }
        paths
    }

    fn delete_container(&mut self, path: &str) -> Option<Txn> {
        let (parent_path, _) = path::split(path)?;
        let parent = self.changes.get(self.tree, parent_path)?;
        let node = self.changes.get(self.tree, path)?;
        let owner = Owner::from_field(node.stat.ephemeral_owner, true);
        if node.children > 0 || !matches!(owner, Owner::Container | Owner::Ttl(_)) {
            return None;
        }
        self.remove(path, &node, parent_path, &parent);
        Some(Txn::DeleteContainer(DeleteTxn { path: path.to_owned() }))
    }

    fn remove(&mut self, path: &str, node: &Record, parent_path: &str, parent: &Record) {
        let mut after = parent.clone();
        after.children = after.children.saturating_sub(1);
        after.stat.pzxid = after.stat.pzxid.max(self.zxid);
        self.changes.put(self.zxid, parent_path, Some(parent), Some(after));
        self.changes.put(self.zxid, path, Some(node), None);
    }

    fn node(&self, path: &str) -> Result<Record, ErrorCode> {
        self.changes.get(self.tree, path).ok_or(ErrorCode::NoNode)
    }

    fn allow(&self, node: &Record, perms: Perms) -> Result<(), ErrorCode> {
        if self.rules.skip_acl || auth::allows(&node.acl, perms, self.from.ids) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }
}

fn check_version(wanted: i32, have: i32) -> Result<(), ErrorCode> {
    if wanted == -1 || wanted == have { Ok(()) } else { Err(ErrorCode::BadVersion) }
}

/// A version that would become -1, which means "any", becomes 0.
fn next_version(version: i32) -> i32 {
    match version.wrapping_add(1) {
        -1 => 0,
        next => next,
    }
}
