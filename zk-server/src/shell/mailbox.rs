//! How work reaches a thread: any number of senders, one receiver that takes everything at once. What is in it is
//! bounded by its senders: a connection stops reading when too much of its work is unanswered.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug)]
struct Inner<T> {
    queue: Mutex<Vec<T>>,
    ready: Condvar,
}

/// A queue that is emptied in one go.
#[derive(Debug)]
pub struct Mailbox<T> {
    inner: Arc<Inner<T>>,
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self { inner: Arc::new(Inner { queue: Mutex::new(Vec::new()), ready: Condvar::new() }) }
    }
}

impl<T> Mailbox<T> {
    /// Adds one item.
    pub fn send(&self, item: T) {
        self.lock().push(item);
        self.inner.ready.notify_one();
    }

    /// Adds all of `items`, in order.
    pub fn extend(&self, items: impl IntoIterator<Item = T>) {
        self.lock().extend(items);
        self.inner.ready.notify_one();
    }

    /// Waits until there is something, at most for `timeout`, and swaps all of it into `items`, which must be
    /// empty.
    pub fn wait(&self, items: &mut Vec<T>, timeout: Option<Duration>) {
        let queue = self.lock();
        let mut queue = match timeout {
            None => {
                self.inner.ready.wait_while(queue, |q| q.is_empty()).unwrap_or_else(PoisonError::into_inner)
            }
            Some(timeout) => {
                let waited = self.inner.ready.wait_timeout_while(queue, timeout, |q| q.is_empty());
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        std::mem::swap(&mut *queue, items);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.inner.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_arrives_in_order_and_at_once() {
        let mailbox = Mailbox::default();
        mailbox.send(1);
        mailbox.extend([2, 3]);
        let mut got = Vec::new();
        mailbox.wait(&mut got, None);
        assert_eq!(got, [1, 2, 3]);
        got.clear();
        mailbox.wait(&mut got, Some(Duration::ZERO));
        assert!(got.is_empty());
    }
}
