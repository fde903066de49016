//! The reaper: deletes what contenders leave behind, after their futures and guards are gone.
//!
//! One per client, shared by everything made on it. It has a task only while there is something to delete. It
//! tries for as long as the session that owns a node lives, and forgets the node with the session: the server
//! deletes an ephemeral node by itself. It never uses a deadline or a cancellation of the caller's, who is gone.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use std::collections::{BTreeSet, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use zk_client::{Client, Error, ErrorKind, Pending, TransactionResult};
use zk_proto::{ErrorCode, SessionId, Stat, path};

use crate::contender::{Creation, Leftover, Refusal, classify};
use crate::limits::{REAPER_AT_ONCE_MAX, REAPER_PAUSE_MAX, REAPER_PAUSE_MIN};
use crate::sequence;

/// What is under way for a leftover already.
#[derive(Debug)]
pub(crate) enum UnderWay {
    Nothing,
    /// Its creation, whose answer tells its name.
    Create(Creation),
    /// A claim on it, whose answer tells its version.
    Claim(Pending<Stat>),
    /// Its deletion.
    Delete(Deletion),
}

/// The deletion of nodes, as it was sent: one request, whatever their number.
#[derive(Debug)]
pub(crate) enum Deletion {
    One(Pending<()>),
    Together(Pending<Vec<TransactionResult>>),
}

impl Deletion {
    /// The deletion of what is known by name.
    pub(crate) fn of(client: &Client, leftover: &Leftover) -> Option<Self> {
        match leftover {
            Leftover::Named { paths, session } => Some(Self::send(client, paths, *session)),
            Leftover::Claimed { paths, version } => Some(Self::send_if(client, paths, None, Some(*version))),
            Leftover::Unnamed { .. } | Leftover::Marked { .. } => None,
        }
    }

    /// Takes its place in the session's order now.
    pub(crate) fn send(client: &Client, paths: &[String], session: Option<SessionId>) -> Self {
        Self::send_if(client, paths, session, None)
    }

    /// As [`Deletion::send`]. With a `version`, nothing is deleted unless the first has it.
    fn send_if(client: &Client, paths: &[String], session: Option<SessionId>, version: Option<i32>) -> Self {
        if let [path] = paths {
            let delete = client.delete(path.as_str()).version(version.unwrap_or(-1));
            return Self::One(match session {
                Some(session) => delete.in_session(session).send(),
                None => delete.send(),
            });
        }
        let versions = version.into_iter().chain(std::iter::repeat(-1));
        let deletes = paths.iter().zip(versions);
        let all = deletes
            .fold(client.transaction(), |all, (path, version)| all.delete_version(path.as_str(), version));
        Self::Together(match session {
            Some(session) => all.in_session(session).commit(),
            None => all.commit(),
        })
    }

    /// Waits for the answer. May be dropped and called again.
    pub(crate) async fn done(&mut self) -> Result<(), Error> {
        match self {
            Self::One(pending) => pending.await,
            Self::Together(pending) => pending.await.map(drop),
        }
    }
}

#[derive(Debug)]
struct Job {
    leftover: Leftover,
    under_way: UnderWay,
}

#[derive(Debug)]
pub(crate) struct Reaper {
    client: Client,
    state: Mutex<State>,
    more: Notify,
    /// Something that was known is settled.
    fewer: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Job>,
    /// Paths of everything waiting or worked on: nothing is taken twice.
    known: BTreeSet<String>,
    running: bool,
}

impl Reaper {
    /// The client's reaper.
    pub(crate) fn of(client: &Client) -> Arc<Self> {
        // Clients have no place for what is built on them. Their state channel tells them apart.
        static REAPERS: Mutex<Vec<Weak<Reaper>>> = Mutex::new(Vec::new());
        let mut reapers = REAPERS.lock().unwrap_or_else(PoisonError::into_inner);
        reapers.retain(|reaper| reaper.strong_count() > 0);
        let state = client.session_state();
        let known = reapers.iter().filter_map(Weak::upgrade);
        for reaper in known {
            if reaper.client.session_state().same_channel(&state) {
                return reaper;
            }
        }
        let (more, fewer) = (Notify::new(), Notify::new());
        let reaper = Arc::new(Self { client: client.clone(), state: Mutex::default(), more, fewer });
        reapers.push(Arc::downgrade(&reaper));
        reaper
    }

