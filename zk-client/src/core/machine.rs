//! The state of one client, its inputs, and the phases of its connection.

use bytes::Bytes;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::collections::VecDeque;
use std::time::Duration;
use zk_proto::connect::Password;
use zk_proto::{SessionId, Zxid};

use super::config::{Config, Credentials};
use super::output::{DropReason, Output, SessionEnd};
use super::probe::Search;
use super::queue::{Operation, Queue};
use super::rearm::Rearm;
use super::request::{Completion, Failure, OpId, Reply, Request, Terms};
use super::sasl::Sasl;
use super::servers::Leaving;
use super::timers::Timers;
use super::watches::Watches;
use crate::hosts::Order;
use crate::limits::{CLOSE_MAX, DIAL_MAX, DIAL_MIN};
use crate::retry::Pacing;
use crate::state::{SessionInfo, SessionState};

/// The session machine of one client. See the [module](super) for how a shell runs it.
#[derive(Debug)]
pub struct Core {
    pub(super) config: Config,
    pub(super) rng: StdRng,
    pub(super) order: Order,
    /// The server of the last attempt to connect.
    pub(super) host: Option<usize>,
    /// The server where a session was last established.
    pub(super) home: Option<usize>,
    /// Set while the connection is to be left for another server.
    pub(super) leaving: Option<Leaving>,
    /// The search for a writable server, while the session is read-only.
    pub(super) search: Option<Search>,
    pub(super) pacing: Pacing,
    pub(super) phase: Phase,
    pub(super) session: Option<Session>,
    pub(super) last_zxid: Zxid,
    pub(super) queue: Queue,
    pub(super) watches: Watches,
    /// Until it is complete nothing else is sent, and the session is not announced.
    pub(super) sasl: Sasl,
    pub(super) credentials: Vec<Credentials>,
    /// Auth packets sent and not answered: the operation that asked, or none for a replay.
    pub(super) auth_flying: VecDeque<Option<Operation>>,
    /// How many credentials are still to be replayed on this connection, from the front.
    pub(super) auth_due: VecDeque<usize>,
    /// Credentials sent for this connection and not answered. Until they are, the session is not announced: who
    /// is told that it is connected may rely on its credentials.
    pub(super) replays_flying: usize,
    pub(super) unannounced: bool,
    pub(super) rearm: Rearm,
    pub(super) closing: Option<Closing>,
    outputs: VecDeque<Output>,
}

/// Where the connection stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// There is none; the next attempt is due then.
    Waiting { until: Duration },
    /// The shell is connecting.
    Dialing { until: Duration },
    /// Connected; the handshake was sent then, or is to be sent.
    Greeting { sent: Option<Duration>, until: Duration },
    /// The session is established on it.
    Live(Timers),
    /// The core has ended.
    Over(SessionEnd),
}

/// A session that was established and has not ended.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) info: SessionInfo,
    pub(super) password: Password,
    /// Send time of the last answered request: the server has heard from us since. `None` of a session taken
    /// over, until a server has confirmed it.
    pub(super) alive_from: Option<Duration>,
    /// Whether it was ever established on a server with a quorum. One that was not is unknown to the others.
    pub(super) global: bool,
}

/// A close under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closing {
    /// The place of `closeSession` in the queue; none when the session is to live on.
    pub(super) op: Option<OpId>,
    pub(super) until: Duration,
    /// Attempts to connect that may still fail before it is given up.
    pub(super) attempts_left: usize,
}

impl Core {
    /// A core that will look for a server at its first tick. `seed` decides the order of servers and all jitter.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        Self {
            order: Order::shuffled(config.hosts, &mut rng),
            host: None,
            home: None,
            leaving: None,
            search: None,
            pacing: config.retry.pacing(),
            rng,
            phase: Phase::Waiting { until: Duration::ZERO },
            session: None,
            last_zxid: Zxid::ZERO,
            queue: Queue::default(),
            watches: Watches::default(),
            sasl: Sasl::default(),
            credentials: config.credentials.clone(),
            auth_flying: VecDeque::new(),
            auth_due: VecDeque::new(),
            replays_flying: 0,
            unannounced: false,
            rearm: Rearm::default(),
            closing: None,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Takes an operation in at the end of the queue. With `session`, it is sent in that session or fails. Ends
    /// in exactly one [`Output::Complete`] unless [`Core::cancel`] takes it out.
    pub fn submit(
        &mut self,
        now: Duration,
        request: impl Into<Box<Request>>,
        session: Option<SessionId>,
    ) -> OpId {
        self.submit_on(now, request, Terms::in_session(session))
    }

