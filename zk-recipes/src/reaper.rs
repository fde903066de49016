//! The reaper: deletes what contenders leave behind, after their futures and guards are gone.
//!
//! One per client, shared by everything made on it. It has a task only while there is something to delete. It
//! tries for as long as the session that owns a node lives, and forgets the node with the session: the server
//! deletes an ephemeral node by itself. It never uses a deadline or a cancellation of the caller's, who is gone.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use zk_client::{Client, Created, Error, ErrorKind, Pending};
use zk_proto::{ErrorCode, SessionId, path};

use crate::contender::Leftover;
use crate::limits::{REAPER_AT_ONCE_MAX, REAPER_PAUSE_MAX, REAPER_PAUSE_MIN};
use crate::sequence;

/// What is under way for a leftover already.
#[derive(Debug)]
pub(crate) enum UnderWay {
    Nothing,
    /// Its creation, whose answer tells its name.
    Create(Pending<Created>),
    /// Its deletion.
    Delete(Pending<()>),
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
        let reaper = Arc::new(Self { client: client.clone(), state: Mutex::default(), more: Notify::new() });
        reapers.push(Arc::downgrade(&reaper));
        reaper
    }

    /// Takes charge of a leftover. Never blocks, and may be called from anywhere: the work is done on `runtime`.
    /// What is in charge at a time is bounded by the guards and futures that were dropped.
    pub(crate) fn adopt(self: &Arc<Self>, runtime: &Handle, leftover: Leftover, under_way: UnderWay) {
        // A deletion takes its place in the session's order now, before whatever the caller does next.
        let under_way = match (&leftover, under_way) {
            (Leftover::Named { path, session }, UnderWay::Nothing) => {
                UnderWay::Delete(self.client.delete(path.as_str()).in_session(*session).send())
            }
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

const fn key(leftover: &Leftover) -> &String {
    match leftover {
        Leftover::Named { path, .. } => path,
        Leftover::Unnamed { prefix, .. } => prefix,
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
            state.known = state.waiting.iter().map(|job| key(&job.leftover).clone()).collect();
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
                }
                () = self.reaper.more.notified() => {}
            }
        }
    }
}

/// Sees one leftover to its end; returns its key.
async fn reap(client: Client, job: Job) -> String {
    let key = key(&job.leftover).clone();
    let mut pause = REAPER_PAUSE_MIN;
    let (mut name, session) = match &job.leftover {
        Leftover::Named { path, session } => (Some(path.clone()), *session),
        Leftover::Unnamed { session, .. } => (None, *session),
    };
    let mut delete = None;
    match job.under_way {
        UnderWay::Nothing => {}
        UnderWay::Delete(pending) => delete = Some(pending),
        UnderWay::Create(pending) => match pending.await {
            Ok(created) => name = Some(created.path),
            Err(error) if error.outcome_unknown() => {}
            Err(_) => return key,
        },
    }
    loop {
        let outcome = match &name {
            Some(path) => {
                let delete =
                    delete.take().unwrap_or_else(|| client.delete(path.as_str()).in_session(session).send());
                delete.await.map(|()| None)
            }
            None => find(&client, &key, session).await.map(Some),
        };
        match outcome {
            Ok(None | Some(None)) => return key,
            Ok(Some(found)) => name = found,
            Err(error) if is_settled(&error) => return key,
            Err(error) => {
                if !error.is_retryable() && pause == REAPER_PAUSE_MIN {
                    tracing::warn!(path = key, %error, "a node left behind could not be deleted yet");
                }
                tokio::time::sleep(pause).await;
                pause = next_pause(pause);
            }
        }
    }
}

fn next_pause(pause: Duration) -> Duration {
    (pause * 2).min(REAPER_PAUSE_MAX)
}

/// The node is gone, or nothing this session does will delete it.
fn is_settled(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Server(ErrorCode::NoAuth) => {
            tracing::warn!(%error, "a node left behind stays until its session ends");
            true
        }
        ErrorKind::Server(ErrorCode::NoNode) => true,
        _ => error.is_session_lost(),
    }
}

/// The node created with `prefix`, if it was. After a sync, "not there" is final: what an old connection still
/// carries is refused.
async fn find(client: &Client, prefix: &str, session: SessionId) -> Result<Option<String>, Error> {
    let Some((parent, name)) = path::split(prefix) else { return Ok(None) };
    let sync = client.sync(parent).in_session(session).send();
    let list = client.get_children(parent).in_session(session).send();
    sync.await?;
    let names = list.await?.names;
    Ok(sequence::find(&names, name).map(|name| path::join(parent, name)))
}
