//! A value that everybody watches.

use bytes::Bytes;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use zk_client::{Client, Error as ClientError, Node, SessionState, Watch};
use zk_proto::{Acl, Stat, Zxid};

use super::optimistic::Optimistic;
use crate::asking::{explain, passes, until_answered};
use crate::contender::Parents;
use crate::error::Error;
use crate::limits::RETRY_PAUSE;

/// Bytes that everybody watches: the handle always has the latest value it has heard of, and tells of each change.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use zk_client::Client;
/// use zk_recipes::SharedValue;
///
/// let zk = Client::connect("zk1:2181,zk2:2181").await?;
/// let motto = SharedValue::open(&zk, "/motto", "festina lente").await?;
/// let mut changes = motto.changes();
/// while changes.changed().await.is_ok() {
///     println!("{:?}", changes.borrow_and_update().value);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Layout
/// One persistent node with the bytes, made with the seed by whoever opens it first; missing parents are containers
/// unless said otherwise. Curator's `SharedValue`, and shared with it.
///
/// # Cost
/// Opening: one read that leaves a watch, and a create if there is no node. A change: one event and one read for
/// everybody who has it open. Writing: one request.
///
/// # Guarantees
/// Values appear in the order in which they were written, though not every one of them: of several in a row one may
/// see the last alone. [`SharedValue::try_set`] writes only over the value that its caller has seen.
///
/// # Loss
/// Nothing is held. While the client is disconnected the last value is shown as [`stale`](SharedState::stale); it
/// is read again afterwards, also in a new session. A node that is deleted shows as no value, until somebody makes
/// it anew.
///
/// # Cancellation
/// Opening may be dropped. Dropping the handle ends its task and takes its watch off the server.
///
/// # Differences from Curator and Kazoo
/// Curator shows the last value for ever after a deletion, and does not say when a value is stale. Kazoo's `Counter`
/// has no watch.
#[derive(Debug)]
pub struct SharedValue {
    at: Optimistic,
    state: Arc<watch::Sender<SharedState>>,
    task: AbortHandle,
}

/// What is known of a [`SharedValue`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedState {
    /// The bytes; `None` when there is no node.
    pub value: Option<Bytes>,
    /// The data's version.
    pub version: i32,
    /// The transaction that wrote it.
    pub mzxid: Zxid,
    /// Whether the client is disconnected, or has not read it again since. For good when the client has ended, or may
    /// not read it any more.
    pub stale: bool,
}

/// Options of a [`SharedValue`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until .open()"]
pub struct SharedValueBuilder {
    at: Optimistic,
    seed: Bytes,
    recreate: bool,
    seed_empty: bool,
}

impl SharedValueBuilder {
    pub(super) fn new(client: &Client, path: String, seed: Bytes) -> Self {
        Self { at: Optimistic::new(client, path), seed, recreate: false, seed_empty: false }
    }

    /// Who may do what with the node, and with parents made for it; everything to everyone unless said.
    pub fn acl(mut self, acl: Vec<Acl>) -> Self {
        self.at.acl = acl;
        self
    }

    /// What missing parents are created as; container nodes unless said.
    pub fn parents(mut self, parents: Parents) -> Self {
        self.at.parents = parents;
        self
    }

    /// Whether a node that somebody deletes is made anew with the seed; not unless said.
    pub fn recreate(mut self, recreate: bool) -> Self {
        self.recreate = recreate;
        self
    }

    /// Whether a node without data is given the seed; not unless said.
    pub(super) fn seed_empty(mut self, seed_empty: bool) -> Self {
        self.seed_empty = seed_empty;
        self
    }

    /// Opens it: returns when the value is known.
    ///
    /// # Errors
    /// [`Error::Client`], [`Error::ClientEnded`].
    ///
    /// # Cancellation
    /// Safe at any point; the node may have been made.
    pub async fn open(self) -> Result<SharedValue, Error> {
        let at = self.at.clone();
        let keeper = Keeper { builder: self };
        let (node, watch) = keeper.seeded().await?;
        let first = SharedState { value: None, version: -1, mzxid: Zxid(0), stale: true };
        let state = Arc::new(watch::channel(first).0);
        show(&state, Some((node.stat, node.data)));
        let task = tokio::spawn(keeper.run(Arc::clone(&state), watch)).abort_handle();
        Ok(SharedValue { at, state, task })
    }
}

