//! Runs a core over a client until the grant. Owns what is under way; whatever way its future ends, the core is
//! cancelled and the reaper takes over what it leaves behind. Decides nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use zk_client::{Client, SessionState};
use zk_proto::SessionId;

use super::core::Core;
use super::flight::{Flights, Landed, Outfit};
use super::keeper::Holding;
use super::messages::{
    Answer, Failure, Grant, Input, Leftover, Options, Output, Patience, Request, RequestId,
};
use crate::identity::Uuid;
use crate::limits::{CHILDREN_WARN, FOREIGN_WARNED_MAX};
use crate::loss::LossReason;
use crate::reaper::{Reaper, UnderWay};

/// What all contenders of one recipe object share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) reaper: Arc<Reaper>,
    pub(crate) options: Options,
    outfit: Outfit,
    /// Foreign children that were warned about.
    warned: Mutex<BTreeSet<String>>,
}

/// Why there was no grant.
#[derive(Debug)]
pub(crate) enum NotGranted {
    Failed(Failure, Option<zk_client::Error>),
    NoRuntime,
}

impl Context {
    pub(crate) fn new(
        client: &Client,
        options: Options,
        data: bytes::Bytes,
        acl: Vec<zk_proto::Acl>,
    ) -> Self {
        let outfit = Outfit { data, acl };
        let reaper = Reaper::of(client);
        Self { client: client.clone(), reaper, options, outfit, warned: Mutex::default() }
    }

    pub(super) fn until(&self, session: SessionId, origin: Instant) -> Option<Duration> {
        self.client.session_deadline(session).map(|deadline| deadline.saturating_duration_since(origin))
    }

    pub(super) fn send(&self, flights: &mut Flights, session: SessionId, id: RequestId, request: Request) {
        flights.send(&self.client, &self.outfit, session, id, request);
    }

    fn warn_of_foreign(&self, names: Vec<String>) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            if warned.len() < FOREIGN_WARNED_MAX && !warned.contains(&name) {
                tracing::warn!(
                    path = self.options.parent,
                    child = name,
                    "ignored: this child does not stand in line"
                );
                warned.insert(name);
            }
        }
    }
}

/// Stands in line until admitted; `limit` of `None` waits as long as it takes, of zero not at all.
///
/// Cancellation: may be dropped at any time; what was sent is found and deleted in the background.
pub(crate) async fn stand_in_line(
    context: Arc<Context>,
    limit: Option<Duration>,
) -> Result<Holding, NotGranted> {
    let runtime = Handle::try_current().map_err(|_| NotGranted::NoRuntime)?;
    let patience = match limit {
        None => Patience::Forever,
        Some(Duration::ZERO) => Patience::None,
        Some(limit) => Patience::Until(limit),
    };
    let core = Core::new(Options { patience, ..context.options.clone() });
    let state = context.client.session_state();
    let entrant = Entrant {
        context,
        runtime,
        core,
        origin: Instant::now(),
        flights: Flights::default(),
        state,
        session: SessionId::NONE,
        last_error: None,
    };
    entrant.run().await
}

/// A contender that is not admitted yet.
struct Entrant {
    context: Arc<Context>,
    runtime: Handle,
    core: Core,
    origin: Instant,
    flights: Flights,
    state: watch::Receiver<SessionState>,
    /// The session the core works in.
    session: SessionId,
    last_error: Option<zk_client::Error>,
}

