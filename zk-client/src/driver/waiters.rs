//! Who waits for which answer, and for which watch.

use std::collections::{HashMap, VecDeque};
use tokio::sync::{mpsc, oneshot};

use crate::core::{Completion, OpId};
use crate::seen::Meters;
use crate::submit::{Answer, Command, ReplyTo};
use crate::watch::{Armed, WatchLost, WatchOutcome, WatchedEvent};

/// Operations are named in ascending order and mostly end in that order, so their waiters lie in a row that
/// begins at the oldest.
pub(super) struct Waiters {
    row: VecDeque<Option<Waiter>>,
    /// The name of the row's first.
    first: u64,
    /// Never iterated where order could be seen.
    watches: HashMap<OpId, oneshot::Sender<WatchOutcome>>,
    inbox: mpsc::WeakUnboundedSender<Command>,
}

struct Waiter {
    reply_to: ReplyTo,
    units: usize,
}

impl Waiters {
    pub(super) fn new(inbox: mpsc::WeakUnboundedSender<Command>) -> Self {
        Self { row: VecDeque::new(), first: 0, watches: HashMap::new(), inbox }
    }

    pub(super) fn len(&self) -> usize {
        self.row.len()
    }

    /// Watches registered now.
    pub(super) fn watching(&self) -> usize {
        self.watches.len()
    }

    /// Someone waits for this operation, which weighs `units`.
    pub(super) fn expect(&mut self, op: OpId, units: usize, reply_to: ReplyTo) {
        if self.row.is_empty() {
            self.first = op.0;
        }
        // The core names operations of its own too; nobody waits for those.
        while self.first + (self.row.len() as u64) < op.0 {
            self.row.push_back(None);
        }
        self.row.push_back(Some(Waiter { reply_to, units }));
    }

    /// Hands an answer over. Returns the units that are free again.
    pub(super) fn complete(&mut self, completion: Completion, meters: &Meters) -> usize {
        let Completion { op, request, result, watching } = completion;
        let Some(waiter) = self.take(op) else { return 0 };
        let watch = watching.then(|| {
            let (sender, receiver) = oneshot::channel();
            self.watches.insert(op, sender);
            Armed::new(op, receiver, self.inbox.clone())
        });
        waiter.reply_to.send(Answer { request, result, watch }, meters);
        waiter.units
    }

    /// Gives up those whose caller is gone and for whom `cancel` agrees. Returns the units that are free again.
    pub(super) fn sweep(&mut self, meters: &Meters, mut cancel: impl FnMut(OpId) -> bool) -> usize {
        let mut released = 0;
        for (at, place) in self.row.iter_mut().enumerate() {
            let op = OpId(self.first + at as u64);
            if let Some(waiter) = place.take_if(|waiter| waiter.reply_to.is_closed() && cancel(op)) {
                released += waiter.units;
                waiter.reply_to.cancelled(meters);
            }
        }
        self.trim();
        released
    }

    pub(super) fn fire(&mut self, watches: &[OpId], event: &WatchedEvent) {
        for watch in watches {
            if let Some(waiter) = self.watches.remove(watch) {
                let _ = waiter.send(Ok(event.clone()));
            }
        }
    }

    pub(super) fn lose_watches(&mut self, lost: WatchLost) {
        for (_, waiter) in self.watches.drain() {
            let _ = waiter.send(Err(lost));
        }
    }

    pub(super) fn forget(&mut self, watch: OpId) {
        self.watches.remove(&watch);
    }

    fn take(&mut self, op: OpId) -> Option<Waiter> {
        let at = usize::try_from(op.0.checked_sub(self.first)?).ok()?;
        let waiter = self.row.get_mut(at)?.take();
        self.trim();
        waiter
    }

    fn trim(&mut self) {
        while let Some(None) = self.row.front() {
            self.row.pop_front();
            self.first += 1;
        }
    }
}
