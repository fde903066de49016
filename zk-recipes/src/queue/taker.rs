//! Taking: finds the next item, claims it or removes it, and hands it over. What is done with it then is the
//! delivery's.

use bytes::Bytes;
use futures::stream::{self, Stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, watch};
use zk_client::{ErrorCode, ErrorKind};
use zk_proto::{Acl, SessionId, Zxid, path};

use super::attempt::{Attempt, PendingClaim, Waiting};
use super::decision::is_ours;
use super::delivery::{Claim, Delivery};
use super::frame::decode_items;
use super::names::in_order;
use super::view::{Place, View};
use crate::asking::{explain, passes, session_of, until_answered, within};
use crate::contender::Parents;
use crate::error::Error;
use crate::identity::Uuid;
use crate::limits::RETRY_PAUSE;
use crate::loss::LossPolicy;
use crate::reaper::Reaper;

/// How the bytes of a node are items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    /// Curator's frame: any number of them.
    Frame,
    /// The bytes are one.
    Raw,
}

/// What takes items from a queue; every queue derefs to its own. Clones share what they have seen of the queue.
///
/// # Cost
/// A look at the queue is a listing that leaves a watch, and one of the claims beside it. It gives up to
/// [`QUEUE_AHEAD_MAX`](crate::limits::QUEUE_AHEAD_MAX) items to try; the next look comes when they were tried. An
/// item costs two requests sent together (claim and read; or read and delete, one after the other, when nothing is
/// claimed), and being done with it one. ZooKeeper has no cheaper listing than that of all children, and every change
/// of the queue wakes every taker that waits for one: queues of many thousand items, or with hundreds of idle takers,
/// want a [`ShardedQueue`](super::ShardedQueue).
///
/// # Guarantees
/// *At least once*, with claims: an item is there until its [`Delivery`] was acknowledged. Nobody else has it while
/// the claim is there; if its session ends, or it is dropped, somebody else gets it. *At most once*, without claims:
/// an item is deleted before it is handed over.
///
/// # Loss
/// Waiting goes on through disconnects and ended sessions. What becomes of a delivery is told by
/// [`Delivery::lost`].
///
/// # Cancellation
/// Taking may be dropped at any time: a claim that was made is deleted in the background. Without claims an item
/// whose deletion was under way is lost.
#[derive(Debug, Clone)]
pub struct Taker(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) place: Place,
    pub(super) codec: Codec,
    pub(super) acl: Vec<Acl>,
    pub(super) parents: Parents,
    pub(super) loss: LossPolicy,
    pub(super) reaper: Arc<Reaper>,
    /// One looks at a time; the others find what it has seen.
    view: Mutex<View>,
    /// Whether the one who looks is waiting for something to happen.
    waiting: watch::Sender<bool>,
    /// An item that was tried was not taken, and nothing has changed at the server.
    dropped: AtomicBool,
    again: Notify,
}

/// How one try ended.
enum Tried {
    Taken(Delivery),
    /// Somebody else has it, or it is gone.
    Gone,
}

impl Taker {
    pub(super) fn new(place: Place, codec: Codec, acl: Vec<Acl>, parents: Parents, loss: LossPolicy) -> Self {
        let reaper = Reaper::of(&place.client);
        Self(Arc::new(Shared {
            place,
            codec,
            acl,
            parents,
            loss,
            reaper,
            view: Mutex::default(),
            waiting: watch::channel(false).0,
            dropped: AtomicBool::new(false),
            again: Notify::new(),
        }))
    }

