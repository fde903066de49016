//! What was granted: runs the core while its guard lives, watches the own node, the session and the clock, and
//! publishes what it finds. The guard owns it and its task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};
use zk_client::{ErrorKind, SessionState};
use zk_proto::SessionId;

use super::core::Core;
use super::flight::Flights;
use super::hold::HoldState;
use super::messages::{Grant, Input, Leftover, Output, Patience};
use super::shell::{Context, Entrant, final_reason, reason};
use crate::identity::Uuid;
use crate::limits::{RECONNECT_JITTER_MAX, RELEASE_BATCH_BYTES};
use crate::loss::{LockState, LossReason};
use crate::reaper::{Deletion, UnderWay};

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
    revoked: watch::Sender<bool>,
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
        let (revoked, _) = watch::channel(core.is_revoked());
        let (session, core) = (grant.session, Mutex::new(core));
        let shared = Arc::new(Shared { context, runtime, core, origin, grant, state, revoked });
        let keeper = Keeper { shared: Arc::clone(&shared), flights, session, verify_at: None };
        let keeper = shared.runtime.spawn(keeper.run()).abort_handle();
        Self { shared, keeper }
    }

    /// Holds by nodes that were made outside of the line, in the session `grant.session`: watches them from here
    /// on, in a task on `runtime`, and deletes them when it is given up. The grant must be a true one: nothing is
    /// asked before it counts.
    pub(crate) fn of_nodes(context: Arc<Context>, runtime: &Handle, grant: Grant) -> Self {
        let origin = Instant::now();
        let info = context.client.session_state().borrow().session();
        let timeout =
            info.filter(|info| info.id == grant.session).map_or(Duration::ZERO, |info| info.timeout);
        // A session that is over has no deadline: lost at the first look at the clock.
        let until = context.until(grant.session, origin).unwrap_or_default();
        let (core, outputs) = Core::holding_already(context.options.clone(), &grant, timeout, until);
        let mut flights = Flights::default();
        for output in outputs {
            if let Output::Send(id, request) = output {
                context.send(&mut flights, grant.session, id, request);
            }
        }
        Self::new(context, runtime.clone(), core, flights, origin, grant)
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.shared.context
    }

    /// Level-triggered: stays true.
    pub(crate) fn revoked(&self) -> watch::Receiver<bool> {
        self.shared.revoked.subscribe()
    }

    /// Back to the line: what is lost is waited for again, on the node that it was held by if that was kept (see
    /// [`Options::keeps_place`](super::Options)), else at the tail. What is still held is given up first.
    pub(crate) fn again(&self) -> Entrant {
        self.keeper.abort();
        let shared = &self.shared;
        let spare = Core::new(shared.context.options.clone());
        let mut core = std::mem::replace(&mut *shared.lock(), spare);
        let now = shared.origin.elapsed();
        if matches!(core.hold(), Some(HoldState::Held | HoldState::Suspect { .. }) | None) {
            let leftovers = core.handle(now, Input::Cancel);
            shared.released();
            shared.leave(&leftovers);
            core = Core::new(shared.context.options.clone());
        }
        let session = if core.keeps_place() { shared.grant.session } else { SessionId::NONE };
        core.handle(now, Input::Again);
        core.set_patience(Patience::Forever);
        let (context, runtime) = (Arc::clone(&shared.context), shared.runtime.clone());
        Entrant::going_on(context, runtime, core, shared.origin, session)
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

    /// Gives several of one client up; their nodes are deleted together, by one request for each session that owns
    /// some and each [`RELEASE_BATCH_BYTES`] of paths; durable ones each by itself. Those that were lost before have nothing to delete. They are to be dropped
    /// after it, not before: what the deletion fires need not be taken off the server.
    pub(crate) fn give_up_together(holdings: &[Self]) -> Vec<Deleting> {
        let mut together: BTreeMap<SessionId, Vec<Batch>> = BTreeMap::new();
        let mut alone = Vec::new();
        for holding in holdings {
            for output in holding.shared.handle(Input::Cancel) {
                let shared = Arc::clone(&holding.shared);
                match output {
                    Output::Leave(Leftover::Named { paths, session: Some(session) }) => {
                        let batches = together.entry(session).or_default();
                        match batches.last_mut().filter(|batch| batch.has_room_for(&paths)) {
                            Some(batch) => batch.paths.extend(paths),
                            None => batches.push(Batch { shared, paths }),
                        }
                    }
                    Output::Leave(leftover) => alone.push((shared, leftover)),
                    _ => {}
                }
            }
        }
        // Everybody who looks sees that it is over; then the deletion is sent.
        holdings.iter().for_each(|holding| holding.shared.released());
        let batches = together.into_iter().flat_map(|(session, batches)| {
            let session = Some(session);
            batches
                .into_iter()
                .map(move |Batch { shared, paths }| (shared, Leftover::Named { paths, session }))
        });
        let all = batches.chain(alone);
        let deleting = all.map(|(shared, leftover)| Deleting::start(&shared, leftover)).collect();
        // Last, as in `give_up`.
        holdings.iter().for_each(|holding| holding.keeper.abort());
        deleting
    }

    /// Whether it goes on without its guard.
    pub(crate) fn outlives_its_guard(&self) -> bool {
        self.shared.context.options.durable.is_some_and(|durable| !durable.release_on_drop)
    }

    /// Its nodes were deleted in another way: nothing is left to give up.
    pub(crate) fn forget(self) {
        let spare = Core::new(self.shared.context.options.clone());
        drop(std::mem::replace(&mut *self.shared.lock(), spare));
    }

    /// Gives it up. Everybody who looks sees that it is over; then the deletion of its node is sent.
    pub(crate) fn give_up(&self) -> GivenUp {
        let outputs = self.shared.handle(Input::Cancel);
        let left = outputs.into_iter().find_map(|output| match output {
            Output::Leave(leftover) => Some(leftover),
            _ => None,
        });
        let state = *self.shared.state.borrow();
        self.shared.released();
        let given_up = match (left, state) {
            (Some(leftover), _) => GivenUp::Deleting(Deleting::start(&self.shared, leftover)),
            (None, LockState::Lost(reason)) => GivenUp::Lost(reason),
            (None, _) => GivenUp::Lost(LossReason::Released),
        };
        // The keeper's watch goes with it, behind the deletion: what that fires need not be taken off the server.
        self.keeper.abort();
        given_up
    }

    /// Ends it as dropping it does, for one that is shared: gives it up in the background, unless it is durable.
    pub(crate) fn end(&self) {
        if self.shared.context.options.durable.is_none_or(|durable| durable.release_on_drop) {
            let outputs = self.shared.handle(Input::Cancel);
            self.shared.released();
            self.shared.leave(&outputs);
        } else {
            self.shared.released();
        }
        // Last, as in `give_up`.
        self.keeper.abort();
    }
}

