//! Fencing: the number that orders holders, and writes that only the holder can make.

use bytes::Bytes;
use zk_client::{Client, ErrorKind, TransactionResult, ops::Transaction};
use zk_proto::{Acl, CreateMode, ErrorCode, Zxid};

use crate::contender::Grant;
use crate::error::Error;
use crate::loss::LossReason;

/// Which holding this is: later holders have greater tokens, over the whole life of the ensemble.
///
/// Give it along with every write to a system that can refuse a smaller token than one it has seen. It is the
/// czxid of the lock's node (of a durable lock that was taken over, the zxid of that). The sequence number in the node's name is no such token: it starts again when the
/// parent is deleted, as container parents are. Restoring an ensemble from a backup lowers zxids, and with them
/// tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(Zxid);

impl FencingToken {
    pub(crate) const fn from_zxid(zxid: Zxid) -> Self {
        Self(zxid)
    }

    pub(crate) const fn of(grant: &Grant) -> Self {
        Self(grant.token)
    }

    /// The token as a number; rises from holder to holder.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0.0
    }

    /// The token as a zxid: of the transaction that created the lock's node, or took a durable one over.
    #[must_use]
    pub const fn czxid(self) -> Zxid {
        self.0
    }
}

/// As ZooKeeper prints a zxid.
impl std::fmt::Display for FencingToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Several writes that happen only if the lock's node is still there: a transaction whose first step is that
/// check. Who is not the holder any more cannot write, however late the write arrives.
#[derive(Debug, Clone)]
#[must_use = "a transaction is sent by .commit()"]
pub struct FencedTransaction<'a> {
    inner: Transaction<'a>,
    node: &'a str,
    /// How many steps come before the caller's.
    checks: usize,
}

impl<'a> FencedTransaction<'a> {
    /// Checks all that is held: that each node exists, whatever its version, for a revoker may have written to it;
    /// of a durable one that nobody has taken it over.
    pub(crate) fn begin(client: &'a Client, grants: &[&'a Grant]) -> Self {
        let (mut inner, mut checks) = (client.transaction(), 0);
        for grant in grants {
            let mut version = grant.version;
            for path in &grant.paths {
                inner = inner.check(path.as_str(), version.take().unwrap_or(-1));
                checks += 1;
            }
            if grant.version.is_none() {
                inner = inner.in_session(grant.session);
            }
        }
        Self { inner, node: grants.first().map_or("", |grant| grant.path()), checks }
    }

    /// Goes on only if the node's data has this version; -1 asks only that the node exists.
    pub fn check(self, path: impl Into<String>, version: i32) -> Self {
        self.with(|inner| inner.check(path, version))
    }

    /// Creates a persistent node open to everyone.
    pub fn create(self, path: impl Into<String>, data: impl Into<Bytes>) -> Self {
        self.with(|inner| inner.create(path, data))
    }

    /// Creates a node. Modes with a time to live are not possible here.
    pub fn create_with(
        self,
        path: impl Into<String>,
        data: impl Into<Bytes>,
        mode: CreateMode,
        acl: Vec<Acl>,
    ) -> Self {
        self.with(|inner| inner.create_with(path, data, mode, acl))
    }

    /// Replaces a node's data.
    pub fn set(self, path: impl Into<String>, data: impl Into<Bytes>) -> Self {
        self.with(|inner| inner.set(path, data))
    }

    /// Replaces a node's data if it has this version.
    pub fn set_version(self, path: impl Into<String>, data: impl Into<Bytes>, version: i32) -> Self {
        self.with(|inner| inner.set_version(path, data, version))
    }

    /// Deletes a node.
    pub fn delete(self, path: impl Into<String>) -> Self {
        self.with(|inner| inner.delete(path))
    }

    /// Deletes a node if its data has this version.
    pub fn delete_version(self, path: impl Into<String>, version: i32) -> Self {
        self.with(|inner| inner.delete_version(path, version))
    }

    /// Commits, and returns the results of the steps after the check.
    ///
    /// # Errors
    /// [`Error::Lost`] when the lock is lost, and nothing was written. [`Error::Client`] otherwise; the index of a
    /// failed step counts the checks as well, one for each of the lock's nodes, and when the outcome is unknown the writes may have happened.
    ///
    /// # Cancellation
    /// Dropped before it is sent, nothing is written; dropped after, it happens all the same.
    pub async fn commit(self) -> Result<Vec<TransactionResult>, Error> {
        let Self { inner, node, checks } = self;
        let lost = |reason| Error::Lost { path: node.to_owned(), reason };
        match inner.commit().await {
            Ok(mut results) => Ok(results.split_off(checks.min(results.len()))),
            Err(source) => Err(match source.kind() {
                ErrorKind::Transaction { index, code: ErrorCode::NoNode } if index < checks => {
                    lost(LossReason::NodeDeleted)
                }
                ErrorKind::Transaction { index, code: ErrorCode::BadVersion } if index < checks => {
                    lost(LossReason::TakenOver)
                }
                ErrorKind::SessionExpired if !source.outcome_unknown() => lost(LossReason::SessionExpired),
                _ => Error::Client { path: node.to_owned(), source },
            }),
        }
    }

    fn with(self, step: impl FnOnce(Transaction<'a>) -> Transaction<'a>) -> Self {
        Self { inner: step(self.inner), ..self }
    }
}
