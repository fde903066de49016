//! The semaphore, in either layout. Processes acquire one permit or several in every way there is, give up at any
//! moment, and return them in every way there is. Oracle: never more permits out than there are.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

use zk_recipes::semaphore::Layout;
use zk_recipes::{Error, LossPolicy, Permits, Semaphore};

use crate::rehearsal::actor::Actor;
use crate::rehearsal::history::History;
use crate::rehearsal::oracle::capacity;
use crate::rehearsal::oracle::claims::{self, Claim, hold};
use crate::rehearsal::recipe::Recipe;
use crate::sim::Draw;

const PATH: &str = "/r/semaphore";
/// Longest work of a holder.
const WORK: Duration = Duration::from_millis(1_500);
/// Longest patience of those who have some.
const PATIENCE: Duration = Duration::from_secs(6);

/// See the file's head.
#[derive(Debug)]
pub struct SemaphoreRecipe {
    policy: LossPolicy,
    layout: Layout,
    processes: usize,
    size: u32,
}

impl Recipe for SemaphoreRecipe {
    const NAME: &'static str = "semaphore";
    type Event = Claim;

    fn of_seed(draw: &mut Draw) -> Self {
        let policy = if draw.chance(1, 2) { LossPolicy::Standard } else { LossPolicy::Session };
        let layout = if draw.chance(2, 3) { Layout::Curator } else { Layout::Kazoo };
        Self { policy, layout, processes: 2 + draw.index(4), size: [1, 2, 3][draw.index(3)] }
    }

    fn processes(&self) -> usize {
        self.processes
    }

    fn life(self: Arc<Self>, mut actor: Actor<Claim>) -> BoxFuture<'static, Result<(), String>> {
        async move {
            let semaphore = Semaphore::builder(&actor.client, PATH).permits(self.size).layout(self.layout);
            let semaphore = semaphore.loss_policy(self.policy).identifier(actor.who.to_string()).build();
            loop {
                let last = actor.healed();
                let count = 1 + [0, 1, 2][actor.draw.index(self.size as usize)];
                if let Some(permits) = acquire(&mut actor, &semaphore, count, last).await? {
                    let (id, held) = hold(&mut actor, &*permits, PATH, u64::from(count), WORK).await?;
                    actor.note(Claim::LetGo(id));
                    match actor.draw.below(3) {
                        0 => drop(permits),
                        1 => drop(actor.perhaps(WORK, permits.release()).await),
                        _ => match permits.release().await {
                            Ok(_) | Err(Error::ReleasePending { .. }) => {}
                            Err(why) => return Err(format!("release: {why}")),
                        },
                    }
                    if last && held {
                        actor.note(Claim::Served);
                        return Ok(());
                    }
                }
                actor.rest(WORK).await;
            }
        }
        .boxed()
    }

    fn judge(&self, history: &History<Claim>) -> Result<(), String> {
        capacity::check(history, u64::from(self.size))
    }

    fn left_over(&self, tree: &std::collections::BTreeMap<String, Vec<u8>>) -> Vec<String> {
        let parents = ["/r", PATH, "/r/semaphore/locks", "/r/semaphore/leases", "/r/semaphore-__lock__"];
        tree.keys().filter(|path| !parents.contains(&path.as_str())).cloned().collect()
    }

    fn count(&self, history: &History<Claim>) -> Vec<(&'static str, u64)> {
        claims::count(history)
    }
}

async fn acquire(
    actor: &mut Actor<Claim>,
    semaphore: &Semaphore,
    count: u32,
    last: bool,
) -> Result<Option<Permits>, String> {
    let way = if last { 0 } else { actor.draw.below(4) };
    let outcome = match way {
        0 => semaphore.acquire_many(count).await.map(Some),
        1 => {
            let limit = actor.draw.between(Duration::ZERO, PATIENCE);
            semaphore.acquire_many_within(count, limit).await.map(Some)
        }
        2 => semaphore.try_acquire_many(count).await,
        _ => actor.perhaps(PATIENCE, semaphore.acquire_many(count)).await.transpose(),
    };
    match outcome {
        Err(Error::Timeout { .. }) => Ok(None),
        outcome => outcome.map_err(|why| format!("acquire: {why}")),
    }
}