impl SharedValue {
    /// Opens the value at `path`, which is made with `seed` if it is not there.
    ///
    /// # Errors
    /// [`Error::Client`], [`Error::ClientEnded`].
    ///
    /// # Cancellation
    /// Safe at any point; the node may have been made.
    pub async fn open(
        client: &Client,
        path: impl Into<String>,
        seed: impl Into<Bytes>,
    ) -> Result<Self, Error> {
        Self::builder(client, path, seed).open().await
    }

    /// Options first.
    pub fn builder(client: &Client, path: impl Into<String>, seed: impl Into<Bytes>) -> SharedValueBuilder {
        SharedValueBuilder::new(client, path.into(), seed.into())
    }

    /// The value's node.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.at.path
    }

    /// What is known of it now.
    #[must_use]
    pub fn get(&self) -> SharedState {
        self.state.borrow().clone()
    }

    /// Its changes. A slow receiver sees the latest state only.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<SharedState> {
        self.state.subscribe()
    }

    /// Writes, whatever is there: the last one wins. It is written again when the answer was lost, maybe over what
    /// somebody else has written in between.
    ///
    /// # Errors
    /// [`Error::Client`] (there is no node any more, say), [`Error::ClientEnded`].
    pub async fn set(&self, value: impl Into<Bytes>) -> Result<(), Error> {
        let value = value.into();
        let set = || self.at.client.set(self.at.path.as_str(), value.clone()).send();
        let stat = until_answered(set).await.map_err(|error| explain(&self.at.path, error))?;
        show(&self.state, Some((stat, value)));
        Ok(())
    }

    /// Writes if the value is still the one that was `seen`. Returns whether it was. The server compares versions,
    /// which begin anew when a node is deleted and made again.
    ///
    /// # Errors
    /// [`Error::Indeterminate`] when the answer was lost and something was written meanwhile;
    /// [`Error::Client`], [`Error::ClientEnded`].
    pub async fn try_set(&self, seen: &SharedState, value: impl Into<Bytes>) -> Result<bool, Error> {
        let (value, path) = (value.into(), self.at.path.as_str());
        if seen.value.is_none() {
            return Ok(false);
        }
        loop {
            let set = self.at.client.set(path, value.clone()).version(seen.version).await;
            let error = match set {
                Ok(stat) => {
                    show(&self.state, Some((stat, value)));
                    return Ok(true);
                }
                Err(error) => error,
            };
            if error.outcome_unknown() {
                // The version alone does not tell: it begins anew with the node.
                if self.look().await? != Some(seen.mzxid) {
                    return Err(Error::Indeterminate { path: path.to_owned(), source: error });
                }
            } else if error.is_bad_version() || error.is_no_node() {
                return Ok(false);
            } else if passes(&error) {
                tokio::time::sleep(RETRY_PAUSE).await;
            } else {
                return Err(explain(path, error));
            }
        }
    }

    /// The transaction that wrote it last, after a sync.
    async fn look(&self) -> Result<Option<Zxid>, Error> {
        let (client, path) = (&self.at.client, self.at.path.as_str());
        let look = || async move {
            let (sync, look) = (client.sync(path).send(), client.exists(path).send());
            sync.await?;
            look.await
        };
        let stat = until_answered(look).await.map_err(|error| explain(path, error))?;
        Ok(stat.map(|stat| stat.mzxid))
    }
}

impl Drop for SharedValue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Shows what was read or written, unless something later is shown already.
fn show(state: &watch::Sender<SharedState>, seen: Option<(Stat, Bytes)>) {
    state.send_if_modified(|shown| {
        let next = match seen {
            Some((stat, _)) if stat.mzxid < shown.mzxid => return false,
            Some((stat, value)) => {
                let (version, mzxid) = (stat.version, stat.mzxid);
                SharedState { value: Some(value), version, mzxid, stale: false }
            }
            None => SharedState { value: None, version: -1, stale: false, ..shown.clone() },
        };
        std::mem::replace(shown, next.clone()) != next
    });
}

