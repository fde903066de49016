//! Answers that need no transaction. Each shows exactly the state whose zxid its header names.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use zk_proto::acl::{AuthId, Perms};
use zk_proto::event::{AddWatchMode, WatcherType};
use zk_proto::jute::Encode;
use zk_proto::ops::acl::GetAclResponse;
use zk_proto::ops::data::{GetChildrenRequest, GetChildrenResponse, GetDataResponse};
use zk_proto::ops::introspect::{ClientInfo, WhoAmIResponse};
use zk_proto::ops::multi::{MultiOp, MultiResponse, MultiResult};
use zk_proto::watch::SetWatches2;
use zk_proto::{ErrorCode, EventType, Request, Zxid};

use super::committed::Committed;
use super::connection::{Ask, Connection, event_frame};
use super::tree::{Data, ZNode};
use super::watches::Side;
use crate::auth;

/// Answers `request`. The caller holds the state, so that nothing is applied between the look and the reply.
pub fn serve(state: &Committed, connection: &Arc<Connection>, xid: i32, ask: &Ask, skip_acl: bool) {
    let ids = connection.ids();
    let reader = Reader { state, connection, ids: &ids, skip_acl };
    let zxid = state.last_zxid;
    let mut body = Body::Nothing;
    let outcome = ask.as_ref().map_err(|code| *code).and_then(|request| reader.answer(request, &mut body));
    connection.reply(xid, zxid, outcome, |out| {
        if outcome.is_ok() {
            body.encode(out);
        }
    });
}

/// A reply's body; node data is copied once, into the outbox.
enum Body<'a> {
    Nothing,
    Record(Box<dyn EncodeInto + 'a>),
    Data(&'a ZNode),
    Children { names: Vec<&'a str>, stat: Option<zk_proto::Stat> },
}

/// `Encode` behind a pointer.
trait EncodeInto {
    fn encode_into(&self, out: &mut BytesMut);
}

impl<T: Encode> EncodeInto for T {
    fn encode_into(&self, out: &mut BytesMut) {
        self.encode(out);
    }
}

impl Body<'_> {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Nothing => {}
            Self::Record(record) => record.encode_into(out),
            Self::Data(node) => {
                put_data(&node.data, out);
                node.stat().encode(out);
            }
            Self::Children { names, stat } => {
                out.put_i32(i32::try_from(names.len()).unwrap_or(i32::MAX));
                for name in names {
                    name.encode(out);
                }
                if let Some(stat) = stat {
                    stat.encode(out);
                }
            }
        }
    }
}

fn put_data(data: &Data, out: &mut BytesMut) {
    match data {
        Some(data) => data.as_ref().encode(out),
        None => out.put_i32(-1),
    }
}

struct Reader<'a> {
    state: &'a Committed,
    connection: &'a Arc<Connection>,
    ids: &'a [AuthId],
    skip_acl: bool,
}

impl<'a> Reader<'a> {
    fn answer(&self, request: &Request, body: &mut Body<'a>) -> Result<(), ErrorCode> {
        match request {
            Request::Ping => {}
            Request::Exists(r) => {
                if r.path.contains('\0') {
                    return Err(ErrorCode::BadArguments);
                }
                let node = self.state.tree.get(&r.path);
                if let Some(node) = node {
                    self.allow(node, Perms::READ)?;
                }
                self.watch(r.watch, &r.path, Side::Data);
                let stat = node.ok_or(ErrorCode::NoNode)?.stat();
                *body = Body::Record(Box::new(stat));
            }
            Request::GetData(r) => {
                let node = self.readable(&r.path)?;
                self.watch(r.watch, &r.path, Side::Data);
                *body = Body::Data(node);
            }
            Request::GetChildren(r) => *body = self.children(r, false)?,
            Request::GetChildren2(r) => *body = self.children(r, true)?,
            Request::GetAcl(r) => {
                let node = self.state.tree.get(&r.path).ok_or(ErrorCode::NoNode)?;
                self.allow(node, Perms::READ | Perms::ADMIN)?;
                let acl = self.state.tree.acls().get(node.acl);
                let acl =
                    if self.allow(node, Perms::ADMIN).is_ok() { acl.to_vec() } else { auth::masked(&acl) };
                *body = Body::Record(Box::new(GetAclResponse { acl, stat: node.stat() }));
            }
            // The node has let everything before it through.
            Request::Sync(r) => *body = Body::Record(Box::new(r.path.clone())),
            Request::MultiRead(r) => {
                let results =
                    r.ops.iter().map(|op| self.part(op).unwrap_or_else(|e| MultiResult::Error(Err(e))));
                *body = Body::Record(Box::new(MultiResponse { results: results.collect() }));
            }
            Request::GetEphemerals(r) => {
                let all = matches!(r.prefix_path.trim(), "" | "/");
                let mine = self.state.tree.ephemerals(self.connection.session());
                let names = mine.filter(|p| all || p.starts_with(&r.prefix_path)).collect();
                *body = Body::Children { names, stat: None };
            }
            Request::GetAllChildrenNumber(r) => {
                self.readable(&r.path)?;
                // Java counts its alias of the root too; its own sum for "/" leaves out both.
                let total = self.state.tree.count_below(&r.path);
                *body = Body::Record(Box::new(i32::try_from(total).unwrap_or(i32::MAX)));
            }
            Request::WhoAmI => {
                let info = |id: &AuthId| ClientInfo {
                    auth_scheme: id.scheme.clone(),
                    user: auth::user_of(id).to_owned(),
                };
                let client_info = self.ids.iter().map(info).collect();
                *body = Body::Record(Box::new(WhoAmIResponse { client_info }));
            }
            Request::AddWatch(r) => {
                let mode = AddWatchMode::from_code(r.mode).map_err(|_| ErrorCode::MarshallingError)?;
                self.state.watches().add_persistent(self.connection, &r.path, mode);
                *body = Body::Record(Box::new(0));
            }
            Request::CheckWatches(r) => {
                let kind = WatcherType::from_code(r.watcher_type).map_err(|_| ErrorCode::MarshallingError)?;
                if !self.state.watches().has(self.connection.id, &r.path, kind) {
                    return Err(ErrorCode::NoWatcher);
                }
            }
            Request::RemoveWatches(r) => {
                let kind = WatcherType::from_code(r.watcher_type).map_err(|_| ErrorCode::MarshallingError)?;
                if !self.state.watches().remove(self.connection.id, &r.path, kind) {
                    return Err(ErrorCode::NoWatcher);
                }
            }
            Request::SetWatches(r) => self.set_watches(r),
            _ => return Err(ErrorCode::Unimplemented),
        }
        Ok(())
    }

