//! `multi`: several writes, all or none.

use bytes::Bytes;
use std::time::Duration;
use zk_proto::ops::data::SetDataRequest;
use zk_proto::ops::delete::DeleteRequest;
use zk_proto::ops::multi::{CheckVersionRequest, MultiOp, MultiRequest, MultiResponse, MultiResult};
use zk_proto::{Acl, CreateMode, ErrorCode, Stat, Zxid};

use super::Draft;
use super::create::NewNode;
use super::draft::operation;
use crate::core::Request;
use crate::error::{Error, ErrorKind};
use crate::pending::{Answered, Pending};

/// What one step of a transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransactionResult {
    /// A node was created.
    Created {
        /// Its path, with its sequence number if it has one.
        path: String,
        /// Its stat; `None` from servers that answer a create within a transaction with the path alone, as
        /// ZooKeeper up to 3.8 does (ZOOKEEPER-4026).
        stat: Option<Stat>,
    },
    /// Data was set.
    Set(Stat),
    /// A node was deleted.
    Deleted,
    /// A check held.
    Checked,
}

impl TransactionResult {
    /// The path of a created node.
    #[must_use]
    pub fn created_path(&self) -> Option<&str> {
        match self {
            Self::Created { path, .. } => Some(path),
            _ => None,
        }
    }

    /// The stat that came with the step.
    #[must_use]
    pub fn stat(&self) -> Option<&Stat> {
        match self {
            Self::Created { stat, .. } => stat.as_ref(),
            Self::Set(stat) => Some(stat),
            Self::Deleted | Self::Checked => None,
        }
    }
}

/// Several writes, applied all together or not at all. Made by [`crate::Client::transaction`].
///
/// When a step fails, the error's kind is [`ErrorKind::Transaction`] and its path is that step's.
#[derive(Debug, Clone)]
#[must_use = "a transaction is sent by .commit()"]
pub struct Transaction<'a> {
    draft: Draft<'a>,
    steps: Vec<MultiOp>,
    /// The first step that cannot be sent.
    broken: Option<Error>,
}
operation!(Transaction => Vec<TransactionResult>);

impl<'a> Transaction<'a> {
    pub(crate) fn new(draft: Draft<'a>) -> Self {
        Self { draft, steps: Vec::new(), broken: None }
    }

    /// Goes on only if the node's data has this version; -1 asks only that the node exists.
    pub fn check(self, path: impl Into<String>, version: i32) -> Self {
        self.step(path.into(), |path| MultiOp::Check(CheckVersionRequest { path, version }))
    }

    /// Creates a persistent node open to everyone.
    pub fn create(self, path: impl Into<String>, data: impl Into<Bytes>) -> Self {
        self.create_with(path, data, CreateMode::Persistent, Acl::open())
    }

    /// Creates a node. A mode with a time to live is [`Transaction::create_with_ttl`]'s.
    pub fn create_with(
        self,
        path: impl Into<String>,
        data: impl Into<Bytes>,
        mode: CreateMode,
        acl: Vec<Acl>,
    ) -> Self {
        self.create_node(&NewNode { path: path.into(), data: data.into(), mode, ttl: None, acl })
    }

    /// Creates a node of a mode with a time to live, in whole milliseconds. Servers must have
    /// `extendedTypesEnabled`; the step fails with `Unimplemented` if not.
    pub fn create_with_ttl(
        self,
        path: impl Into<String>,
        data: impl Into<Bytes>,
        mode: CreateMode,
        ttl: Duration,
        acl: Vec<Acl>,
    ) -> Self {
        self.create_node(&NewNode { path: path.into(), data: data.into(), mode, ttl: Some(ttl), acl })
    }

    fn create_node(mut self, node: &NewNode) -> Self {
        match node.request(&self.draft) {
            Ok(Request::CreateTtl(request)) => self.steps.push(MultiOp::CreateTtl(request)),
            Ok(Request::CreateContainer(request)) => self.steps.push(MultiOp::CreateContainer(request)),
            Ok(Request::Create2(request)) => self.steps.push(MultiOp::Create2(request)),
            // A new node is asked for in no other way.
            Ok(_) => {}
            Err(error) => return self.refuse(error),
        }
        self
    }