    /// As [`Core::submit`], with all that may be said of an operation.
    pub fn submit_on(&mut self, _now: Duration, request: impl Into<Box<Request>>, terms: Terms) -> OpId {
        let request = request.into();
        let ended = match self.phase {
            Phase::Over(SessionEnd::Expired) => Some(Failure::LastSessionExpired { sent: false }),
            Phase::Over(SessionEnd::AuthFailed) => Some(Failure::AuthFailed { sent: false }),
            Phase::Over(SessionEnd::Closed) => Some(Failure::Closed { sent: false }),
            _ if self.closing.is_some() => Some(Failure::Closed { sent: false }),
            _ if !self.is_of_session(terms.session) => Some(Failure::SessionExpired { sent: false }),
            _ => None,
        };
        let Some(failure) = ended else { return self.queue.push(request, terms) };
        let op = self.queue.take_id();
        self.push(Output::Complete(Completion { op, request, result: Err(failure), watching: false }));
        op
    }

    /// Takes an operation out that has not been sent; nothing more is heard of it. False when it was sent: it
    /// will end as any other.
    pub fn cancel(&mut self, op: OpId) -> bool {
        let cancelled = self.queue.cancel(op);
        self.detach_if_done();
        cancelled
    }

    /// Nobody waits for this watch any more. When nobody waits for anything at its path, the server is told.
    pub fn forget(&mut self, watch: OpId) {
        self.watches.forget(watch);
    }

