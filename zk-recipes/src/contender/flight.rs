//! Requests under way: turns what the core asks for into client operations, and their ends into its inputs.

use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use zk_client::{Children, Client, Created, Error, ErrorKind, Node, Pending, TransactionResult, Watch};
use zk_proto::{Acl, CreateMode, ErrorCode, SessionId, Stat, Zxid};

use super::messages::{Answer, Claimed, Input, Made, Refusal, Request, RequestId, Seen};
use crate::sequence::REVOKE;

/// What is under way for one contender: a handful at most.
#[derive(Debug, Default)]
pub(super) struct Flights(Vec<(RequestId, Flight)>);

#[derive(Debug)]
enum Flight {
    Create(Creation),
    Claim(Pending<Stat>),
    Parents(Pending<Created>),
    List(Pending<Children>),
    Sync(Pending<()>),
    Look(Pending<Node>),
    Watch(Pending<(Node, Watch)>),
    /// Left by the request of this id.
    Armed(Watch),
}

/// The creation of one node, or of several together.
#[derive(Debug)]
pub(crate) enum Creation {
    One(Pending<Created>),
    Together(Pending<(Zxid, Vec<TransactionResult>)>),
}

impl Creation {
    fn send(
        client: &Client,
        outfit: &Outfit,
        session: SessionId,
        prefixes: &[String],
        mode: CreateMode,
    ) -> Self {
        let (data, acl) = (&outfit.data, &outfit.acl);
        if let [prefix] = prefixes {
            let create = client.create(prefix.as_str(), data.clone()).mode(mode).acl(acl.clone());
            return Self::One(create.in_session(session).send());
        }
        let all = prefixes.iter().fold(client.transaction(), |all, prefix| {
            all.create_with(prefix.as_str(), data.clone(), mode, acl.clone())
        });
        Self::Together(all.in_session(session).commit_with_zxid())
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Made, Error>> {
        match self {
            Self::One(pending) => {
                let made = |Created { path, stat, .. }| Made { paths: vec![path], czxid: stat.czxid };
                poll(pending, cx).map_ok(made)
            }
            Self::Together(pending) => poll(pending, cx).map_ok(|(czxid, results)| {
                let paths = results.iter().filter_map(TransactionResult::created_path);
                Made { paths: paths.map(ToOwned::to_owned).collect(), czxid }
            }),
        }
    }

    /// The paths of what was created.
    pub(crate) async fn done(mut self) -> Result<Vec<String>, Error> {
        std::future::poll_fn(|cx| self.poll(cx)).await.map(|made| made.paths)
    }
}

/// An end.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) input: Input,
    /// Why it was refused.
    pub(super) error: Option<Error>,
}

/// What a node is created with.
#[derive(Debug)]
pub(super) struct Outfit {
    pub(super) data: Bytes,
    pub(super) acl: Vec<Acl>,
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
            Request::Create { prefixes, durable } => {
                let mode =
                    if durable { CreateMode::PersistentSequential } else { CreateMode::EphemeralSequential };
                Flight::Create(Creation::send(client, outfit, session, &prefixes, mode))
            }
            Request::Claim { path, version } => Flight::Claim(
                client.set(path, outfit.data.clone()).version(version).in_session(session).send(),
            ),
            Request::MakeParents { path, container } => {
                let create = client.create(path, Bytes::new()).acl(outfit.acl.clone()).in_session(session);
                let create =
                    if container { create.container().parents_as_containers() } else { create.parents() };
                Flight::Parents(create.send())
            }
            Request::List { path } => Flight::List(client.get_children(path).in_session(session).send()),
            Request::Sync { path } => Flight::Sync(client.sync(path).in_session(session).send()),
            Request::Look { path } => Flight::Look(client.get(path).in_session(session).send()),
            Request::WatchPredecessor { path } | Request::WatchOwn { path } => {
                Flight::Watch(client.get(path).watch().in_session(session).send())
            }
        };
        self.0.push((id, flight));
    }

    pub(super) fn forget(&mut self, request: RequestId) {
        self.0.retain(|(id, _)| *id != request);
    }

    /// The creation under way, if there is one.
    pub(super) fn take_create(&mut self) -> Option<Creation> {
        let at = self.0.iter().position(|(_, flight)| matches!(flight, Flight::Create(_)))?;
        match self.0.remove(at).1 {
            Flight::Create(creation) => Some(creation),
            _ => None,
        }
    }

    /// The claim under way, if there is one.
    pub(super) fn take_claim(&mut self) -> Option<Pending<Stat>> {
        let at = self.0.iter().position(|(_, flight)| matches!(flight, Flight::Claim(_)))?;
        match self.0.remove(at).1 {
            Flight::Claim(claim) => Some(claim),
            _ => None,
        }
    }

    /// The next end; of several at once, that of the request sent first. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Landed {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Landed> {
        for at in 0..self.0.len() {
            let (id, flight) = &mut self.0[at];
            let id = *id;
            let Poll::Ready((input, error, watch)) = flight.poll(cx, id) else { continue };
            match watch {
                Some(watch) => self.0[at] = (id, Flight::Armed(watch)),
                None => drop(self.0.remove(at)),
            }
            return Poll::Ready(Landed { input, error });
        }
        Poll::Pending
    }
}

