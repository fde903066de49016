//! A lock as it is often written, to show that the oracle sees through it: it lists once, waits for the node before its
//! own, and takes its end for its turn. Who gave up in the middle of the line lets two in.

use futures::FutureExt as _;
use futures::future::{BoxFuture, pending};
use std::time::Duration;

use tokio::time::Instant;
use zk_client::{Client, Error, SessionId};
use zk_recipes::LossReason;

use crate::rehearsal::actor::Actor;
use crate::rehearsal::oracle::claims::{Claim, Guard, hold};

struct Naive {
    client: Client,
    session: SessionId,
    token: i64,
}

impl Guard for Naive {
    fn token(&self) -> i64 {
        self.token
    }

    fn is_held(&self) -> bool {
        self.client.session_deadline(self.session).is_some_and(|deadline| Instant::now() < deadline)
    }

    fn lost(&self) -> BoxFuture<'static, LossReason> {
        pending().boxed()
    }
}

/// Stands in line once, holds, and deletes the node; or gives up.
pub(super) async fn turn(actor: &mut Actor<Claim>, path: &str, work: Duration) -> Result<(), String> {
    let client = actor.client.clone();
    let node = client.create(format!("{path}/naive-"), "").ephemeral().sequential().parents().await;
    if let (Ok(node), Some(session)) = (node, client.session_id()) {
        let waited = actor.perhaps(work * 4, wait(&client, path, &node.path)).await;
        if let Some(Ok(())) = waited {
            let guard = Naive { client: client.clone(), session, token: node.stat.czxid.0 };
            let (id, _) = hold(actor, &guard, path, 0, work).await?;
            actor.note(Claim::LetGo(id));
        }
        while client.delete(node.path.as_str()).in_session(session).await.is_err_and(|why| why.is_retryable())
        {
            actor.rest(work / 10).await;
        }
    }
    actor.rest(work).await;
    Ok(())
}

async fn wait(client: &Client, path: &str, own: &str) -> Result<(), Error> {
    let mut names = client.get_children(path).await?.names;
    names.sort();
    let before = names.iter().rev().find(|name| format!("{path}/{name}").as_str() < own);
    let Some(before) = before else { return Ok(()) };
    match client.get(format!("{path}/{before}")).watch().await {
        Ok((_, watch)) => watch.await.map(drop),
        Err(why) if why.is_no_node() => Ok(()),
        Err(why) => Err(why),
    }
}
