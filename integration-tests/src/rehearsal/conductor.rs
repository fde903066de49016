//! The beats of a rehearsal: processes and server in turn; first faults, then healing, then whether anything is left.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::actor::Phase;
use super::changes;
use super::conditions::Conditions;
use super::faults::{self, Fault};
use super::history::{History, Who};
use super::outcome::{Counters, Outcome};
use super::process::{Cast, Process};
use super::recipe::{ROOT, Recipe};
use super::stage::{Loss, Shared};
use crate::sim::Draw;
use crate::sim::server::Down;

/// Time after the healing, besides ten session timeouts, in which every workload must have had its last turn. The
/// last silence may go on for three timeouts.
const SERVED_WITHIN: Duration = Duration::from_secs(60);
/// Time after that, besides three session timeouts, in which everything must be gone that is not to stay.
const TIDY_WITHIN: Duration = Duration::from_secs(20);
/// Time for clients to close and their tasks to end.
const CLOSED_WITHIN: Duration = Duration::from_secs(20);

/// Runs one rehearsal from beginning to end.
#[must_use]
pub fn rehearse<R: Recipe>(conditions: &Conditions) -> Outcome {
    let mut draw = Draw::new(conditions.seed.wrapping_mul(0xA076_1D64_78BD_642F) ^ 5);
    rehearse_this(R::of_seed(&mut draw), conditions)
}

/// The same with the parameters of the workload chosen.
#[must_use]
pub fn rehearse_this<R: Recipe>(recipe: R, conditions: &Conditions) -> Outcome {
    let shown = format!("{recipe:?}");
    let cast = Cast {
        recipe: Arc::new(recipe),
        conditions: conditions.clone(),
        stage: Shared::new(conditions),
        entries: Arc::default(),
        phase: Phase::default(),
    };
    let mut conductor = Conductor::new(cast);
    let violation = conductor.run().err();
    conductor.outcome(shown, violation)
}

/// A place for a process.
#[derive(Debug)]
enum Place {
    Running(Box<Process>),
    /// Killed; the next one begins then.
    Empty(Who, Duration),
}

struct Conductor<R: Recipe> {
    cast: Cast<R>,
    now: Duration,
    places: Vec<Place>,
    next_fault: Option<Duration>,
    killed: BTreeMap<Who, Duration>,
    still: Vec<(Who, Duration, Duration)>,
    counters: Counters,
}

