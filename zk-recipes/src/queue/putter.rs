//! Putting items: one, several, into a queue with a bound, and what a lost answer means.

use bytes::Bytes;
use std::sync::Arc;
use zk_client::{CreateMode, Error as ClientError, TransactionResult};
use zk_proto::path;

use super::taker::{Shared, make_node};
use crate::asking::{explain, passes, until_answered};
use crate::error::Error;
use crate::identity::Uuid;
use crate::limits::{LOST_WRITES_MAX, QUEUE_BATCH_BYTES, QUEUE_BATCH_MAX, RETRY_PAUSE};
use crate::marker::Marker;

/// What puts items.
#[derive(Debug, Clone)]
pub(super) struct Putter {
    pub(super) shared: Arc<Shared>,
    pub(super) max_items: Option<usize>,
    pub(super) exact: bool,
}

/// An item on its way in: what its node's name begins with, and the node's data.
pub(super) type Item = (String, Bytes);

impl Putter {
    /// Puts these, in this order, all or none; up to [`QUEUE_BATCH_MAX`] of them. Returns their nodes' names.
    pub(super) async fn put(&self, items: &[Item]) -> Result<Vec<String>, Error> {
        self.make_room().await?;
        let queue = &self.shared.place.items;
        let marker = self.exact.then(|| {
            path::join(
                &format!("{queue}-puts"),
                &Uuid::from_random(self.shared.place.client.random_bits()).to_string(),
            )
        });
        let mut marker = Marker::new(Arc::clone(&self.shared.reaper), marker);
        let mut losses = 0;
        loop {
            marker.departs();
            let error = match self.once(items, marker.path()).await {
                Ok(names) => return Ok(names),
                Err(error) => error,
            };
            if error.outcome_unknown() {
                let Some(marker) = marker.path() else {
                    return Err(Error::Indeterminate { path: queue.clone(), source: error });
                };
                if self.is_there(marker).await? {
                    // The names are not known, and not worth a search.
                    return Ok(Vec::new());
                }
                losses += 1;
                if losses == LOST_WRITES_MAX {
                    // It was not made, and it may be the reason.
                    return Err(explain(queue, error));
                }
                continue;
            }
            marker.is_not_there();
            if error.is_no_node() {
                make_node(&self.shared, queue).await?;
                if let Some(parent) = marker.path().and_then(path::parent) {
                    make_node(&self.shared, parent).await?;
                }
            } else if passes(&error) {
                tokio::time::sleep(RETRY_PAUSE).await;
            } else {
                return Err(explain(queue, error));
            }
        }
    }

    /// As [`Putter::put`], any number of them, in batches that fit into a frame.
    pub(super) async fn put_all(&self, items: &[Item]) -> Result<(), Error> {
        let mut rest = items;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |(_, data): &&Item| {
                bytes += data.len();
                bytes <= QUEUE_BATCH_BYTES
            };
            let count = rest.iter().take(QUEUE_BATCH_MAX).take_while(fits).count().max(1);
            let (batch, later) = rest.split_at(count);
            self.put(batch).await?;
            rest = later;
        }
        Ok(())
    }

    async fn once(&self, items: &[Item], marker: Option<&str>) -> Result<Vec<String>, ClientError> {
        let (client, queue) = (&self.shared.place.client, &self.shared.place.items);
        let (mode, acl) = (CreateMode::PersistentSequential, &self.shared.acl);
        let name = |path: &str| path::name(path).to_owned();
        if let ([(prefix, data)], None) = (items, marker) {
            let create = client.create(path::join(queue, prefix), data.clone()).mode(mode).acl(acl.clone());
            return create.await.map(|created| vec![name(&created.path)]);
        }
        let mut all = client.transaction();
        for (prefix, data) in items {
            all = all.create_with(path::join(queue, prefix), data.clone(), mode, acl.clone());
        }
        if let Some(marker) = marker {
            all = all.create_with(marker, Bytes::new(), CreateMode::Persistent, acl.clone());
        }
        let results = all.commit().await?;
        let paths = results.iter().take(items.len()).filter_map(TransactionResult::created_path);
        Ok(paths.map(name).collect())
    }

    async fn is_there(&self, marker: &str) -> Result<bool, Error> {
        let client = &self.shared.place.client;
        let look = until_answered(|| async move {
            let (sync, look) = (client.sync(marker).send(), client.exists(marker).send());
            sync.await?;
            look.await
        });
        look.await.map(|stat| stat.is_some()).map_err(|error| explain(marker, error))
    }

    /// Waits until the queue is below its bound. Soft, as Curator's: who puts at the same moment finds room too.
    async fn make_room(&self) -> Result<(), Error> {
        let Some(most) = self.max_items else { return Ok(()) };
        let (client, queue) = (&self.shared.place.client, self.shared.place.items.as_str());
        let full = |children: usize| children >= most;
        loop {
            let stat = until_answered(|| client.exists(queue).send()).await;
            let stat = stat.map_err(|error| explain(queue, error))?;
            if !full(stat.map_or(0, |stat| usize::try_from(stat.num_children).unwrap_or(0))) {
                return Ok(());
            }
            match until_answered(|| client.get_children(queue).watch().send()).await {
                Ok((list, changed)) if full(list.names.len()) => match changed.await {
                    Err(error) if !passes(&error) && error.is_session_lost() => {
                        return Err(explain(queue, error));
                    }
                    Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
                    Ok(_) => {}
                },
                Ok(_) => return Ok(()),
                Err(error) if error.is_no_node() => return Ok(()),
                Err(error) => return Err(explain(queue, error)),
            }
        }
    }
}