    /// The node whose children are the items.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0.place.items
    }

    /// Waits for an item, and takes it.
    ///
    /// # Errors
    /// [`Error::Corrupted`] of an item that is no item, once: it is then left to others, or to an operator;
    /// [`Error::Indeterminate`] when, without claims, the answer to a deletion was lost and the item is gone;
    /// [`Error::Client`], [`Error::ClientEnded`], [`Error::NoRuntime`].
    ///
    /// # Cancellation
    /// Safe at any point; see [`Taker`].
    pub async fn take(&self) -> Result<Delivery, Error> {
        loop {
            if let Some(delivery) = self.one(true).await? {
                return Ok(delivery);
            }
        }
    }

    /// Takes an item if there is one that nobody has. Waits for answers of the server, never for an item.
    ///
    /// # Errors
    /// As [`Taker::take`].
    ///
    /// # Cancellation
    /// As [`Taker::take`].
    pub async fn try_take(&self) -> Result<Option<Delivery>, Error> {
        self.one(false).await
    }

    /// As [`Taker::take`], for at most `limit`.
    ///
    /// # Errors
    /// [`Error::Timeout`] when there is none by then; and as [`Taker::take`].
    ///
    /// # Cancellation
    /// As [`Taker::take`].
    pub async fn take_within(&self, limit: Duration) -> Result<Delivery, Error> {
        within(self.path(), limit, self.take()).await
    }

    /// Takes up to `most` items that are there now; waits for the first if there is none. The claims are made
    /// together, so that many cost hardly more time than one.
    ///
    /// # Errors
    /// As [`Taker::take`], of the first item; a later one's ends the list.
    ///
    /// # Cancellation
    /// As [`Taker::take`]; all claims are given up.
    pub async fn take_many(&self, most: usize) -> Result<Vec<Delivery>, Error> {
        let mut taken = Vec::new();
        while taken.is_empty() && most > 0 {
            let names = self.names(most, true).await?;
            let tries = names.iter().map(|name| self.tried(name));
            let mut first_error = None;
            for tried in futures::future::join_all(tries).await {
                match tried {
                    Ok(Tried::Taken(delivery)) => taken.push(delivery),
                    Ok(Tried::Gone) => {}
                    Err(error) => first_error = first_error.or(Some(error)),
                }
            }
            match first_error {
                Some(error) if taken.is_empty() => return Err(error),
                Some(error) => {
                    tracing::warn!(queue = self.path(), %error, "an item was not taken with the others");
                }
                None => {}
            }
        }
        Ok(taken)
    }

    /// Items one after the other, for as long as anybody asks; at most `in_flight` deliveries are out at once, and
    /// the next is taken when one of them was dropped or is done. Errors are yielded; the stream ends with the client.
    ///
    /// # Cancellation
    /// As [`Taker::take`].
    pub fn deliveries(
        &self,
        in_flight: usize,
    ) -> impl Stream<Item = Result<Delivery, Error>> + Send + 'static {
        let permits = Arc::new(Semaphore::new(in_flight.clamp(1, Semaphore::MAX_PERMITS)));
        stream::unfold(Some((self.clone(), permits)), |taking| async move {
            let (taker, permits) = taking?;
            let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
            let next = taker.take().await.map(|delivery| delivery.counted(permit));
            let over = matches!(next, Err(Error::ClientEnded { .. } | Error::NoRuntime));
            Some((next, (!over).then_some((taker, permits))))
        })
    }

    /// How many items there are, claimed ones and those not due included. One request, without a listing.
    ///
    /// # Errors
    /// [`Error::Client`], [`Error::ClientEnded`].
    pub async fn len(&self) -> Result<usize, Error> {
        let place = &self.0.place;
        let stat = until_answered(|| place.client.exists(place.items.as_str()).send()).await;
        let count = stat.map_err(|error| explain(self.path(), error))?.map_or(0, |stat| stat.num_children);
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Whether there are none.
    ///
    /// # Errors
    /// As [`Taker::len`].
    pub async fn is_empty(&self) -> Result<bool, Error> {
        Ok(self.len().await? == 0)
    }

    /// The items of the node that is first in the queue's order and due, claimed or not, without taking it.
    ///
    /// # Errors
    /// [`Error::Corrupted`], [`Error::Client`], [`Error::ClientEnded`].
    pub async fn peek(&self) -> Result<Option<Vec<Bytes>>, Error> {
        let place = &self.0.place;
        loop {
            let listed = until_answered(|| place.client.get_children(self.path()).send()).await;
            let names = match listed {
                Ok(list) => list.names,
                Err(error) if error.is_no_node() => return Ok(None),
                Err(error) => return Err(explain(self.path(), error)),
            };
            let Some(first) = in_order(place.kind, &names, place.clock.now_ms()).0.into_iter().next() else {
                return Ok(None);
            };
            let item = path::join(self.path(), &first);
            match until_answered(|| place.client.get(item.as_str()).send()).await {
                Ok(node) => return self.0.decode(&item, node.data).map(Some),
                Err(error) if error.is_no_node() => {}
                Err(error) => return Err(explain(&item, error)),
            }
        }
    }

    async fn one(&self, wait: bool) -> Result<Option<Delivery>, Error> {
        loop {
            let Some(name) = self.names(1, wait).await?.pop() else { return Ok(None) };
            if let Tried::Taken(delivery) = self.tried(&name).await? {
                return Ok(Some(delivery));
            }
        }
    }

    /// Waits until it makes sense to try.
    pub(super) async fn ready(&self) {
        let shared = &self.0;
        let mut view = shared.view.lock().await;
        if view.is_all_tried(&shared.place) && !shared.dropped.load(Ordering::Acquire) {
            let _waiting = Waiting::begin(&shared.waiting);
            tokio::select! {
                () = view.changed(&shared.place) => {}
                () = shared.again.notified() => {}
            }
        }
    }

    /// Up to `most` items to try; at least one if it may `wait`.
    async fn names(&self, most: usize, wait: bool) -> Result<Vec<String>, Error> {
        let shared = &self.0;
        let mut waiting = shared.waiting.subscribe();
        let mut view = tokio::select! {
            biased;
            view = shared.view.lock() => view,
            // Somebody waits for an item: there is none.
            _ = waiting.wait_for(|waiting| *waiting), if !wait => return Ok(Vec::new()),
        };
        loop {
            if shared.dropped.swap(false, Ordering::AcqRel) {
                view.forget();
            }
            let mut names = Vec::new();
            while names.len() < most
                && let Some(name) = view.next(&shared.place).await?
            {
                names.push(name);
            }
            if !names.is_empty() || !wait {
                return Ok(names);
            }
            let _waiting = Waiting::begin(&shared.waiting);
            tokio::select! {
                () = view.changed(&shared.place) => {}
                () = shared.again.notified() => {}
            }
        }
    }

    async fn tried(&self, name: &str) -> Result<Tried, Error> {
        let mut attempt = Attempt::begin(&self.0);
        let tried = match self.0.place.claims {
            Some(_) => self.claim(name).await,
            None => self.remove(name).await,
        };
        if matches!(tried, Err(Error::Corrupted { .. })) {
            self.0.place.spoil(name);
        }
        // After an error the item is still there, as after a drop.
        if matches!(tried, Ok(_) | Err(Error::Corrupted { .. })) {
            attempt.over();
        }
        tried
    }

    /// Claims an item and reads it, in one flight.
    async fn claim(&self, name: &str) -> Result<Tried, Error> {
        let shared = &self.0;
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let Place { client, items, claims, .. } = &shared.place;
        let (item, claim) = (path::join(items, name), path::join(claims.as_deref().unwrap_or(items), name));
        let session = session_of(client, items).await?;
        let mark = Uuid::from_random(client.random_bits()).bare();
        let mut since = client.session_state();
        since.borrow_and_update();
        let ours =
            Claim { path: claim.clone(), session, mark: mark.clone(), czxid: Zxid(0), since: since.clone() };
        let mut pending = PendingClaim::new(shared, &runtime, ours);
        // The item counts as it is read behind the claim: before it, somebody else may have had it and be done.
        let claim_and_read = || {
            let create =
                client.create(claim.as_str(), Bytes::from(mark.clone())).ephemeral().acl(shared.acl.clone());
            let create = create.in_session(session).send();
            (create, client.get(item.as_str()).in_session(session).send())
        };
        let (mut create, mut read) = claim_and_read();
        let czxid = loop {
            let error = match create.await {
                Ok(created) => break created.stat.czxid,
                Err(error) => error,
            };
            if error.outcome_unknown() {
                if let Some(czxid) = self.find_claim(&claim, &mark, session).await? {
                    read = client.get(item.as_str()).in_session(session).send();
                    break czxid;
                }
            } else if error.is_node_exists() || error.kind() == ErrorKind::SessionExpired {
                pending.forget();
                return Ok(Tried::Gone);
            } else if error.is_no_node() {
                self.make_claims().await?;
            } else if passes(&error) {
                tokio::time::sleep(RETRY_PAUSE).await;
            } else {
                pending.forget();
                return Err(explain(&claim, error));
            }
            (create, read) = claim_and_read();
        };
        let mut read = read.await;
        loop {
            match read {
                Ok(node) => {
                    // From here on the delivery gives the claim up, whatever becomes of it.
                    pending.forget();
                    let claim = Claim { path: claim, session, mark, czxid, since };
                    let delivery = Delivery::claimed(Arc::clone(shared), runtime.clone(), item, claim);
                    return delivery.holding(node.data).map(Tried::Taken);
                }
                Err(error) if error.is_no_node() || error.kind() == ErrorKind::SessionExpired => {
                    return Ok(Tried::Gone);
                }
                Err(error) if passes(&error) => {
                    tokio::time::sleep(RETRY_PAUSE).await;
                    read = client.get(item.as_str()).in_session(session).send().await;
                }
                Err(error) => return Err(explain(&item, error)),
            }
        }
    }

    /// After a lost answer: our claim, if it was made.
    async fn find_claim(&self, claim: &str, mark: &str, session: SessionId) -> Result<Option<Zxid>, Error> {
        let client = &self.0.place.client;
        let found = until_answered(|| async move {
            let (sync, look) = (client.sync(claim).send(), client.get(claim).send());
            sync.await?;
            match look.await {
                Err(error) if error.is_no_node() => Ok(None),
                node => node.map(Some),
            }
        });
        let found = found.await.map_err(|error| explain(claim, error))?;
        let ours = found.filter(|node| is_ours(node.stat.ephemeral_owner, &node.data, session, mark));
        Ok(ours.map(|node| node.stat.czxid))
    }

    pub(super) async fn make_claims(&self) -> Result<(), Error> {
        let Some(claims) = &self.0.place.claims else { return Ok(()) };
        make_node(&self.0, claims).await
    }

    /// Reads an item and deletes it.
    async fn remove(&self, name: &str) -> Result<Tried, Error> {
        let shared = &self.0;
        let (client, item) = (&shared.place.client, path::join(self.path(), name));
        let node = match until_answered(|| client.get(item.as_str()).send()).await {
            Ok(node) => node,
            Err(error) if error.is_no_node() => return Ok(Tried::Gone),
            Err(error) => return Err(explain(&item, error)),
        };
        let items = shared.decode(&item, node.data)?;
        loop {
            let error = match client.delete(item.as_str()).await {
                Ok(()) => return Ok(Tried::Taken(Delivery::removed(Arc::clone(shared), item, items))),
                Err(error) => error,
            };
            if error.outcome_unknown() {
                let look = until_answered(|| async {
                    let (sync, look) =
                        (client.sync(item.as_str()).send(), client.exists(item.as_str()).send());
                    sync.await?;
                    look.await
                });
                if look.await.map_err(|error| explain(&item, error))?.is_none() {
                    return Err(Error::Indeterminate { path: item, source: error });
                }
            } else if error.is_no_node() {
                return Ok(Tried::Gone);
            } else if passes(&error) {
                tokio::time::sleep(RETRY_PAUSE).await;
            } else {
                return Err(explain(&item, error));
            }
        }
    }
}

