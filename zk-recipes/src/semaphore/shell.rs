//! Runs a core over a client until the permits are there. Owns what is under way; whatever way its future ends, the
//! core is cancelled and the reaper takes over what it leaves behind. Decides nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use zk_client::SessionState;
use zk_proto::{SessionId, path};

use super::core::Core;
use super::flight::{Flights, Landed, Outfit, Trouble};
use super::layout::Layout;
use super::messages::{Input, Options, Output, Parent};
use crate::contender::{
    Context, Failure, Grant, Holding, Leftover, NotGranted, Parents, Patience, final_reason, reason,
};
use crate::error::Error;
use crate::reaper::UnderWay;

/// What all acquisitions of one semaphore object share.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) path: String,
    /// What permits are held by, once they are there.
    pub(super) context: Arc<Context>,
    pub(super) outfit: Outfit,
    pub(super) parents: Parents,
    /// Whether the last acquisition had to wait: the next one stands in line at once.
    pub(super) waited: AtomicBool,
}

impl Setup {
    pub(super) const fn layout(&self) -> Layout {
        self.outfit.layout
    }
}

/// Waits for so many permits; `limit` of `None` waits as long as it takes, of zero not at all.
///
/// Cancellation: may be dropped at any time; what was sent is found and deleted in the background.
pub(super) async fn acquire(
    setup: Arc<Setup>,
    permits: usize,
    limit: Option<Duration>,
) -> Result<Holding, Error> {
    let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
    let layout = setup.layout();
    let core = Core::new(Options {
        layout,
        locks: layout.locks(&setup.path),
        leases: layout.leases(&setup.path),
        permits,
        size: setup.outfit.size.fixed(),
        patience: Patience::lasting(limit, Duration::ZERO),
        parents: setup.parents,
        quick: !setup.waited.load(Ordering::Relaxed),
    });
    let state = setup.context.client.session_state();
    let acquirer = Acquirer {
        setup,
        runtime,
        core,
        origin: Instant::now(),
        flights: Flights::default(),
        state,
        session: SessionId::NONE,
        trouble: None,
    };
    acquirer.run(limit.unwrap_or_default()).await
}

struct Acquirer {
    setup: Arc<Setup>,
    runtime: Handle,
    core: Core,
    origin: Instant,
    flights: Flights,
    state: watch::Receiver<SessionState>,
    /// The session the core works in.
    session: SessionId,
    /// What was refused last.
    trouble: Option<Trouble>,
}

enum Ended {
    Granted(Grant),
    Failed(Failure),
}

