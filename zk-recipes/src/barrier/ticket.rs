//! Inside a double barrier: the ticket, and leaving with the others.

use bytes::Bytes;
use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use zk_client::ops::Exists;
use zk_client::{Children, Error as ClientError, ErrorKind, Node, Pending, Watch};
use zk_proto::{ErrorCode, Stat, Zxid, path};

use super::decision::{Leaving, READY, leaving};
use super::stale;
use crate::asking::{explain, passes, until_answered, within};
use crate::contender::{Context, GivenUp};
use crate::error::Error;
use crate::held::{Held, Released};
use crate::limits::RETRY_PAUSE;
use crate::loss::{LockState, LossReason};

/// A place inside a [`DoubleBarrier`](crate::DoubleBarrier). What one may ask of it is in [`Held`]. Dropped, it
/// leaves without waiting for the others.
#[derive(Debug)]
#[must_use = "a ticket that is dropped leaves at once"]
pub struct BarrierTicket {
    context: Arc<Context>,
    held: Held,
    name: String,
    round: Opened,
}

/// What one knows of the `ready` that has let one in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    /// When it was made. Servers before 3.9 do not say so with the event that tells of it.
    pub(super) at: Option<Zxid>,
    /// It was there before our node: others of the round need not know of us.
    pub(super) late: bool,
}

impl Deref for BarrierTicket {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.held
    }
}

impl BarrierTicket {
    pub(super) const fn new(context: Arc<Context>, held: Held, name: String, round: Opened) -> Self {
        Self { context, held, name, round }
    }

    /// Waits until all want to leave, and leaves. [`Released::Lost`] tells that we had no part in it any more: our
    /// node was gone before, the others were free to leave without us, and nobody was waited for.
    ///
    /// # Errors
    /// [`Error::Client`], [`Error::ClientEnded`]; our node is then deleted in the background.
    ///
    /// # Cancellation
    /// Safe at any point; our node is deleted in the background if it is still there.
    pub async fn leave(self) -> Result<Released, Error> {
        Departure::new(self).leave().await
    }

    /// As [`BarrierTicket::leave`], for at most `limit`.
    ///
    /// # Errors
    /// [`Error::Timeout`] when somebody stays inside longer; we have left all the same. And as
    /// [`BarrierTicket::leave`].
    ///
    /// # Cancellation
    /// As [`BarrierTicket::leave`].
    pub async fn leave_within(self, limit: Duration) -> Result<Released, Error> {
        let context = Arc::clone(&self.context);
        within(&context.options.parent, limit, self.leave()).await
    }
}

/// One who leaves.
struct Departure {
    context: Arc<Context>,
    /// Until our node is deleted.
    held: Option<Held>,
    name: String,
    /// Those of our round: whoever was there when we began to leave.
    round: Option<BTreeSet<String>>,
    opened: Opened,
    /// The last change of the barrier's children by then. A node that is younger belongs to the next round, even
    /// if it has the name of one of ours.
    as_of: Zxid,
    /// Whether we have tried to close the round and do not know what became of it.
    closing: bool,
}

impl Departure {
    fn new(ticket: BarrierTicket) -> Self {
        let BarrierTicket { context, held, name, round: opened } = ticket;
        Self { context, held: Some(held), name, round: None, opened, as_of: Zxid(0), closing: false }
    }

    fn path(&self) -> &str {
        &self.context.options.parent
    }

    async fn leave(mut self) -> Result<Released, Error> {
        match self.go().await? {
            // It was us: only the answer was lost.
            Released::Lost(LossReason::NodeDeleted) if self.closing => Ok(Released::Deleted),
            released => Ok(released),
        }
    }

