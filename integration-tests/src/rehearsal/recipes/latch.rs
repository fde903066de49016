//! The leader latch. Processes start latches, wait to lead, lead for several terms, step down, close or drop them.
//! Oracle: never two that count themselves in, tokens never fall, a leader stops before the next one is let in.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

use zk_recipes::{CloseMode, Error, LeaderLatch, LossPolicy, RunningLatch};

use crate::rehearsal::actor::Actor;
use crate::rehearsal::history::History;
use crate::rehearsal::oracle::claims::{self, Claim, hold};
use crate::rehearsal::oracle::exclusive;
use crate::rehearsal::recipe::Recipe;
use crate::sim::Draw;

const PATH: &str = "/r/latch";
/// Longest work of a leader before it looks what it does next.
const WORK: Duration = Duration::from_millis(2_000);
/// Longest wait for leadership.
const PATIENCE: Duration = Duration::from_secs(8);

/// See the file's head.
#[derive(Debug)]
pub struct LatchRecipe {
    policy: LossPolicy,
    processes: usize,
}

impl Recipe for LatchRecipe {
    const NAME: &'static str = "leader latch";
    type Event = Claim;

    fn of_seed(draw: &mut Draw) -> Self {
        let policy = if draw.chance(1, 2) { LossPolicy::Standard } else { LossPolicy::Session };
        Self { policy, processes: 2 + draw.index(3) }
    }

    fn processes(&self) -> usize {
        self.processes
    }

    fn life(self: Arc<Self>, mut actor: Actor<Claim>) -> BoxFuture<'static, Result<(), String>> {
        async move {
            let latch = LeaderLatch::builder(&actor.client, PATH).identifier(actor.who.to_string());
            let latch = latch.loss_policy(self.policy).build();
            loop {
                let running = latch.start().map_err(|why| format!("start: {why}"))?;
                let served = candidate(&mut actor, &running).await?;
                match actor.draw.below(3) {
                    0 if !served => drop(running),
                    1 => closed(running.close(CloseMode::NotifyLeader).await)?,
                    _ => closed(running.close(CloseMode::Silent).await)?,
                }
                if served {
                    actor.note(Claim::Served);
                    return Ok(());
                }
                actor.rest(WORK).await;
            }
        }
        .boxed()
    }

    fn judge(&self, history: &History<Claim>) -> Result<(), String> {
        // A leader that kept its place goes on with the token it had.
        exclusive::check(history, |one, other| (one.who, one.token) != (other.who, other.token))
    }

    fn count(&self, history: &History<Claim>) -> Vec<(&'static str, u64)> {
        claims::count(history)
    }
}

/// Some terms of one candidate; whether it took the last turn.
async fn candidate(actor: &mut Actor<Claim>, running: &RunningLatch) -> Result<bool, String> {
    for _ in 0..1 + actor.draw.below(4) {
        let last = actor.healed();
        let waiting = running.wait_leader();
        let leading = if last { Some(waiting.await) } else { actor.perhaps(PATIENCE, waiting).await };
        let Some(leadership) = leading.transpose().map_err(|why| format!("wait_leader: {why}"))? else {
            continue;
        };
        let (id, held) = hold(actor, &*leadership, PATH, 0, WORK).await?;
        actor.note(Claim::LetGo(id));
        if held && last {
            return Ok(true);
        }
        if actor.draw.chance(1, 3) {
            running.step_down().await;
            if leadership.is_held() {
                return Err("it has stepped down, and its leadership is held".to_owned());
            }
        }
    }
    Ok(false)
}

fn closed(outcome: Result<(), Error>) -> Result<(), String> {
    match outcome {
        Ok(()) | Err(Error::ReleasePending { .. }) => Ok(()),
        Err(why) => Err(format!("close: {why}")),
    }
}
