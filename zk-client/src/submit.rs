//! The line in front of the driver: where an operation takes its place, and waits while the queue is full.
//!
//! Owns the order and the bound. An operation that fits goes straight into the driver's inbox. One that does not
//! is parked here, in order, until answers have made room; dropping its future takes it out again, so memory
//! follows the futures that callers hold.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use zk_proto::SessionId;

use crate::core::{Failure, OpId, Reply, Request, Terms, units};
use crate::error::ErrorKind;
use crate::hosts::Host;
use crate::limits::QUEUE_UNITS_MAX;
use crate::seen::{Meters, RequestSeen};
use crate::state::SessionState;
use crate::watch::Registered;

/// What callers tell the driver.
pub(crate) enum Command {
    /// Do this.
    Submit(Submission),
    /// Nobody waits for this watch any more.
    Forget(OpId),
    /// Somebody was parked; look at the line.
    Look,
    /// The servers are these from now on.
    Servers(Vec<Host>),
    /// Stop without closing the session.
    Detach,
    /// Close the session, then stop.
    Close,
}

/// One operation on its way to the driver.
pub(crate) struct Submission {
    pub(crate) request: Box<Request>,
    pub(crate) terms: Terms,
    /// Weight in the queue.
    pub(crate) units: usize,
    pub(crate) reply_to: ReplyTo,
}

impl Submission {
    /// Ends without having come to the driver.
    fn fail(self, failure: Failure, meters: &Meters) {
        let Self { request, reply_to, .. } = self;
        reply_to.send(Answer { request, result: Err(failure), watch: None }, meters);
    }
}

/// The end of an operation that its caller waits at. Used up by the answer, or by the caller's leaving.
pub(crate) struct ReplyTo {
    answer: oneshot::Sender<Answer>,
    seen: RequestSeen,
}

impl ReplyTo {
    /// Hands the answer over. Nobody there: what came with it goes, and a watch is forgotten by that.
    pub(crate) fn send(self, answer: Answer, meters: &Meters) {
        self.seen.end(&answer.result, meters);
        let _ = self.answer.send(answer);
    }

    /// Whether the caller is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.answer.is_closed()
    }

    /// Nothing was sent, and nobody waits.
    pub(crate) fn cancelled(self, meters: &Meters) {
        self.seen.cancelled(meters);
    }
}

/// How it ended.
pub(crate) struct Answer {
    pub(crate) request: Box<Request>,
    pub(crate) result: Result<Reply, Failure>,
    pub(crate) watch: Option<Registered>,
}

/// Shared by the handles, the operations under way and the driver.
pub(crate) struct Line {
    units: AtomicUsize,
    parked_len: AtomicUsize,
    parked: Mutex<Parked>,
    dropped: AtomicUsize,
    alive: Mutex<Option<(SessionId, Instant)>>,
    state: watch::Receiver<SessionState>,
    meters: Meters,
}

#[derive(Default)]
struct Parked {
    next: u64,
    waiting: BTreeMap<u64, Submission>,
    stopped: bool,
}

/// An operation in line or under way. Dropped before its end, it is forgotten.
pub(crate) struct Ticket {
    line: Arc<Line>,
    parked: Option<u64>,
    ended: bool,
    answer: oneshot::Receiver<Answer>,
}

