//! The lock. Processes acquire it in every way there is, give up at any moment, hold it for a while and release it
//! in every way there is. Oracle: never two valid guards, tokens rise, a loss is told before anyone else gets in.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

use zk_recipes::{Dialect, Error, Lock, LockGuard, LossPolicy};

use super::naive;
use crate::rehearsal::actor::Actor;
use crate::rehearsal::history::History;
use crate::rehearsal::oracle::claims::{self, Claim, hold};
use crate::rehearsal::oracle::exclusive;
use crate::rehearsal::recipe::Recipe;
use crate::sim::Draw;

const PATH: &str = "/r/lock";
/// Longest work of a holder.
const WORK: Duration = Duration::from_millis(1_500);
/// Longest patience of those who have some.
const PATIENCE: Duration = Duration::from_secs(6);

/// A mistake of the workload's, put in to show that the oracle finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// The holder works on without asking whether it still holds.
    NeverAsks,
    /// The lock is a home-made one, which takes any event for its turn.
    GrantsOnWake,
}

/// See the file's head.
#[derive(Debug)]
pub struct LockRecipe {
    policy: LossPolicy,
    processes: usize,
    flaw: Option<Flaw>,
}

impl LockRecipe {
    /// The same with a mistake in it.
    #[must_use]
    pub fn with_flaw(draw: &mut Draw, flaw: Flaw) -> Self {
        Self { flaw: Some(flaw), ..Self::of_seed(draw) }
    }

    /// Each process writes in a dialect of its own; all are read by everybody.
    fn lock(&self, actor: &mut Actor<Claim>) -> Lock {
        let dialect = [Dialect::Curator, Dialect::Kazoo, Dialect::Both][actor.draw.index(3)];
        let lock = Lock::builder(&actor.client, PATH).identifier(actor.who.to_string());
        lock.dialect(dialect).loss_policy(self.policy).build()
    }
}

impl Recipe for LockRecipe {
    const NAME: &'static str = "lock";
    type Event = Claim;

    fn of_seed(draw: &mut Draw) -> Self {
        let policy = if draw.chance(1, 2) { LossPolicy::Standard } else { LossPolicy::Session };
        Self { policy, processes: 2 + draw.index(4), flaw: None }
    }

    fn processes(&self) -> usize {
        self.processes
    }

    fn life(self: Arc<Self>, mut actor: Actor<Claim>) -> BoxFuture<'static, Result<(), String>> {
        async move {
            let lock = self.lock(&mut actor);
            loop {
                let last = actor.healed();
                if self.flaw == Some(Flaw::GrantsOnWake) {
                    naive::turn(&mut actor, PATH, WORK).await?;
                    if last {
                        return Ok(());
                    }
                    continue;
                }
                if let Some(guard) = acquire(&mut actor, &lock, last).await? {
                    let held = self.work(&mut actor, guard).await?;
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
        exclusive::check(history, |_, _| true)
    }

    fn count(&self, history: &History<Claim>) -> Vec<(&'static str, u64)> {
        claims::count(history)
    }
}

impl LockRecipe {
    async fn work(&self, actor: &mut Actor<Claim>, guard: LockGuard) -> Result<bool, String> {
        let (id, held) = match self.flaw {
            Some(Flaw::NeverAsks) => {
                let id = actor.draw.bits();
                let token = guard.fencing_token().get();
                actor.note(Claim::Granted { id, thing: PATH.to_owned(), how: 0, token });
                actor.rest(WORK).await;
                actor.note(Claim::Valid(id));
                (id, true)
            }
            _ => hold(actor, &*guard, PATH, 0, WORK).await?,
        };
        actor.note(Claim::LetGo(id));
        match actor.draw.below(3) {
            0 => drop(guard),
            1 => drop(actor.perhaps(WORK, guard.release()).await),
            // The first try may fail; the rest is the reaper's.
            _ => match guard.release().await {
                Ok(_) | Err(Error::ReleasePending { .. }) => {}
                Err(why) => return Err(format!("release: {why}")),
            },
        }
        Ok(held)
    }
}

/// Acquires in one of the ways there are; on the last turn in the one that waits as long as it takes.
pub(super) async fn acquire(
    actor: &mut Actor<Claim>,
    lock: &Lock,
    last: bool,
) -> Result<Option<LockGuard>, String> {
    let way = if last { 0 } else { actor.draw.below(6) };
    let outcome = match way {
        0 => lock.acquire().await.map(Some),
        1 => {
            let limit = actor.draw.between(Duration::ZERO, PATIENCE);
            lock.acquire_within(limit).await.map(Some)
        }
        2 => lock.try_acquire().await,
        3 => {
            let way = async { lock.enqueue().await?.wait().await };
            actor.perhaps(PATIENCE, way).await.transpose()
        }
        4 => match lock.enqueue().await {
            Ok(ticket) => match ticket.wait_within(actor.draw.between(Duration::ZERO, PATIENCE)).await {
                Ok(Ok(guard)) => Ok(Some(guard)),
                Ok(Err(ticket)) => actor.perhaps(PATIENCE, ticket.wait()).await.transpose(),
                Err(why) => Err(why),
            },
            Err(why) => Err(why),
        },
        _ => actor.perhaps(PATIENCE, lock.acquire()).await.transpose(),
    };
    match outcome {
        Err(Error::Timeout { .. }) => Ok(None),
        outcome => outcome.map_err(|why| format!("acquire: {why}")),
    }
}
