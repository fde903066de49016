//! The atomic number. Processes add one, in every way there is, and give up at any moment. Oracle: every step that was
//! acknowledged is counted once, one whose outcome nobody knows at most once, no two had the same number before them,
//! and a step that began after another was acknowledged counts on from it.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zk_recipes::{AtomicI64, Error};

use crate::rehearsal::actor::Actor;
use crate::rehearsal::history::{History, Who};
use crate::rehearsal::recipe::Recipe;
use crate::sim::Draw;

const PATH: &str = "/r/number";
const LOCK: &str = "/r/number-lock";
/// Longest pause between two steps.
const PAUSE: Duration = Duration::from_millis(400);
/// Longest patience of those who have some.
const PATIENCE: Duration = Duration::from_secs(2);

/// What happens to a step, by its name within its process.
#[derive(Debug, Clone)]
pub enum Step {
    /// It begins.
    Begun(u64),
    /// It was counted: the number before it.
    Counted(u64, i64),
    /// It was not, and will not be.
    Refused(u64),
    /// It may have been.
    Unknown(u64),
    /// One was counted after the faults.
    Served,
}

/// See the file's head.
#[derive(Debug)]
pub struct CounterRecipe {
    processes: usize,
    exact: bool,
    promoted: bool,
    /// Whether a process was killed: it may have left a marker, which nobody can tell from those in use.
    killed: AtomicBool,
}

impl Recipe for CounterRecipe {
    const NAME: &'static str = "atomic number";
    type Event = Step;

    fn of_seed(draw: &mut Draw) -> Self {
        Self {
            processes: 2 + draw.index(4),
            exact: draw.chance(1, 2),
            promoted: draw.chance(1, 2),
            killed: AtomicBool::new(false),
        }
    }

    fn processes(&self) -> usize {
        self.processes
    }

    fn life(self: Arc<Self>, mut actor: Actor<Step>) -> BoxFuture<'static, Result<(), String>> {
        async move {
            let mut number = AtomicI64::builder(&actor.client, PATH).exact(self.exact).tries(3);
            if self.promoted {
                number = number.promote_to_lock(LOCK, PATIENCE);
            }
            let number = number.build();
            if actor.who.life > 0 {
                self.killed.store(true, Ordering::Relaxed);
            }
            for step in 0.. {
                let last = actor.healed();
                actor.note(Step::Begun(step));
                let outcome = if last || actor.draw.chance(2, 3) {
                    Some(number.increment().await)
                } else {
                    actor.perhaps(PATIENCE, number.increment()).await
                };
                match outcome {
                    Some(Ok(change)) => {
                        actor.note(Step::Counted(step, change.before));
                        if last {
                            actor.note(Step::Served);
                            return Ok(());
                        }
                    }
                    // Nothing of ours is under way any more.
                    Some(Err(Error::Conflict { .. } | Error::Timeout { .. })) => {
                        actor.note(Step::Refused(step));
                    }
                    Some(Err(Error::Indeterminate { .. })) | None => actor.note(Step::Unknown(step)),
                    Some(Err(why)) => return Err(format!("increment: {why}")),
                }
                actor.rest(PAUSE).await;
            }
            Ok(())
        }
        .boxed()
    }

    fn judge(&self, history: &History<Step>) -> Result<(), String> {
        let counted: Vec<i64> = history.entries.iter().filter_map(|entry| before(&entry.event)).collect();
        let distinct: BTreeSet<i64> = counted.iter().copied().collect();
        if distinct.len() < counted.len() {
            return Err(format!("two steps with the same number before them, among {counted:?}"));
        }
        let begun = history.entries.iter().filter(|entry| matches!(entry.event, Step::Begun(_))).count();
        let refused = history.entries.iter().filter(|entry| matches!(entry.event, Step::Refused(_))).count();
        let data = history.tree.get(PATH).and_then(|data| <[u8; 8]>::try_from(data.as_slice()).ok());
        let number = data.map_or(0, i64::from_be_bytes);
        let (least, most) = (counted.len() as i64, (begun - refused) as i64);
        if number < least || number > most {
            return Err(format!("{number} was counted, of {least} acknowledged steps and {most} in all"));
        }
        in_order(history)
    }

    fn left_over(&self, tree: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        let killed = self.killed.load(Ordering::Relaxed);
        let marker = |path: &str| killed && path.starts_with("/r/number/op-");
        tree.keys().filter(|path| path.matches('/').count() > 2 && !marker(path)).cloned().collect()
    }

    fn count(&self, history: &History<Step>) -> Vec<(&'static str, u64)> {
        let number = |of: fn(&Step) -> bool| history.entries.iter().filter(|e| of(&e.event)).count() as u64;
        vec![
            ("counted", number(|step| matches!(step, Step::Counted(..)))),
            ("refused", number(|step| matches!(step, Step::Refused(_)))),
            ("unknown", number(|step| matches!(step, Step::Unknown(_)))),
        ]
    }
}

const fn before(step: &Step) -> Option<i64> {
    match step {
        Step::Counted(_, before) => Some(*before),
        _ => None,
    }
}

/// What began after another was acknowledged counts on from it.
fn in_order(history: &History<Step>) -> Result<(), String> {
    let mut highest = -1;
    let mut at_begin: BTreeMap<(Who, u64), i64> = BTreeMap::new();
    for entry in &history.entries {
        match entry.event {
            Step::Begun(step) => drop(at_begin.insert((entry.who, step), highest)),
            Step::Counted(step, before) => {
                let floor = at_begin.get(&(entry.who, step)).copied().unwrap_or(-1);
                if before <= floor {
                    let (who, at) = (entry.who, entry.at);
                    return Err(format!(
                        "{who} counts on from {before} at {at:?}, after {floor} was acknowledged"
                    ));
                }
                highest = highest.max(before);
            }
            Step::Refused(_) | Step::Unknown(_) | Step::Served => {}
        }
    }
    Ok(())
}
