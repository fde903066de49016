//! Who waits for which answer, and for which watch.

use std::collections::{HashMap, VecDeque};
use tokio::sync::{mpsc, oneshot};

use crate::core::{Completion, OpId, Request, WatchLost};
use crate::seen::Meters;
use crate::submit::{Answer, Command, ReplyTo};
use crate::watch::{Armed, Feed, Interest, Registered, WatchOutcome, WatchedEvent, feed};

/// Operations are named in ascending order and mostly end in that order, so their waiters lie in a row that
/// begins at the oldest.
pub(super) struct Waiters {
    row: VecDeque<Option<Waiter>>,
    /// The name of the row's first.
    first: u64,
    /// Never iterated where order could be seen.
    watches: HashMap<OpId, Watcher>,
    inbox: mpsc::WeakUnboundedSender<Command>,
}

/// Where the events of a watch go.
enum Watcher {
    Once(oneshot::Sender<WatchOutcome>),
    Stream(Feed),
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
        let watch = watching.then(|| self.watch(op, matches!(*request, Request::AddWatch(_))));
        // Nobody there: the armed watch goes with the answer, and is forgotten by that.
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

    /// A watch is set: both ends of what its events go through.
    fn watch(&mut self, op: OpId, stream: bool) -> Registered {
        let interest = Interest::new(op, self.inbox.clone());
        let (watcher, registered) = if stream {
            let (feed, end) = feed(interest);
            (Watcher::Stream(feed), Registered::Stream(end))
        } else {
            let (sender, receiver) = oneshot::channel();
            (Watcher::Once(sender), Registered::Once(Armed::new(interest, receiver)))
        };
        self.watches.insert(op, watcher);
        registered
    }

    pub(super) fn fire(&mut self, watches: &[OpId], streams: &[OpId], event: &WatchedEvent) {
        for watch in watches {
            if let Some(Watcher::Once(waiter)) = self.watches.remove(watch) {
                let _ = waiter.send(Ok(event.clone()));
            }
        }
        for feed in self.feeds(streams) {
            feed.event(event);
        }
    }

    pub(super) fn resync(&self, streams: &[OpId]) {
        for feed in self.feeds(streams) {
            feed.resync();
        }
    }

    pub(super) fn lose_watches(&mut self, watches: &[OpId], why: WatchLost) {
        for watch in watches {
            match self.watches.remove(watch) {
                Some(Watcher::Once(waiter)) => drop(waiter.send(Err(why))),
                Some(Watcher::Stream(feed)) => feed.end(why),
                None => {}
            }
        }
    }

    fn feeds(&self, streams: &[OpId]) -> impl Iterator<Item = &Feed> {
        streams.iter().filter_map(|stream| match self.watches.get(stream) {
            Some(Watcher::Stream(feed)) => Some(feed),
            _ => None,
        })
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
