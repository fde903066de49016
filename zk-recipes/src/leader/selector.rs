//! The selector: leadership as a callback. What a running one does by itself is in `turns`.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use zk_client::{Client, async_trait};

use super::latch::{first, participants};
use super::leadership::Leadership;
use super::selector_builder::LeaderSelectorBuilder;
use super::turns::{Turns, Wish};
use crate::contender::Context;
use crate::error::Error;
use crate::fence::FencingToken;
use crate::participants::Participant;

/// Who leads when it is our turn.
#[async_trait]
pub trait LeaderSelectorListener: Send + Sync + 'static {
    /// Leads until it returns, which gives leadership to the next in line.
    ///
    /// It is dropped when leadership is lost, interrupted, or the selector closed: at an `.await`, before its next
    /// step. With a [`grace`](LeaderSelectorBuilder::grace) it is told before, by [`Leadership::interrupted`]. A
    /// panic ends the selector.
    async fn take_leadership(&self, leadership: &Leadership);
}

/// Work done in turns by whoever leads: a listener that is called when it is our turn, and gives leadership up by
/// returning.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use zk_client::{Client, async_trait};
/// use zk_recipes::{LeaderSelector, LeaderSelectorListener, Leadership};
///
/// struct Rebalancer;
///
/// #[async_trait]
/// impl LeaderSelectorListener for Rebalancer {
///     async fn take_leadership(&self, leadership: &Leadership) {
///         println!("leading, as {}", leadership.fencing_token());
///         /* rebalance, then let the next one lead */
///     }
/// }
///
/// let zk = Client::connect("zk1:2181,zk2:2181/app").await?;
/// let selector = LeaderSelector::builder(&zk, "/rebalance", Rebalancer).auto_requeue(true).build().start()?;
/// /* ... */
/// selector.close().await;
/// # Ok(())
/// # }
/// ```
///
/// # Layout
/// That of [`Lock`](crate::Lock), in any [`Dialect`](crate::Dialect), as Curator's `LeaderSelector` has that of its
/// mutex: selectors, elections and locks of the same path exclude each other.
///
/// # Cost
/// As [`Lock`](crate::Lock), for each turn.
///
/// # Guarantees
/// As [`Lock`](crate::Lock). The listener is never called twice at a time by one selector.
///
/// # Loss
/// | what happens | while waiting for its turn | while the listener leads |
/// |---|---|---|
/// | connection lost | waits on, keeps its place | dropped (`Standard`), or in doubt until the local deadline (`Session`) |
/// | session expired | waits on, at the tail, in the next session | dropped |
/// | node deleted by someone | waits on, at the tail, once it looks: when the node before it goes, or after a reconnect | dropped |
/// | client closed, or refused by the server | ends: [`RunningSelector::error`] | dropped; ends |
///
/// After a term, however it ended, the selector stands in line again if it was told to
/// ([`auto_requeue`](LeaderSelectorBuilder::auto_requeue), [`RunningSelector::requeue`]), at the tail.
///
/// # Cancellation
/// Dropping the [`RunningSelector`] closes it in the background: the listener is dropped, then its node deleted.
///
/// # Differences from Curator and Kazoo
/// | | Curator's `LeaderSelector` | here |
/// |---|---|---|
/// | how the listener is stopped | its thread is interrupted, if `stateChanged` throws | its future is dropped; no code needed |
/// | `stateChanged` | yours to write | [`loss_policy`](LeaderSelectorBuilder::loss_policy) |
/// | fencing | no | [`Leadership`] |
/// | threads | one for each selector | none |
///
/// Kazoo has [`Election`](crate::Election).
#[derive(Clone)]
pub struct LeaderSelector {
    context: Arc<Context>,
    listener: Arc<dyn LeaderSelectorListener>,
    grace: Duration,
    auto_requeue: bool,
}

/// Where a selector stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SelectorState {
    /// Not in line: its term is over, and it was not told to stand again.
    Idle,
    /// Waits for its turn.
    Queued,
    /// Its listener leads.
    Leading {
        /// By what.
        token: FencingToken,
    },
    /// It has ended, for good.
    Closed,
}

impl LeaderSelector {
    /// A selector with default options at `path`.
    #[must_use]
    pub fn new(client: &Client, path: impl Into<String>, listener: impl LeaderSelectorListener) -> Self {
        Self::builder(client, path, listener).build()
    }