impl Line {
    pub(crate) fn new(state: watch::Receiver<SessionState>) -> Self {
        Self {
            units: AtomicUsize::new(0),
            parked_len: AtomicUsize::new(0),
            parked: Mutex::default(),
            dropped: AtomicUsize::new(0),
            alive: Mutex::default(),
            state,
            meters: Meters::find(),
        }
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Weight of everything submitted and not yet answered.
    pub(crate) fn units(&self) -> usize {
        self.units.load(Ordering::Relaxed)
    }

    /// Takes a place in line for `request`, now.
    pub(crate) fn submit(
        self: &Arc<Self>,
        inbox: &mpsc::UnboundedSender<Command>,
        request: Request,
        terms: Terms,
        seen: RequestSeen,
    ) -> Ticket {
        let (answer, receiver) = oneshot::channel();
        let reply_to = ReplyTo { answer, seen };
        let submission = Submission { units: units(&request), request: Box::new(request), terms, reply_to };
        let parked = if self.parked_len.load(Ordering::Acquire) == 0 && self.reserve(submission.units) {
            if let Err(mpsc::error::SendError(Command::Submit(submission))) =
                inbox.send(Command::Submit(submission))
            {
                self.fail(submission);
            }
            None
        } else {
            let place = self.park(submission);
            let _ = inbox.send(Command::Look);
            place
        };
        Ticket { line: Arc::clone(self), parked, ended: false, answer: receiver }
    }

    /// Takes `units` of room if there is that much. Something too heavy for any room passes alone.
    fn reserve(&self, units: usize) -> bool {
        let before = self.units.fetch_add(units, Ordering::AcqRel);
        let fits = before == 0 || before + units <= QUEUE_UNITS_MAX;
        if !fits {
            self.release(units);
        }
        fits
    }

    /// Gives back the room of an operation that has ended.
    pub(crate) fn release(&self, units: usize) {
        self.units.fetch_sub(units, Ordering::AcqRel);
    }

    fn park(&self, submission: Submission) -> Option<u64> {
        let mut parked = self.lock();
        if parked.stopped {
            drop(parked);
            self.fail(submission);
            return None;
        }
        let place = parked.next;
        parked.next += 1;
        parked.waiting.insert(place, submission);
        self.parked_len.store(parked.waiting.len(), Ordering::Release);
        Some(place)
    }

    fn unpark(&self, place: u64) {
        let mut parked = self.lock();
        let left = parked.waiting.remove(&place);
        self.parked_len.store(parked.waiting.len(), Ordering::Release);
        drop(parked);
        if let Some(submission) = left {
            submission.reply_to.cancelled(&self.meters);
        }
    }

    /// Moves to the driver whoever fits now, in order. `drain` must first take everything that is in the inbox:
    /// whoever is there came before whoever is parked.
    pub(crate) fn admit(&self, drain: impl FnOnce(), mut take: impl FnMut(Submission)) {
        if self.parked_len.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut parked = self.lock();
        drain();
        while let Some(first) = parked.waiting.first_entry() {
            if !self.reserve(first.get().units) {
                break;
            }
            take(first.remove());
        }
        self.parked_len.store(parked.waiting.len(), Ordering::Release);
    }

    /// Fails everybody in line: the driver is gone.
    pub(crate) fn stop(&self) {
        let mut parked = self.lock();
        parked.stopped = true;
        let waiting = std::mem::take(&mut parked.waiting);
        self.parked_len.store(0, Ordering::Release);
        drop(parked);
        for submission in waiting.into_values() {
            self.fail(submission);
        }
    }

    /// Ends an operation that no driver will see.
    pub(crate) fn fail(&self, submission: Submission) {
        submission.fail(self.end_failure(), &self.meters);
    }

    /// Operations whose future was dropped since the last call to [`Line::take_dropped`].
    pub(crate) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::Acquire)
    }

    pub(crate) fn take_dropped(&self) -> usize {
        self.dropped.swap(0, Ordering::AcqRel)
    }

    /// Until when the server cannot have expired the session.
    pub(crate) fn set_alive(&self, alive: Option<(SessionId, Instant)>) {
        *self.alive.lock().unwrap_or_else(PoisonError::into_inner) = alive;
    }

    pub(crate) fn alive(&self) -> Option<(SessionId, Instant)> {
        *self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> &watch::Receiver<SessionState> {
        &self.state
    }

    /// What becomes of an operation that no driver will see.
    fn end_failure(&self) -> Failure {
        match self.end() {
            ErrorKind::SessionExpired => Failure::LastSessionExpired { sent: false },
            ErrorKind::AuthFailed => Failure::AuthFailed { sent: false },
            _ => Failure::Closed { sent: false },
        }
    }

    /// Why a driver that is gone does no more.
    pub(crate) fn end(&self) -> ErrorKind {
        match *self.state.borrow() {
            SessionState::Expired(_) => ErrorKind::SessionExpired,
            SessionState::AuthFailed => ErrorKind::AuthFailed,
            _ => ErrorKind::Closed,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Parked> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Polls for the answer; `Err` when the driver is gone.
    pub(crate) fn poll(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<Answer, ErrorKind>> {
        if self.ended {
            // Polled again after its end: it never ends twice.
            return std::task::Poll::Pending;
        }
        let polled = std::pin::Pin::new(&mut self.answer).poll(cx);
        polled.map(|answer| {
            self.ended = true;
            answer.map_err(|_| self.line.end())
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if let Some(place) = self.parked {
            self.line.unpark(place);
        }
        self.line.dropped.fetch_add(1, Ordering::AcqRel);
    }
}
