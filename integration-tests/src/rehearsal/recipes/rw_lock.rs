//! The read/write lock. Processes read and write in every way there is, give up at any moment, and go on as readers
//! after they have written. Oracle: readers xor one writer, a writer's token is greater than those before it, no
//! writer gets in while another becomes a reader.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

use zk_recipes::{Dialect, Error, LossPolicy, ReadGuard, Released, RwLock, WriteGuard};

use crate::rehearsal::actor::Actor;
use crate::rehearsal::history::History;
use crate::rehearsal::oracle::claims::{self, Claim, hold};
use crate::rehearsal::oracle::exclusive;
use crate::rehearsal::recipe::Recipe;
use crate::sim::Draw;

const PATH: &str = "/r/rw";
const READER: u64 = 0;
const WRITER: u64 = 1;
/// Longest work of a holder.
const WORK: Duration = Duration::from_millis(1_200);
/// Longest patience of those who have some.
const PATIENCE: Duration = Duration::from_secs(6);

/// See the file's head.
#[derive(Debug)]
pub struct RwLockRecipe {
    policy: LossPolicy,
    processes: usize,
    /// One in so many turns is a writer's.
    writers: u64,
}

impl Recipe for RwLockRecipe {
    const NAME: &'static str = "read/write lock";
    type Event = Claim;

    fn of_seed(draw: &mut Draw) -> Self {
        let policy = if draw.chance(1, 2) { LossPolicy::Standard } else { LossPolicy::Session };
        Self { policy, processes: 2 + draw.index(4), writers: 1 + draw.below(4) }
    }

    fn processes(&self) -> usize {
        self.processes
    }

    fn life(self: Arc<Self>, mut actor: Actor<Claim>) -> BoxFuture<'static, Result<(), String>> {
        async move {
            let dialect = [Dialect::Curator, Dialect::Kazoo, Dialect::Both][actor.draw.index(3)];
            let lock = RwLock::builder(&actor.client, PATH).dialect(dialect).loss_policy(self.policy);
            let lock = lock.identifier(actor.who.to_string()).build();
            loop {
                let last = actor.healed();
                let held = if actor.draw.chance(1, self.writers) {
                    write(&mut actor, &lock, last).await?
                } else {
                    read(&mut actor, &lock, last).await?
                };
                if held && last {
                    actor.note(Claim::Served);
                    return Ok(());
                }
                actor.rest(WORK).await;
            }
        }
        .boxed()
    }

    fn judge(&self, history: &History<Claim>) -> Result<(), String> {
        exclusive::check(history, |one, other| {
            let downgraded = (one.who, one.token) == (other.who, other.token);
            !downgraded && (one.how == WRITER || other.how == WRITER)
        })
    }

    fn count(&self, history: &History<Claim>) -> Vec<(&'static str, u64)> {
        let mut counts = claims::count(history);
        let spans = claims::spans(history);
        let writers = spans.iter().filter(|span| span.how == WRITER);
        let together = spans.windows(2).filter(|two| two.iter().all(|span| span.how == READER));
        let together = together.filter(|two| matches!(two, [one, other] if one.until > other.from));
        counts.extend([("writers", writers.count() as u64), ("readers together", together.count() as u64)]);
        counts
    }
}

async fn read(actor: &mut Actor<Claim>, lock: &RwLock, last: bool) -> Result<bool, String> {
    let way = if last { 0 } else { actor.draw.below(4) };
    let limit = actor.draw.between(Duration::ZERO, PATIENCE);
    let outcome = match way {
        0 => Some(lock.read().await),
        1 => Some(lock.read_within(limit).await),
        2 => lock.try_read().await.transpose(),
        _ => actor.perhaps(PATIENCE, lock.read()).await,
    };
    match granted(outcome)? {
        Some(guard) => reading(actor, guard).await,
        None => Ok(false),
    }
}

async fn reading(actor: &mut Actor<Claim>, guard: ReadGuard) -> Result<bool, String> {
    let (id, held) = hold(actor, &*guard, PATH, READER, WORK).await?;
    actor.note(Claim::LetGo(id));
    match actor.draw.below(3) {
        0 => drop(guard),
        1 => drop(actor.perhaps(WORK, guard.release()).await),
        _ => released(guard.release().await)?,
    }
    Ok(held)
}

async fn write(actor: &mut Actor<Claim>, lock: &RwLock, last: bool) -> Result<bool, String> {
    let way = if last { 0 } else { actor.draw.below(4) };
    let limit = actor.draw.between(Duration::ZERO, PATIENCE);
    let outcome = match way {
        0 => Some(lock.write().await),
        1 => Some(lock.write_within(limit).await),
        2 => lock.try_write().await.transpose(),
        _ => actor.perhaps(PATIENCE, lock.write()).await,
    };
    match granted(outcome)? {
        Some(guard) => writing(actor, guard).await,
        None => Ok(false),
    }
}

async fn writing(actor: &mut Actor<Claim>, guard: WriteGuard) -> Result<bool, String> {
    let (id, held) = hold(actor, &*guard, PATH, WRITER, WORK).await?;
    actor.note(Claim::LetGo(id));
    match actor.draw.below(5) {
        0 => drop(guard),
        1 => drop(actor.perhaps(WORK, guard.release()).await),
        2 => released(guard.release().await)?,
        3 => {
            // Dropped in the middle it holds nothing, and leaves nothing.
            if let Some(Ok(reader)) = actor.perhaps(WORK, guard.downgrade()).await {
                reading(actor, reader).await?;
            }
        }
        _ => match guard.downgrade().await {
            Ok(reader) => return Ok(reading(actor, reader).await? && held),
            Err(Error::Lost { .. }) => return Ok(false),
            Err(why) => return Err(format!("downgrade: {why}")),
        },
    }
    Ok(held)
}

fn granted<T>(outcome: Option<Result<T, Error>>) -> Result<Option<T>, String> {
    match outcome {
        Some(Err(Error::Timeout { .. })) => Ok(None),
        outcome => outcome.transpose().map_err(|why| format!("acquire: {why}")),
    }
}

fn released(outcome: Result<Released, Error>) -> Result<(), String> {
    match outcome {
        Ok(_) | Err(Error::ReleasePending { .. }) => Ok(()),
        Err(why) => Err(format!("release: {why}")),
    }
}
