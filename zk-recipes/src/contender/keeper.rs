//! What was granted: runs the core while its guard lives, watches the own node, the session and the clock, and
//! publishes what it finds. The guard owns it and its task.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use zk_client::{ErrorKind, Pending, SessionState};

use super::core::Core;
use super::flight::Flights;
use super::hold::HoldState;
use super::messages::{Grant, Input, Leftover, Output};
use super::shell::{Context, final_reason, reason};
use crate::limits::RECONNECT_JITTER_MAX;
use crate::loss::{LockState, LossReason};
use crate::reaper::UnderWay;

/// A place that was granted. Given up when dropped.
#[derive(Debug)]
pub(crate) struct Holding {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    context: Arc<Context>,
    runtime: Handle,
    core: Mutex<Core>,
    origin: Instant,
    grant: Grant,
    state: watch::Sender<LockState>,
}

/// What a guard leaves when it is given up.
pub(crate) enum GivenUp {
    /// Its node, whose deletion is under way.
    Deleting(Deleting),
    /// Nothing: it was lost before.
    Lost(LossReason),
}

impl Holding {
    pub(super) fn new(
        context: Arc<Context>,
        runtime: Handle,
        core: Core,
        flights: Flights,
        origin: Instant,
        grant: Grant,
    ) -> Self {
        let (state, _) = watch::channel(LockState::Held);
        let core = Mutex::new(core);
        let shared = Arc::new(Shared { context, runtime, core, origin, grant, state });
        let keeper = Keeper { shared: Arc::clone(&shared), flights, verify_at: None };
        let keeper = shared.runtime.spawn(keeper.run()).abort_handle();
        Self { shared, keeper }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.shared.context
    }

    pub(crate) fn grant(&self) -> &Grant {
        &self.shared.grant
    }

    pub(crate) fn state(&self) -> watch::Receiver<LockState> {
        self.shared.state.subscribe()
    }

    /// Looks at the clock before it answers.
    pub(crate) fn check(&self) -> LockState {
        self.shared.hear();
        self.shared.input(Input::Check);
        *self.shared.state.borrow()
    }

    /// Gives it up; the deletion of its node is sent now.
    pub(crate) fn give_up(self) -> GivenUp {
        let outputs = self.shared.handle(Input::Cancel);
        let left = outputs.into_iter().find_map(|output| match output {
            Output::Leave(leftover) => Some(leftover),
            _ => None,
        });
        let state = *self.shared.state.borrow();
        match (left, state) {
            (Some(leftover), _) => GivenUp::Deleting(Deleting::start(&self.shared, leftover)),
            (None, LockState::Lost(reason)) => GivenUp::Lost(reason),
            (None, _) => GivenUp::Lost(LossReason::Released),
        }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.keeper.abort();
        self.shared.input(Input::Cancel);
        self.shared.state.send_if_modified(|state| {
            let held = state.is_held();
            if held {
                *state = LockState::Lost(LossReason::Released);
            }
            held
        });
    }
}

impl Shared {
    fn handle(&self, input: Input) -> Vec<Output> {
        let now = self.origin.elapsed();
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = core.handle(now, input);
        // Published under the lock, so that states appear in the order in which they were decided.
        if let Some(hold) = core.hold() {
            let next = self.shown(hold);
            self.state.send_if_modified(|state| std::mem::replace(state, next) != next);
        }
        outputs
    }

    /// Takes in what happened. What is left behind goes to the reaper; the rest is the keeper's to do.
    fn input(&self, input: Input) -> Vec<Output> {
        let mut outputs = self.handle(input);
        outputs.retain(|output| match output {
            Output::Leave(leftover) => {
                self.context.reaper.adopt(&self.runtime, leftover.clone(), UnderWay::Nothing);
                false
            }
            _ => true,
        });
        outputs
    }

    fn hear(&self) {
        let input = match self.context.until(self.grant.session, self.origin) {
            Some(until) => Input::Heard { until },
            None => Input::SessionOver(reason(*self.context.client.session_state().borrow())),
        };
        self.input(input);
    }

