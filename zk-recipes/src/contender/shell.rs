//! Runs a core over a client until the grant. Owns what is under way; whatever way its future ends, the core is
//! cancelled and the reaper takes over what it leaves behind. Decides nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use zk_client::{Client, SessionState};
use zk_proto::{SessionId, path};

use super::core::Core;
use super::flight::{Flights, Landed, Outfit};
use super::hold::HoldState;
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

    /// The data of our nodes.
    pub(crate) const fn data(&self) -> &bytes::Bytes {
        &self.outfit.data
    }

    /// Who may do what with our nodes.
    pub(crate) const fn acl(&self) -> &Vec<zk_proto::Acl> {
        &self.outfit.acl
    }

    /// This child is no contender, and none to warn about.
    pub(crate) fn expect_foreign(&self, name: &str) {
        self.warned.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    pub(crate) fn until(&self, session: SessionId, origin: Instant) -> Option<Duration> {
        self.client.session_deadline(session).map(|deadline| deadline.saturating_duration_since(origin))
    }

    pub(super) fn send(&self, flights: &mut Flights, session: SessionId, id: RequestId, request: Request) {
        flights.send(&self.client, &self.outfit, session, id, request);
    }

    pub(crate) fn warn_of_foreign(&self, names: Vec<String>) {
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
    let mut entrant = Entrant::new(context)?;
    entrant.be_patient(limit);
    entrant.granted().await
}

/// A contender that is not admitted yet. Gives its place up when dropped.
#[derive(Debug)]
pub(crate) struct Entrant {
    context: Arc<Context>,
    runtime: Handle,
    core: Core,
    origin: Instant,
    flights: Flights,
    state: watch::Receiver<SessionState>,
    /// The session the core works in.
    session: SessionId,
    /// How often its session ended while it waited, and its place with it.
    requeued: usize,
    /// How it has ended, if it has, until somebody asks.
    ended: Option<Ended>,
    /// The session's state as the core was told last; `None` before that.
    told: Option<SessionState>,
    last_error: Option<zk_client::Error>,
}

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// A place in line, or the end.
    InLine,
    /// The end.
    Granted,
}

impl Entrant {
    /// One that has done nothing yet, and waits as long as it takes.
    pub(crate) fn new(context: Arc<Context>) -> Result<Self, NotGranted> {
        let runtime = Handle::try_current().map_err(|_| NotGranted::NoRuntime)?;
        let core = Core::new(context.options.clone());
        Ok(Self::going_on(context, runtime, core, Instant::now(), SessionId::NONE))
    }

    /// One whose core has begun before, in this session.
    pub(super) fn going_on(
        context: Arc<Context>,
        runtime: Handle,
        core: Core,
        origin: Instant,
        session: SessionId,
    ) -> Self {
        let state = context.client.session_state();
        Self {
            context,
            runtime,
            core,
            origin,
            flights: Flights::default(),
            state,
            session,
            requeued: 0,
            ended: None,
            told: None,
            last_error: None,
        }
    }

    /// Waits for at most so long from now on; not at all if that is zero.
    pub(crate) fn be_patient(&mut self, limit: Option<Duration>) {
        self.core.set_patience(Patience::lasting(limit, self.origin.elapsed()));
    }

    /// Our nodes, once they are known.
    pub(crate) fn own_paths(&self) -> &[String] {
        match &self.ended {
            Some(Ended::Granted(grant)) => &grant.paths,
            _ => self.core.own_paths(),
        }
    }

    /// How many were before us when we last looked; `None` while we have no place.
    pub(crate) fn ahead(&self) -> Option<usize> {
        match &self.ended {
            Some(Ended::Granted(_)) => Some(0),
            _ => self.core.ahead(),
        }
    }

    pub(crate) const fn requeued(&self) -> usize {
        self.requeued
    }

    pub(crate) fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// Waits for a place in line, or for the end. May be dropped and called again.
    pub(crate) async fn in_line(&mut self) -> Result<(), NotGranted> {
        self.run(Goal::InLine).await;
        match self.ended {
            Some(Ended::Failed(_)) => Err(self.failed()),
            _ => Ok(()),
        }
    }

    /// Waits for the grant.
    pub(crate) async fn granted(mut self) -> Result<Holding, NotGranted> {
        self.wait().await?;
        match self.ended.take() {
            Some(Ended::Granted(grant)) => Ok(self.hand_over(grant)),
            _ => Err(self.failed()),
        }
    }

    /// Waits for the grant, which is handed over by [`Entrant::granted`]. May be dropped and called again.
    pub(crate) async fn wait(&mut self) -> Result<(), NotGranted> {
        if matches!(self.ended, Some(Ended::Granted(_))) {
            self.look_at_the_grant();
        }
        self.run(Goal::Granted).await;
        match self.ended {
            Some(Ended::Granted(_)) => Ok(()),
            _ => Err(self.failed()),
        }
    }

    /// What was granted, if it still is; then this has nothing left to wait for. What was lost meanwhile is waited
    /// for anew, on the same node if that was kept.
    pub(crate) fn take(&mut self) -> Option<Holding> {
        if matches!(self.ended, Some(Ended::Granted(_))) {
            self.look_at_the_grant();
        }
        match self.ended.take() {
            Some(Ended::Granted(grant)) => Some(self.hand_over(grant)),
            ended => {
                self.ended = ended;
                None
            }
        }
    }

    /// Nobody has looked since the grant. What was lost meanwhile is waited for anew.
    fn look_at_the_grant(&mut self) {
        let state = *self.state.borrow_and_update();
        let live = state.session().is_some_and(|info| info.id == self.session);
        self.hear();
        self.input(match (live, state.is_connected()) {
            (true, true) => Input::Check,
            (true, false) => Input::Suspended,
            (false, _) => Input::SessionOver(reason(state)),
        });
        if matches!(self.core.hold(), Some(HoldState::Lost(_))) {
            if !self.core.keeps_place() {
                self.session = SessionId::NONE;
            }
            self.input(Input::Again);
            (self.ended, self.told) = (None, None);
            self.requeued += 1;
        }
    }

