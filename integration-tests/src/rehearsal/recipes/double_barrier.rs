//! The double barrier, one path for round after round. Processes enter, work and leave; some give up in the middle,
//! are killed inside, or drop their tickets. Oracle, with the server's log as witness: a round is opened only when as
//! many as it asks for stand in it, nobody enters unless one is open, nobody has left before all want to.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use zk_client::Zxid;
use zk_recipes::{BarrierTicket, Dialect, DoubleBarrier, Error, Released};

use crate::rehearsal::actor::Actor;
use crate::rehearsal::history::{Entry, History};
use crate::rehearsal::recipe::Recipe;
use crate::sim::Draw;

const PATH: &str = "/r/double";
const READY: &str = "/r/double/ready";
/// Longest work inside.
const WORK: Duration = Duration::from_millis(800);
/// Longest patience of those who have some.
const PATIENCE: Duration = Duration::from_secs(6);

/// What a participant notes. Its node names the ticket.
#[derive(Debug, Clone)]
pub enum Step {
    /// It is inside.
    Entered(String, Zxid),
    /// It wants to leave, or to be inside no more.
    Leaves(String),
    /// It has left with the others.
    Left(String),
    /// It has lost its part in it.
    Lost(String),
    /// It has done a whole round after the faults.
    Served,
}

/// See the file's head.
#[derive(Debug)]
pub struct DoubleBarrierRecipe {
    processes: usize,
    quantity: usize,
    /// The places that have done a whole round after the faults.
    served: Mutex<BTreeSet<usize>>,
}

impl Recipe for DoubleBarrierRecipe {
    const NAME: &'static str = "double barrier";
    type Event = Step;

    fn of_seed(draw: &mut Draw) -> Self {
        let processes = 2 + draw.index(3);
        Self { processes, quantity: processes, served: Mutex::default() }
    }

    fn processes(&self) -> usize {
        self.processes
    }

    fn life(self: Arc<Self>, mut actor: Actor<Step>) -> BoxFuture<'static, Result<(), String>> {
        async move {
            let dialect = if actor.draw.chance(1, 2) { Dialect::Curator } else { Dialect::Kazoo };
            let barrier = DoubleBarrier::builder(&actor.client, PATH, self.quantity).dialect(dialect);
            let barrier = barrier.identifier(actor.who.to_string()).build();
            // Whoever stops earlier would leave the others one too few.
            while self.served().len() < self.processes {
                let last = actor.healed();
                let entered = if last || actor.draw.chance(1, 2) {
                    Some(barrier.enter_within(PATIENCE).await)
                } else {
                    actor.perhaps(PATIENCE, barrier.enter()).await
                };
                match entered {
                    Some(Ok(ticket)) => {
                        if inside(&mut actor, ticket, last).await? && last {
                            actor.note(Step::Served);
                            self.served().insert(actor.who.slot);
                        }
                    }
                    Some(Err(Error::Timeout { .. } | Error::ReleasePending { .. })) | None => {}
                    Some(Err(why)) => return Err(format!("enter: {why}")),
                }
                if !last {
                    actor.rest(WORK).await;
                }
            }
            Ok(())
        }
        .boxed()
    }

    fn judge(&self, history: &History<Step>) -> Result<(), String> {
        let opened = self.opened(history)?;
        nobody_enters_early(history, &opened)?;
        nobody_leaves_early(history, &opened)
    }

    fn count(&self, history: &History<Step>) -> Vec<(&'static str, u64)> {
        let number = |of: fn(&Step) -> bool| history.entries.iter().filter(|e| of(&e.event)).count() as u64;
        vec![
            ("entered", number(|step| matches!(step, Step::Entered(..)))),
            ("left", number(|step| matches!(step, Step::Left(_)))),
            ("lost", number(|step| matches!(step, Step::Lost(_)))),
        ]
    }
}

impl DoubleBarrierRecipe {
    fn served(&self) -> std::sync::MutexGuard<'_, BTreeSet<usize>> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rounds, by when they were opened.
    fn opened(&self, history: &History<Step>) -> Result<Vec<Round>, String> {
        let mut members: BTreeSet<&str> = BTreeSet::new();
        let mut rounds = Vec::new();
        // Somebody may go between the look that finds all there and the opening: the others are in with one absentee.
        let mut most = 0;
        for change in history.changes.iter().filter(|c| c.path.len() > PATH.len() && c.path.starts_with(PATH))
        {
            match (change.path.as_str(), change.made) {
                (READY, true) => {
                    if most < self.quantity {
                        return Err(format!("opened at {:?} for {most} of {}", change.at, self.quantity));
                    }
                    most = members.len();
                    rounds.push(Round { at: change.at, zxid: change.zxid });
                }
                (READY, false) => most = members.len(),
                // One who is at work in the round before does not count.
                (path, _) if path.ends_with("-late") => {}
                (path, true) => {
                    members.insert(path);
                    most = most.max(members.len());
                }
                (path, false) => {
                    members.remove(path);
                }
            }
        }
        Ok(rounds)
    }
}

