//! Requests under way: turns what the core asks for into client operations, and their ends into its inputs.

use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use zk_client::{Children, Client, Created, ErrorKind, Node, Pending, Watch};
use zk_proto::{Acl, CreateMode, ErrorCode, SessionId};

use super::layout::Layout;
use super::messages::{Answer, Input, Parent, Request};
use super::size::SizeSource;
use crate::contender::{Creation, Made, Refusal, RequestId, classify, seen};
use crate::error::Error;

/// What is under way for one acquisition: a handful at most.
#[derive(Debug, Default)]
pub(super) struct Flights(Vec<(RequestId, Flight)>);

#[derive(Debug)]
enum Flight {
    /// `checks` steps come before the creations.
    Made {
        creation: Creation,
        checks: usize,
        leases: bool,
    },
    Parent(Pending<Created>),
    List(Pending<Children>),
    ListAndWatch(Pending<(Children, Watch)>),
    Size(Pending<Node>),
    SizeAndWatch(Pending<(Node, Watch)>),
    Sync(Pending<()>),
    Look(Pending<Node>),
    Place(Pending<(Node, Watch)>),
    /// Left by the request of this id.
    Armed(Watch),
}

/// What requests are made with.
#[derive(Debug)]
pub(super) struct Outfit {
    pub(super) layout: Layout,
    pub(super) size: SizeSource,
    pub(super) data: Bytes,
    pub(super) acl: Vec<Acl>,
}

/// An end.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) input: Input,
    /// Why it was refused.
    pub(super) trouble: Option<Trouble>,
}

#[derive(Debug)]
pub(super) enum Trouble {
    Client(zk_client::Error),
    Size(Error),
}

impl Outfit {
    fn make_leases(
        &self,
        client: &Client,
        session: SessionId,
        paths: &[String],
        under: Option<String>,
    ) -> Flight {
        let mode =
            if self.layout.has_numbers() { CreateMode::EphemeralSequential } else { CreateMode::Ephemeral };
        let checks = usize::from(under.is_some());
        let creation = match (paths, under) {
            ([path], None) => self.make_one(client, session, path, mode),
            (_, under) => {
                let begun = match under {
                    Some(lock) => client.transaction().check(lock, -1),
                    None => client.transaction(),
                };
                let all = paths.iter().fold(begun, |all, path| {
                    all.create_with(path.as_str(), self.data.clone(), mode, self.acl.clone())
                });
                Creation::Together(all.in_session(session).commit_with_zxid())
            }
        };
        Flight::Made { creation, checks, leases: true }
    }

    fn make_one(&self, client: &Client, session: SessionId, path: &str, mode: CreateMode) -> Creation {
        let create = client.create(path, self.data.clone()).mode(mode).acl(self.acl.clone());
        Creation::One(create.in_session(session).send())
    }

    fn make_parent(
        &self,
        client: &Client,
        session: SessionId,
        which: Parent,
        path: String,
        container: bool,
    ) -> Flight {
        let data = match which {
            Parent::Locks => Bytes::new(),
            Parent::Leases => self.size.parent_data(),
        };
        let create = client.create(path, data).acl(self.acl.clone()).in_session(session);
        let create = if container { create.container().parents_as_containers() } else { create.parents() };
        Flight::Parent(create.send())
    }
}

impl Flights {
    /// Sends a request now: several sent in a row go out back to back.
    pub(super) fn send(
        &mut self,
        client: &Client,
        outfit: &Outfit,
        session: SessionId,
        id: RequestId,
        request: Request,
    ) {
        let flight = match request {
            Request::MakeLeases { paths, under } => outfit.make_leases(client, session, &paths, under),
            Request::MakeLock { prefix } => {
                let creation = outfit.make_one(client, session, &prefix, CreateMode::EphemeralSequential);
                Flight::Made { creation, checks: 0, leases: false }
            }
            Request::MakeParent { which, path, container } => {
                outfit.make_parent(client, session, which, path, container)
            }
            Request::List { path, watch: false } => {
                Flight::List(client.get_children(path).in_session(session).send())
            }
            Request::List { path, watch: true } => {
                Flight::ListAndWatch(client.get_children(path).watch().in_session(session).send())
            }
            Request::ReadSize { watch } => {
                let get = client.get(outfit.size.path());
                if watch {
                    Flight::SizeAndWatch(get.watch().in_session(session).send())
                } else {
                    Flight::Size(get.in_session(session).send())
                }
            }
            Request::Sync { path } => Flight::Sync(client.sync(path).in_session(session).send()),
            Request::Look { path } => Flight::Look(client.get(path).in_session(session).send()),
            Request::WatchPlace { path } => {
                Flight::Place(client.get(path).watch().in_session(session).send())
            }
        };
        self.0.push((id, flight));
    }

    pub(super) fn forget(&mut self, request: RequestId) {
        self.0.retain(|(id, _)| *id != request);
    }

