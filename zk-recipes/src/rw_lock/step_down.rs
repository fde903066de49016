//! Carries a downgrade out: sends what the decisions in `downgrade` ask for, while the writer's holding is watched
//! as before. Whatever way its future ends, what it has made is deleted unless it is held.

use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::time::sleep;
use zk_proto::CreateMode;

use super::downgrade::{Downgrade, Step, Told};
use super::rules;
use crate::contender::{Context, Grant, Holding, Leftover, classify, seen};
use crate::error::Error;
use crate::held::Held;
use crate::identity::Uuid;
use crate::limits::RETRY_PAUSE;
use crate::loss::{LockState, LossReason};
use crate::reaper::UnderWay;

/// The reader's nodes, once they may be there: deleted when dropped, unless somebody holds by them.
struct Made<'a> {
    context: &'a Context,
    runtime: Handle,
    grant: Option<Grant>,
    sent: bool,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        if let Some(Grant { paths, session, .. }) = self.grant.take().filter(|_| self.sent) {
            let leftover = Leftover::Named { paths, session: Some(session) };
            self.context.reaper.adopt(&self.runtime, leftover, UnderWay::Nothing);
        }
    }
}

pub(super) async fn step_down(writer: Held, context: Arc<Context>) -> Result<Held, Error> {
    let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
    let lost = |reason| writer.lost_to(reason);
    let failed = |source| Error::Client { path: writer.node().to_owned(), source };
    let Grant { token, sequence, session, .. } = *writer.grant();
    let paths = rules::read_nodes(writer.nodes(), Uuid::from_random(context.client.random_bits()))
        .ok_or_else(|| lost(LossReason::NodeDeleted))?;
    let mut grant = Grant { paths, token, sequence, session, version: None };
    let mut made = Made { context: &context, runtime, grant: Some(grant.clone()), sent: false };
    let mut downgrade = Downgrade::new(session);
    let mut step = Step::Create;
    loop {
        if let LockState::Lost(reason) = writer.holding().check() {
            return Err(lost(reason));
        }
        let mut error = None;
        let told = tokio::select! {
            biased;
            reason = writer.lost() => return Err(lost(reason)),
            told = async {
                match step {
                    Step::Create => {
                        made.sent = true;
                        Told::Created(keep(create(&context, &writer, &grant).await, &mut error))
                    }
                    Step::Look => Told::Looked(keep(look(&context, &grant).await, &mut error)),
                    _ => {
                        sleep(RETRY_PAUSE).await;
                        Told::Rested
                    }
                }
            } => told,
        };
        step = downgrade.next(told);
        match (step, error) {
            (Step::Done, _) => break,
            (Step::Lost, error) => {
                let expired = error.is_some_and(|error| error.is_session_lost());
                let why = if expired { LossReason::SessionExpired } else { LossReason::NodeDeleted };
                return Err(lost(why));
            }
            (Step::Refused, Some(error)) => return Err(failed(error)),
            (Step::Refused, None) => return Err(lost(LossReason::NodeDeleted)),
            (Step::Create | Step::Look | Step::Rest, _) => {}
        }
    }
    if let LockState::Lost(reason) = writer.holding().check() {
        return Err(lost(reason));
    }
    // Held by the reader's nodes from here on; only then the writer's go.
    made.grant = None;
    grant.session = session;
    let reader = Holding::of_nodes(Arc::clone(&context), &made.runtime, grant);
    drop(writer);
    Ok(Held::new(reader))
}

async fn create(context: &Context, writer: &Held, grant: &Grant) -> Result<(), zk_client::Error> {
    let mut all = context.client.transaction();
    for node in writer.nodes() {
        all = all.check(node.as_str(), -1);
    }
    for path in &grant.paths {
        let (data, acl) = (context.data().clone(), context.acl().clone());
        all = all.create_with(path.as_str(), data, CreateMode::Ephemeral, acl);
    }
    all.in_session(grant.session).commit().await.map(drop)
}

async fn look(context: &Context, grant: &Grant) -> Result<crate::contender::Seen, zk_client::Error> {
    let (client, session) = (&context.client, grant.session);
    let sync = client.sync(context.options.parent.as_str()).in_session(session).send();
    let get = client.get(grant.path()).in_session(session).send();
    sync.await?;
    get.await.map(|node| seen(&node))
}

/// What an answer means here; the error is kept for whoever must be told.
fn keep<T>(
    answer: Result<T, zk_client::Error>,
    kept: &mut Option<zk_client::Error>,
) -> Result<T, crate::contender::Refusal> {
    answer.map_err(|error| {
        let refusal = classify(&error);
        *kept = Some(error);
        refusal
    })
}
