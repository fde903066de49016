//! The multi lock's guard: its members' states are one state, published by a task that ends with the guard.

use futures::future::select_all;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use zk_client::Client;

use super::bundle::Bundle;
use super::combine::combined;
use crate::contender::Grant;
use crate::error::Error;
use crate::fence::{FencedTransaction, FencingToken};
use crate::held::{Held, Released};
use crate::loss::{LockState, LossReason};

/// Several locks, all held. Released when dropped, in the background; [`MultiGuard::release`] waits for it.
#[derive(Debug)]
#[must_use = "a lock whose guard is dropped is released"]
pub struct MultiGuard {
    shared: Arc<Shared>,
    watcher: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    /// The members' paths and grants, in the order in which they were taken.
    paths: Vec<String>,
    grants: Vec<Grant>,
    /// Until one of them is lost.
    held: Mutex<Option<Bundle>>,
    state: watch::Sender<LockState>,
}

impl MultiGuard {
    pub(super) fn new(client: &Client, paths: Vec<String>, bundle: Bundle) -> Result<Self, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let members: Vec<_> = bundle.held().iter().map(Held::state).collect();
        let (grants, (state, _)) = (bundle.grants(), watch::channel(LockState::Held));
        let held = Mutex::new(Some(bundle));
        let shared = Arc::new(Shared { client: client.clone(), paths, grants, held, state });
        let watcher = runtime.spawn(watch_all(Arc::clone(&shared), members)).abort_handle();
        Ok(Self { shared, watcher })
    }

    /// The members' paths, in the order in which they were taken.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.shared.paths.iter().map(String::as_str)
    }

    /// All nodes it is held by.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        self.shared.grants.iter().flat_map(|grant| grant.paths.iter().map(String::as_str))
    }

    /// Each member's path and fencing token. What one member guards is written under its token.
    pub fn tokens(&self) -> impl Iterator<Item = (&str, FencingToken)> {
        self.paths().zip(self.shared.grants.iter().map(FencingToken::of))
    }

    /// Whether all are held, as far as one can know here and now: see [`Held::is_held`].
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.shared.look().is_held()
    }

    /// The common state and its changes: lost when one member is, in doubt when one is. A slow receiver sees the
    /// latest state only.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LockState> {
        self.shared.look();
        self.shared.state.subscribe()
    }

    /// Resolves when the first member is lost, at once if one is; with [`LossReason::Released`] when the guard is
    /// gone. The future stands on its own, for a task that does the work elsewhere.
    ///
    /// # Cancellation
    /// May be dropped at any time, and asked for again.
    pub fn lost(&self) -> impl Future<Output = LossReason> + Send + use<> + 'static {
        let mut state = self.state();
        async move {
            match state.wait_for(|state| !state.is_held()).await.as_deref() {
                Ok(LockState::Lost(reason)) => *reason,
                _ => LossReason::Released,
            }
        }
    }

    /// Resolves when somebody asks us to give one of them up: see [`Held::revoked`]. Never once it is lost.
    ///
    /// # Cancellation
    /// May be dropped at any time, and asked for again.
    pub fn revoked(&self) -> impl Future<Output = ()> + Send + use<> + 'static {
        let asked: Vec<_> = match &*self.shared.lock() {
            Some(bundle) => bundle.held().iter().map(|held| Box::pin(held.revoked())).collect(),
            None => Vec::new(),
        };
        async move {
            if asked.is_empty() {
                return std::future::pending().await;
            }
            select_all(asked).await;
        }
    }

    /// Writes that happen only while all are held: the transaction begins with a check of every member's nodes.
    ///
    /// # Errors
    /// [`Error::Lost`] when one is known to be lost: nothing is sent.
    pub fn transaction(&self) -> Result<FencedTransaction<'_>, Error> {
        if let LockState::Lost(reason) = self.shared.look() {
            return Err(self.shared.lost_to(reason));
        }
        Ok(FencedTransaction::begin(&self.shared.client, &self.shared.grants.iter().collect::<Vec<_>>()))
    }

    /// Does the work while all are held: looks at the clock before each step of it, and drops it when one is lost.
    /// Does not release.
    ///
    /// # Errors
    /// [`Error::Lost`] when the work was stopped.
    ///
    /// # Cancellation
    /// Drops the work.
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output, Error> {
        let mut lost = pin!(self.lost());
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.shared.look();
            if let Poll::Ready(reason) = lost.as_mut().poll(cx) {
                return Poll::Ready(Err(self.shared.lost_to(reason)));
            }
            work.as_mut().poll(cx).map(Ok)
        })
        .await
    }

    /// Releases all of them by one transaction, and waits until it is done. While the client is disconnected that
    /// may take until it is back.
    ///
    /// # Errors
    /// [`Error::ReleasePending`] when the first try failed. The nodes are deleted in the background, for as long as
    /// the session lives.
    ///
    /// # Cancellation
    /// Once polled, the release happens whether the future is dropped or not; before, dropping it drops the guard,
    /// which releases as well.
    pub async fn release(self) -> Result<Released, Error> {
        self.watcher.abort();
        let state = self.shared.look();
        let bundle = self.shared.lock().take();
        let Some(bundle) = bundle else {
            let LockState::Lost(reason) = state else { return Ok(Released::Lost(LossReason::Released)) };
            return Ok(Released::Lost(reason));
        };
        self.shared.released();
        let mut outcome = Ok(Released::Deleted);
        // All are under way; what is not waited for is seen through in the background.
        for deleting in bundle.give_up() {
            match deleting.done().await {
                Ok(None) => {}
                Ok(Some(reason)) => outcome = outcome.and(Ok(Released::Lost(reason))),
                Err(source) => {
                    outcome = Err(Error::ReleasePending { path: self.shared.first().to_owned(), source });
                }
            }
        }
        outcome
    }
}

impl Drop for MultiGuard {
    fn drop(&mut self) {
        self.watcher.abort();
        let bundle = self.shared.lock().take();
        self.shared.released();
        drop(bundle);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Bundle>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at every member and at the clock, and publishes what they are together. One lost: the rest is given
    /// up. What is lost stays lost.
    fn look(&self) -> LockState {
        let mut held = self.lock();
        let Some(bundle) = &*held else { return *self.state.borrow() };
        let all = combined(bundle.held().iter().map(|held| held.holding().check()));
        // Published under the lock, so that states appear in the order in which they were found.
        self.state.send_if_modified(|state| std::mem::replace(state, all) != all);
        if !all.is_held() {
            drop(held.take());
        }
        all
    }

    /// Everybody who looks sees that it is over, before anybody else can get in.
    fn released(&self) {
        self.state.send_if_modified(|state| {
            let held = state.is_held();
            if held {
                *state = LockState::Lost(LossReason::Released);
            }
            held
        });
    }

    fn first(&self) -> &str {
        self.paths.first().map_or("", String::as_str)
    }

    fn lost_to(&self, reason: LossReason) -> Error {
        Error::Lost { path: self.first().to_owned(), reason }
    }
}

/// The task: whenever a member's state changes, looks at all.
async fn watch_all(shared: Arc<Shared>, mut members: Vec<watch::Receiver<LockState>>) {
    while shared.look().is_held() {
        let changes = members.iter_mut().map(|member| Box::pin(member.changed()));
        if let (Err(_), _, _) = select_all(changes).await {
            // A member is gone: so is the guard, or all is lost.
            return;
        }
    }
}