    /// Options first.
    pub fn builder(
        client: &Client,
        path: impl Into<String>,
        listener: impl LeaderSelectorListener,
    ) -> LeaderSelectorBuilder {
        LeaderSelectorBuilder::new(client, path.into(), Arc::new(listener))
    }

    pub(super) const fn new_in(
        context: Arc<Context>,
        listener: Arc<dyn LeaderSelectorListener>,
        grace: Duration,
        auto_requeue: bool,
    ) -> Self {
        Self { context, listener, grace, auto_requeue }
    }

    /// The path under which contenders stand in line.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.context.options.parent
    }

    /// Stands in line, in a task of the runtime this is called in, which must be one that lives as long as the
    /// client's.
    ///
    /// # Errors
    /// [`Error::NoRuntime`].
    pub fn start(&self) -> Result<RunningSelector, Error> {
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let wish = Arc::new(watch::Sender::new(Wish::first()));
        let (show, state) = watch::channel(SelectorState::Queued);
        let error = Arc::new(OnceLock::new());
        let turns = Turns {
            context: Arc::clone(&self.context),
            listener: Arc::clone(&self.listener),
            grace: self.grace,
            auto_requeue: self.auto_requeue,
            wish: Arc::clone(&wish),
            wishes: wish.subscribe(),
            show,
            error: Arc::clone(&error),
        };
        runtime.spawn(turns.run());
        Ok(RunningSelector { context: Arc::clone(&self.context), wish, state, error })
    }
}

impl fmt::Debug for LeaderSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaderSelector").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// A selector that stands in line, until it is closed. Made by [`LeaderSelector::start`]. Dropping it closes it in the
/// background.
#[must_use = "a selector that is dropped is closed"]
pub struct RunningSelector {
    context: Arc<Context>,
    wish: Arc<watch::Sender<Wish>>,
    state: watch::Receiver<SelectorState>,
    error: Arc<OnceLock<Error>>,
}

impl RunningSelector {
    /// The state and its changes, of which a slow receiver sees the latest only. The channel is closed when the
    /// selector has ended.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<SelectorState> {
        self.state.clone()
    }

    /// Whether its listener leads. It is the listener's [`Leadership`] that looks at the clock.
    #[must_use]
    pub fn has_leadership(&self) -> bool {
        matches!(*self.state.borrow(), SelectorState::Leading { .. })
    }

    /// Stands in line again: now, or when the term under way is over. Returns whether that needed to be said: not
    /// if it is in line, or was told before.
    pub fn requeue(&self) -> bool {
        self.wish.send_if_modified(|wish| {
            let needed = !wish.queued && !wish.requeue && !wish.close;
            wish.requeue |= needed;
            needed
        })
    }

    /// Stops the listener, if it leads, and then lets the next one lead. Returns whether it led.
    pub fn interrupt_leadership(&self) -> bool {
        let SelectorState::Leading { token } = *self.state.borrow() else { return false };
        self.wish.send_modify(|wish| wish.interrupt = Some(token));
        true
    }

    /// Who leads and who waits, in the order of the line. Costs one request for the list and one for each node.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        participants(&self.context).await
    }

    /// Whose turn it is, if there is anybody.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn leader(&self) -> Result<Option<Participant>, Error> {
        Ok(first(self.participants().await?))
    }

    /// Why it has ended by itself, if it has.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.error.get().cloned()
    }

    /// Ends it: stops the listener, if it leads, and deletes its node. Waits until the listener has stopped and the
    /// deletion was tried; one that fails is seen through in the background. The node of one that waits for its turn
    /// is deleted before anything that is asked of this client afterwards.
    ///
    /// # Cancellation
    /// Once polled, the selector is closed whether the future is dropped or not.
    pub async fn close(&self) {
        self.wish.send_modify(|wish| wish.close = true);
        let mut state = self.state.clone();
        while state.changed().await.is_ok() {}
    }
}

impl Drop for RunningSelector {
    fn drop(&mut self) {
        self.wish.send_modify(|wish| wish.close = true);
    }
}

impl fmt::Debug for RunningSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningSelector")
            .field("path", &self.context.options.parent)
            .field("state", &*self.state.borrow())
            .finish_non_exhaustive()
    }
}
