//! Multi locks over three paths, of which each process takes some. Oracle: whoever shares a path never holds at the
//! same time, and the tokens of each path rise.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

use zk_recipes::{Error, Lock, LossPolicy, LossReason, MultiGuard, MultiLock};

use crate::rehearsal::actor::Actor;
use crate::rehearsal::history::History;
use crate::rehearsal::oracle::claims::{self, Claim, Guard, Span, hold};
use crate::rehearsal::oracle::exclusive;
use crate::rehearsal::recipe::Recipe;
use crate::sim::Draw;

const PATHS: [&str; 3] = ["/r/multi-a", "/r/multi-b", "/r/multi-c"];
/// Longest work of a holder.
const WORK: Duration = Duration::from_millis(1_000);
/// Longest patience of those who have some.
const PATIENCE: Duration = Duration::from_secs(6);

impl Guard for MultiGuard {
    /// Each path has its own: see [`members`].
    fn token(&self) -> i64 {
        0
    }

    fn is_held(&self) -> bool {
        Self::is_held(self)
    }

    fn lost(&self) -> BoxFuture<'static, LossReason> {
        Self::lost(self).boxed()
    }
}

/// See the file's head.
#[derive(Debug)]
pub struct MultiLockRecipe {
    policy: LossPolicy,
    processes: usize,
}

impl Recipe for MultiLockRecipe {
    const NAME: &'static str = "multi lock";
    type Event = Claim;

    fn of_seed(draw: &mut Draw) -> Self {
        let policy = if draw.chance(1, 2) { LossPolicy::Standard } else { LossPolicy::Session };
        Self { policy, processes: 2 + draw.index(4) }
    }

    fn processes(&self) -> usize {
        self.processes
    }

    fn life(self: Arc<Self>, mut actor: Actor<Claim>) -> BoxFuture<'static, Result<(), String>> {
        async move {
            loop {
                let last = actor.healed();
                let lock = self.some(&mut actor);
                if let Some(guard) = acquire(&mut actor, &lock, last).await? {
                    let tokens: Vec<String> =
                        guard.tokens().map(|(path, token)| format!("{path}={}", token.get())).collect();
                    let (id, held) = hold(&mut actor, &guard, &tokens.join(","), 0, WORK).await?;
                    actor.note(Claim::LetGo(id));
                    match actor.draw.below(3) {
                        0 => drop(guard),
                        1 => drop(actor.perhaps(WORK, guard.release()).await),
                        _ => match guard.release().await {
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
        let share = |one: &Span, other: &Span| shared(one, other).next().is_some();
        exclusive::never_together(history, share)?;
        let spans = claims::spans(history);
        for (at, after) in spans.iter().enumerate() {
            for before in spans.iter().take(at) {
                if let Some((path, ..)) = shared(before, after).find(|(_, one, other)| one >= other) {
                    return Err(format!(
                        "tokens of {path} do not rise: {}, then {}",
                        before.shown(),
                        after.shown()
                    ));
                }
            }
        }
        Ok(())
    }

    fn count(&self, history: &History<Claim>) -> Vec<(&'static str, u64)> {
        claims::count(history)
    }
}

impl MultiLockRecipe {
    /// Some of the paths, in any order, one of them perhaps as a lock of its own.
    fn some(&self, actor: &mut Actor<Claim>) -> MultiLock {
        let first = actor.draw.index(PATHS.len());
        let mut builder = MultiLock::builder(&actor.client);
        for n in 0..=actor.draw.index(PATHS.len()) {
            let path = PATHS[(first + n) % PATHS.len()];
            let lock = Lock::builder(&actor.client, path).loss_policy(self.policy);
            builder = builder.lock(&lock.identifier(actor.who.to_string()).build());
        }
        builder.build()
    }
}

async fn acquire(
    actor: &mut Actor<Claim>,
    lock: &MultiLock,
    last: bool,
) -> Result<Option<MultiGuard>, String> {
    let way = if last { 0 } else { actor.draw.below(4) };
    let outcome = match way {
        0 => lock.acquire().await.map(Some),
        1 => {
            let limit = actor.draw.between(Duration::ZERO, PATIENCE);
            lock.acquire_within(limit).await.map(Some)
        }
        2 => lock.try_acquire().await,
        _ => actor.perhaps(PATIENCE, lock.acquire()).await.transpose(),
    };
    match outcome {
        Err(Error::Timeout { .. }) => Ok(None),
        outcome => outcome.map_err(|why| format!("acquire: {why}")),
    }
}

/// The paths of a claim, with their tokens.
fn members(span: &Span) -> impl Iterator<Item = (&str, i64)> {
    let members = span.thing.split(',').filter_map(|member| member.split_once('='));
    members.map(|(path, token)| (path, token.parse().unwrap_or(0)))
}

/// The paths of both, with the tokens of either.
fn shared<'a>(one: &'a Span, other: &'a Span) -> impl Iterator<Item = (&'a str, i64, i64)> {
    let in_other = |path: &str| members(other).find(|(p, _)| *p == path).map(|(_, token)| token);
    members(one).filter_map(move |(path, token)| in_other(path).map(|theirs| (path, token, theirs)))
}