    async fn go(&mut self) -> Result<Released, Error> {
        loop {
            if let Some(reason) = self.lost() {
                return Ok(Released::Lost(reason));
            }
            let names = self.list().await?;
            if self.is_over_for_us().await?
                && let Some(held) = self.held.take()
            {
                return held.release().await;
            }
            let own = self.name.clone();
            match leaving(&own, &names.of_round) {
                Leaving::Gone => {
                    if let Some(held) = self.held.take() {
                        // Our node has gone by another's hand.
                        return held.release().await;
                    }
                    if names.ready {
                        self.clear().await?;
                    }
                    return Ok(Released::Deleted);
                }
                Leaving::CloseRound => {
                    if let Some(released) = self.close_round(names.barrier).await? {
                        return Ok(released);
                    }
                }
                Leaving::WaitFor(highest) => {
                    let look = self.look(highest);
                    self.until_gone(highest, look).await?;
                }
                // Our node is not in the list, and we have not deleted it.
                Leaving::Linger(_) if self.held.is_some() => {
                    if let Some(held) = self.held.take() {
                        return held.release().await;
                    }
                }
                Leaving::GoAndWaitFor(lowest) => {
                    let deleting = self.held.take().map(|held| held.into_holding().give_up());
                    let look = self.look(lowest);
                    match deleting {
                        Some(GivenUp::Lost(reason)) => return Ok(Released::Lost(reason)),
                        Some(GivenUp::Deleting(deleting)) => {
                            if let Ok(Some(reason)) = deleting.done().await {
                                return Ok(Released::Lost(reason));
                            }
                        }
                        None => {}
                    }
                    self.until_gone(lowest, look).await?;
                }
                Leaving::Linger(lowest) => {
                    let look = self.look(lowest);
                    self.until_gone(lowest, look).await?;
                }
            }
        }
    }

    /// Why we have no part in it any more, if so.
    fn lost(&self) -> Option<LossReason> {
        match *self.held.as_ref()?.state().borrow() {
            LockState::Lost(reason) => Some(reason),
            _ => None,
        }
    }

    /// Whether our round was closed without us. Those of it did not wait for one who came late if they had begun to
    /// leave before; and whoever is there after that enters the next round, and waits for us to do so too.
    async fn is_over_for_us(&self) -> Result<bool, Error> {
        if !self.opened.late || self.held.is_none() {
            return Ok(false);
        }
        let look = until_answered(|| self.ready().send()).await;
        let stat = look.map_err(|error| explain(self.path(), error))?;
        Ok(stat.map(|stat| stat.czxid) != self.opened.at)
    }

