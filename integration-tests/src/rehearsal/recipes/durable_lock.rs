//! The durable lock. Its owners are places, not processes: who is killed while it holds or waits is followed by another
//! process of the same owner, which takes the node over. Owners come back before what they gave up is gone. Guards that are dropped keep the lock in some rehearsals.
//! Oracle: never two valid guards, whatever sessions expire meanwhile; tokens rise with every take-over.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

use zk_recipes::{Error, Lock};

use super::lock::acquire;
use crate::rehearsal::actor::Actor;
use crate::rehearsal::history::History;
use crate::rehearsal::oracle::claims::{self, Claim, hold};
use crate::rehearsal::oracle::exclusive;
use crate::rehearsal::recipe::Recipe;
use crate::sim::Draw;

const PATH: &str = "/r/durable";
/// Longest work of a holder.
const WORK: Duration = Duration::from_millis(1_500);

/// See the file's head.
#[derive(Debug)]
pub struct DurableLockRecipe {
    release_on_drop: bool,
    processes: usize,
}

impl Recipe for DurableLockRecipe {
    const NAME: &'static str = "durable lock";
    type Event = Claim;

    fn of_seed(draw: &mut Draw) -> Self {
        Self { release_on_drop: draw.chance(1, 2), processes: 2 + draw.index(3) }
    }

    fn processes(&self) -> usize {
        self.processes
    }

    fn life(self: Arc<Self>, mut actor: Actor<Claim>) -> BoxFuture<'static, Result<(), String>> {
        async move {
            let lock = Lock::builder(&actor.client, PATH);
            let lock =
                lock.durable(format!("owner-{}", actor.who.slot)).release_on_drop(self.release_on_drop);
            let lock = lock.build();
            loop {
                let last = actor.healed();
                if let Some(guard) = acquire(&mut actor, &lock, last).await? {
                    let (id, held) = hold(&mut actor, &*guard, PATH, 0, WORK).await?;
                    actor.note(Claim::LetGo(id));
                    if !last && !self.release_on_drop && actor.draw.chance(1, 3) {
                        drop(guard);
                    } else {
                        match guard.release().await {
                            Ok(_) | Err(Error::ReleasePending { .. }) => {}
                            Err(why) => return Err(format!("release: {why}")),
                        }
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
        exclusive::check(history, |_, _| true)
    }

    fn count(&self, history: &History<Claim>) -> Vec<(&'static str, u64)> {
        claims::count(history)
    }
}
