//! What a workload has in hand: its client, its clock, its chance, and the notebook.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use zk_client::Client;

use super::history::{Entry, Who};
use super::stage::Shared;
use super::wire::Epoch;
use crate::sim::Draw;

/// How far a rehearsal has come.
#[derive(Debug, Clone, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

const HEALED: u8 = 1;
const CLOSING: u8 = 2;

impl Phase {
    pub(super) fn heal(&self) {
        self.0.store(HEALED, Ordering::Relaxed);
    }

    pub(super) fn close(&self) {
        self.0.store(CLOSING, Ordering::Relaxed);
    }

    fn reached(&self, phase: u8) -> bool {
        self.0.load(Ordering::Relaxed) >= phase
    }

    pub(super) fn is_closing(&self) -> bool {
        self.reached(CLOSING)
    }
}

/// Where workloads note what they do and see. May be cloned into tasks of the same process.
pub struct Notes<E> {
    pub(super) who: Who,
    pub(super) epoch: Epoch,
    pub(super) stage: Shared,
    pub(super) entries: Arc<Mutex<Vec<Entry<E>>>>,
    /// The process was killed: what its destructors do is not its doing any more.
    pub(super) killed: Arc<AtomicBool>,
}

impl<E> Clone for Notes<E> {
    fn clone(&self) -> Self {
        let Self { who, epoch, stage, entries, killed } = self;
        let (stage, entries, killed) = (stage.clone(), Arc::clone(entries), Arc::clone(killed));
        Self { who: *who, epoch: *epoch, stage, entries, killed }
    }
}

impl<E> fmt::Debug for Notes<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notes").field("who", &self.who).finish_non_exhaustive()
    }
}

impl<E: fmt::Debug> Notes<E> {
    /// Notes something that happens now.
    pub fn note(&self, event: E) {
        if self.killed.load(Ordering::Relaxed) {
            return;
        }
        let (at, who) = (self.epoch.now(), self.who);
        let mut stage = self.stage.lock();
        stage.k.now = at;
        stage.k.note(format_args!("{who} {event:?}"));
        drop(stage);
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).push(Entry { at, who, event });
    }
}

/// One participant.
#[derive(Debug)]
pub struct Actor<E> {
    /// Which process this is.
    pub who: Who,
    /// The process's client.
    pub client: Client,
    /// The process's chance.
    pub draw: Draw,
    /// The session timeout asked for.
    pub timeout: Duration,
    pub(super) notes: Notes<E>,
    pub(super) phase: Phase,
}

impl<E: fmt::Debug> Actor<E> {
    /// Everybody's time, by this process's clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.notes.epoch.now()
    }

    /// Notes something that happens now.
    pub fn note(&self, event: E) {
        self.notes.note(event);
    }

    /// The same participant in another task of its process, with chance of its own.
    pub fn twin(&mut self) -> Self {
        let Self { who, client, timeout, notes, phase, .. } = self;
        let draw = Draw::new(self.draw.bits());
        Self {
            who: *who,
            client: client.clone(),
            draw,
            timeout: *timeout,
            notes: notes.clone(),
            phase: phase.clone(),
        }
    }

    /// The notebook, for tasks beside this one.
    #[must_use]
    pub fn notes(&self) -> Notes<E> {
        self.notes.clone()
    }

    /// Whether the faults are over: this round is the last one.
    #[must_use]
    pub fn healed(&self) -> bool {
        self.phase.reached(HEALED)
    }

    /// Waits for a drawn time, below `most`.
    pub async fn rest(&mut self, most: Duration) {
        sleep(self.draw.between(Duration::from_millis(1), most)).await;
    }

    /// Polls `future` to its end, or drops it: after a drawn number of polls, or at a drawn time below `most`.
    pub async fn perhaps<T>(&mut self, most: Duration, future: impl Future<Output = T>) -> Option<T> {
        if self.draw.chance(1, 2) {
            let limit = self.draw.between(Duration::ZERO, most);
            return timeout(limit, future).await.ok();
        }
        let mut polls = self.draw.below(8);
        let mut future = pin!(future);
        poll_fn(|cx| {
            if polls == 0 {
                return Poll::Ready(None);
            }
            polls -= 1;
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }
}
