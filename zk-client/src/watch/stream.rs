//! All events of a node or a subtree, as a stream. Owns the caller's end of a feed.

use futures::Stream;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{FeedEnd, WatchedEvent, lost};
use crate::chroot::Chroot;
use crate::error::Error;

/// One item of a [`WatchStream`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchItem {
    /// Something happened.
    Event(WatchedEvent),
    /// Something may have been missed: read anew whatever you keep of the watched nodes. Everything that happens
    /// after this item was taken is heard again.
    ///
    /// Comes after each reconnect, in the same session or in a new one, because a server replays nothing to a
    /// persistent watch (ZOOKEEPER-4698), and when the consumer fell behind by more than
    /// [`crate::limits::STREAM_ITEMS_MAX`] items.
    Resync,
}

/// The events of a persistent watch. Made by [`crate::Client::watch`].
///
/// It survives reconnects and, unless it was pinned to its session or expiry is terminal, sessions too; after each
/// it says [`WatchItem::Resync`]. It never misses anything silently. It yields one last error, and then `None`:
/// of kind [`crate::ErrorKind::SessionExpired`] or [`crate::ErrorKind::Closed`] when its session or client ends,
/// [`crate::ErrorKind::WatchRemoved`] after [`crate::Client::remove_watches`].
///
/// ```no_run
/// # async fn example(zk: zk_client::Client) -> Result<(), zk_client::Error> {
/// use zk_client::WatchItem;
///
/// let mut changes = zk.watch("/services").recursive().await?;
/// // Read what is there now; everything later comes through the stream.
/// while let Some(change) = changes.next().await {
///     match change? {
///         WatchItem::Event(event) => println!("{:?} {}", event.event_type, event.path),
///         WatchItem::Resync => println!("read everything again"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// A consumer that stops reading holds at most [`crate::limits::STREAM_ITEMS_MAX`] items and delays nobody.
/// Dropping the stream forgets the interest; the last interest in a path takes the watch off the server.
#[must_use = "a stream that is dropped hears nothing"]
pub struct WatchStream {
    feed: FeedEnd,
    chroot: Chroot,
    path: String,
}

impl WatchStream {
    pub(crate) fn new(feed: FeedEnd, chroot: Chroot, path: String) -> Self {
        Self { feed, chroot, path }
    }

    /// The next item; `None` after the end.
    ///
    /// # Cancellation
    /// Nothing is lost when this future is dropped.
    pub async fn next(&mut self) -> Option<Result<WatchItem, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The watched path, as the caller wrote it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Stream for WatchStream {
    type Item = Result<WatchItem, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.feed.is_live() {
            return Poll::Ready(None);
        }
        let polled = self.feed.poll(cx);
        polled.map(|item| {
            Some(match item {
                Ok(WatchItem::Event(event)) => {
                    let path = self.chroot.strip(event.path);
                    Ok(WatchItem::Event(WatchedEvent { path, ..event }))
                }
                Ok(WatchItem::Resync) => Ok(WatchItem::Resync),
                Err(why) => Err(lost(why, self.path.clone())),
            })
        })
    }
}

impl fmt::Debug for WatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchStream").field("path", &self.path).finish_non_exhaustive()
    }
}