struct Round {
    at: Duration,
    zxid: Zxid,
}

/// From entering to leaving; whether it was with all others.
async fn inside(actor: &mut Actor<Step>, ticket: BarrierTicket, last: bool) -> Result<bool, String> {
    let node = ticket.node().to_owned();
    actor.note(Step::Entered(node.clone(), ticket.fencing_token().czxid()));
    actor.rest(WORK).await;
    actor.note(Step::Leaves(node.clone()));
    let left = if last || actor.draw.chance(2, 3) {
        Some(ticket.leave().await)
    } else if actor.draw.chance(1, 2) {
        let limit = actor.draw.between(Duration::ZERO, PATIENCE);
        Some(ticket.leave_within(limit).await)
    } else {
        actor.perhaps(PATIENCE, ticket.leave()).await
    };
    match left {
        Some(Ok(Released::Deleted)) => actor.note(Step::Left(node)),
        Some(Ok(_)) => {
            actor.note(Step::Lost(node));
            return Ok(false);
        }
        Some(Err(Error::Timeout { .. } | Error::ReleasePending { .. })) | None => return Ok(false),
        Some(Err(why)) => return Err(format!("leave: {why}")),
    }
    Ok(true)
}

/// Whoever enters belongs to a round that was open by then, or has come to one while it was open. (That somebody of
/// it was still there he has seen before he took the name of one who is late.)
fn nobody_enters_early(history: &History<Step>, rounds: &[Round]) -> Result<(), String> {
    for entry in &history.entries {
        let Step::Entered(node, czxid) = &entry.event else { continue };
        let ready = history.changes.iter().rfind(|c| c.path == READY && c.zxid < *czxid);
        let ready = ready.filter(|change| change.made).map(|change| change.zxid);
        let late = node.ends_with("-late");
        let open = |round: &&Round| {
            round.at <= entry.at && if late { ready == Some(round.zxid) } else { round.zxid > *czxid }
        };
        if !rounds.iter().any(|round| open(&round)) {
            return Err(format!(
                "{} has entered as {node} at {:?}, and no round was open",
                entry.who, entry.at
            ));
        }
    }
    Ok(())
}

/// The node of one who has entered, if it was there before the round was opened.
fn in_time<'a>(entry: &'a Entry<Step>, rounds: &[Round]) -> Option<&'a str> {
    let Step::Entered(node, czxid) = &entry.event else { return None };
    let opened = rounds.iter().any(|round| round.at <= entry.at && round.zxid > *czxid);
    opened.then_some(node.as_str())
}

/// Nobody has left with the others while one of them is inside, has a node, and does not want to leave. Who came late
/// to a round is waited for by those who know of it, and does not count here.
fn nobody_leaves_early(history: &History<Step>, rounds: &[Round]) -> Result<(), String> {
    let in_time: BTreeSet<&str> = history.entries.iter().filter_map(|entry| in_time(entry, rounds)).collect();
    let mut inside: BTreeMap<&str, Duration> = BTreeMap::new();
    let mut leaves: BTreeMap<&str, Duration> = BTreeMap::new();
    for entry in &history.entries {
        match &entry.event {
            Step::Entered(node, _) => drop(inside.insert(node, entry.at)),
            Step::Leaves(node) => {
                inside.remove(node.as_str());
                leaves.insert(node, entry.at);
            }
            Step::Left(node) => {
                let since = leaves.get(node.as_str()).copied().unwrap_or_default();
                let there = |other: &str| {
                    let mut changes = history.changes.iter().filter(|c| c.path == other && c.at < entry.at);
                    changes.next_back().is_some_and(|change| change.made)
                };
                let waits = |(other, entered): &(&&str, &Duration)| {
                    **entered < since && in_time.contains(**other) && there(other)
                };
                let left = inside.iter().find(waits).filter(|_| in_time.contains(node.as_str()));
                if let Some((other, _)) = left {
                    let (who, at) = (entry.who, entry.at);
                    return Err(format!("{who} has left as {node} at {at:?}, and {other} is still inside"));
                }
            }
            Step::Lost(_) | Step::Served => {}
        }
    }
    Ok(())
}
