//! One change of a node's data: read, decide, write if nobody else has written. Owns what a lost answer means; what
//! to change it to is its caller's.

use bytes::Bytes;
use std::future::Future;
use std::time::{Duration, Instant};
use zk_client::{Client, Error as ClientError, Node};
use zk_proto::{Acl, ErrorCode, Stat, path};

use crate::asking::{explain, passes, until_answered};
use crate::contender::Parents;
use crate::error::Error;
use crate::identity::Uuid;
use crate::limits::{LOST_WRITES_MAX, OPTIMISTIC_PAUSE, OPTIMISTIC_PAUSE_DOUBLINGS_MAX, RETRY_PAUSE};
use crate::lock::Lock;
use crate::marker::Marker;
use crate::reaper::Reaper;

/// What it took to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tries {
    /// Tries without a lock.
    pub optimistic: u32,
    /// Tries under the lock it was promoted to.
    pub promoted: u32,
    /// Time spent on the former.
    pub optimistic_time: Duration,
    /// Time spent on the latter, and on acquiring the lock.
    pub promoted_time: Duration,
}

/// What was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<T> {
    /// Before.
    pub before: T,
    /// After.
    pub after: T,
    /// What it took.
    pub tries: Tries,
}

/// Where the value is, and how to change it.
#[derive(Debug, Clone)]
pub(super) struct Optimistic {
    pub(super) client: Client,
    pub(super) path: String,
    pub(super) acl: Vec<Acl>,
    pub(super) parents: Parents,
    pub(super) tries: u32,
    pub(super) promote: Option<(Lock, Duration)>,
    pub(super) exact: bool,
}

/// How one try ended.
pub(super) enum Try {
    Written,
    /// The caller did not want to change what is there.
    Unwanted,
    /// Somebody else was faster.
    Conflict,
}

/// What became of a write whose answer was lost.
enum Fate {
    Done,
    NotDone,
}

impl Optimistic {
    pub(super) fn new(client: &Client, path: String) -> Self {
        Self {
            client: client.clone(),
            path,
            acl: Acl::open(),
            parents: Parents::default(),
            tries: crate::limits::OPTIMISTIC_TRIES,
            promote: None,
            exact: false,
        }
    }

    /// The data and its version; `None` when there is no node.
    pub(super) async fn read(&self) -> Result<Option<Node>, Error> {
        match until_answered(|| self.client.get(self.path.as_str()).send()).await {
            Ok(node) => Ok(Some(node)),
            Err(error) if error.is_no_node() => Ok(None),
            Err(error) => Err(explain(&self.path, error)),
        }
    }

