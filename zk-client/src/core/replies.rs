//! Frames from the server once the session is established: replies in order, the special xids, events.

use bytes::Bytes;
use std::time::Duration;
use zk_proto::header::{ReplyHeader, XID_AUTH, XID_NOTIFICATION, XID_PING, XID_SET_WATCHES};
use zk_proto::{ErrorCode, Reader, WatcherEvent, Zxid};

use super::machine::{Core, Phase};
use super::output::{DropReason, Output, SessionEnd, WatchLost};
use super::queue::Operation;
use super::request::{Failure, Reply, Request};
use super::watches::{Fired, asked_for, deletes};
use crate::watch::WatchedEvent;

/// What became of the watch a request asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WatchAnswer {
    /// None was asked for, or none was left.
    None,
    Registered,
    /// None was left, and others at the path had left theirs out because of it.
    LeavesOthersDeaf,
}

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
        let watch = self.watch_answered(&operation, header.outcome);
        let result = match header.outcome {
            Ok(()) => Ok(Reply { zxid: header.zxid, body: reader.take_rest() }),
            Err(code) => Err(Failure::Refused { code, zxid: header.zxid }),
        };
        self.complete(operation, result, watch == WatchAnswer::Registered);
        if watch == WatchAnswer::LeavesOthersDeaf {
            self.drop_connection(now, DropReason::RearmRefused);
        }
    }

    /// What an answer means for the watch it was asked for, or for those it removes.
    fn watch_answered(&mut self, operation: &Operation, outcome: Result<(), ErrorCode>) -> WatchAnswer {
        if let Request::RemoveWatches(request) = &*operation.request {
            if outcome.is_ok() && !operation.own {
                let watches = self.watches.removed(&request.path);
                self.lose_watches(watches, WatchLost::Removed);
            }
            return WatchAnswer::None;
        }
        if operation.fires {
            deletes(&operation.request).for_each(|path| self.watches.arrive(path));
            return WatchAnswer::None;
        }
        let Some((kind, path)) = asked_for(&operation.request) else { return WatchAnswer::None };
        let left = kind.left_by(outcome);
        if let Some(kind) = left {
            self.watches.register(kind, path, operation.id, operation.pin.is_some());
        }
        self.watches.arrive(path);
        match left {
            Some(_) => WatchAnswer::Registered,
            None if kind.is_stream() && self.watches.refused(kind, path) => WatchAnswer::LeavesOthersDeaf,
            None => WatchAnswer::None,
        }
    }

    /// A watch has fired. One that nobody waits for is ignored. Its zxid is not taken for the last one seen: the
    /// state it belongs to has not been read.
    fn notified(&mut self, now: Duration, zxid: Zxid, reader: &mut Reader) {
        let Ok(event) = reader.read::<WatcherEvent>() else {
            return self.drop_connection(now, DropReason::Malformed);
        };
        let Fired { once, streams } = self.watches.fire(event.event_type, &event.path);
        if !(once.is_empty() && streams.is_empty()) {
            let zxid = (zxid > Zxid::ZERO).then_some(zxid);
            let event = WatchedEvent { event_type: event.event_type, path: event.path, zxid };
            self.push(Output::Event { watches: once, streams, event });
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

    /// The server has heard from us at this time or later.
    fn alive_since(&mut self, sent: Duration) {
        if let Some(session) = &mut self.session {
            session.alive_from = session.alive_from.max(Some(sent));
        }
    }
}
