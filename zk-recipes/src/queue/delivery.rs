//! An item in hand: being done with it, giving it back, and what it was lost by.

use bytes::Bytes;
use std::future::Future;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;
use zk_client::{Client, Error as ClientError, ErrorKind, SessionState, TransactionResult};
use zk_proto::{Acl, CreateMode, ErrorCode, SessionId, Zxid, path};

use super::decision::{Fate, of_acknowledgement};
use super::frame::encode_items;
use super::names::prefix;
use super::taker::{Codec, Counted, Shared};
use crate::asking::{explain, until_answered};
use crate::contender::Leftover;
use crate::error::Error;
use crate::fence::FencingToken;
use crate::limits::DEADLINE_MARGIN_PERCENT;
use crate::loss::{LossPolicy, LossReason};
use crate::reaper::{Deletion, UnderWay};

/// The node that says whose an item is.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) path: String,
    pub(super) session: SessionId,
    /// Its data, nobody else's.
    pub(super) mark: String,
    pub(super) czxid: Zxid,
    /// The session's state, marked before the claim was made: a change since may have been a disconnect.
    pub(super) since: watch::Receiver<SessionState>,
}

/// An item that was taken. It is given back when dropped, unless it was acknowledged; of a queue without claims it
/// is gone from the queue already.
#[derive(Debug)]
#[must_use = "a delivery that is dropped is given back"]
pub struct Delivery {
    shared: Arc<Shared>,
    item: String,
    data: Vec<Bytes>,
    claim: Option<(Claim, Handle)>,
    _counted: Option<Counted>,
}

impl Delivery {
    pub(super) fn claimed(shared: Arc<Shared>, runtime: Handle, item: String, claim: Claim) -> Self {
        Self { shared, item, data: Vec::new(), claim: Some((claim, runtime)), _counted: None }
    }

    pub(super) const fn removed(shared: Arc<Shared>, item: String, data: Vec<Bytes>) -> Self {
        Self { shared, item, data, claim: None, _counted: None }
    }

    /// With what is in it. If that is no item, the claim is given up.
    pub(super) fn holding(mut self, data: Bytes) -> Result<Self, Error> {
        self.data = self.shared.decode(&self.item, data)?;
        Ok(self)
    }

    pub(super) fn counted(mut self, permit: Counted) -> Self {
        self._counted = Some(permit);
        self
    }

    /// The first item; empty if there is none, which only foreign hands can bring about.
    #[must_use]
    pub fn data(&self) -> Bytes {
        self.data.first().cloned().unwrap_or_default()
    }

    /// All items of the node. There is one, unless several were put together.
    #[must_use]
    pub fn items(&self) -> &[Bytes] {
        &self.data
    }

    /// The item's node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.item
    }

    /// Which taking this is, greater than that of anybody who had the item before; `None` without claims.
    #[must_use]
    pub fn fencing_token(&self) -> Option<FencingToken> {
        self.claim.as_ref().map(|(claim, _)| FencingToken::from_zxid(claim.czxid))
    }

    /// Whether nobody else can have the item, as far as one can know here and now. Looks at the clock.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.claim.as_ref().is_none_or(|(claim, _)| held(self.client(), claim, self.shared.loss).is_ok())
    }

    /// Resolves when somebody else may get the item while we still work on it; never without claims.
    ///
    /// # Cancellation
    /// May be dropped at any time, and asked for again.
    pub fn lost(&self) -> impl Future<Output = LossReason> + Send + 'static {
        let claim = self.claim.as_ref().map(|(claim, _)| claim.clone());
        let (client, policy) = (self.client().clone(), self.shared.loss);
        async move {
            let Some(claim) = claim else { return std::future::pending().await };
            let mut states = client.session_state();
            loop {
                states.borrow_and_update();
                let deadline = match held(&client, &claim, policy) {
                    Ok(deadline) => deadline,
                    Err(reason) => return reason,
                };
                tokio::select! {
                    changed = states.changed() => if changed.is_err() {
                        return LossReason::ClientClosed;
                    },
                    () = tokio::time::sleep_until(deadline) => {}
                }
            }
        }
    }

    /// The item is done with: deletes it, if the claim is still ours. Without claims there is nothing to do.
    ///
    /// # Errors
    /// [`Error::Lost`] when the claim is gone: somebody else has the item, or will.
    /// [`Error::Indeterminate`] when the session ended before the answer came, and the item is gone.
    /// [`Error::Client`].
    ///
    /// # Cancellation
    /// Dropped before it is sent, the item is given back; after, it may be done with all the same.
    pub async fn ack(self) -> Result<(), Error> {
        self.transaction().commit_and_ack().await.map(drop)
    }

    /// Writes that happen together with the acknowledgement, or not at all.
    pub fn transaction(self) -> DeliveryTransaction {
        DeliveryTransaction { delivery: self, steps: Vec::new() }
    }

    /// Gives the item back, where it was in the queue: somebody takes it again, maybe we. As dropping it, and waits
    /// until it is done.
    ///
    /// # Errors
    /// [`Error::ReleasePending`] when the first try failed; it is seen through in the background.
    ///
    /// # Cancellation
    /// Once polled it happens, whether the future is dropped or not.
    pub async fn nack(mut self) -> Result<(), Error> {
        let Some((claim, runtime)) = self.claim.take() else { return Ok(()) };
        let mut given_back = GivenBack::start(&self.shared, runtime, claim);
        match given_back.done().await {
            Err(error) if !error.is_no_node() && !error.is_session_lost() => {
                Err(Error::ReleasePending { path: self.item.clone(), source: error })
            }
            _ => {
                given_back.forget();
                Ok(())
            }
        }
    }

    /// Puts the item at the end of the queue, behind others of its priority, or with the time it had; with other
    /// data if that is given, to count attempts, say. It is a new item then, put and done with in one transaction.
    ///
    /// # Errors
    /// As [`Delivery::ack`].
    ///
    /// # Cancellation
    /// As [`Delivery::ack`].
    pub async fn requeue(self, data: Option<Bytes>) -> Result<(), Error> {
        let items = match data {
            Some(data) => vec![data],
            None => self.data.clone(),
        };
        let bytes = match self.shared.codec {
            Codec::Frame => encode_items(&items),
            Codec::Raw => items.into_iter().next().unwrap_or_default(),
        };
        let path =
            path::join(&self.shared.place.items, prefix(self.shared.place.kind, path::name(&self.item)));
        let acl = self.shared.acl.clone();
        let again = self.transaction().create_with(path, bytes, CreateMode::PersistentSequential, acl);
        again.commit_and_ack().await.map(drop)
    }

    fn client(&self) -> &Client {
        &self.shared.place.client
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some((claim, runtime)) = self.claim.take() {
            drop(GivenBack::start(&self.shared, runtime, claim));
        }
    }
}

