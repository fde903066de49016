//! A session that comes from another client, or goes to one; and a close that no server hears.

use std::time::Duration;

use super::machine::{Closing, Core, Phase, Session};
use super::output::SessionEnd;
use crate::limits::CLOSE_MAX;
use crate::state::{SessionInfo, SessionState};
use crate::ticket::SessionTicket;

impl Core {
    /// Carries on a session of another client. To be called before the first tick. A server that no longer knows
    /// the session ends it, as any other.
    pub fn resume(&mut self, ticket: &SessionTicket) {
        self.last_zxid = ticket.last_zxid;
        let info = SessionInfo { id: ticket.session, timeout: ticket.timeout, read_only: false };
        // Nobody here knows when the server last heard from it.
        self.session = Some(Session { info, password: ticket.password, alive_from: None, global: true });
    }

    /// What it takes to carry the session on; `None` when there is none, or none that another server knows.
    #[must_use]
    pub fn ticket(&self) -> Option<SessionTicket> {
        let session = self.session.as_ref().filter(|session| session.global)?;
        Some(SessionTicket {
            session: session.info.id,
            password: session.password,
            timeout: session.info.timeout,
            last_zxid: self.last_zxid,
        })
    }

    /// Stops without closing the session. While a server is connected, everything submitted so far is sent and
    /// answered first, within [`CLOSE_MAX`]; the rest fails. It counts as closed from now on.
    pub fn detach(&mut self, now: Duration) {
        if self.closing.is_some() || self.is_over() {
            return;
        }
        self.say(SessionState::Closed);
        self.closing = Some(Closing { op: None, until: now + CLOSE_MAX, attempts_left: 0 });
        self.leaving = None;
        self.depart(now);
    }

    pub(super) fn is_detaching(&self) -> bool {
        self.closing.is_some_and(|closing| closing.op.is_none())
    }

    /// Ends a client that is being detached, unless something is to be sent or answered before.
    pub(super) fn detach_if_done(&mut self) {
        if !self.is_detaching() || self.is_over() {
            return;
        }
        let unsent = matches!(self.phase, Phase::Live(_)) && self.queue.has_waiting();
        if !unsent && !self.has_unanswered() {
            self.finish(SessionEnd::Closed);
        }
    }

    /// No server was found for the close: it is given up when each has had its chance.
    pub(super) fn close_attempt_failed(&mut self) {
        if let Some(closing) = &mut self.closing {
            closing.attempts_left = closing.attempts_left.saturating_sub(1);
            if closing.attempts_left == 0 {
                self.finish(SessionEnd::Closed);
            }
        }
    }
}