    /// Takes charge of a leftover. Never blocks, and may be called from anywhere: the work is done on `runtime`.
    /// What is in charge at a time is bounded by the guards and futures that were dropped.
    pub(crate) fn adopt(self: &Arc<Self>, runtime: &Handle, leftover: Leftover, under_way: UnderWay) {
        // A deletion takes its place in the session's order now, before whatever the caller does next.
        let under_way = match (&leftover, under_way) {
            (leftover, UnderWay::Nothing) => match Deletion::of(&self.client, leftover) {
                Some(deletion) => UnderWay::Delete(deletion),
                None => UnderWay::Nothing,
            },
            (_, under_way) => under_way,
        };
        let mut state = self.lock();
        if !state.known.insert(key(&leftover).to_owned()) {
            return;
        }
        state.waiting.push_back(Job { leftover, under_way });
        if state.running {
            drop(state);
            self.more.notify_one();
            return;
        }
        state.running = true;
        drop(state);
        runtime.spawn(Runner { reaper: Arc::clone(self), ended: false }.run());
    }

    /// Waits until nothing is in charge whose first path begins with `prefix`.
    pub(crate) async fn settled(&self, prefix: &str) {
        loop {
            let mut fewer = pin!(self.fewer.notified());
            fewer.as_mut().enable();
            if !self.lock().known.iter().any(|known| known.starts_with(prefix)) {
                return;
            }
            fewer.await;
        }
    }

    /// Up to `room` of those that wait, in the order in which they came.
    fn take(&self, room: usize) -> std::vec::IntoIter<Job> {
        let mut state = self.lock();
        let count = room.min(state.waiting.len());
        state.waiting.drain(..count).collect::<Vec<_>>().into_iter()
    }