    fn failed(&mut self) -> NotGranted {
        let failure = match self.ended {
            Some(Ended::Failed(failure)) => failure,
            _ => Failure::ClientOver(LossReason::ClientClosed),
        };
        NotGranted::Failed(failure, self.last_error.take())
    }

    async fn run(&mut self, goal: Goal) {
        if let Some(Ended::Granted(_)) = &self.ended {
            return;
        }
        if self.told.is_none() {
            let deadline = self.core.deadline().map(|at| self.origin + at);
            settle(Arc::clone(&self.context), deadline).await;
        }
        let mut state = *self.state.borrow_and_update();
        // The session may have changed while nobody waited. What has not is not told twice.
        let mut changed_meanwhile = self.told != Some(state);
        loop {
            let mut ended = if changed_meanwhile { self.session_is(state) } else { self.input(Input::Tick) };
            changed_meanwhile = true;
            while ended.is_none() {
                if goal == Goal::InLine && self.core.ahead().is_some() {
                    return;
                }
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
                            ended = Some(Ended::Failed(Failure::ClientOver(final_reason(state))));
                        }
                        break;
                    }
                    () = timer => ended = self.input(Input::Tick),
                }
            }
            if ended.is_some() {
                self.ended = ended;
                return;
            }
            state = *self.state.borrow_and_update();
        }
    }

    /// Tells the core what has become of its session, and of a new one.
    fn session_is(&mut self, state: SessionState) -> Option<Ended> {
        self.told = Some(state);
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
                Output::Requeued => {
                    self.requeued += 1;
                    tracing::info!(
                        path = self.context.options.parent,
                        "the session ended while waiting in line; waiting anew"
                    );
                }
                Output::Foreign(names) => self.context.warn_of_foreign(names),
                Output::Grant(grant) => ended = Some(Ended::Granted(grant)),
                Output::Fail(failure) => ended = Some(Ended::Failed(failure)),
            }
        }
        ended
    }

    fn leave(&mut self, leftover: Leftover) {
        let under_way = match &leftover {
            Leftover::Unnamed { .. } => self.flights.take_create().map(UnderWay::Create),
            Leftover::Claimed { .. } => self.flights.take_claim().map(UnderWay::Claim),
            _ => None,
        };
        let under_way = under_way.unwrap_or(UnderWay::Nothing);
        self.context.reaper.adopt(&self.runtime, leftover, under_way);
    }

    fn hand_over(&mut self, grant: Grant) -> Holding {
        // What stays here has nothing to leave behind.
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

/// Waits until what this durable owner gave up before is gone, so that it is not taken for what it has now.
async fn settle(context: Arc<Context>, deadline: Option<Instant>) {
    let options = &context.options;
    let Some(durable) = &options.durable else { return };
    let settled = async {
        for prefix in &options.prefixes {
            context.reaper.settled(&path::join(&options.parent, &prefix(durable.owner))).await;
        }
    };
    let late = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        () = settled => {}
        () = late => {}
    }
}

#[derive(Debug)]
enum Ended {
    Granted(Grant),
    Failed(Failure),
}

/// What `state` says of a session that is not in it.
pub(crate) const fn reason(state: SessionState) -> LossReason {
    match state {
        SessionState::AuthFailed => LossReason::AuthFailed,
        SessionState::Closed => LossReason::ClientClosed,
        _ => LossReason::SessionExpired,
    }
}

/// Why a client has ended whose last state is this.
pub(crate) const fn final_reason(state: SessionState) -> LossReason {
    match state {
        SessionState::Expired(_) => LossReason::SessionExpired,
        SessionState::AuthFailed => LossReason::AuthFailed,
        _ => LossReason::ClientClosed,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Parents, Rule};
    use super::*;
    use crate::loss::LossPolicy;
    use crate::sequence::{CURATOR_LATCH, curator_latch_prefix};
    use zk_server::EmbeddedServer;

    const PATH: &str = "/latch";

    async fn entrant(zk: &Client) -> Entrant {
        let options = Options {
            parent: PATH.into(),
            rule: Rule::exclusive(&[CURATOR_LATCH]),
            prefixes: vec![curator_latch_prefix],
            durable: None,
            patience: Patience::Forever,
            parents: Parents::Container,
            loss: LossPolicy::Standard,
            keeps_place: true,
        };
        let context = Context::new(zk, options, bytes::Bytes::new(), zk_proto::Acl::open());
        let mut entrant = Entrant::new(Arc::new(context)).unwrap();
        entrant.wait().await.unwrap();
        entrant
    }

    async fn cut(server: &EmbeddedServer, zk: &Client) {
        let mut state = zk.session_state();
        server.drop_connections();
        state.wait_for(|state| !state.is_connected()).await.unwrap();
    }

    #[tokio::test]
    async fn a_grant_that_is_lost_before_it_is_taken_keeps_its_place() {
        let server = EmbeddedServer::start().await.unwrap();
        let zk = Client::connect(&server.connect_string()).await.unwrap();
        let mut entrant = entrant(&zk).await;
        let node = entrant.own_paths().to_vec();
        cut(&server, &zk).await;
        assert!(entrant.take().is_none());
        entrant.wait().await.unwrap();
        assert_eq!(entrant.own_paths(), node);
        assert_eq!(zk.get_children(PATH).await.unwrap().names.len(), 1);
        let holding = entrant.take().unwrap();
        assert_eq!(holding.check(), crate::loss::LockState::Held);
    }
}