    fn ready(&self) -> Exists<'_> {
        self.context.client.exists(path::join(self.path(), READY))
    }

    async fn list(&mut self) -> Result<Listing, Error> {
        let client = self.context.client.clone();
        let path = self.path().to_owned();
        if self.opened.at.is_none() {
            let look = until_answered(|| self.ready().send()).await;
            self.opened.at = look.map_err(|error| explain(&path, error))?.map(|stat| stat.czxid);
        }
        let listed = until_answered(|| client.get_children(path.as_str()).send()).await;
        let Children { names, stat, .. } = match listed {
            Ok(children) => children,
            // A container that was removed: all are gone.
            Err(error) if error.is_no_node() => return Ok(Listing::default()),
            Err(error) => return Err(explain(&path, error)),
        };
        let ready = names.iter().any(|name| name == READY);
        let members = names.into_iter().filter(|name| name != READY);
        let of_round = match &self.round {
            Some(round) => members.filter(|name| round.contains(name)).collect(),
            None => {
                let of_round: Vec<String> = members.collect();
                self.round = Some(of_round.iter().cloned().collect());
                self.as_of = stat.pzxid;
                of_round
            }
        };
        Ok(Listing { of_round, ready, barrier: stat })
    }

    fn look(&self, name: &str) -> Pending<(Node, Watch)> {
        self.context.client.get(path::join(self.path(), name)).watch().send()
    }

    /// Waits until something has happened to the node that is looked at, or to us.
    async fn until_gone(&mut self, name: &str, look: Pending<(Node, Watch)>) -> Result<(), Error> {
        let (node, watch) = match look.await {
            Ok(seen) => seen,
            Err(error) if error.is_no_node() => return Ok(()),
            Err(error) => return self.pause(error).await,
        };
        if node.stat.czxid > self.as_of {
            // It left, and has come back for the next round.
            self.without(name);
            return Ok(());
        }
        // One who came late may have found nobody of the round any more, and have closed it: then he waits for the
        // next one, and it may be us that he waits for.
        let mut closed = None;
        if let Some(opened) = self.opened.at.filter(|opened| node.stat.czxid > *opened) {
            match self.ready().watch().send().await {
                Ok((Some(stat), watch)) if stat.czxid == opened => closed = Some(watch),
                Ok(_) => {
                    self.without(name);
                    return Ok(());
                }
                Err(error) => return self.pause(error).await,
            }
        }
        let closed = async {
            match closed {
                Some(watch) => watch.await,
                None => std::future::pending().await,
            }
        };
        let lost = self.held.as_ref().map(Held::lost);
        let lost = async {
            match lost {
                Some(lost) => drop(lost.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = lost => Ok(()),
            event = watch => match event {
                Ok(_) => Ok(()),
                Err(error) => self.pause(error).await,
            },
            event = closed => match event {
                Ok(_) => Ok(()),
                Err(error) => self.pause(error).await,
            },
        }
    }

    /// This one is not of our round.
    fn without(&mut self, name: &str) {
        if let Some(round) = &mut self.round {
            round.remove(name);
        }
    }

    async fn pause(&self, error: ClientError) -> Result<(), Error> {
        if !passes(&error) && error.kind() != ErrorKind::WatchRemoved {
            return Err(explain(self.path(), error));
        }
        tokio::time::sleep(RETRY_PAUSE).await;
        Ok(())
    }

    /// The last of the round goes, and `ready` with it: whoever lingers finds both gone.
    async fn close_round(&mut self, barrier: Stat) -> Result<Option<Released>, Error> {
        let Some(held) = &self.held else { return Ok(Some(Released::Deleted)) };
        let (client, path) = (&self.context.client, self.path());
        let (data, version) = if barrier.data_length == 0 {
            (Bytes::new(), barrier.version)
        } else {
            match client.get(path).await {
                Ok(node) => (node.data, node.stat.version),
                Err(error) => return self.pause(error).await.map(|()| None),
            }
        };
        let go = || client.transaction().delete(held.node()).in_session(held.session());
        let mut closed = stale::with_ready(go(), path, data, version).commit().await;
        if closed.as_ref().is_err_and(|error| error.code() == Some(ErrorCode::NoAuth)) {
            // One may delete here, and not write.
            closed = go().delete(path::join(path, READY)).commit().await;
        }
        let error = match closed {
            Ok(_) => {
                if let Some(held) = self.held.take() {
                    held.into_holding().forget();
                }
                return Ok(Some(Released::Deleted));
            }
            Err(error) if error.outcome_unknown() => {
                self.closing = true;
                return self.pause(error).await.map(|()| None);
            }
            Err(error) => error,
        };
        match error.kind() {
            // Our node is gone, maybe by an earlier try of this; or `ready`, which Kazoo removes as it begins to leave.
            ErrorKind::Transaction { index: 0 | 1, code: ErrorCode::NoNode } => match self.held.take() {
                Some(held) => held.release().await.map(Some),
                None => Ok(None),
            },
            // Somebody has removed a `ready`: was it this one?
            ErrorKind::Transaction { code: ErrorCode::BadVersion, .. } => Ok(None),
            _ => self.pause(error).await.map(|()| None),
        }
    }

    /// Curator's last one deletes its node first and `ready` then: it must be gone before we enter again.
    async fn clear(&self) -> Result<(), Error> {
        loop {
            let look = until_answered(|| self.ready().send()).await;
            match look.map_err(|error| explain(self.path(), error))? {
                Some(stat) if stat.czxid <= self.as_of => {
                    stale::remove(&self.context.client, self.path(), stat.czxid).await?;
                }
                _ => return Ok(()),
            }
        }
    }
}

#[derive(Debug, Default)]
struct Listing {
    /// Those of our round that are still there.
    of_round: Vec<String>,
    /// Whether `ready` is there.
    ready: bool,
    /// Of the barrier's node.
    barrier: Stat,
}
