//! A selector's one task: waits for its turn, lets the listener lead, and stands in line again if told to.

use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

use super::election::leave;
use super::leadership::{Term, WorkEnd};
use super::selector::{LeaderSelectorListener, SelectorState};
use crate::asking::end_of;
use crate::contender::{Context, Failure, NotGranted, stand_in_line};
use crate::error::Error;
use crate::fence::FencingToken;

/// What its owner wants of a selector. Level-triggered.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) close: bool,
    /// To stand in line, now or after this term.
    pub(super) requeue: bool,
    /// The term that is to end.
    pub(super) interrupt: Option<FencingToken>,
    /// What the task says of itself: it is in line.
    pub(super) queued: bool,
}

impl Wish {
    pub(super) const fn first() -> Self {
        Self { close: false, requeue: true, interrupt: None, queued: false }
    }
}

pub(super) struct Turns {
    pub(super) context: Arc<Context>,
    pub(super) listener: Arc<dyn LeaderSelectorListener>,
    pub(super) grace: Duration,
    pub(super) auto_requeue: bool,
    pub(super) wish: Arc<watch::Sender<Wish>>,
    pub(super) wishes: watch::Receiver<Wish>,
    pub(super) show: watch::Sender<SelectorState>,
    pub(super) error: Arc<OnceLock<Error>>,
}

impl Turns {
    pub(super) async fn run(mut self) {
        while self.told_to_stand().await {
            let Some(term) = self.wait_for_turn().await else { continue };
            let token = term.leadership().fencing_token();
            self.be_queued(false);
            self.show(SelectorState::Leading { token });
            let mut wishes = self.wishes.clone();
            let stop = async move {
                // An error means the owner is gone, and says so by `close` before.
                let _ = wishes.wait_for(|wish| wish.close || wish.interrupt == Some(token)).await;
            };
            let work = self.listener.take_leadership(term.leadership());
            let end = term.work(self.grace, stop, work).await;
            if !matches!(end, WorkEnd::Done(())) {
                let path = &self.context.options.parent;
                tracing::info!(path, ?end, "the leader was stopped");
            }
            self.show(if self.is_to_stand() { SelectorState::Queued } else { SelectorState::Idle });
            leave(term).await;
        }
    }

    /// Waits until it is told to stand in line; `false` when it is to end.
    async fn told_to_stand(&mut self) -> bool {
        if self.error.get().is_some() {
            return false;
        }
        if !self.is_to_stand() {
            self.show(SelectorState::Idle);
        }
        let auto = self.auto_requeue;
        let path = &self.context.options.parent;
        tokio::select! {
            biased;
            wish = self.wishes.wait_for(|wish| wish.close || wish.requeue || auto) => match wish {
                Ok(wish) if wish.close => return false,
                Ok(_) => {}
                Err(_) => return false,
            },
            reason = end_of(&self.context.client) => {
                let _ = self.error.set(Error::ClientEnded { path: path.clone(), reason });
                return false;
            }
        }
        self.be_queued(true);
        self.show(SelectorState::Queued);
        true
    }

    /// `None` to see what is wished now.
    async fn wait_for_turn(&mut self) -> Option<Term> {
        let holding = tokio::select! {
            biased;
            _ = self.wishes.wait_for(|wish| wish.close) => return None,
            holding = stand_in_line(Arc::clone(&self.context), None) => holding,
        };
        match holding {
            Ok(holding) => Some(Term::new(holding)),
            // Somebody deleted our node: stand anew.
            Err(NotGranted::Failed(Failure::NodeDeleted, _)) => {
                self.wish.send_if_modified(|wish| {
                    wish.requeue = true;
                    false
                });
                None
            }
            Err(why) => {
                let error = Error::not_granted(&self.context.options.parent, why, Duration::ZERO);
                tracing::warn!(%error, "the leader selector has ended");
                let _ = self.error.set(error);
                None
            }
        }
    }

    fn is_to_stand(&self) -> bool {
        let wish = self.wish.borrow();
        !wish.close && (self.auto_requeue || wish.requeue)
    }

    fn be_queued(&self, queued: bool) {
        self.wish.send_if_modified(|wish| {
            wish.queued = queued;
            wish.requeue &= !queued;
            false
        });
    }

    fn show(&self, state: SelectorState) {
        self.show.send_if_modified(|shown| std::mem::replace(shown, state) != state);
    }
}

/// Also when the listener panics.
impl Drop for Turns {
    fn drop(&mut self) {
        self.show(SelectorState::Closed);
    }
}
