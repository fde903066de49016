//! One attempt at a lease: look, lock, look again, write by version. Whatever cannot be known is tried anew: who
//! holds already may write again.

use bytes::Bytes;
use std::time::{Duration, SystemTime};
use zk_client::{Client, ErrorKind};
use zk_proto::{Acl, CreateMode, ErrorCode, SessionId, path};

use super::record::{NODE, Record, Unreadable};
use crate::error::Error;
use crate::lock::{Lock, LockGuard};

/// What an attempt needs.
pub(super) struct Taking<'a> {
    pub(super) client: &'a Client,
    pub(super) path: &'a str,
    pub(super) holder: &'a str,
    pub(super) acl: &'a [Acl],
    pub(super) lock: &'a Lock,
}

/// What to make of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// Hold it from now on for so long, if nobody else does.
    Hold(Duration),
    /// End it now, if it is ours and goes on.
    End,
}

impl Taking<'_> {
    pub(super) fn node(&self) -> String {
        path::join(self.path, NODE)
    }

    /// The record and its version, as they are; in this session, if that matters.
    pub(super) async fn look(&self, session: Option<SessionId>) -> Result<Option<(Record, i32)>, Error> {
        let get = self.client.get(self.node());
        let get = match session {
            Some(session) => get.in_session(session).send(),
            None => get.send(),
        };
        match get.await {
            Ok(node) => match Record::decode(&node.data) {
                Ok(record) => Ok(Some((record, node.stat.version))),
                Err(unreadable) => Err(self.unreadable(unreadable)),
            },
            Err(error) if error.is_no_node() => Ok(None),
            Err(source) => Err(self.failed(source)),
        }
    }

    /// Tries; `None` when it is somebody else's (or, to end it, not ours). `now` is asked as late as can be.
    pub(super) async fn attempt(
        &self,
        aim: Aim,
        now: &(dyn Fn() -> SystemTime + Send + Sync),
    ) -> Result<Option<Record>, Error> {
        // What we may have written: the answer was lost.
        let mut written = None;
        loop {
            // Without the lock: most who come too late need not stand in line to hear it.
            let seen = self.look(None).await?;
            if aim == Aim::End
                && written.is_some()
                && seen.as_ref().map(|(record, _)| record) == written.as_ref()
            {
                return Ok(written);
            }
            if self.wanted(aim, seen.as_ref().map(|(record, _)| record), now()).is_none() {
                return Ok(None);
            }
            let guard = self.lock.acquire().await?;
            let seen = match self.look(Some(guard.session())).await {
                Err(error) if is_passing(&error) => continue,
                seen => seen?,
            };
            let Some(record) = self.wanted(aim, seen.as_ref().map(|(record, _)| record), now()) else {
                return Ok(None);
            };
            let version = seen.map(|(_, version)| version);
            match self.write(&guard, &record, version).await {
                // The lock is released in the background.
                Ok(()) => return Ok(Some(record)),
                Err(error) if is_passing(&error) => written = Some(record),
                Err(error) => return Err(error),
            }
        }
    }

    /// What is to be written over what is there; `None` for nothing.
    fn wanted(&self, aim: Aim, there: Option<&Record>, now: SystemTime) -> Option<Record> {
        let wanted = |end| Some(Record::new(self.holder, end));
        match (aim, there) {
            (Aim::Hold(_), Some(record)) if record.keeps_out(self.holder, now) => None,
            // Longer than any clock goes: until the last moment that can be written.
            (Aim::Hold(length), _) => wanted(now.checked_add(length.min(LONGEST)).unwrap_or(now)),
            (Aim::End, Some(record)) if record.holder == self.holder && now < record.end => wanted(now),
            (Aim::End, _) => None,
        }
    }

    /// Only while the lock is ours, and only over the record that was seen: in place, where Kazoo deletes it and
    /// makes it anew.
    async fn write(&self, guard: &LockGuard, record: &Record, version: Option<i32>) -> Result<(), Error> {
        let (all, data) = (guard.transaction()?, Bytes::from(record.encode()));
        let all = match version {
            Some(version) => all.set_version(self.node(), data, version),
            None => all.create_with(self.node(), data, CreateMode::Persistent, self.acl.to_vec()),
        };
        all.commit().await.map(drop)
    }

    fn unreadable(&self, unreadable: Unreadable) -> Error {
        let path = self.node();
        match unreadable {
            Unreadable::Version(found) => Error::Mismatch {
                path,
                found: format!("a record of version {found}"),
                expected: "version 1".into(),
            },
            Unreadable::Corrupted(why) => Error::Corrupted { path, why },
        }
    }

    fn failed(&self, source: zk_client::Error) -> Error {
        Error::Client { path: self.node(), source }
    }
}

/// Ten thousand years.
const LONGEST: Duration = Duration::from_secs(10_000 * 366 * 86_400);

/// Whether another try may go better: the lock was lost on the way, or somebody wrote without it, or nobody knows
/// whether we wrote.
fn is_passing(error: &Error) -> bool {
    let Some(source) = error.client_error() else { return error.is_lost() };
    match source.kind() {
        ErrorKind::SessionExpired => true,
        ErrorKind::Transaction {
            code: ErrorCode::BadVersion | ErrorCode::NodeExists | ErrorCode::NoNode,
            ..
        } => true,
        _ => source.outcome_unknown(),
    }
}