    /// Replaces a node's data.
    pub fn set(self, path: impl Into<String>, data: impl Into<Bytes>) -> Self {
        self.set_version(path, data, -1)
    }

    /// Replaces a node's data if it has this version.
    pub fn set_version(self, path: impl Into<String>, data: impl Into<Bytes>, version: i32) -> Self {
        let data = Some(data.into());
        self.step(path.into(), |path| MultiOp::SetData(SetDataRequest { path, data, version }))
    }

    /// Deletes a node.
    pub fn delete(self, path: impl Into<String>) -> Self {
        self.delete_version(path, -1)
    }

    /// Deletes a node if its data has this version.
    pub fn delete_version(self, path: impl Into<String>, version: i32) -> Self {
        self.step(path.into(), |path| MultiOp::Delete(DeleteRequest { path, version }))
    }

    /// Takes its place in the session's order now, as `send()` does; await the result for the outcome.
    pub fn commit(self) -> Pending<Vec<TransactionResult>> {
        self.start()
    }

    /// As [`Transaction::commit`], and tells the zxid of the transaction: the `czxid` of what it created and the
    /// `mzxid` of what it set, on every server.
    pub fn commit_with_zxid(self) -> Pending<(Zxid, Vec<TransactionResult>)> {
        let (draft, request) = self.request();
        draft.send(request, decode_with_zxid)
    }

    fn step(mut self, path: String, make: impl FnOnce(String) -> MultiOp) -> Self {
        match self.draft.path(path) {
            Ok(path) => {
                self.steps.push(make(path));
                self
            }
            Err(error) => self.refuse(error),
        }
    }

    fn refuse(mut self, error: Error) -> Self {
        self.broken = self.broken.or(Some(error));
        self
    }

    fn start(self) -> Pending<Vec<TransactionResult>> {
        let (draft, request) = self.request();
        draft.send(request, |answered| decode_with_zxid(answered).map(|(_, results)| results))
    }

    fn request(self) -> (Draft<'a>, Result<Request, Error>) {
        let Self { draft, steps, broken } = self;
        let request = match broken {
            Some(error) => Err(error),
            None => Ok(Request::Multi(MultiRequest { ops: steps })),
        };
        (draft, request)
    }
}

fn decode_with_zxid(answered: Answered<'_>) -> Result<(Zxid, Vec<TransactionResult>), Error> {
    let operation = answered.operation();
    let (reply, zxid, rest) = {
        let (reply, rest) = answered.reply()?;
        match <MultiResponse as zk_proto::Decode>::from_bytes(reply.body) {
            Ok(response) => (response, reply.zxid, rest),
            Err(why) => return Err(rest.bad_reply(operation, why)),
        }
    };
    let failed = reply.results.iter().enumerate().find_map(|(index, result)| match result {
        MultiResult::Error(Err(code)) if *code != ErrorCode::RuntimeInconsistency => Some((index, *code)),
        _ => None,
    });
    if let Some((index, code)) = failed {
        let error = Error::new(ErrorKind::Transaction { index, code }, operation).with_zxid(zxid);
        let Request::Multi(request) = &*rest.request else { return Err(error) };
        return Err(match request.ops.get(index) {
            Some(step) => error.with_path(rest.chroot.strip(step.path().to_owned())),
            None => error,
        });
    }
    let mut results = Vec::with_capacity(reply.results.len());
    for result in reply.results {
        results.push(match result {
            MultiResult::Create(r) => {
                TransactionResult::Created { path: rest.chroot.strip(r.path), stat: None }
            }
            MultiResult::Create2(r) => {
                TransactionResult::Created { path: rest.chroot.strip(r.path), stat: Some(r.stat) }
            }
            MultiResult::SetData(r) => TransactionResult::Set(r.stat),
            MultiResult::Delete => TransactionResult::Deleted,
            MultiResult::Check => TransactionResult::Checked,
            _ => return Err(rest.bad_reply(operation, "a result of another kind than its step")),
        });
    }
    Ok((zxid, results))
}
