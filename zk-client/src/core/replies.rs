//! Frames from the server once the session is established: replies in order, the special xids, events.

use bytes::Bytes;
use std::time::Duration;
use zk_proto::header::{ReplyHeader, XID_AUTH, XID_NOTIFICATION, XID_PING, XID_SET_WATCHES};
use zk_proto::{ErrorCode, Reader, WatcherEvent, Zxid};

use super::machine::{Core, Phase};
use super::output::{DropReason, Output, SessionEnd};
use super::request::{Failure, Reply};
use super::watches::asked_for;
use crate::watch::WatchedEvent;

impl Core {
    /// One frame of a live connection.
    pub(super) fn replied(&mut self, now: Duration, frame: Bytes) {
        if let Phase::Live(timers) = &mut self.phase {
            timers.heard(now);
        }
        let mut reader = Reader::new(frame);
        let Ok(header) = reader.read::<ReplyHeader>() else {
            return self.drop_connection(now, DropReason::Malformed);
        };
        if header.outcome == Err(ErrorCode::SessionClosedRequireSaslAuth) && !self.sasl.is_active() {
            return self.auth_demanded(now, header);
        }
        match header.xid {
            XID_NOTIFICATION => self.notified(now, header.zxid, &mut reader),
            XID_PING => self.ponged(),
            XID_AUTH => self.authenticated(header),
            XID_SET_WATCHES => self.rearmed(now, header),
            _ if self.sasl.is_active() => self.sasl_replied(now, header, &mut reader),
            _ => self.answered(now, header, reader),
        }
    }

    /// An ordinary reply: it must answer the oldest request in flight.
    fn answered(&mut self, now: Duration, header: ReplyHeader, mut reader: Reader) {
        let due = self.queue.due_xid();
        let operation = if due == Some(header.xid) { self.queue.land() } else { None };
        let Some(operation) = operation else {
            let expected = due.unwrap_or(0);
            return self.drop_connection(now, DropReason::OutOfOrder { expected, got: header.xid });
        };
        self.alive_since(operation.sent_at);
        if header.zxid > self.last_zxid {
            self.last_zxid = header.zxid;
        }
        if self.closing.is_some_and(|closing| closing.op == Some(operation.id)) {
            return self.finish(SessionEnd::Closed);
        }
        let found = header.outcome.is_ok();
        let watching = match asked_for(&operation.request, found) {
            Some((table, path)) if found || header.outcome == Err(ErrorCode::NoNode) => {
                self.watches.register(table, path, operation.id);
                true
            }
            _ => false,
        };
        let result = match header.outcome {
            Ok(()) => Ok(Reply { zxid: header.zxid, body: reader.take_rest() }),
            Err(code) => Err(Failure::Refused { code, zxid: header.zxid }),
        };
        self.complete(operation, result, watching);
    }

    /// A watch has fired. One that nobody waits for is ignored. Its zxid is not taken for the last one seen: the
    /// state it belongs to has not been read.
    fn notified(&mut self, now: Duration, zxid: Zxid, reader: &mut Reader) {
        let Ok(event) = reader.read::<WatcherEvent>() else {
            return self.drop_connection(now, DropReason::Malformed);
        };
        let watches = self.watches.fire(event.event_type, &event.path);
        if !watches.is_empty() {
            let zxid = (zxid > Zxid::ZERO).then_some(zxid);
            let event = WatchedEvent { event_type: event.event_type, path: event.path, zxid };
            self.push(Output::Event { watches, event });
        }
    }

    fn ponged(&mut self) {
        if let Phase::Live(timers) = &mut self.phase
            && let Some(sent) = timers.pong()
        {
            self.alive_since(sent);
        }
    }

    /// Credentials were taken, or refused: then the client is of no further use, as in Java.
    fn authenticated(&mut self, header: ReplyHeader) {
        let Some(asked) = self.auth_flying.pop_front() else { return };
        match header.outcome {
            Ok(()) => {
                if let Some(operation) = asked {
                    let reply = Reply { zxid: header.zxid, body: Bytes::new() };
                    self.complete(operation, Ok(reply), false);
                } else {
                    self.replays_flying = self.replays_flying.saturating_sub(1);
                    self.announce();
                }
            }
            Err(code) => {
                if let Some(operation) = asked {
                    self.fail(operation, Failure::Refused { code, zxid: header.zxid });
                }
                self.finish(SessionEnd::AuthFailed);
            }
        }
    }

    /// Watches are armed again. A server that would not leaves us deaf: another may do better.
    fn rearmed(&mut self, now: Duration, header: ReplyHeader) {
        if header.outcome.is_err() {
            return self.drop_connection(now, DropReason::RearmRefused);
        }
        self.rearm_flying = self.rearm_flying.saturating_sub(1);
    }

    /// The server has heard from us at this time or later.
    fn alive_since(&mut self, sent: Duration) {
        if let Some(session) = &mut self.session {
            session.alive_from = session.alive_from.max(Some(sent));
        }
    }
}