    fn shown(&self, hold: HoldState) -> LockState {
        match hold {
            HoldState::Held => LockState::Held,
            HoldState::Suspect { since, deadline } => {
                LockState::Suspect { since: self.origin + since, deadline: self.origin + deadline }
            }
            HoldState::Lost(reason) => LockState::Lost(reason),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        core.deadline().map(|at| self.origin + at)
    }

    fn is_held(&self) -> bool {
        self.state.borrow().is_held()
    }
}

/// The task: everything that happens to a holding by itself.
struct Keeper {
    shared: Arc<Shared>,
    flights: Flights,
    /// When to look at the own node after a reconnect.
    verify_at: Option<Instant>,
}

impl Keeper {
    async fn run(mut self) {
        let mut states = self.shared.context.client.session_state();
        let state = *states.borrow_and_update();
        self.session_is(state);
        while self.shared.is_held() {
            let deadline = self.shared.deadline();
            tokio::select! {
                biased;
                landed = self.flights.next() => self.input(landed.input),
                changed = states.changed() => {
                    let state = *states.borrow_and_update();
                    match changed {
                        Ok(()) => self.session_is(state),
                        Err(_) => return self.input(Input::SessionOver(final_reason(state))),
                    }
                }
                () = at(self.verify_at) => {
                    self.verify_at = None;
                    self.shared.hear();
                    self.input(Input::Connected);
                }
                () = at(deadline) => {
                    self.shared.hear();
                    self.input(Input::Tick);
                }
            }
        }
        if let LockState::Lost(reason) = *self.shared.state.borrow() {
            tracing::warn!(path = self.shared.grant.path, %reason, "lost");
        }
    }

    fn session_is(&mut self, state: SessionState) {
        match state {
            SessionState::Connected(info) if info.id == self.shared.grant.session => {
                self.shared.hear();
                if matches!(*self.shared.state.borrow(), LockState::Suspect { .. }) {
                    let jitter = RECONNECT_JITTER_MAX.min(info.timeout / 10);
                    let bits = self.shared.context.client.random_bits();
                    self.verify_at = Some(Instant::now() + up_to(jitter, bits));
                } else {
                    self.input(Input::Connected);
                }
            }
            SessionState::Suspended(info) if info.id == self.shared.grant.session => {
                self.verify_at = None;
                self.shared.hear();
                self.input(Input::Suspended);
            }
            other => self.input(Input::SessionOver(reason(other))),
        }
    }

    fn input(&mut self, input: Input) {
        for output in self.shared.input(input) {
            match output {
                Output::Send(id, request) => {
                    self.shared.context.send(&mut self.flights, self.shared.grant.session, id, request);
                }
                Output::Forget(request) => self.flights.forget(request),
                _ => {}
            }
        }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A time up to `limit`, by random bits.
fn up_to(limit: Duration, bits: u128) -> Duration {
    Duration::from_micros(u64::try_from(bits % (limit.as_micros() + 1)).unwrap_or(0))
}

/// The deletion of a node that was given up. Dropped before its end, the reaper sees it through.
pub(crate) struct Deleting {
    shared: Arc<Shared>,
    under_way: Option<(Leftover, Pending<()>)>,
}

impl Deleting {
    fn start(shared: &Arc<Shared>, leftover: Leftover) -> Self {
        let under_way = match &leftover {
            Leftover::Named { path, session } => {
                let client = &shared.context.client;
                let delete = client.delete(path.as_str()).in_session(*session).send();
                Some((leftover, delete))
            }
            Leftover::Unnamed { .. } => None,
        };
        Self { shared: Arc::clone(shared), under_way }
    }

    /// Waits for the answer to the first try. `Some` tells that the node was gone before.
    ///
    /// # Errors
    /// It failed, and the reaper has it.
    pub(crate) async fn done(mut self) -> Result<Option<LossReason>, zk_client::Error> {
        let Some((_, pending)) = &mut self.under_way else { return Ok(None) };
        let outcome = pending.await;
        let Some((leftover, _)) = self.under_way.take() else { return Ok(None) };
        match outcome {
            Ok(()) => Ok(None),
            Err(error) if error.is_no_node() => Ok(Some(LossReason::NodeDeleted)),
            Err(error) => match error.kind() {
                ErrorKind::SessionExpired => Ok(Some(LossReason::SessionExpired)),
                ErrorKind::Closed => Ok(Some(LossReason::ClientClosed)),
                ErrorKind::AuthFailed => Ok(Some(LossReason::AuthFailed)),
                _ => {
                    self.shared.context.reaper.adopt(&self.shared.runtime, leftover, UnderWay::Nothing);
                    Err(error)
                }
            },
        }
    }
}

impl Drop for Deleting {
    fn drop(&mut self) {
        if let Some((leftover, pending)) = self.under_way.take() {
            self.shared.context.reaper.adopt(&self.shared.runtime, leftover, UnderWay::Delete(pending));
        }
    }
}
