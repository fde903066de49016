//! What an application might do with a client: operations of every kind on a few paths, so that clients meet.
//! Draws requests; looks at no reply but the paths of created nodes.

use bytes::Bytes;
use zk_client::core::Request;
use zk_client::{Acl, CreateMode};
use zk_proto::ops::create::CreateRequest;
use zk_proto::ops::data::{ExistsRequest, GetChildrenRequest, GetDataRequest, SetDataRequest};
use zk_proto::ops::delete::DeleteRequest;
use zk_proto::ops::multi::{CheckVersionRequest, MultiOp, MultiRequest};
use zk_proto::ops::sync::SyncRequest;

use super::contender::LOCK;
use super::draw::Draw;
use super::history::Who;

/// The places where clients meet.
const PATHS: [&str; 8] = ["/a", "/b", "/a/x", "/a/y", "/b/z", "/q", "/q/e", "/"];
/// Names kept of nodes made under drawn names.
const NAMES_KEPT: usize = 8;

/// One client's own part of it.
#[derive(Debug, Default)]
pub(super) struct Workload {
    made: Vec<String>,
    values: u64,
}

impl Workload {
    /// A node was created.
    pub(super) fn made(&mut self, path: String) {
        // Who meddles with the nodes of a lock breaks it.
        if PATHS.contains(&path.as_str()) || path.starts_with(LOCK) {
            return;
        }
        if self.made.len() == NAMES_KEPT {
            self.made.remove(0);
        }
        self.made.push(path);
    }

    /// The next operation.
    pub(super) fn next(&mut self, draw: &mut Draw, who: Who) -> Request {
        match draw.below(100) {
            0..=33 => self.write(draw, who),
            34..=41 => {
                let ops = (0..1 + draw.below(4)).map(|_| self.part(draw, who)).collect();
                Request::Multi(MultiRequest { ops })
            }
            42..=63 => Request::GetData(GetDataRequest { path: self.path(draw), watch: draw.chance(1, 2) }),
            64..=77 => Request::Exists(ExistsRequest { path: self.path(draw), watch: draw.chance(1, 2) }),
            78..=84 => {
                Request::GetChildren(GetChildrenRequest { path: self.path(draw), watch: draw.chance(1, 2) })
            }
            85..=91 => {
                Request::GetChildren2(GetChildrenRequest { path: self.path(draw), watch: draw.chance(1, 2) })
            }
            92..=94 => {
                let part = |path: String, list: bool| match list {
                    true => MultiOp::GetChildren(GetChildrenRequest { path, watch: false }),
                    false => MultiOp::GetData(GetDataRequest { path, watch: false }),
                };
                let ops = (0..1 + draw.below(3)).map(|_| part(self.path(draw), draw.chance(1, 2))).collect();
                Request::MultiRead(MultiRequest { ops })
            }
            _ => Request::Sync(SyncRequest { path: "/".to_owned() }),
        }
    }

    fn write(&mut self, draw: &mut Draw, who: Who) -> Request {
        match self.part(draw, who) {
            MultiOp::Create(r) => Request::Create(r),
            MultiOp::Create2(r) => Request::Create2(r),
            MultiOp::Delete(r) => Request::Delete(r),
            MultiOp::SetData(r) => Request::SetData(r),
            // A check is a part of a multi only.
            other => Request::Multi(MultiRequest { ops: vec![other] }),
        }
    }

    fn part(&mut self, draw: &mut Draw, who: Who) -> MultiOp {
        let version = |draw: &mut Draw| if draw.chance(1, 3) { draw.below(4) as i32 } else { -1 };
        match draw.below(20) {
            0..=7 => {
                let create = self.create(draw, who);
                if draw.chance(1, 2) { MultiOp::Create(create) } else { MultiOp::Create2(create) }
            }
            8..=14 => MultiOp::SetData(SetDataRequest {
                path: self.path(draw),
                data: self.value(who),
                version: version(draw),
            }),
            15..=18 => MultiOp::Delete(DeleteRequest { path: self.path(draw), version: version(draw) }),
            _ => MultiOp::Check(CheckVersionRequest { path: self.path(draw), version: version(draw) }),
        }
    }

    fn create(&mut self, draw: &mut Draw, who: Who) -> CreateRequest {
        let (path, mode) = match draw.below(10) {
            0..=4 => (self.path(draw), CreateMode::Persistent),
            5..=6 => (self.path(draw), CreateMode::Ephemeral),
            7 => ("/q/s-".to_owned(), CreateMode::PersistentSequential),
            8 => ("/q/e-".to_owned(), CreateMode::EphemeralSequential),
            _ => ("/a/e-".to_owned(), CreateMode::EphemeralSequential),
        };
        CreateRequest { path, data: self.value(who), acl: Acl::open(), flags: mode.flags() }
    }

    fn path(&self, draw: &mut Draw) -> String {
        let own = if draw.chance(1, 4) { draw.pick(&self.made).cloned() } else { None };
        own.or_else(|| draw.pick(&PATHS).map(|path| (*path).to_owned())).unwrap_or_default()
    }

    /// A value that no other write has.
    fn value(&mut self, who: Who) -> Option<Bytes> {
        self.values += 1;
        Some(Bytes::from(format!("c{who}.{}", self.values)))
    }
}
