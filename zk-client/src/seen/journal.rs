//! What the driver tells of its connections, its session and its watches. Decides nothing but how loud.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tracing::field::{Empty, display};
use tracing::{Span, debug, debug_span, error, info, trace, warn};
use zk_proto::{EventType, SessionId};

use super::Meters;
use super::metrics::Levels;
use super::rate::RateLimit;
use super::reason::Loss;
use super::request::what;
use crate::core::{Completion, SessionEnd, WatchLost};
use crate::limits::{WARNING_EVERY, WARNINGS_BURST};
use crate::state::{SessionInfo, SessionState};
use crate::submit::Line;
use crate::watch::WatchedEvent;

/// The driver's voice.
pub(crate) struct Journal {
    line: Arc<Line>,
    levels: Levels,
    server: String,
    attempts: u64,
    /// The attempt under way, and since when; none once its session is established.
    attempt: Option<(Span, Duration)>,
    /// A session was established on some connection.
    has_connected: bool,
    failures: RateLimit,
    losses: RateLimit,
    suspensions: RateLimit,
    expirations: RateLimit,
}

/// One warning, at level debug when it is one too many.
macro_rules! limited {
    ($limit:expr, $now:expr, target: $target:literal, { $($field:tt)* }, $message:literal) => {
        match $limit.pass($now) {
            Some(suppressed) => warn!(target: $target, parent: None, { $($field)*, suppressed }, $message),
            None => debug!(target: $target, parent: None, { $($field)* }, $message),
        }
    };
}

impl Journal {
    pub(crate) fn new(line: Arc<Line>) -> Self {
        let limit = || RateLimit::new(WARNINGS_BURST, WARNING_EVERY);
        Self {
            line,
            levels: Meters::levels(),
            server: String::new(),
            attempts: 0,
            attempt: None,
            has_connected: false,
            failures: limit(),
            losses: limit(),
            suspensions: limit(),
            expirations: limit(),
        }
    }

    fn meters(&self) -> &Meters {
        self.line.meters()
    }

    /// A server is being dialled.
    pub(crate) fn dialing(&mut self, now: Duration, server: &impl Display) {
        self.server = server.to_string();
        self.attempts += 1;
        let attempt = self.attempts;
        let span = debug_span!(
            target: "zk_client::connect",
            parent: None,
            "connect",
            server = self.server,
            attempt,
            latency_us = Empty,
            error = Empty,
        );
        debug!(target: "zk_client::connect", parent: &span, server = self.server, attempt, "connecting");
        self.attempt = Some((span, now));
    }

    /// The connection, or the attempt at one, is over.
    pub(crate) fn lost(&mut self, now: Duration, loss: Loss<'_>) {
        let (reason, server) = (loss.word(), self.server.as_str());
        let attempt = self.attempt.take();
        if let Some((span, begun)) = &attempt {
            span.record("error", display(loss));
            span.record("latency_us", micros(now.saturating_sub(*begun)));
        }
        if loss.is_told() {
            return;
        }
        if loss.is_move() {
            self.line.meters().connection_loss(reason);
            debug!(target: "zk_client::connect", parent: None, server, reason, "connection left");
        } else if attempt.is_some() {
            self.line.meters().connect_failure(reason);
            limited!(
                self.failures, now, target: "zk_client::connect",
                { server, reason, error = %loss }, "connect failed"
            );
        } else {
            self.line.meters().connection_loss(reason);
            limited!(
                self.losses, now, target: "zk_client::connect",
                { server, reason, error = %loss }, "connection lost"
            );
        }
    }

    pub(crate) fn session(&mut self, now: Duration, state: SessionState) {
        match state {
            SessionState::Connecting => {}
            SessionState::Connected(info) => self.established(now, info),
            SessionState::Suspended(SessionInfo { id: session, .. }) => limited!(
                self.suspensions, now, target: "zk_client::session", { %session }, "session suspended"
            ),
            SessionState::Expired(session) => self.expired(now, session),
            SessionState::AuthFailed => {
                error!(target: "zk_client::session", parent: None, "authentication failed");
            }
            SessionState::Closed => info!(target: "zk_client::session", parent: None, "session closed"),
        }
    }

    fn established(&mut self, now: Duration, info: SessionInfo) {
        if let Some((span, begun)) = self.attempt.take() {
            span.record("latency_us", micros(now.saturating_sub(begun)));
        }
        if std::mem::replace(&mut self.has_connected, true) {
            self.meters().reconnect();
        }
        info!(
            target: "zk_client::session",
            parent: None,
            session = %info.id,
            server = self.server,
            timeout_ms = micros(info.timeout) / 1000,
            read_only = info.read_only,
            "session established"
        );
    }

    fn expired(&mut self, now: Duration, session: SessionId) {
        self.meters().expiration();
        limited!(self.expirations, now, target: "zk_client::session", { %session }, "session expired");
    }

    /// An operation has ended; if it asked for a watch, that is registered now.
    pub(crate) fn completed(&self, completion: &Completion) {
        if completion.watching {
            let (operation, path) = what(&completion.request);
            trace!(
                target: "zk_client::watch",
                parent: None,
                operation = operation.name(),
                path,
                "watch registered"
            );
        }
    }

    pub(crate) fn fired(&self, event: &WatchedEvent, watchers: usize) {
        let name = event_name(event.event_type);
        self.meters().watch_event(name);
        debug!(
            target: "zk_client::watch",
            parent: None,
            event = name,
            path = event.path,
            zxid = event.zxid.map(display),
            watchers,
            "watch fired"
        );
    }

    pub(crate) fn resynced(&self, streams: usize) {
        debug!(target: "zk_client::watch", parent: None, streams, "streams resynced");
    }

    pub(crate) fn watches_lost(&self, watches: usize, why: WatchLost) {
        let reason = match why {
            WatchLost::Ended(SessionEnd::Expired) => "expired",
            WatchLost::Ended(SessionEnd::AuthFailed) => "auth_failed",
            WatchLost::Ended(SessionEnd::Closed) => "closed",
            WatchLost::Removed => "removed",
            WatchLost::Unsupported => "unsupported",
        };
        debug!(target: "zk_client::watch", parent: None, reason, watches, "watches lost");
    }

    /// What is queued and what is watched, at the end of a turn.
    pub(crate) fn levels(&mut self, watches: usize) {
        self.levels.show(self.line.units(), watches);
    }
}

/// One word for each event that a watch can hear.
fn event_name(event: EventType) -> &'static str {
    match event {
        EventType::NodeCreated => "created",
        EventType::NodeDeleted => "deleted",
        EventType::NodeDataChanged => "data_changed",
        EventType::NodeChildrenChanged => "children_changed",
        _ => "other",
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