/// A claim on its way out, seen through when dropped.
struct GivenBack {
    shared: Arc<Shared>,
    runtime: Handle,
    claim: Option<Claim>,
    /// The first try; its answer is not known yet.
    deletion: Option<Deletion>,
}

impl GivenBack {
    /// Sends the deletion now: the claim is ours.
    fn start(shared: &Arc<Shared>, runtime: Handle, claim: Claim) -> Self {
        let paths = std::slice::from_ref(&claim.path);
        let deletion = Some(Deletion::send(&shared.place.client, paths, Some(claim.session)));
        Self { shared: Arc::clone(shared), runtime, claim: Some(claim), deletion }
    }

    async fn done(&mut self) -> Result<(), ClientError> {
        let outcome = match &mut self.deletion {
            Some(deletion) => deletion.done().await,
            None => Ok(()),
        };
        self.deletion = None;
        outcome
    }

    fn forget(mut self) {
        self.claim = None;
    }
}

impl Drop for GivenBack {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            let Claim { path, session, mark, .. } = claim;
            let under_way = self.deletion.take().map_or(UnderWay::Nothing, UnderWay::Delete);
            self.shared.reaper.adopt(&self.runtime, Leftover::Marked { path, mark, session }, under_way);
        }
    }
}

/// Until when the claim is there for certain, or why it is not.
fn held(client: &Client, claim: &Claim, policy: LossPolicy) -> Result<Instant, LossReason> {
    let session = claim.session;
    let state = *client.session_state().borrow();
    let Some(info) = state.session().filter(|info| info.id == session) else {
        return Err(match state {
            SessionState::Closed => LossReason::ClientClosed,
            SessionState::AuthFailed => LossReason::AuthFailed,
            _ => LossReason::SessionExpired,
        });
    };
    // Away and back is a disconnect too, whether anybody looked meanwhile or not.
    if policy == LossPolicy::Standard && claim.since.has_changed().unwrap_or(true) {
        return Err(LossReason::Disconnected);
    }
    let until = client.session_deadline(session).ok_or(LossReason::SessionExpired)?;
    let margin = info.timeout * DEADLINE_MARGIN_PERCENT / 100;
    let deadline = until.checked_sub(margin).unwrap_or(until);
    if Instant::now() >= deadline { Err(LossReason::DeadlineReached) } else { Ok(deadline) }
}

/// One write of a [`DeliveryTransaction`].
#[derive(Debug, Clone)]
enum Step {
    Check(String, i32),
    Create(String, Bytes, CreateMode, Vec<Acl>),
    Set(String, Bytes, i32),
    Delete(String, i32),
}

/// Writes that happen together with an item's acknowledgement: all of them, and only if the item is still ours.
/// That makes the effects of a job exactly-once, as far as they are in ZooKeeper.
#[derive(Debug)]
#[must_use = "a transaction is sent by .commit_and_ack()"]
pub struct DeliveryTransaction {
    delivery: Delivery,
    steps: Vec<Step>,
}

