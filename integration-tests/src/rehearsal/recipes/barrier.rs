//! The barrier. The first process sets and removes it, the others wait. Oracle, with the server's log as witness:
//! whoever goes on has waited at a moment at which it was not set.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use zk_recipes::{Barrier, Error};

use crate::rehearsal::actor::Actor;
use crate::rehearsal::changes::Change;
use crate::rehearsal::history::{History, Who};
use crate::rehearsal::recipe::Recipe;
use crate::sim::Draw;

const PATH: &str = "/r/barrier";
/// Longest time between setting and removing, and between two waits.
const PAUSE: Duration = Duration::from_millis(1_500);
/// Longest patience of those who have some.
const PATIENCE: Duration = Duration::from_secs(3);

/// From when a change is logged to when it is seen, at most.
const SEEN_WITHIN: Duration = Duration::from_millis(500);

/// What a participant notes.
#[derive(Debug, Clone)]
pub enum Step {
    /// It begins to wait.
    Waits,
    /// It goes on.
    Passes,
    /// It was set.
    Set,
    /// It was removed.
    Removed,
    /// Its last turn is over.
    Served,
}

/// See the file's head.
#[derive(Debug)]
pub struct BarrierRecipe {
    processes: usize,
}

impl Recipe for BarrierRecipe {
    const NAME: &'static str = "barrier";
    type Event = Step;

    fn of_seed(draw: &mut Draw) -> Self {
        Self { processes: 2 + draw.index(4) }
    }

    fn processes(&self) -> usize {
        self.processes
    }

    fn life(self: Arc<Self>, mut actor: Actor<Step>) -> BoxFuture<'static, Result<(), String>> {
        async move {
            let barrier = Barrier::builder(&actor.client, PATH).identifier(actor.who.to_string()).build();
            loop {
                let last = actor.healed();
                if actor.who.slot == 0 {
                    operate(&mut actor, &barrier, last).await.map_err(|why| format!("operator: {why}"))?;
                } else {
                    wait(&mut actor, &barrier, last).await.map_err(|why| format!("wait: {why}"))?;
                }
                if last {
                    actor.note(Step::Served);
                    return Ok(());
                }
                actor.rest(PAUSE).await;
            }
        }
        .boxed()
    }

    fn judge(&self, history: &History<Step>) -> Result<(), String> {
        let mut waits: BTreeMap<Who, Duration> = BTreeMap::new();
        for entry in &history.entries {
            match entry.event {
                Step::Waits => drop(waits.insert(entry.who, entry.at)),
                Step::Passes => {
                    let since = waits.get(&entry.who).copied().unwrap_or_default();
                    if set_all_through(history, since, entry.at) {
                        let (who, at) = (entry.who, entry.at);
                        return Err(format!("{who} passes at {at:?}, and it was set ever since {since:?}"));
                    }
                }
                Step::Set | Step::Removed | Step::Served => {}
            }
        }
        Ok(())
    }

    fn count(&self, history: &History<Step>) -> Vec<(&'static str, u64)> {
        let number = |of: fn(&Step) -> bool| history.entries.iter().filter(|e| of(&e.event)).count() as u64;
        vec![
            ("set", number(|step| matches!(step, Step::Set))),
            ("removed", number(|step| matches!(step, Step::Removed))),
            ("passed", number(|step| matches!(step, Step::Passes))),
        ]
    }
}

async fn operate(actor: &mut Actor<Step>, barrier: &Barrier, last: bool) -> Result<(), Error> {
    if last || actor.draw.chance(3, 4) {
        barrier.set().await?;
        actor.note(Step::Set);
    } else {
        actor.perhaps(PATIENCE, barrier.set()).await.transpose()?;
    }
    actor.rest(PAUSE).await;
    if last || actor.draw.chance(3, 4) {
        barrier.remove().await?;
        actor.note(Step::Removed);
    }
    Ok(())
}

async fn wait(actor: &mut Actor<Step>, barrier: &Barrier, last: bool) -> Result<(), Error> {
    actor.note(Step::Waits);
    let passed = match actor.draw.below(3) {
        0 if !last => actor.perhaps(PATIENCE, barrier.wait()).await,
        1 if !last => match barrier.wait_within(actor.draw.between(Duration::ZERO, PATIENCE)).await {
            Err(Error::Timeout { .. }) => None,
            outcome => Some(outcome),
        },
        _ => Some(barrier.wait().await),
    };
    if passed.transpose()?.is_some() {
        actor.note(Step::Passes);
    }
    Ok(())
}

/// Whether the node was there at every moment from `since` to `until`.
fn set_all_through(history: &History<Step>, since: Duration, until: Duration) -> bool {
    let of_node = || history.changes.iter().filter(|change| change.path == PATH);
    // It is made durable, and so seen, some time after the log tells.
    let set = |change: &Change| change.made && change.at + SEEN_WITHIN < since;
    let set_before = of_node().take_while(|change| change.at < since).last().is_some_and(set);
    let goes = of_node().any(|change| !change.made && since <= change.at && change.at <= until);
    set_before && !goes
}