/// Marks the value stale whenever the connection is lost, for ever.
async fn mark_stale(
    states: &mut watch::Receiver<SessionState>,
    state: &watch::Sender<SharedState>,
) -> Infallible {
    loop {
        if !states.borrow_and_update().is_connected() {
            state.send_if_modified(|shown| !std::mem::replace(&mut shown.stale, true));
        }
        if states.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Waits until the connection was lost and is back: what is shown is stale from then until it is read again.
async fn out_of_sight(states: &mut watch::Receiver<SessionState>, state: &watch::Sender<SharedState>) {
    let mut back = states.clone();
    let is_back = async {
        while !back.borrow_and_update().is_connected() || !state.borrow().stale {
            if back.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        biased;
        never = mark_stale(states, state) => match never {},
        () = is_back => {}
    }
}

/// The task: waits for the watch, reads, shows.
struct Keeper {
    builder: SharedValueBuilder,
}

impl Keeper {
    /// Until there is nothing more to be seen: what is shown is stale then, for good.
    async fn run(self, state: Arc<watch::Sender<SharedState>>, watch: Watch) {
        let error = self.follow(&state, watch).await;
        state.send_if_modified(|shown| !std::mem::replace(&mut shown.stale, true));
        if !error.is_final() {
            tracing::warn!(path = self.builder.at.path, %error, "not followed any more");
        }
    }

    /// Returns with what put an end to it.
    async fn follow(&self, state: &watch::Sender<SharedState>, mut watch: Watch) -> ClientError {
        let mut states = self.builder.at.client.session_state();
        loop {
            let event = tokio::select! {
                biased;
                event = watch => event.map(drop),
                () = out_of_sight(&mut states, state) => Ok(()),
            };
            if let Err(error) = event
                && error.is_final()
            {
                return error;
            }
            let read = tokio::select! {
                biased;
                read = self.read(state) => read,
                never = mark_stale(&mut states, state) => match never {},
            };
            watch = match read {
                Ok((node, watch)) => {
                    show(state, node.map(|node| (node.stat, node.data)));
                    watch
                }
                Err(error) => return error,
            };
        }
    }

    /// The node, if there is one, and a watch on what comes next. Makes the node anew if that is asked for.
    async fn read(&self, state: &watch::Sender<SharedState>) -> Result<(Option<Node>, Watch), ClientError> {
        let at = &self.builder.at;
        loop {
            match until_answered(|| at.client.get(at.path.as_str()).watch().send()).await {
                Ok((node, watch)) => return Ok((Some(node), watch)),
                Err(error) if error.is_no_node() => show(state, None),
                Err(error) => return Err(error),
            }
            if self.builder.recreate {
                match self.seeded().await {
                    Ok((node, watch)) => return Ok((Some(node), watch)),
                    // Refused for now, or for good: not at once again.
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                }
                continue;
            }
            let look = || at.client.exists(at.path.as_str()).watch().send();
            if let (None, watch) = until_answered(look).await? {
                return Ok((None, watch));
            }
        }
    }

    /// The node, made with the seed if need be, and a watch on it.
    async fn seeded(&self) -> Result<(Node, Watch), Error> {
        let SharedValueBuilder { at, seed, seed_empty, .. } = &self.builder;
        loop {
            let unseeded = match until_answered(|| at.client.get(at.path.as_str()).watch().send()).await {
                Ok((node, _)) if *seed_empty && node.data.is_empty() && !seed.is_empty() => Some(node.stat),
                Ok(seen) => return Ok(seen),
                Err(error) if error.is_no_node() => None,
                Err(error) => return Err(explain(&at.path, error)),
            };
            match at.write_over(unseeded.as_ref(), seed.clone()).await {
                // By whom does not matter.
                Ok(_) | Err(Error::Indeterminate { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