    fn children(&self, r: &GetChildrenRequest, with_stat: bool) -> Result<Body<'a>, ErrorCode> {
        let node = self.readable(&r.path)?;
        self.watch(r.watch, &r.path, Side::Child);
        let names = self.state.tree.children(&r.path).collect();
        Ok(Body::Children { names, stat: with_stat.then(|| node.stat()) })
    }

    /// One part of a multi-read. Its watch flag is ignored, as in ZooKeeper.
    fn part(&self, op: &MultiOp) -> Result<MultiResult, ErrorCode> {
        let node = self.readable(op.path())?;
        match op {
            MultiOp::GetData(_) => {
                let data = node.data.as_deref().map(Bytes::copy_from_slice);
                Ok(MultiResult::GetData(GetDataResponse { data, stat: node.stat() }))
            }
            MultiOp::GetChildren(r) => {
                let children = self.state.tree.children(&r.path).map(str::to_owned).collect();
                Ok(MultiResult::GetChildren(GetChildrenResponse { children }))
            }
            _ => Err(ErrorCode::MarshallingError),
        }
    }

    /// Arms the watches of a client that came back. Whatever changed since is told at once, without a zxid.
    fn set_watches(&self, r: &SetWatches2) {
        let tree = &self.state.tree;
        let mut watches = self.state.watches();
        let changed = |since: Zxid| since > r.relative_zxid;
        let tell = |event: Bytes| self.connection.event(&event);
        for path in &r.data_watches {
            match tree.get(path) {
                None => tell(event_frame(EventType::NodeDeleted, path, Zxid(-1))),
                Some(n) if changed(n.stat.mzxid) => {
                    tell(event_frame(EventType::NodeDataChanged, path, Zxid(-1)));
                }
                Some(_) => watches.add(self.connection, path, Side::Data),
            }
        }
        for path in &r.exist_watches {
            match tree.get(path) {
                Some(_) => tell(event_frame(EventType::NodeCreated, path, Zxid(-1))),
                None => watches.add(self.connection, path, Side::Data),
            }
        }
        for path in &r.child_watches {
            match tree.get(path) {
                None => tell(event_frame(EventType::NodeDeleted, path, Zxid(-1))),
                Some(n) if changed(n.stat.pzxid) => {
                    tell(event_frame(EventType::NodeChildrenChanged, path, Zxid(-1)));
                }
                Some(_) => watches.add(self.connection, path, Side::Child),
            }
        }
        for path in &r.persistent_watches {
            watches.add_persistent(self.connection, path, AddWatchMode::Persistent);
        }
        for path in &r.persistent_recursive_watches {
            watches.add_persistent(self.connection, path, AddWatchMode::PersistentRecursive);
        }
    }

    fn watch(&self, wanted: bool, path: &str, side: Side) {
        if wanted {
            self.state.watches().add(self.connection, path, side);
        }
    }

    fn readable(&self, path: &str) -> Result<&'a ZNode, ErrorCode> {
        let node = self.state.tree.get(path).ok_or(ErrorCode::NoNode)?;
        self.allow(node, Perms::READ)?;
        Ok(node)
    }

    fn allow(&self, node: &ZNode, perms: Perms) -> Result<(), ErrorCode> {
        if self.skip_acl || self.state.tree.acls().allows(node.acl, perms, self.ids) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }
}
