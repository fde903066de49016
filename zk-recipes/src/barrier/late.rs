//! Coming late: entering a round that was opened before.

use tokio::runtime::Handle;
use zk_client::{CreateMode, ErrorKind};
use zk_proto::{ErrorCode, Zxid, path};

use super::decision::{LATE, READY};
use super::double::{Attempt, DoubleBarrier};
use super::pending::PendingNode;
use crate::asking::{explain, passes};
use crate::contender::{Grant, Holding};
use crate::error::Error;
use crate::held::Held;
use crate::limits::RETRY_PAUSE;
use crate::sequence::Sequence;
use std::sync::Arc;

impl DoubleBarrier {
    /// Enters the round that was opened at `age`, under a name that does not count for the next one. If that round is
    /// over by then everything begins anew.
    pub(super) async fn come_late(
        &self,
        held: Held,
        name: String,
        age: Zxid,
        runtime: &Handle,
    ) -> Result<Attempt, Error> {
        let (client, path) = (&self.context.client, self.path());
        let (session, own) = (held.session(), held.node().to_owned());
        let late_name = name + LATE;
        let late = path::join(path, &late_name);
        let reaper = &self.context.reaper;
        let mut pending = [&own, &late].map(|node| PendingNode::new(reaper, runtime, node, session));
        held.into_holding().forget();
        // In this order: if the barrier's version stays what it is, so does the `ready` that is seen after it.
        let barrier = client.exists(path).in_session(session).send();
        let ready = client.exists(path::join(path, READY)).in_session(session).send();
        let barrier = match (barrier.await, ready.await) {
            (Ok(Some(barrier)), Ok(Some(ready))) if ready.czxid == age => barrier,
            (Ok(_), Ok(_)) => return Ok(Attempt::Again),
            (Err(error), _) | (_, Err(error)) => return self.begin_anew(error).await,
        };
        let all = client.transaction().check(path, barrier.version).delete(own.as_str());
        let all = all.create_with(late.as_str(), self.data.clone(), CreateMode::Ephemeral, self.acl.clone());
        let token = match all.in_session(session).commit_with_zxid().await {
            Ok((zxid, _)) => zxid,
            Err(error) => match error.kind() {
                // The round is over; or our node was given up meanwhile.
                ErrorKind::Transaction { code: ErrorCode::BadVersion | ErrorCode::NoNode, .. } => {
                    return Ok(Attempt::Again);
                }
                _ => return self.begin_anew(error).await,
            },
        };
        let (paths, sequence) = (vec![late], Sequence(0));
        let grant = Grant { paths, token, sequence, session, version: None };
        let holding = Holding::of_nodes(Arc::clone(&self.context), runtime, grant);
        pending.iter_mut().for_each(PendingNode::forget);
        Ok(self.inside(Held::new(holding), late_name, Some(age), true))
    }

    async fn begin_anew(&self, error: zk_client::Error) -> Result<Attempt, Error> {
        if !passes(&error) {
            return Err(explain(self.path(), error));
        }
        tokio::time::sleep(RETRY_PAUSE).await;
        Ok(Attempt::Again)
    }
}