type End = (Input, Option<Error>, Option<Watch>);

impl Flight {
    fn poll(&mut self, cx: &mut Context<'_>, request: RequestId) -> Poll<End> {
        let (answer, error) = match self {
            Self::Create(creation) => settle(ready!(creation.poll(cx)), Answer::Created),
            Self::Claim(pending) => {
                let claimed = |stat: Stat| Claimed { version: stat.version, mzxid: stat.mzxid };
                settle(ready!(poll(pending, cx)).map(claimed), Answer::Claimed)
            }
            Self::Parents(pending) => match ready!(poll(pending, cx)) {
                // Somebody else made them.
                Err(error) if error.is_node_exists() => (Answer::ParentsMade(Ok(())), None),
                made => settle(made.map(drop), Answer::ParentsMade),
            },
            Self::List(pending) => settle(ready!(poll(pending, cx)).map(|list| list.names), Answer::Listed),
            Self::Sync(pending) => settle(ready!(poll(pending, cx)), Answer::Synced),
            Self::Look(pending) => settle(ready!(poll(pending, cx)).map(|node| seen(&node)), Answer::Seen),
            Self::Watch(pending) => match ready!(poll(pending, cx)) {
                Ok((node, watch)) => {
                    let answer = Answer::Seen(Ok(seen(&node)));
                    return Poll::Ready((Input::Answer { request, answer }, None, Some(watch)));
                }
                Err(error) => settle(Err(error), Answer::Seen),
            },
            // However it ended, it is no watch any more: look again. A session that is over says so itself.
            Self::Armed(watch) => {
                return poll(watch, cx).map(|_| (Input::Fired(request), None, None));
            }
        };
        Poll::Ready((Input::Answer { request, answer }, error, None))
    }
}

fn poll<F: Future + Unpin>(future: &mut F, cx: &mut Context<'_>) -> Poll<F::Output> {
    Pin::new(future).poll(cx)
}

fn settle<T>(result: Result<T, Error>, answer: fn(Result<T, Refusal>) -> Answer) -> (Answer, Option<Error>) {
    match result {
        Ok(value) => (answer(Ok(value)), None),
        Err(error) => (answer(Err(classify(&error))), Some(error)),
    }
}

pub(crate) fn seen(node: &Node) -> Seen {
    let Stat { czxid, ephemeral_owner: owner, version, .. } = node.stat;
    Seen { czxid, owner, version, revoked: node.data == REVOKE }
}

/// What an error means to a contender.
pub(crate) fn classify(error: &Error) -> Refusal {
    if error.kind() == ErrorKind::SessionExpired {
        return Refusal::SessionOver;
    }
    if error.outcome_unknown() {
        return Refusal::Unknown;
    }
    match error.code() {
        Some(ErrorCode::NoNode) => Refusal::NoNode,
        Some(ErrorCode::BadVersion) => Refusal::Changed,
        Some(ErrorCode::Unimplemented) => Refusal::Unsupported,
        // The server may have passed it on before it gave up.
        Some(ErrorCode::OperationTimeout | ErrorCode::RequestTimeout) => Refusal::Unknown,
        // The client looks for a server that writes.
        Some(ErrorCode::NotReadOnly) => Refusal::NotNow,
        _ if error.is_retryable() => Refusal::NotNow,
        _ => Refusal::Never,
    }
}