impl Shared {
    pub(super) fn decode(&self, item: &str, data: Bytes) -> Result<Vec<Bytes>, Error> {
        match self.codec {
            Codec::Raw => Ok(vec![data]),
            Codec::Frame => decode_items(data)
                .map_err(|why| Error::Corrupted { path: item.to_owned(), why: why.to_string() }),
        }
    }
}

/// Makes a node that items or claims are put under.
pub(super) async fn make_node(shared: &Shared, node: &str) -> Result<(), Error> {
    let create = || shared.place.client.create(node, Bytes::new()).acl(shared.acl.clone());
    let container = || create().container().parents_as_containers().send();
    let made = match shared.parents {
        Parents::Container => match until_answered(container).await {
            Err(error) if error.code() == Some(ErrorCode::Unimplemented) => {
                until_answered(|| create().parents().send()).await
            }
            made => made,
        },
        Parents::Persistent => until_answered(|| create().parents().send()).await,
        Parents::MustExist => until_answered(|| create().send()).await,
    };
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.is_node_exists() => Ok(()),
        Err(error) => Err(explain(node, error)),
    }
}

impl Shared {
    /// There may be something to take that no watch tells of.
    pub(super) fn look_again(&self) {
        self.dropped.store(true, Ordering::Release);
        self.again.notify_one();
    }
}

/// A place among the deliveries that may be out at once.
pub(super) type Counted = OwnedSemaphorePermit;
