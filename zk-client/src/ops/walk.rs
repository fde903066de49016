//! A subtree as a stream, level by level.

use bytes::Bytes;
use futures::Stream;
use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use zk_proto::path::join;
use zk_proto::{SessionId, Stat};

use super::draft::OwnedDraft;
use super::get::Get;
use super::get_children::GetChildren;
use super::{Children, Node};
use crate::error::{Error, ErrorKind};
use crate::limits::WALK_IN_FLIGHT;
use crate::pending::Pending;

/// A node that a walk has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalkedNode {
    /// Its path.
    pub path: String,
    /// Its stat.
    pub stat: Stat,
    /// Its data, if [`Walk::with_data`] asked for it.
    pub data: Option<Bytes>,
}

/// A node and everything below it, as a stream. Made by [`crate::Client::walk`].
///
/// Breadth first: the node itself, then its children, then theirs; the children of one node in the order of their
/// names. A parent always comes before its children. Requests are in flight for up to
/// [`WALK_IN_FLIGHT`] nodes at a time (one each, two with data), so a walk costs about as many round trips as the
/// tree has levels, and one for each further batch; the first is sent when the stream is first polled. It holds the
/// paths of the nodes that it has still to come to: at most those of two levels.
///
/// What is seen is not of one moment: every node is as it was when its request was answered. A node that vanishes
/// meanwhile is skipped, with what was below it; one that is created under a node already listed is not seen. When
/// the first node does not exist, the stream's only item is that error.
///
/// A node that may not be read, or whose answer is larger than the frame limit, is an error item in its place, and
/// the walk goes on without what is below it. Any other error ends the walk. Reads lost with the connection are
/// sent again.
///
/// The walk keeps the client, and so the session, open. Dropping it stops it.
#[derive(Debug)]
#[must_use = "a stream does nothing unless polled"]
pub struct Walk {
    owned: OwnedDraft,
    with_data: bool,
    in_flight: usize,
    /// Nodes to ask for, in order.
    ahead: VecDeque<String>,
    /// Nodes asked for, in the same order.
    asked: VecDeque<Visit>,
    /// Whether the first node has been answered.
    under_way: bool,
}

#[derive(Debug)]
struct Visit {
    path: String,
    listing: Answer<Children>,
    /// None when data is not asked for.
    reading: Option<Answer<Node>>,
}

/// An answer that is on its way or here.
#[derive(Debug)]
enum Answer<T> {
    Pending(Pending<T>),
    Here(Option<Result<T, Error>>),
}

impl<T> Answer<T> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Pending(pending) = self {
            *self = Self::Here(Some(ready!(Pin::new(pending).poll(cx))));
        }
        Poll::Ready(())
    }

    fn take(&mut self) -> Option<Result<T, Error>> {
        match self {
            Self::Pending(_) => None,
            Self::Here(result) => result.take(),
        }
    }
}

impl Walk {
    pub(crate) fn new(owned: OwnedDraft, path: String) -> Self {
        let (ahead, asked) = ([path].into(), VecDeque::new());
        Self { owned, with_data: false, in_flight: WALK_IN_FLIGHT, ahead, asked, under_way: false }
    }

    /// Reads each node's data too, which costs a second request for each.
    pub fn with_data(mut self) -> Self {
        self.with_data = true;
        self
    }

    /// How many nodes are asked for at a time; [`WALK_IN_FLIGHT`] unless said, and at least 1.
    pub fn in_flight(mut self, nodes: usize) -> Self {
        self.in_flight = nodes.max(1);
        self
    }

    /// Only in this session: when it has ended, the walk ends with [`ErrorKind::SessionExpired`].
    pub fn in_session(mut self, session: SessionId) -> Self {
        self.owned.pin(session);
        self
    }

    /// The next node; `None` when there is no more.
    ///
    /// # Cancellation
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<Result<WalkedNode, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Asks for as many nodes as may be asked for.
    pub(super) fn ask(&mut self) {
        while self.asked.len() < self.in_flight
            && let Some(path) = self.ahead.pop_front()
        {
            let listing = Answer::Pending(GetChildren::new(self.owned.draft(), path.clone()).send());
            let get = || Answer::Pending(Get::new(self.owned.draft(), path.clone()).send());
            let reading = self.with_data.then(get);
            self.asked.push_back(Visit { path, listing, reading });
        }
    }

    /// What to say of a node that was answered; `None` when it has vanished.
    fn come_to(&mut self, mut visit: Visit) -> Option<Result<WalkedNode, Error>> {
        let first = !std::mem::replace(&mut self.under_way, true);
        let read = visit.reading.as_mut().and_then(Answer::take).transpose();
        let listed = visit.listing.take()?;
        let (children, node) = match listed.and_then(|children| Ok((children, read?))) {
            Ok(both) => both,
            Err(error) if error.is_no_node() && !first => return None,
            Err(error) => {
                if !matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::FrameTooLarge) {
                    self.ahead.clear();
                    self.asked.clear();
                }
                return Some(Err(error));
            }
        };
        let Children { mut names, stat } = children;
        names.sort_unstable();
        self.ahead.extend(names.iter().map(|name| join(&visit.path, name)));
        let (stat, data) = node.map_or((stat, None), |node| (node.stat, Some(node.data)));
        Some(Ok(WalkedNode { path: visit.path, stat, data }))
    }
}

impl Stream for Walk {
    type Item = Result<WalkedNode, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            self.ask();
            let Some(front) = self.asked.front_mut() else { return Poll::Ready(None) };
            // The answers come in the order of the requests.
            ready!(front.listing.poll(cx));
            if let Some(reading) = &mut front.reading {
                ready!(reading.poll(cx));
            }
            if let Some(visit) = self.asked.pop_front()
                && let Some(item) = self.come_to(visit)
            {
                return Poll::Ready(Some(item));
            }
        }
    }
}