impl<R: Recipe> Conductor<R> {
    fn new(cast: Cast<R>) -> Self {
        let slots = 0..cast.recipe.processes();
        let places = slots.map(|slot| Place::Empty(Who { slot, life: 0 }, Duration::ZERO)).collect();
        Self {
            cast,
            now: Duration::ZERO,
            places,
            next_fault: None,
            killed: BTreeMap::new(),
            still: Vec::new(),
            counters: Counters::new(),
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let timeout = self.cast.conditions.timeout;
        self.next_fault = Some(faults::wait(&mut self.cast.stage.lock().draw, &self.cast.conditions));
        let healed = self.cast.conditions.faulty;
        self.beats_until(healed, |_| None::<String>)?;
        self.heal();
        self.beats_until(healed + SERVED_WITHIN + timeout * 10, Self::unserved)?;
        let tidy = self.now + TIDY_WITHIN + timeout * 3;
        self.beats_until(tidy, |this| this.left_behind().err())?;
        let tree = self.tree();
        self.cast.phase.close();
        self.beats_until(self.now + CLOSED_WITHIN, Self::unclosed)?;
        self.judge(healed, tree)
    }

    /// Beats until nothing is `missing`, or until the time is over; then what is missing is a violation.
    fn beats_until(
        &mut self,
        end: Duration,
        missing: impl Fn(&Self) -> Option<String>,
    ) -> Result<(), String> {
        let healing = self.next_fault.is_none();
        while self.now < end {
            self.beat()?;
            if healing && missing(self).is_none() {
                return Ok(());
            }
        }
        missing(self).map_or(Ok(()), |what| Err(format!("at {:?}: {what}", self.now)))
    }

    fn beat(&mut self) -> Result<(), String> {
        let (from, until) = (self.now, self.now + self.cast.conditions.beat);
        self.cast.stage.lock().run_until(from, until);
        for place in &mut self.places {
            match place {
                Place::Running(process) => {
                    process.run_until(from, until);
                    if let Some(Err(why)) = &process.ended {
                        return Err(format!("{}: {why}", process.who));
                    }
                }
                Place::Empty(who, begin) if *begin <= from => {
                    *place = Place::Running(Box::new(Process::begin(&self.cast, *who, until)?));
                }
                Place::Empty(..) => {}
            }
        }
        self.now = until;
        if let Some(violation) = &self.cast.stage.lock().k.violation {
            return Err(violation.to_string());
        }
        if self.next_fault.is_some_and(|due| due <= self.now) {
            self.fault();
        }
        Ok(())
    }

    fn fault(&mut self) {
        let shared = self.cast.stage.clone();
        let mut guard = shared.lock();
        let stage = &mut *guard;
        stage.k.now = self.now;
        let conditions = &self.cast.conditions;
        self.next_fault = Some(self.now + faults::wait(&mut stage.draw, conditions));
        let Some(fault) = faults::draw(&mut stage.draw, conditions) else { return };
        let slot = stage.draw.index(self.places.len());
        let until = self.now + faults::length(&mut stage.draw, conditions);
        stage.k.note(format_args!("fault {fault:?} (p{slot}, until {until:?})"));
        match fault {
            Fault::Cut => {
                if let Some(link) = stage.network.any_open(&mut stage.k) {
                    stage.network.cut(&mut stage.k, link);
                }
            }
            Fault::CutAll => {
                while let Some(link) = stage.network.any_open(&mut stage.k) {
                    stage.network.cut(&mut stage.k, link);
                }
            }
            Fault::LostRequest => {
                stage.losses.insert(slot, Loss::Request);
            }
            Fault::LostReply => {
                stage.losses.insert(slot, Loss::Reply);
            }
            Fault::Silence => stage.network.block(slot, until),
            Fault::StandStill => {
                if let Some(Place::Running(process)) = self.places.get_mut(slot) {
                    let again = process.still > self.now;
                    process.still = process.still.max(until);
                    let known = self.still.iter_mut().rfind(|(who, ..)| again && *who == process.who);
                    match known {
                        Some((.., until)) => *until = process.still,
                        None => self.still.push((process.who, self.now, process.still)),
                    }
                }
            }
            Fault::Power => stage.server.stop(&mut stage.k, &mut stage.network, Down::Power),
            Fault::ServerDies => stage.server.stop(&mut stage.k, &mut stage.network, Down::Process),
            Fault::SyncFails => stage.server.fail_a_sync(&mut stage.k),
            Fault::Kill => {}
        }
        drop(guard);
        *self.counters.entry(name(fault)).or_default() += 1;
        if fault == Fault::Kill {
            self.kill(slot, until);
        }
    }

    /// A process is gone at once, and another one begins in its place at `begin`.
    fn kill(&mut self, slot: usize, begin: Duration) {
        let Some(place) = self.places.get_mut(slot) else { return };
        let Place::Running(process) = place else { return };
        let who = process.who;
        process.kill();
        self.killed.insert(who, self.now);
        // Dropped with everything in it. Nothing gets out: what is sent, is sent by tasks.
        *place = Place::Empty(Who { life: who.life + 1, ..who }, begin);
    }

    fn heal(&mut self) {
        let mut stage = self.cast.stage.lock();
        stage.k.now = self.now;
        stage.k.note(format_args!("heal"));
        stage.server.heal();
        stage.losses.clear();
        self.next_fault = None;
        self.cast.phase.heal();
    }
}

impl<R: Recipe> Conductor<R> {
    fn running(&self) -> impl Iterator<Item = &Process> {
        self.places.iter().filter_map(|place| match place {
            Place::Running(process) => Some(&**process),
            Place::Empty(..) => None,
        })
    }