    /// Changes the data to what `decide` makes of it, unless that is nothing. Tells whether it was changed.
    pub(super) async fn change(
        &self,
        mut decide: impl FnMut(Option<&[u8]>) -> Result<Option<Bytes>, Error>,
    ) -> Result<(bool, Tries), Error> {
        let began = Instant::now();
        let mut tries = Tries::default();
        for nth in 0..self.tries.max(1) {
            tries.optimistic += 1;
            let outcome = self.once(&mut decide).await?;
            tries.optimistic_time = began.elapsed();
            match outcome {
                Try::Written => return Ok((true, tries)),
                Try::Unwanted => return Ok((false, tries)),
                Try::Conflict => tokio::time::sleep(pause(nth, self.client.random_bits())).await,
            }
        }
        let conflict = |tries: Tries| Error::Conflict {
            path: self.path.clone(),
            tries: tries.optimistic + tries.promoted,
        };
        let Some((lock, limit)) = &self.promote else { return Err(conflict(tries)) };
        let began = Instant::now();
        let guard = lock.acquire_within(*limit).await?;
        let mut outcome = Err(conflict(tries));
        for nth in 0..self.tries.max(1) {
            tries.promoted += 1;
            match self.once(&mut decide).await {
                Ok(Try::Conflict) if guard.is_held() => {
                    tokio::time::sleep(pause(nth, self.client.random_bits())).await;
                }
                Ok(Try::Conflict) => break,
                Ok(done) => {
                    outcome = Ok(matches!(done, Try::Written));
                    break;
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        // The change is made or not; the lock's release is seen through in the background.
        drop(guard);
        tries.promoted_time = began.elapsed();
        match outcome {
            Ok(written) => Ok((written, tries)),
            Err(Error::Conflict { .. }) => Err(conflict(tries)),
            Err(error) => Err(error),
        }
    }

    async fn once(
        &self,
        decide: &mut impl FnMut(Option<&[u8]>) -> Result<Option<Bytes>, Error>,
    ) -> Result<Try, Error> {
        let found = self.read().await?;
        let Some(data) = decide(found.as_ref().map(|node| &node.data[..]))? else { return Ok(Try::Unwanted) };
        self.write_over(found.map(|node| node.stat).as_ref(), data).await
    }

    /// Writes over what was `seen`, or makes the node if that was nothing. [`Try::Conflict`] if it is something else
    /// by now.
    pub(super) async fn write_over(&self, seen: Option<&Stat>, data: Bytes) -> Result<Try, Error> {
        let version = seen.map(|stat| stat.version);
        let marker = self
            .exact
            .then(|| path::join(&self.path, &format!("op-{}", Uuid::from_random(self.client.random_bits()))));
        let mut marker = Marker::new(Reaper::of(&self.client), marker);
        let mut losses = 0;
        loop {
            marker.departs();
            let error = match self.write(&data, version, marker.path()).await {
                Ok(()) => return Ok(Try::Written),
                Err(error) => error,
            };
            if error.outcome_unknown() {
                match self.fate(seen, marker.path(), &error).await? {
                    Fate::Done => return Ok(Try::Written),
                    // It was not made, and it may be the reason.
                    Fate::NotDone if losses == LOST_WRITES_MAX => return Err(explain(&self.path, error)),
                    Fate::NotDone => {
                        losses += 1;
                        continue;
                    }
                }
            }
            marker.is_not_there();
            match error.code() {
                Some(ErrorCode::BadVersion | ErrorCode::NodeExists) => return Ok(Try::Conflict),
                Some(ErrorCode::NoNode) if version.is_some() => return Ok(Try::Conflict),
                Some(ErrorCode::NoNode) => self.make_parents().await?,
                _ if passes(&error) => tokio::time::sleep(RETRY_PAUSE).await,
                _ => return Err(explain(&self.path, error)),
            }
        }
    }

    async fn write(
        &self,
        data: &Bytes,
        version: Option<i32>,
        marker: Option<&str>,
    ) -> Result<(), ClientError> {
        let (client, path) = (&self.client, self.path.as_str());
        let Some(marker) = marker else {
            return match version {
                Some(version) => client.set(path, data.clone()).version(version).await.map(drop),
                None => client.create(path, data.clone()).acl(self.acl.clone()).await.map(drop),
            };
        };
        let persistent = zk_client::CreateMode::Persistent;
        let transaction = match version {
            Some(version) => client.transaction().set_version(path, data.clone(), version),
            None => client.transaction().create_with(path, data.clone(), persistent, self.acl.clone()),
        };
        transaction.create_with(marker, Bytes::new(), persistent, self.acl.clone()).commit().await.map(drop)
    }

    /// Looks what has become of a write, after a sync: what an old connection still carries is refused.
    async fn fate(
        &self,
        seen: Option<&Stat>,
        marker: Option<&str>,
        lost: &ClientError,
    ) -> Result<Fate, Error> {
        let (client, path) = (&self.client, self.path.as_str());
        let looked = until_answered(|| async move {
            let (sync, look) = (client.sync(path).send(), client.exists(path).send());
            let mark = marker.map(|marker| client.exists(marker).send());
            sync.await?;
            let there = look.await?;
            match mark {
                Some(mark) => mark.await.map(|mark| (there, Some(mark.is_some()))),
                None => Ok((there, None)),
            }
        });
        let (there, marked) = looked.await.map_err(|error| explain(path, error))?;
        match (marked, seen, there) {
            (Some(true), ..) => Ok(Fate::Done),
            (Some(false), ..) => Ok(Fate::NotDone),
            // Nothing was written since. The version alone does not tell: it begins anew with the node.
            (None, Some(seen), Some(stat)) if stat.mzxid == seen.mzxid => Ok(Fate::NotDone),
            (None, None, None) => Ok(Fate::NotDone),
            _ => Err(Error::Indeterminate { path: self.path.clone(), source: lost.clone() }),
        }
    }

    pub(super) async fn make_parents(&self) -> Result<(), Error> {
        let Some(parent) = path::parent(&self.path).filter(|parent| *parent != "/") else { return Ok(()) };
        let create = || self.client.create(parent, Bytes::new()).acl(self.acl.clone());
        let container = || create().container().parents_as_containers().send();
        let made = match self.parents {
            Parents::Container => match until_answered(container).await {
                Err(error) if error.code() == Some(ErrorCode::Unimplemented) => {
                    until_answered(|| create().parents().send()).await
                }
                made => made,
            },
            Parents::Persistent => until_answered(|| create().parents().send()).await,
            Parents::MustExist => {
                let look = until_answered(|| self.client.get(parent).send()).await;
                return look.map(drop).map_err(|error| explain(&self.path, error));
            }
        };
        match made {
            Ok(_) => Ok(()),
            Err(error) if error.is_node_exists() => Ok(()),
            Err(error) => Err(explain(&self.path, error)),
        }
    }
}

/// Somebody was faster, and all who were not try again: not at one moment.
fn pause(nth: u32, bits: u128) -> Duration {
    let longest = OPTIMISTIC_PAUSE * 2u32.pow(nth.min(OPTIMISTIC_PAUSE_DOUBLINGS_MAX));
    Duration::from_micros(u64::try_from(bits % (longest.as_micros() + 1)).unwrap_or(0))
}

/// The value of a change that was asked for, with what it took.
pub(super) async fn changed<T>(
    outcome: impl Future<Output = Result<(bool, Tries), Error>>,
    values: impl FnOnce() -> Option<(T, T)>,
) -> Result<Option<Change<T>>, Error> {
    let (written, tries) = outcome.await?;
    let values = if written { values() } else { None };
    Ok(values.map(|(before, after)| Change { before, after, tries }))
}
