//! Selectors, elections and locks of one path, which exclude each other. Selectors requeue by themselves, are
//! interrupted and closed or dropped at any moment; elections are cancelled or dropped. Oracle: as the lock's; that
//! the work of one that lost is dropped counts as being told.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zk_client::async_trait;
use zk_recipes::{
    Dialect, Election, LeaderSelector, LeaderSelectorListener, Leadership, Lock, LossPolicy, Outcome,
};

use crate::rehearsal::actor::Actor;
use crate::rehearsal::history::History;
use crate::rehearsal::oracle::claims::{self, Claim, hold};
use crate::rehearsal::oracle::exclusive;
use crate::rehearsal::recipe::Recipe;
use crate::sim::Draw;

const PATH: &str = "/r/election";
/// Longest work of a leader.
const WORK: Duration = Duration::from_millis(1_500);
/// Longest wait for leadership.
const PATIENCE: Duration = Duration::from_secs(6);

/// See the file's head.
#[derive(Debug)]
pub struct ElectionRecipe {
    policy: LossPolicy,
    processes: usize,
    grace: Duration,
}

impl Recipe for ElectionRecipe {
    const NAME: &'static str = "election";
    type Event = Claim;

    fn of_seed(draw: &mut Draw) -> Self {
        let policy = if draw.chance(1, 2) { LossPolicy::Standard } else { LossPolicy::Session };
        let grace = if draw.chance(1, 2) { Duration::ZERO } else { WORK / 2 };
        Self { policy, processes: 2 + draw.index(3), grace }
    }

    fn processes(&self) -> usize {
        self.processes
    }

    fn life(self: Arc<Self>, mut actor: Actor<Claim>) -> BoxFuture<'static, Result<(), String>> {
        async move {
            loop {
                let last = actor.healed();
                let served = match actor.draw.below(3) {
                    0 => self.select(&mut actor, last).await?,
                    1 => self.elect(&mut actor, last).await?,
                    _ => self.lock(&mut actor).await?,
                };
                if last && served {
                    actor.note(Claim::Served);
                    return Ok(());
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

impl ElectionRecipe {
    /// A selector for a while; whether its listener led to the end of its work.
    async fn select(&self, actor: &mut Actor<Claim>, last: bool) -> Result<bool, String> {
        let listener =
            Listener { actor: Mutex::new(actor.twin()), served: Arc::default(), wrong: Arc::default() };
        let (served, wrong) = (Arc::clone(&listener.served), Arc::clone(&listener.wrong));
        let selector =
            LeaderSelector::builder(&actor.client, PATH, listener).auto_requeue(actor.draw.chance(1, 2));
        let selector =
            selector.loss_policy(self.policy).grace(self.grace).identifier(actor.who.to_string()).build();
        let running = selector.start().map_err(|why| format!("start: {why}"))?;
        let steps = actor.draw.below(12);
        let mut step = 0;
        while (last && !served.load(Ordering::Relaxed)) || step < steps {
            actor.rest(PATIENCE / 6).await;
            step += 1;
            running.requeue();
            if !last && actor.draw.chance(1, 5) {
                running.interrupt_leadership();
            }
            if let Some(why) = running.error() {
                return Err(format!("selector: {why}"));
            }
        }
        if last || actor.draw.chance(1, 2) {
            running.close().await;
        }
        match wrong.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(why) => Err(why),
            None => Ok(served.load(Ordering::Relaxed)),
        }
    }

    async fn elect(&self, actor: &mut Actor<Claim>, last: bool) -> Result<bool, String> {
        let election = Election::builder(&actor.client, PATH).loss_policy(self.policy).grace(self.grace);
        let election = election.dialect(Dialect::Both).identifier(actor.who.to_string()).build();
        let mut worker = actor.twin();
        let run = election.run(|leadership| async move { lead(&mut worker, &leadership).await });
        let outcome = if last { Some(run.await) } else { actor.perhaps(PATIENCE, run).await };
        match outcome.transpose().map_err(|why| format!("election: {why}"))? {
            Some(Outcome::Finished(held)) => held,
            Some(Outcome::LostLeadership(_) | Outcome::Cancelled) | None => Ok(false),
        }
    }

    async fn lock(&self, actor: &mut Actor<Claim>) -> Result<bool, String> {
        let lock = Lock::builder(&actor.client, PATH).loss_policy(self.policy).identifier("lock").build();
        let guard = lock.acquire().await.map_err(|why| format!("acquire: {why}"))?;
        let (id, held) = hold(actor, &*guard, PATH, 0, WORK).await?;
        actor.note(Claim::LetGo(id));
        drop(guard);
        Ok(held)
    }
}

async fn lead(actor: &mut Actor<Claim>, leadership: &Leadership) -> Result<bool, String> {
    let (id, held) = hold(actor, &**leadership, PATH, 0, WORK).await?;
    actor.note(Claim::LetGo(id));
    Ok(held)
}

struct Listener {
    actor: Mutex<Actor<Claim>>,
    served: Arc<AtomicBool>,
    wrong: Arc<Mutex<Option<String>>>,
}

#[async_trait]
impl LeaderSelectorListener for Listener {
    async fn take_leadership(&self, leadership: &Leadership) {
        let mut actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner).twin();
        match lead(&mut actor, leadership).await {
            Ok(held) => self.served.store(held && actor.healed(), Ordering::Relaxed),
            Err(why) => *self.wrong.lock().unwrap_or_else(PoisonError::into_inner) = Some(why),
        }
    }
}