    /// The creation under way, if there is one: of leases, or of a place in line.
    pub(super) fn take_creation(&mut self, of_leases: bool) -> Option<Creation> {
        let is_it = |flight: &Flight| matches!(flight, Flight::Made { leases, .. } if *leases == of_leases);
        let at = self.0.iter().position(|(_, flight)| is_it(flight))?;
        match self.0.remove(at).1 {
            Flight::Made { creation, .. } => Some(creation),
            _ => None,
        }
    }

    /// The next end; of several at once, that of the request sent first. May be dropped and called again.
    pub(super) async fn next(&mut self, outfit: &Outfit) -> Landed {
        std::future::poll_fn(|cx| self.poll_next(outfit, cx)).await
    }

    fn poll_next(&mut self, outfit: &Outfit, cx: &mut Context<'_>) -> Poll<Landed> {
        for at in 0..self.0.len() {
            let (id, flight) = &mut self.0[at];
            let id = *id;
            let Poll::Ready((landed, watch)) = flight.poll(outfit, id, cx) else { continue };
            match watch {
                Some(watch) => self.0[at] = (id, Flight::Armed(watch)),
                None => drop(self.0.remove(at)),
            }
            return Poll::Ready(landed);
        }
        Poll::Pending
    }
}

impl Flight {
    fn poll(
        &mut self,
        outfit: &Outfit,
        request: RequestId,
        cx: &mut Context<'_>,
    ) -> Poll<(Landed, Option<Watch>)> {
        let mut left = None;
        let (answer, trouble) = match self {
            Self::Made { creation, checks, .. } => match ready!(creation.poll(cx)) {
                Err(error) if is_unmet_check(&error, *checks) => {
                    (Answer::Made(Err(Refusal::Changed)), Some(Trouble::Client(error)))
                }
                made => settle(made, Answer::Made as fn(Result<Made, Refusal>) -> Answer),
            },
            Self::Parent(pending) => match ready!(poll(pending, cx)) {
                // Somebody else made it.
                Err(error) if error.is_node_exists() => (Answer::ParentMade(Ok(())), None),
                made => settle(made.map(drop), Answer::ParentMade),
            },
            Self::List(pending) => settle(ready!(poll(pending, cx)).map(|list| list.names), Answer::Listed),
            Self::ListAndWatch(pending) => {
                let listed = ready!(poll(pending, cx)).map(|(list, watch)| {
                    left = Some(watch);
                    list.names
                });
                settle(listed, Answer::Listed)
            }
            Self::Size(pending) => sized(outfit, ready!(poll(pending, cx))),
            Self::SizeAndWatch(pending) => {
                let read = ready!(poll(pending, cx)).map(|(node, watch)| {
                    left = Some(watch);
                    node
                });
                sized(outfit, read)
            }
            Self::Sync(pending) => settle(ready!(poll(pending, cx)), Answer::Synced),
            Self::Look(pending) => settle(ready!(poll(pending, cx)).map(|node| seen(&node)), Answer::Seen),
            Self::Place(pending) => {
                let looked = ready!(poll(pending, cx)).map(|(node, watch)| {
                    left = Some(watch);
                    seen(&node)
                });
                settle(looked, Answer::Seen)
            }
            // However it ended, it is no watch any more: look again. A session that is over says so itself.
            Self::Armed(watch) => {
                let fired = |_| (Landed { input: Input::Fired(request), trouble: None }, None);
                return poll(watch, cx).map(fired);
            }
        };
        Poll::Ready((Landed { input: Input::Answer { request, answer }, trouble }, left))
    }
}

fn poll<F: Future + Unpin>(future: &mut F, cx: &mut Context<'_>) -> Poll<F::Output> {
    Pin::new(future).poll(cx)
}

fn settle<T>(
    result: Result<T, zk_client::Error>,
    answer: fn(Result<T, Refusal>) -> Answer,
) -> (Answer, Option<Trouble>) {
    match result {
        Ok(value) => (answer(Ok(value)), None),
        Err(error) => (answer(Err(classify(&error))), Some(Trouble::Client(error))),
    }
}

fn sized(outfit: &Outfit, read: Result<Node, zk_client::Error>) -> (Answer, Option<Trouble>) {
    let data = match read {
        Ok(node) => Some(node.data),
        Err(error) if error.is_no_node() => None,
        Err(error) => return settle(Err(error), Answer::Sized),
    };
    match outfit.size.read(data.as_deref()) {
        Ok(size) => (Answer::Sized(Ok(size)), None),
        Err(error) => (Answer::Sized(Err(Refusal::Never)), Some(Trouble::Size(error))),
    }
}

fn is_unmet_check(error: &zk_client::Error, checks: usize) -> bool {
    matches!(error.kind(), ErrorKind::Transaction { index, code: ErrorCode::NoNode } if index < checks)
}