impl Entrant {
    async fn run(mut self) -> Result<Holding, NotGranted> {
        let mut state = *self.state.borrow_and_update();
        loop {
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
                    Landed { input, error } = self.flights.next() => {
                        if error.is_some() {
                            self.last_error = error;
                        }
                        self.warn_of_crowd(&input);
                        self.hear();
                        ended = self.input(input);
                    }
                    changed = self.state.changed() => {
                        if changed.is_err() {
                            return Err(NotGranted::Failed(Failure::ClientOver(final_reason(state)), None));
                        }
                        break;
                    }
                    () = timer => ended = self.input(Input::Tick),
                }
            }
            match ended {
                Some(Ended::Granted(grant)) => return Ok(self.hand_over(grant)),
                Some(Ended::Failed(failure)) => {
                    return Err(NotGranted::Failed(failure, self.last_error.take()));
                }
                None => state = *self.state.borrow_and_update(),
            }
        }
    }

    /// Tells the core what has become of its session, and of a new one.
    fn session_is(&mut self, state: SessionState) -> Option<Ended> {
        let live = state.session();
        if live.is_some_and(|info| info.id == self.session) {
            self.hear();
            let input = if state.is_connected() { Input::Connected } else { Input::Suspended };
            return self.input(input);
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
        let identity = Uuid::from_random(self.context.client.random_bits());
        let begun = Input::Session { id: info.id, timeout: info.timeout, identity };
        self.input(begun).or_else(|| if state.is_connected() { None } else { self.input(Input::Suspended) })
    }

    /// How far the session's local deadline has moved.
    fn hear(&mut self) {
        if let Some(until) = self.context.until(self.session, self.origin) {
            self.input(Input::Heard { until });
        }
    }

    fn input(&mut self, input: Input) -> Option<Ended> {
        let now = self.origin.elapsed();
        let outputs = self.core.handle(now, input);
        let mut ended = None;
        for output in outputs {
            match output {
                Output::Send(id, request) => {
                    self.context.send(&mut self.flights, self.session, id, request);
                }
                Output::Forget(request) => self.flights.forget(request),
                Output::Leave(leftover) => self.leave(leftover),
                Output::Requeued => tracing::info!(
                    path = self.context.options.parent,
                    "the session ended while waiting in line; waiting anew"
                ),
                Output::Foreign(names) => self.context.warn_of_foreign(names),
                Output::Grant(grant) => ended = Some(Ended::Granted(grant)),
                Output::Fail(failure) => ended = Some(Ended::Failed(failure)),
            }
        }
        ended
    }

    fn leave(&mut self, leftover: Leftover) {
        let under_way = match (&leftover, self.flights.take_create()) {
            (Leftover::Unnamed { .. }, Some(create)) => UnderWay::Create(create),
            _ => UnderWay::Nothing,
        };
        self.context.reaper.adopt(&self.runtime, leftover, under_way);
    }

    fn hand_over(mut self, grant: Grant) -> Holding {
        // What stays here to be dropped has nothing to leave behind.
        let core = std::mem::replace(&mut self.core, Core::new(self.context.options.clone()));
        let flights = std::mem::take(&mut self.flights);
        Holding::new(Arc::clone(&self.context), self.runtime.clone(), core, flights, self.origin, grant)
    }

    fn warn_of_crowd(&self, input: &Input) {
        if let Input::Answer { answer: Answer::Listed(Ok(names)), .. } = input
            && names.len() > CHILDREN_WARN
        {
            let (path, children) = (&self.context.options.parent, names.len());
            tracing::warn!(path, children, "so many children make every wake expensive");
        }
    }
}

/// The future ended, or was dropped: what it leaves behind is the reaper's.
impl Drop for Entrant {
    fn drop(&mut self) {
        let now = self.origin.elapsed();
        for output in self.core.handle(now, Input::Cancel) {
            if let Output::Leave(leftover) = output {
                self.leave(leftover);
            }
        }
    }
}

enum Ended {
    Granted(Grant),
    Failed(Failure),
}

/// What `state` says of a session that is not in it.
pub(super) const fn reason(state: SessionState) -> LossReason {
    match state {
        SessionState::AuthFailed => LossReason::AuthFailed,
        SessionState::Closed => LossReason::ClientClosed,
        _ => LossReason::SessionExpired,
    }
}

/// Why a client has ended whose last state is this.
pub(super) const fn final_reason(state: SessionState) -> LossReason {
    match state {
        SessionState::Expired(_) => LossReason::SessionExpired,
        SessionState::AuthFailed => LossReason::AuthFailed,
        _ => LossReason::ClientClosed,
    }
}