    /// The connection asked for is open.
    pub fn connected(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Dialing { .. }) {
            self.phase = Phase::Greeting { sent: None, until: now + self.dial_timeout() };
        }
    }

    /// The connection is gone, or could not be opened.
    pub fn disconnected(&mut self, now: Duration) {
        if matches!(self.phase, Phase::Dialing { .. } | Phase::Greeting { .. } | Phase::Live(_)) {
            self.lose(now);
        }
    }

    /// Time has passed. To be called at [`Core::deadline`]; more often does no harm.
    pub fn tick(&mut self, now: Duration) {
        let silent = if let Phase::Live(timers) = &mut self.phase { timers.tick(now) } else { false };
        match &self.phase {
            Phase::Waiting { until } if now >= *until => {
                self.phase = Phase::Dialing { until: now + self.dial_timeout() };
                let host = self.order.next_host();
                self.host = Some(host);
                self.push(Output::Connect { host });
            }
            Phase::Dialing { until } | Phase::Greeting { until, .. } if now >= *until => {
                self.drop_connection(now, DropReason::ConnectTimeout);
            }
            Phase::Live(_) if self.sasl.deadline().is_some_and(|until| now >= until) => {
                self.drop_connection(now, DropReason::SaslTimeout);
            }
            Phase::Live(_) if silent => self.drop_connection(now, DropReason::Silent),
            _ => {}
        }
        self.search(now);
        self.depart(now);
        if self.closing.is_some_and(|closing| now >= closing.until) && !self.is_over() {
            self.finish(SessionEnd::Closed);
        }
    }

    /// Closes the session behind everything submitted so far, then stops; stops without an answer when there is
    /// none within [`CLOSE_MAX`], or when no server is connected and each of them has been tried in vain. It
    /// counts as closed from now on. A second call changes nothing.
    pub fn close(&mut self, now: Duration) {
        if self.closing.is_some() || matches!(self.phase, Phase::Over(_)) {
            return;
        }
        if self.session.as_ref().is_none_or(|session| session.alive_from.is_none()) {
            // There is none, or one to be taken over that no server has confirmed: it is not ours yet.
            self.finish(SessionEnd::Closed);
            return;
        }
        // Before the server can act on it: whoever holds something by this session must stop first.
        self.say(SessionState::Closed);
        let op = Some(self.queue.push_own(Request::CloseSession));
        self.closing = Some(Closing { op, until: now + CLOSE_MAX, attempts_left: self.order.len() });
        self.leaving = None;
        if let Phase::Waiting { until } = &mut self.phase {
            *until = now;
        }
    }

    /// When [`Core::tick`] is to be called next; `None` when time no longer matters.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let phase = match &self.phase {
            Phase::Waiting { until } | Phase::Dialing { until } | Phase::Greeting { until, .. } => *until,
            Phase::Live(timers) => {
                self.sasl.deadline().map_or(timers.deadline(), |sasl| sasl.min(timers.deadline()))
            }
            Phase::Over(_) => return None,
        };
        let others = [
            self.closing.map(|closing| closing.until),
            self.leaving.map(|leaving| leaving.until),
            self.search
                .as_ref()
                .filter(|_| self.leaving.is_none() && self.closing.is_none())
                .and_then(Search::deadline),
        ];
        Some(others.into_iter().flatten().fold(phase, Duration::min))
    }

    /// The next thing to do; `None` when all is done for now.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The session, and until when the server cannot have expired it: the send time of the last answered request
    /// and the negotiated timeout. `None` as soon as the session is being closed: the server may do it any moment.
    #[must_use]
    pub fn session_deadline(&self) -> Option<(SessionId, Duration)> {
        let session = self.session.as_ref().filter(|_| self.closing.is_none())?;
        Some((session.info.id, session.alive_from? + session.info.timeout))
    }

    /// The session that is connected or suspended.
    #[must_use]
    pub fn session(&self) -> Option<SessionInfo> {
        self.session.as_ref().map(|session| session.info)
    }

    /// The last transaction seen in a reply.
    #[must_use]
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// Whether the core has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    /// Tells the state; `Closed` is said when closing begins, and nothing after it.
    pub(super) fn say(&mut self, state: SessionState) {
        if self.closing.is_none() {
            self.push(Output::State(state));
        }
    }

    pub(super) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn fail(&mut self, operation: Operation, failure: Failure) {
        self.complete(operation, Err(failure), false);
    }

    pub(super) fn complete(&mut self, operation: Operation, result: Result<Reply, Failure>, watching: bool) {
        if operation.own {
            return;
        }
        let Operation { id, request, .. } = operation;
        self.push(Output::Complete(Completion { op: id, request, result, watching }));
    }

    pub(super) fn is_of_session(&self, pin: Option<SessionId>) -> bool {
        pin.is_none_or(|pin| self.session.as_ref().is_some_and(|session| session.info.id == pin))
    }

    /// The session timeout granted, or the one asked for.
    pub(super) fn timeout(&self) -> Duration {
        self.session.as_ref().map_or(self.config.session_timeout, |session| session.info.timeout)
    }

    /// One server's share of the session timeout: all of them can be asked before the session is lost.
    fn dial_timeout(&self) -> Duration {
        let hosts = u32::try_from(self.order.len()).unwrap_or(u32::MAX);
        (self.timeout() / hosts).clamp(DIAL_MIN, DIAL_MAX)
    }

    /// One frame from the server, without its prefix.
    pub fn received(&mut self, now: Duration, frame: Bytes) {
        match &self.phase {
            Phase::Greeting { sent: Some(sent), .. } => {
                let sent = *sent;
                self.greeted(now, sent, frame);
            }
            Phase::Greeting { sent: None, .. } => self.drop_connection(now, DropReason::Malformed),
            Phase::Live(_) => {
                self.replied(now, frame);
                self.depart(now);
            }
            Phase::Waiting { .. } | Phase::Dialing { .. } | Phase::Over(_) => {}
        }
    }

    /// The server has begun a frame of `declared` bytes, which is above the limit. The connection cannot be read
    /// further; the oldest request in flight, whose answer it is, fails for good rather than being sent again.
    pub fn oversized(&mut self, now: Duration, declared: usize) {
        if matches!(self.phase, Phase::Live(_))
            && let Some(operation) = self.queue.land()
        {
            self.fail(operation, Failure::FrameTooLarge { bytes: declared, reply: true });
        }
        if matches!(self.phase, Phase::Greeting { .. } | Phase::Live(_)) {
            self.drop_connection(now, DropReason::FrameTooLarge);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_core_does_not_end_again() {
        let mut core = Core::new(Config::default(), 1);
        let end = Duration::from_secs(1);
        core.closing = Some(Closing { op: Some(OpId(0)), until: end, attempts_left: 1 });
        core.tick(end);
        assert!(core.is_over());
        while core.poll_output().is_some() {}
        // A timer that was set before the end may still go off.
        core.tick(end * 2);
        assert!(core.poll_output().is_none());
    }
}
