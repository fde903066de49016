//! The life of a session: handshake, establishment, suspension, expiry, the end.

use bytes::Bytes;
use std::time::Duration;
use zk_proto::connect::{ConnectRequest, ConnectResponse, Password, ReadOnlyFlag};
use zk_proto::header::ReplyHeader;
use zk_proto::limits::REARM_BATCH_BYTES;
use zk_proto::{Decode as _, SessionId, Zxid};

use super::machine::{Core, Phase, Session};
use super::output::{DropReason, Output, SessionEnd, WatchLost};
use super::probe::Search;
use super::rearm::Rearm;
use super::replay::{Fate, fate};
use super::request::Failure;
use super::timers::Timers;
use crate::state::{SessionInfo, SessionState};

impl Core {
    /// The first frame of a connection. Always with 16 bytes of password and the read-only byte: some servers
    /// refuse less.
    pub(super) fn greeting(&self) -> ConnectRequest {
        let known = self.session.as_ref().filter(|session| session.global);
        let timeout = self.config.session_timeout.as_millis();
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.last_zxid,
            timeout_ms: i32::try_from(timeout).unwrap_or(i32::MAX),
            session_id: known.map_or(SessionId::NONE, |session| session.info.id),
            password: known.map_or_else(Password::default, |session| session.password),
            read_only: ReadOnlyFlag::Present(self.config.read_only),
        }
    }

    /// The server's answer to the handshake.
    pub(super) fn greeted(&mut self, now: Duration, sent: Duration, frame: Bytes) {
        let Ok(response) = ConnectResponse::from_bytes(frame.clone()) else {
            // Servers without a quorum answer so when they may not open sessions of their own.
            let refusal = ReplyHeader::from_bytes(frame).ok().and_then(|header| header.outcome.err());
            let why = refusal.map_or(DropReason::Malformed, DropReason::Refused);
            return self.drop_connection(now, why);
        };
        let asked = self.greeting().session_id;
        let granted = u64::try_from(response.timeout_ms).unwrap_or(0);
        if granted == 0 {
            return match self.session.take_if(|session| session.global) {
                Some(session) => self.expire(now, session.info.id),
                None => self.drop_connection(now, DropReason::SessionRefused),
            };
        }
        if response.session_id == SessionId::NONE
            || (asked != SessionId::NONE && asked != response.session_id)
        {
            return self.drop_connection(now, DropReason::SessionRefused);
        }
        let read_only = response.read_only.is_set();
        let info =
            SessionInfo { id: response.session_id, timeout: Duration::from_millis(granted), read_only };
        let global = !read_only || self.session.as_ref().is_some_and(|session| session.global);
        if asked == SessionId::NONE && self.session.is_none() {
            // Whoever opens a session has applied its creation, and with it all that was committed before: no
            // server can be behind. Keeping the old mark would shut us out of an ensemble restored from a backup.
            // After a read-only session it says from where the watches go on.
            self.last_zxid = Zxid::ZERO;
        }
        if self.session.as_ref().is_some_and(|before| before.info.id != info.id) {
            // From a read-only session to one of the quorum's: what was pinned ends with the former.
            let watches = self.watches.lose_pinned();
            self.lose_watches(watches, WatchLost::Ended(SessionEnd::Expired));
        }
        self.session = Some(Session { info, password: response.password, alive_from: Some(sent), global });
        self.establish(now, info);
    }

    fn establish(&mut self, now: Duration, info: SessionInfo) {
        self.home = self.host;
        self.sasl_begin(now);
        if !self.sasl.is_active() {
            self.settle();
        }
        self.search = info.read_only.then(|| Search::start(now, &mut self.rng));
        self.phase = Phase::Live(Timers::start(now, info.timeout));
        self.auth_due = (0..self.credentials.len()).collect();
        let limit = REARM_BATCH_BYTES.min(self.config.frame_limit);
        self.rearm = Rearm::of(&self.watches, self.last_zxid, limit);
        self.watches.rearming();
        self.replays_flying = self.credentials.len();
        self.unannounced = true;
        self.announce();
    }

    /// This server takes us: the next search begins anew. Not before SASL is through, or servers that refuse it
    /// would be asked without pause.
    pub(super) fn settle(&mut self) {
        self.pacing.reset();
        self.order.settle();
    }

    /// Says that the session is connected, once its credentials are taken and SASL is through.
    pub(super) fn announce(&mut self) {
        if self.unannounced
            && !self.sasl.is_active()
            && self.replays_flying == 0
            && let Some(info) = self.session()
        {
            self.unannounced = false;
            self.say(SessionState::Connected(info));
        }
    }

    /// The core gives the connection up.
    pub(super) fn drop_connection(&mut self, now: Duration, why: DropReason) {
        self.push(Output::Disconnect { why });
        self.lose(now);
    }

    /// The connection is gone: what was in flight is sorted by the replay table, and the next attempt is paced.
    pub(super) fn lose(&mut self, now: Duration) {
        let was_live = matches!(self.phase, Phase::Live(_));
        self.phase = Phase::Waiting { until: now + self.pace() };
        self.leaving = None;
        self.search = None;
        let refused = self.sasl.is_active();
        self.sasl.reset();
        self.auth_due.clear();
        self.rearm = Rearm::default();
        self.watches.disconnected();
        if !was_live {
            return self.close_attempt_failed();
        }
        let announced = !std::mem::take(&mut self.unannounced);
        if let Some(info) = self.session().filter(|_| announced) {
            self.say(SessionState::Suspended(info));
        }
        let mut again: Vec<_> = self.auth_flying.drain(..).flatten().collect();
        let mut closed = false;
        let mut flying = self.queue.take_flying();
        if let Some(oldest) = flying.front_mut() {
            oldest.losses += 1;
        }
        for operation in flying {
            closed |= self.closing.is_some_and(|closing| closing.op == Some(operation.id));
            if operation.own {
                // A removal of watches: they went with the connection, and younger ones may take their place.
                continue;
            }
            let resend = operation.resend.unwrap_or(self.config.retry.resends_reads());
            match fate(&operation.request, operation.losses, resend) {
                Fate::Resend => again.push(operation),
                Fate::Fail => self.fail(operation, Failure::ConnectionLoss),
            }
        }
        self.queue.put_back(again);
        if closed {
            // Sent, and the server closes the connection behind its answer: the answer itself was lost.
            self.finish(SessionEnd::Closed);
        }
        self.detach_if_done();
        if refused && !self.is_over() {
            // Nothing could be sent, no more than on an attempt that did not come to a session.
            self.close_attempt_failed();
        }
    }

    /// The server has ended the session. What was sent in it or is pinned to it fails; the rest waits for the
    /// next one.
    fn expire(&mut self, now: Duration, id: SessionId) {
        self.last_zxid = Zxid::ZERO;
        self.phase = Phase::Waiting { until: now + self.pace() };
        self.push(Output::Disconnect { why: DropReason::Expired });
        self.say(SessionState::Expired(id));
        let doomed = self.queue.take_waiting_if(|operation| operation.sends > 0 || operation.pin.is_some());
        for operation in doomed {
            let sent = operation.sends > 0;
            self.fail(operation, Failure::SessionExpired { sent });
        }
        let watches = self.watches.lose_session();
        self.lose_watches(watches, WatchLost::Ended(SessionEnd::Expired));
        if self.config.expiry_is_terminal {
            self.finish(SessionEnd::Expired);
        } else if self.closing.is_some() {
            self.finish(SessionEnd::Closed);
        }
    }

    /// Nothing more happens: everything that is left fails, and the shell may stop.
    pub(super) fn finish(&mut self, end: SessionEnd) {
        if self.is_detaching()
            && let Some(ticket) = self.ticket()
        {
            self.push(Output::Detached(ticket));
        }
        let linked = matches!(self.phase, Phase::Dialing { .. } | Phase::Greeting { .. } | Phase::Live(_));
        self.phase = Phase::Over(end);
        if linked {
            self.push(Output::Disconnect { why: DropReason::Ended });
        }
        self.session = None;
        self.leaving = None;
        self.search = None;
        self.sasl.reset();
        let mut left: Vec<_> = self.auth_flying.drain(..).flatten().collect();
        left.extend(self.queue.take_flying());
        left.sort_by_key(|operation| operation.id);
        left.extend(self.queue.take_waiting_if(|_| true));
        for operation in left {
            let sent = operation.sends > 0;
            let failure = match end {
                SessionEnd::Expired => Failure::LastSessionExpired { sent },
                SessionEnd::AuthFailed => Failure::AuthFailed { sent },
                SessionEnd::Closed => Failure::Closed { sent },
            };
            self.fail(operation, failure);
        }
        let watches = self.watches.lose_all();
        self.lose_watches(watches, WatchLost::Ended(end));
        match end {
            SessionEnd::AuthFailed => self.say(SessionState::AuthFailed),
            SessionEnd::Closed => self.say(SessionState::Closed),
            // Said already, with the session's id.
            SessionEnd::Expired => {}
        }
        self.push(Output::Stopped);
    }
}