    /// Who has not had the last turn.
    fn unserved(&self) -> Option<String> {
        let all = self.running().count() == self.places.len();
        let waiting: Vec<String> =
            self.running().filter(|p| !p.is_done()).map(|p| p.who.to_string()).collect();
        (!all || !waiting.is_empty()).then(|| format!("still waiting, though all is healed: {waiting:?}"))
    }

    fn unclosed(&self) -> Option<String> {
        let tasks =
            |p: &Process| (p.tasks() > 0 || p.ended.is_none()).then(|| (p.who.to_string(), p.tasks()));
        let left: Vec<_> = self.running().filter_map(tasks).collect();
        (!left.is_empty()).then(|| format!("tasks that do not end after their clients have: {left:?}"))
    }

    fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        let stage = self.cast.stage.lock();
        let mut found = BTreeMap::new();
        let Some(node) = stage.server.node() else { return found };
        let state = node.shared().read();
        let mut paths = vec![ROOT.to_owned()];
        while let Some(path) = paths.pop() {
            let Some(node) = state.tree.get(&path) else { continue };
            paths.extend(state.tree.children(&path).map(|name| format!("{path}/{name}")));
            found.insert(path, node.data.as_deref().unwrap_or_default().to_vec());
        }
        found
    }

    /// Nodes and watches that nobody needs any more.
    fn left_behind(&self) -> Result<(), String> {
        if self.cast.stage.lock().server.node().is_none() {
            return Err("the server is down".to_owned());
        }
        let left = self.cast.recipe.left_over(&self.tree());
        if !left.is_empty() {
            return Err(format!("nodes left behind: {left:?}"));
        }
        let stage = self.cast.stage.lock();
        let watches = stage.server.node().map_or(0, |node| node.shared().read().watches().summary().2);
        if watches == 0 { Ok(()) } else { Err(format!("{watches} watches left at the server")) }
    }

    fn history(&mut self, healed: Duration, tree: BTreeMap<String, Vec<u8>>) -> History<R::Event> {
        let entries = mem::take(&mut *self.cast.entries.lock().unwrap_or_else(PoisonError::into_inner));
        let changes = changes::of_log(&self.cast.stage.lock().k.history.log, ROOT);
        let (killed, still) = (self.killed.clone(), self.still.clone());
        let mut history = History { entries, killed, still, healed, tree, changes };
        // Within a beat each process has noted what it did before the next one had its turn.
        history.entries.sort_by_key(|entry| entry.at);
        history
    }

    fn judge(&mut self, healed: Duration, tree: BTreeMap<String, Vec<u8>>) -> Result<(), String> {
        let history = self.history(healed, tree);
        for (name, count) in self.cast.recipe.count(&history) {
            *self.counters.entry(name).or_default() += count;
        }
        self.cast.recipe.judge(&history)
    }

    fn outcome(mut self, recipe: String, violation: Option<String>) -> Outcome {
        // Processes hold the stage, and hang up when they are dropped.
        self.running().for_each(Process::kill);
        self.places.clear();
        let stage = self.cast.stage.lock();
        let mut counters = self.counters;
        counters.insert("frames", stage.frames);
        counters.insert("requests lost", stage.lost_requests);
        counters.insert("replies lost", stage.lost_replies);
        counters.insert("virtual s", self.now.as_secs());
        let (conditions, trace) = (self.cast.conditions.clone(), stage.k.trace.clone());
        Outcome { name: R::NAME, conditions, recipe, violation, trace, counters }
    }
}

const fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::Cut => "cuts",
        Fault::CutAll => "cuts of all",
        Fault::LostRequest => "requests to lose",
        Fault::LostReply => "replies to lose",
        Fault::Silence => "silences",
        Fault::StandStill => "standstills",
        Fault::Kill => "kills",
        Fault::Power => "power losses",
        Fault::ServerDies => "server deaths",
        Fault::SyncFails => "failing syncs",
    }
}
