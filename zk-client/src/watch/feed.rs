//! The queue between the driver and a stream: bounded, and never in the driver's way.
//!
//! A consumer that falls behind loses events, not the knowledge of it: the queue collapses into one
//! [`WatchItem::Resync`], and what happens until that is taken is covered by it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{Interest, WatchItem, WatchedEvent};
use crate::core::WatchLost;
use crate::limits::{STREAM_BYTES_MAX, STREAM_ITEMS_MAX};

/// The driver's end.
#[derive(Debug, Clone)]
pub(crate) struct Feed(Arc<Mutex<Queue>>);

/// The consumer's end.
#[derive(Debug)]
pub(crate) struct FeedEnd {
    queue: Arc<Mutex<Queue>>,
    interest: Interest,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<WatchItem>,
    /// Bytes of the paths in it.
    bytes: usize,
    /// It has collapsed into the one item that is in it.
    collapsed: bool,
    end: Option<WatchLost>,
    waker: Option<Waker>,
}

/// An empty queue, as its two ends.
pub(crate) fn feed(interest: Interest) -> (Feed, FeedEnd) {
    let queue = Arc::new(Mutex::new(Queue::default()));
    (Feed(Arc::clone(&queue)), FeedEnd { queue, interest })
}

impl Feed {
    pub(crate) fn event(&self, event: &WatchedEvent) {
        self.put(|queue| {
            if queue.collapsed {
                return;
            }
            queue.bytes += event.path.len();
            queue.items.push_back(WatchItem::Event(event.clone()));
            if queue.items.len() > STREAM_ITEMS_MAX || queue.bytes > STREAM_BYTES_MAX {
                queue.collapse();
            }
        });
    }

    pub(crate) fn resync(&self) {
        self.put(|queue| {
            if queue.items.back() != Some(&WatchItem::Resync) {
                queue.items.push_back(WatchItem::Resync);
            }
            if queue.items.len() > STREAM_ITEMS_MAX {
                queue.collapse();
            }
        });
    }

    /// Nothing more will come; what is queued is still delivered.
    pub(crate) fn end(&self, why: WatchLost) {
        self.put(|queue| queue.end = Some(why));
    }

    fn put(&self, change: impl FnOnce(&mut Queue)) {
        let waker = {
            let mut queue = lock(&self.0);
            change(&mut queue);
            queue.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Queue {
    fn collapse(&mut self) {
        self.items = VecDeque::from([WatchItem::Resync]);
        self.bytes = 0;
        self.collapsed = true;
    }
}

impl FeedEnd {
    /// The next item, or why there is none any more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<WatchItem, WatchLost>> {
        let mut queue = lock(&self.queue);
        if let Some(item) = queue.items.pop_front() {
            match &item {
                WatchItem::Event(event) => queue.bytes -= event.path.len(),
                WatchItem::Resync => queue.collapsed = false,
            }
            if queue.items.is_empty() {
                // A burst's room is given back.
                queue.items = VecDeque::new();
            }
            return Poll::Ready(Ok(item));
        }
        if let Some(why) = queue.end {
            drop(queue);
            self.interest.end();
            return Poll::Ready(Err(why));
        }
        if !queue.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            queue.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    pub(super) fn is_live(&self) -> bool {
        self.interest.is_live()
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::OpId;
    use tokio::sync::mpsc;
    use zk_proto::EventType;

    fn event(path: &str) -> WatchedEvent {
        WatchedEvent { event_type: EventType::NodeCreated, path: path.to_owned(), zxid: None }
    }

    fn rig() -> (Feed, FeedEnd) {
        let (inbox, _) = mpsc::unbounded_channel();
        feed(Interest::new(OpId(1), inbox.downgrade()))
    }

    fn next(end: &mut FeedEnd) -> Option<Result<WatchItem, WatchLost>> {
        match end.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(item) => Some(item),
            Poll::Pending => None,
        }
    }

    #[test]
    fn events_and_resyncs_keep_their_order() {
        let (feed, mut end) = rig();
        feed.event(&event("/a"));
        feed.resync();
        feed.resync();
        feed.event(&event("/b"));
        feed.end(WatchLost::Removed);
        assert_eq!(next(&mut end), Some(Ok(WatchItem::Event(event("/a")))));
        assert_eq!(next(&mut end), Some(Ok(WatchItem::Resync)));
        assert_eq!(next(&mut end), Some(Ok(WatchItem::Event(event("/b")))));
        assert!(end.is_live());
        assert_eq!(next(&mut end), Some(Err(WatchLost::Removed)));
        assert!(!end.is_live());
    }

    #[test]
    fn a_consumer_that_does_not_read_costs_one_item() {
        for path in ["/a".to_owned(), format!("/{}", "x".repeat(STREAM_BYTES_MAX / 4))] {
            let (feed, mut end) = rig();
            for _ in 0..3 * STREAM_ITEMS_MAX {
                feed.event(&event(&path));
                assert!(lock(&end.queue).items.len() <= STREAM_ITEMS_MAX);
                assert!(lock(&end.queue).bytes <= STREAM_BYTES_MAX);
            }
            assert_eq!(lock(&end.queue).items, [WatchItem::Resync]);
            feed.resync();
            assert_eq!(next(&mut end), Some(Ok(WatchItem::Resync)));
            assert_eq!(next(&mut end), None);
            // Caught up, it hears everything again.
            feed.event(&event("/b"));
            assert_eq!(next(&mut end), Some(Ok(WatchItem::Event(event("/b")))));
        }
    }
}