/// Nodes of one session that are deleted by one request.
struct Batch {
    /// Who sees to it.
    shared: Arc<Shared>,
    paths: Vec<String>,
}

impl Batch {
    fn has_room_for(&self, more: &[String]) -> bool {
        let bytes: usize = self.paths.iter().chain(more).map(String::len).sum();
        bytes <= RELEASE_BATCH_BYTES
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn handle(&self, input: Input) -> Vec<Output> {
        let now = self.origin.elapsed();
        let mut core = self.lock();
        let outputs = core.handle(now, input);
        if core.is_revoked() {
            self.revoked.send_if_modified(|revoked| !std::mem::replace(revoked, true));
        }
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
        self.leave(&outputs);
        outputs.retain(|output| !matches!(output, Output::Leave(_)));
        outputs
    }

    fn leave(&self, outputs: &[Output]) {
        for output in outputs {
            if let Output::Leave(leftover) = output {
                self.context.reaper.adopt(&self.runtime, leftover.clone(), UnderWay::Nothing);
            }
        }
    }

    /// Publishes that it is over, if it was not.
    fn released(&self) {
        self.state.send_if_modified(|state| {
            let held = state.is_held();
            if held {
                *state = LockState::Lost(LossReason::Released);
            }
            held
        });
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self) {
        if self.grant.version.is_some() {
            // No session's deadline is a durable lock's.
            return;
        }
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
        let core = self.lock();
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
    /// The session worked in: that of the grant, unless what is held outlives it.
    session: SessionId,
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
        if let LockState::Lost(reason) = *self.shared.state.borrow()
            && reason != LossReason::Released
        {
            tracing::warn!(path = self.shared.grant.path(), %reason, "lost");
        }
    }

    fn session_is(&mut self, state: SessionState) {
        match state {
            SessionState::Connected(info)
                if info.id != self.session && self.shared.grant.version.is_some() =>
            {
                self.session = info.id;
                let identity = Uuid::from_random(self.shared.context.client.random_bits());
                self.input(Input::Session { id: info.id, timeout: info.timeout, identity });
            }
            SessionState::Connected(info) if info.id == self.session => {
                self.shared.hear();
                if matches!(*self.shared.state.borrow(), LockState::Suspect { .. }) {
                    let jitter = RECONNECT_JITTER_MAX.min(info.timeout / 10);
                    let bits = self.shared.context.client.random_bits();
                    self.verify_at = Some(Instant::now() + up_to(jitter, bits));
                } else {
                    self.input(Input::Connected);
                }
            }
            SessionState::Suspended(info) if info.id == self.session => {
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
                    self.shared.context.send(&mut self.flights, self.session, id, request);
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
    under_way: Option<(Leftover, Deletion)>,
}

impl Deleting {
    fn start(shared: &Arc<Shared>, leftover: Leftover) -> Self {
        let deletion = Deletion::of(&shared.context.client, &leftover);
        let under_way = deletion.map(|deletion| (leftover, deletion));
        Self { shared: Arc::clone(shared), under_way }
    }

    /// Waits for the answer to the first try. `Some` tells that the node was gone before.
    ///
    /// # Errors
    /// It failed, and the reaper has it.
    pub(crate) async fn done(mut self) -> Result<Option<LossReason>, zk_client::Error> {
        let Some((_, deletion)) = &mut self.under_way else { return Ok(None) };
        let outcome = deletion.done().await;
        let Some((leftover, deletion)) = self.under_way.take() else { return Ok(None) };
        let pinned = matches!(&leftover, Leftover::Named { session: Some(_), .. });
        match outcome {
            Ok(()) => Ok(None),
            Err(error) if error.is_no_node() => {
                if matches!(deletion, Deletion::Together(_)) {
                    // One of several is gone, and the others were not deleted because of it.
                    self.shared.context.reaper.adopt(&self.shared.runtime, leftover, UnderWay::Nothing);
                }
                Ok(Some(LossReason::NodeDeleted))
            }
            Err(error) if error.is_bad_version() && matches!(leftover, Leftover::Claimed { .. }) => {
                Ok(Some(LossReason::TakenOver))
            }
            Err(error) => match error.kind() {
                ErrorKind::SessionExpired if pinned => Ok(Some(LossReason::SessionExpired)),
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
        if let Some((leftover, deletion)) = self.under_way.take() {
            self.shared.context.reaper.adopt(&self.shared.runtime, leftover, UnderWay::Delete(deletion));
        }
    }
}
