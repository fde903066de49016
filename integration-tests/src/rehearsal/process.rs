//! One process: a runtime with one thread and a clock of its own, in it a client and what the workload does with it.
//! Runs when the conductor says so, up to the time it says.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance, sleep, sleep_until};
use zk_client::Client;

use super::actor::{Actor, Notes, Phase};
use super::conditions::Conditions;
use super::history::{Entry, Who};
use super::recipe::Recipe;
use super::stage::Shared;
use super::wire::{Epoch, StageDialer};
use crate::sim::Draw;

/// How often a process looks whether it may close its client.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long it waits for its first session before it tries anew.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// What all processes of a rehearsal are made from.
pub(super) struct Cast<R: Recipe> {
    pub(super) recipe: Arc<R>,
    pub(super) conditions: Conditions,
    pub(super) stage: Shared,
    pub(super) entries: Arc<Mutex<Vec<Entry<R::Event>>>>,
    pub(super) phase: Phase,
}

/// See the module's head.
pub(super) struct Process {
    pub(super) who: Who,
    runtime: Runtime,
    epoch: Epoch,
    main: Option<JoinHandle<Result<(), String>>>,
    /// The workload has returned.
    done: Arc<AtomicBool>,
    killed: Arc<AtomicBool>,
    /// Up to where it has run.
    clock: Duration,
    /// Until when it stands still.
    pub(super) still: Duration,
    /// What its life came to, once it has ended.
    pub(super) ended: Option<Result<(), String>>,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("who", &self.who).field("clock", &self.clock).finish_non_exhaustive()
    }
}

impl Process {
    pub(super) fn begin<R: Recipe>(cast: &Cast<R>, who: Who, now: Duration) -> Result<Self, String> {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|why| format!("no runtime: {why}"))?;
        let entered = runtime.enter();
        let epoch = Epoch { born: now, origin: Instant::now() };
        let done = Arc::new(AtomicBool::new(false));
        let killed = Arc::new(AtomicBool::new(false));
        let entries = Arc::clone(&cast.entries);
        let notes = Notes { who, epoch, stage: cast.stage.clone(), entries, killed: Arc::clone(&killed) };
        let main = Some(runtime.spawn(live(cast, notes, Arc::clone(&done))));
        drop(entered);
        Ok(Self { who, runtime, epoch, main, done, killed, clock: now, still: Duration::ZERO, ended: None })
    }

    /// Runs up to `until`, unless it stands still. If it stood still until `from`, its clock jumps first.
    pub(super) fn run_until(&mut self, from: Duration, until: Duration) {
        if self.still > from {
            return;
        }
        let missed = from.saturating_sub(self.clock);
        let horizon = self.epoch.at(until);
        self.runtime.block_on(async {
            if !missed.is_zero() {
                advance(missed).await;
            }
            sleep_until(horizon).await;
        });
        self.clock = until;
        if let Some(main) = self.main.take_if(|main| main.is_finished()) {
            let ended = self.runtime.block_on(main);
            self.ended = Some(ended.unwrap_or_else(|why| Err(format!("panicked: {why}"))));
        }
    }

    /// Ends it, without a word of its own.
    pub(super) fn kill(&self) {
        self.killed.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    /// Tasks that have not ended.
    pub(super) fn tasks(&self) -> usize {
        self.runtime.metrics().num_alive_tasks()
    }
}

/// A process's main task.
fn live<R: Recipe>(
    cast: &Cast<R>,
    notes: Notes<R::Event>,
    done: Arc<AtomicBool>,
) -> impl Future<Output = Result<(), String>> + Send + 'static {
    let Notes { who, epoch, .. } = notes;
    let seed = cast.conditions.seed ^ ((who.slot as u64 + 1) << 56) ^ (u64::from(who.life) << 48);
    let dialer = Arc::new(StageDialer { stage: cast.stage.clone(), slot: who.slot, epoch });
    let builder = Client::builder()
        .seed(seed)
        .dialer(dialer)
        .session_timeout(cast.conditions.timeout)
        .connect_timeout(CONNECT_TIMEOUT);
    let (recipe, phase, timeout) = (Arc::clone(&cast.recipe), cast.phase.clone(), cast.conditions.timeout);
    async move {
        let client = loop {
            match builder.clone().connect("stage:2181").await {
                Ok(client) => break client,
                Err(_) => sleep(LOOK_EVERY).await,
            }
        };
        let handle = client.clone();
        let actor = Actor { who, client, draw: Draw::new(seed ^ 4), timeout, notes, phase: phase.clone() };
        recipe.life(actor).await?;
        done.store(true, Ordering::Relaxed);
        while !phase.is_closing() {
            sleep(LOOK_EVERY).await;
        }
        handle.close().await;
        Ok(())
    }
}