    /// Ends the task's turn, unless something has come meanwhile. Whoever comes later starts another one.
    fn retire(&self) -> bool {
        let mut state = self.lock();
        state.running = !state.waiting.is_empty();
        !state.running
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is made together is deleted together: the first stands for all.
fn key(leftover: &Leftover) -> &str {
    match leftover {
        Leftover::Named { paths: all, .. }
        | Leftover::Claimed { paths: all, .. }
        | Leftover::Unnamed { prefixes: all, .. } => all.first().map_or("", String::as_str),
        // The name may be taken again while the last node of that name is still on its way out.
        Leftover::Marked { mark, .. } => mark,
    }
}

/// The task.
struct Runner {
    reaper: Arc<Reaper>,
    ended: bool,
}

/// Dropped with its runtime, it lets the next leftover start another one.
impl Drop for Runner {
    fn drop(&mut self) {
        if !self.ended {
            let mut state = self.reaper.lock();
            state.running = false;
            state.known = state.waiting.iter().map(|job| key(&job.leftover).to_owned()).collect();
            drop(state);
            self.reaper.fewer.notify_waiters();
        }
    }
}

impl Runner {
    async fn run(mut self) {
        let mut jobs = FuturesUnordered::new();
        loop {
            let room = REAPER_AT_ONCE_MAX - jobs.len();
            jobs.extend(self.reaper.take(room).map(|job| reap(self.reaper.client.clone(), job)));
            self.ended = jobs.is_empty() && self.reaper.retire();
            if self.ended {
                return;
            }
            tokio::select! {
                biased;
                Some(key) = jobs.next(), if !jobs.is_empty() => {
                    self.reaper.lock().known.remove(&key);
                    self.reaper.fewer.notify_waiters();
                }
                () = self.reaper.more.notified() => {}
            }
        }
    }
}

/// Sees one leftover to its end; returns its key.
async fn reap(client: Client, job: Job) -> String {
    let key = key(&job.leftover).to_owned();
    let mut pause = REAPER_PAUSE_MIN;
    let (mut names, prefixes, session, mut version) = match job.leftover {
        Leftover::Named { paths, session } => (Some(paths), Vec::new(), session, None),
        Leftover::Claimed { paths, version } => (Some(paths), Vec::new(), None, Some(version)),
        // Of persistent ones another life of their owner may have made something.
        Leftover::Unnamed { prefixes, session } => (None, prefixes, session, session.is_none().then_some(0)),
        Leftover::Marked { path, mark, session } => {
            reap_marked(&client, &path, &mark, session, job.under_way).await;
            return key;
        }
    };
    let mut delete = None;
    match job.under_way {
        UnderWay::Nothing => {}
        UnderWay::Delete(deletion) => delete = Some(deletion),
        UnderWay::Create(creation) => match creation.done().await {
            Ok(paths) => names = Some(paths),
            Err(error) if classify(&error) == Refusal::Unknown || session.is_none() => {}
            Err(_) => return key,
        },
        UnderWay::Claim(claim) => match claim.await {
            Ok(stat) => version = Some(stat.version),
            // Another life has claimed it, or it is gone.
            Err(error) if error.is_bad_version() || error.is_no_node() => return key,
            // If the claim was made all the same, nobody can tell whose it is: the node stays for its owner.
            Err(_) => {}
        },
    }
    loop {
        let outcome = match &mut names {
            Some(paths) if paths.is_empty() => return key,
            Some(paths) => {
                let again = || Deletion::send_if(&client, paths, session, version);
                let mut deletion = delete.take().unwrap_or_else(again);
                match deletion.done().await.map(|()| None) {
                    Err(error) if version.is_some() && error.code() == Some(ErrorCode::BadVersion) => {
                        return key;
                    }
                    deleted => deleted,
                }
            }
            None => find(&client, &prefixes, session).await.map(Some),
        };
        match (outcome, &mut names) {
            (Ok(None), _) => return key,
            (Ok(found), _) => names = found,
            (Err(error), Some(paths)) if gone(&error).is_some_and(|index| index < paths.len()) => {
                // The others were not deleted because of it; of them none was claimed.
                let gone = gone(&error).unwrap_or(0);
                paths.remove(gone);
                if gone == 0 {
                    version = version.map(|_| 0);
                }
            }
            (Err(error), _) if is_settled(&error, session) => return key,
            (Err(error), _) => {
                if !error.is_retryable() && pause == REAPER_PAUSE_MIN {
                    tracing::warn!(path = key, %error, "a node left behind could not be deleted yet");
                }
                tokio::time::sleep(pause).await;
                pause = next_pause(pause);
            }
        }
    }
}

/// Deletes a node whose name others use too: only while it is seen to be ours. The first try, if it is under way,
/// was sent by who knew that.
async fn reap_marked(client: &Client, path: &str, mark: &str, session: SessionId, under_way: UnderWay) {
    let mut pause = REAPER_PAUSE_MIN;
    let mut first = match under_way {
        UnderWay::Delete(deletion) => Some(deletion),
        UnderWay::Create(_) | UnderWay::Claim(_) | UnderWay::Nothing => None,
    };
    loop {
        let outcome = match first.take() {
            Some(mut deletion) => deletion.done().await,
            None => delete_if_marked(client, path, mark, session).await,
        };
        match outcome {
            Ok(()) => return,
            // Written to since it was looked at, so it is looked at again.
            Err(error) if error.is_bad_version() => {}
            Err(error) if is_settled(&error, Some(session)) => return,
            Err(_) => {
                tokio::time::sleep(pause).await;
                pause = next_pause(pause);
            }
        }
    }
}

/// What an old connection still carries is refused after the sync, so what is ours then stays ours until we delete
/// it.
async fn delete_if_marked(client: &Client, path: &str, mark: &str, session: SessionId) -> Result<(), Error> {
    let sync = client.sync(path).in_session(session).send();
    let look = client.get(path).in_session(session).send();
    sync.await?;
    let node = look.await?;
    if node.stat.ephemeral_owner != session || node.data != mark.as_bytes() {
        return Ok(());
    }
    client.delete(path).version(node.stat.version).in_session(session).send().await
}

fn next_pause(pause: Duration) -> Duration {
    (pause * 2).min(REAPER_PAUSE_MAX)
}

/// Which of several nodes was gone already, or is not ours to delete: the others are deleted without it.
fn gone(error: &Error) -> Option<usize> {
    match error.kind() {
        ErrorKind::Transaction { index, code: ErrorCode::NoNode | ErrorCode::NoAuth } => Some(index),
        _ => None,
    }
}

/// The node is gone, or nothing more that is done here will delete it.
fn is_settled(error: &Error, session: Option<SessionId>) -> bool {
    match error.code() {
        Some(ErrorCode::NoAuth) => {
            tracing::warn!(%error, "a node left behind stays until its session ends");
            true
        }
        Some(ErrorCode::NoNode) => true,
        _ if error.kind() == ErrorKind::SessionExpired => session.is_some() || error.is_final(),
        _ => error.is_session_lost(),
    }
}

/// The nodes created with `prefixes`, of one parent, as far as they were. After a sync, "not there" is final: what
/// an old connection still carries is refused.
async fn find(
    client: &Client,
    prefixes: &[String],
    session: Option<SessionId>,
) -> Result<Vec<String>, Error> {
    let Some((parent, _)) = prefixes.first().and_then(|prefix| path::split(prefix)) else {
        return Ok(Vec::new());
    };
    let (sync, list) = (client.sync(parent), client.get_children(parent));
    let (sync, list) = match session {
        Some(session) => (sync.in_session(session).send(), list.in_session(session).send()),
        None => (sync.send(), list.send()),
    };
    sync.await?;
    let names = list.await?.names;
    let found = prefixes.iter().filter_map(|prefix| sequence::find(&names, path::name(prefix)));
    Ok(found.map(|name| path::join(parent, name)).collect())
}