impl Acquirer {
    async fn run(mut self, limit: Duration) -> Result<Holding, Error> {
        loop {
            let state = *self.state.borrow_and_update();
            let mut ended = self.session_is(state);
            while ended.is_none() {
                let deadline = self.core.deadline().map(|at| self.origin + at);
                let timer = async {
                    match deadline {
                        Some(deadline) => sleep_until(deadline).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    biased;
                    Landed { input, trouble } = self.flights.next(&self.setup.outfit) => {
                        // What is wrong with the size is what to mend, whatever else the flight has found missing.
                        if trouble.is_some() && !matches!(self.trouble, Some(Trouble::Size(_))) {
                            self.trouble = trouble;
                        }
                        self.hear();
                        ended = self.input(input);
                    }
                    changed = self.state.changed() => {
                        if changed.is_err() {
                            ended = Some(Ended::Failed(Failure::ClientOver(final_reason(state))));
                        }
                        break;
                    }
                    () = timer => ended = self.input(Input::Tick),
                }
            }
            match ended {
                None => {}
                // There is no await between the grant and the holding: whoever drops us drops one of the two.
                Some(Ended::Granted(grant)) => {
                    return Ok(Holding::of_nodes(Arc::clone(&self.setup.context), &self.runtime, grant));
                }
                Some(Ended::Failed(failure)) => return Err(self.explain(failure, limit)),
            }
        }
    }

    fn explain(&mut self, failure: Failure, limit: Duration) -> Error {
        let source = match (failure, self.trouble.take()) {
            (Failure::Refused, Some(Trouble::Size(error))) => return error,
            (_, Some(Trouble::Client(error))) => Some(error),
            _ => None,
        };
        Error::not_granted(&self.setup.path, NotGranted::Failed(failure, source), limit)
    }

    /// Tells the core what has become of its session, and of a new one.
    fn session_is(&mut self, state: SessionState) -> Option<Ended> {
        let live = state.session();
        if live.is_some_and(|info| info.id == self.session) {
            self.hear();
            return self.input(if state.is_connected() { Input::Connected } else { Input::Suspended });
        }
        if self.session != SessionId::NONE || matches!(state, SessionState::AuthFailed | SessionState::Closed)
        {
            self.session = SessionId::NONE;
            if let Some(ended) = self.input(Input::SessionOver(reason(state))) {
                return Some(ended);
            }
        }
        let info = live?;
        self.session = info.id;
        let begun = Input::Session {
            id: info.id,
            timeout: info.timeout,
            identity: self.setup.context.client.random_bits(),
        };
        self.input(begun).or_else(|| if state.is_connected() { None } else { self.input(Input::Suspended) })
    }

    /// How far the session's local deadline has moved.
    fn hear(&mut self) {
        if let Some(until) = self.setup.context.until(self.session, self.origin) {
            self.input(Input::Heard { until });
        }
    }

    fn input(&mut self, input: Input) -> Option<Ended> {
        let now = self.origin.elapsed();
        let mut ended = None;
        for output in self.core.handle(now, input) {
            match output {
                Output::Send(id, request) => {
                    let client = &self.setup.context.client;
                    self.flights.send(client, &self.setup.outfit, self.session, id, request);
                }
                Output::Forget(request) => self.flights.forget(request),
                Output::Leave(leftover) => self.leave(leftover),
                Output::Requeued => tracing::info!(
                    path = self.setup.path,
                    "the session ended while waiting for permits; waiting anew"
                ),
                Output::Foreign(which, names) => self.warn_of_foreign(which, &names),
                Output::Grant { grant, waited } => {
                    self.setup.waited.store(waited, Ordering::Relaxed);
                    ended = Some(Ended::Granted(grant));
                }
                Output::Fail(failure) => {
                    if matches!(failure, Failure::Busy | Failure::TimedOut) {
                        self.setup.waited.store(true, Ordering::Relaxed);
                    }
                    ended = Some(Ended::Failed(failure));
                }
            }
        }
        ended
    }

    fn leave(&mut self, leftover: Leftover) {
        let under_way = match &leftover {
            Leftover::Unnamed { prefixes, .. } => {
                let leases = self.setup.layout().leases(&self.setup.path);
                let parent = prefixes.first().and_then(|prefix| path::split(prefix));
                let of_leases = parent.is_some_and(|(parent, _)| parent == leases);
                self.flights.take_creation(of_leases).map_or(UnderWay::Nothing, UnderWay::Create)
            }
            _ => UnderWay::Nothing,
        };
        self.setup.context.reaper.adopt(&self.runtime, leftover, under_way);
    }

    fn warn_of_foreign(&self, which: Parent, names: &[String]) {
        let parent = match which {
            Parent::Locks => "locks",
            Parent::Leases => "leases",
        };
        let names = names.iter().map(|name| format!("{parent}/{name}")).collect();
        self.setup.context.warn_of_foreign(names);
    }
}

/// The future ended, or was dropped: what it leaves behind is the reaper's.
impl Drop for Acquirer {
    fn drop(&mut self) {
        let now = self.origin.elapsed();
        for output in self.core.handle(now, Input::Cancel) {
            if let Output::Leave(leftover) = output {
                self.leave(leftover);
            }
        }
    }
}