impl DeliveryTransaction {
    /// Goes on only if the node's data has this version; -1 asks only that the node exists.
    pub fn check(self, path: impl Into<String>, version: i32) -> Self {
        self.with(Step::Check(path.into(), version))
    }

    /// Creates a persistent node open to everyone.
    pub fn create(self, path: impl Into<String>, data: impl Into<Bytes>) -> Self {
        self.create_with(path, data, CreateMode::Persistent, Acl::open())
    }

    /// Creates a node. Modes with a time to live are not possible here.
    pub fn create_with(
        self,
        path: impl Into<String>,
        data: impl Into<Bytes>,
        mode: CreateMode,
        acl: Vec<Acl>,
    ) -> Self {
        self.with(Step::Create(path.into(), data.into(), mode, acl))
    }

    /// Replaces a node's data.
    pub fn set(self, path: impl Into<String>, data: impl Into<Bytes>) -> Self {
        self.set_version(path, data, -1)
    }

    /// Replaces a node's data if it has this version.
    pub fn set_version(self, path: impl Into<String>, data: impl Into<Bytes>, version: i32) -> Self {
        self.with(Step::Set(path.into(), data.into(), version))
    }

    /// Deletes a node.
    pub fn delete(self, path: impl Into<String>) -> Self {
        self.with(Step::Delete(path.into(), -1))
    }

    fn with(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Writes and acknowledges, and returns what the writes did. Of a transaction whose answer was lost, and which
    /// is known to have happened, nothing more is known: the list is then empty.
    ///
    /// # Errors
    /// As [`Delivery::ack`]; [`Error::Client`] when a step failed, with its index counted from 1. The item is
    /// given back then.
    ///
    /// # Cancellation
    /// As [`Delivery::ack`].
    pub async fn commit_and_ack(self) -> Result<Vec<TransactionResult>, Error> {
        let Self { mut delivery, steps } = self;
        let client = delivery.client().clone();
        let claim = delivery.claim.as_ref().map(|(claim, _)| claim.clone());
        let lost = |reason| Error::Lost { path: delivery.item.clone(), reason };
        loop {
            let mut all = client.transaction();
            if let Some(claim) = &claim {
                all = all.check(claim.path.as_str(), -1).in_session(claim.session);
            }
            for step in steps.iter().cloned() {
                all = match step {
                    Step::Check(path, version) => all.check(path, version),
                    Step::Create(path, data, mode, acl) => all.create_with(path, data, mode, acl),
                    Step::Set(path, data, version) => all.set_version(path, data, version),
                    Step::Delete(path, version) => all.delete_version(path, version),
                };
            }
            if let Some(claim) = &claim {
                all = all.delete(delivery.item.as_str()).delete(claim.path.as_str());
            } else if steps.is_empty() {
                return Ok(Vec::new());
            }
            let error = match all.commit().await {
                Ok(mut results) => {
                    delivery.claim = None;
                    if claim.is_some() {
                        results.truncate(1 + steps.len());
                        results.drain(..results.len().min(1));
                    }
                    return Ok(results);
                }
                Err(error) => error,
            };
            let Some(claim) = &claim else {
                return Err(if error.outcome_unknown() {
                    Error::Indeterminate { path: delivery.item.clone(), source: error }
                } else {
                    explain(&delivery.item, error)
                });
            };
            let (item_step, claim_step) = (1 + steps.len(), 2 + steps.len());
            if error.outcome_unknown() {
                match fate(&client, &delivery.item, claim).await.map_err(|e| explain(&delivery.item, e))? {
                    Fate::Done => {
                        delivery.claim = None;
                        return Ok(Vec::new());
                    }
                    Fate::NotDone => continue,
                    Fate::Lost(reason) => return Err(lost(reason)),
                    Fate::Unknown => {
                        let path = delivery.item.clone();
                        return Err(Error::Indeterminate { path, source: error });
                    }
                }
            }
            return Err(match error.kind() {
                ErrorKind::Transaction { index, code: ErrorCode::NoNode }
                    if index == 0 || index == item_step || index == claim_step =>
                {
                    lost(LossReason::NodeDeleted)
                }
                ErrorKind::SessionExpired => lost(LossReason::SessionExpired),
                _ => explain(&delivery.item, error),
            });
        }
    }
}

/// Looks what became of an acknowledgement, after a sync.
async fn fate(client: &Client, item: &str, claim: &Claim) -> Result<Fate, ClientError> {
    let (item_there, ours) = until_answered(|| async {
        let (sync, item) = (client.sync(item).send(), client.exists(item).send());
        let claimed = client.exists(claim.path.as_str()).send();
        sync.await?;
        let ours = claimed.await?.is_some_and(|stat| stat.czxid == claim.czxid);
        Ok::<_, ClientError>((item.await?.is_some(), ours))
    })
    .await?;
    let live = client.session_deadline(claim.session).is_some();
    Ok(of_acknowledgement(item_there, ours, live))
}
