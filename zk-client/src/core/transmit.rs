//! Bytes to the server: the handshake, then SASL, credentials, re-arming, a ping that is due, and operations in order.
//!
//! What has been written here counts as sent. Nothing is written ahead of what the shell asks for, so an operation
//! can be cancelled until the connection is ready for it.

use bytes::BytesMut;
use std::time::Duration;
use zk_proto::event::WatcherType;
use zk_proto::frame::{self, PREFIX_BYTES};
use zk_proto::header::{RequestHeader, XID_AUTH, XID_PING, XID_SET_WATCHES};
use zk_proto::ops::auth::AuthPacket;
use zk_proto::ops::watches::WatchesRequest;
use zk_proto::watch::{SetWatches, SetWatches2};
use zk_proto::{Encode, OpCode};

use super::config::Credentials;
use super::machine::{Core, Phase};
use super::queue::Operation;
use super::request::{Failure, Request, encode_body, opcode};
use super::watches::asked_for;

impl Core {
    /// Whether [`Core::transmit`] has anything to write.
    #[must_use]
    pub fn wants_transmit(&self) -> bool {
        match &self.phase {
            Phase::Greeting { sent, .. } => sent.is_none(),
            Phase::Live(_) if self.sasl.is_active() => self.sasl.wants_transmit(),
            Phase::Live(timers) => {
                timers.ping_due()
                    || (self.leaving.is_none() && (self.queue.has_waiting() || self.watches.has_unused()))
                    || !self.auth_due.is_empty()
                    || self.rearm.is_due()
            }
            _ => false,
        }
    }

    /// Appends whole frames to `out` until there is nothing more to send or `out` holds `enough` bytes. What is
    /// appended must be written to the connection before anything appended later.
    pub fn transmit(&mut self, now: Duration, out: &mut BytesMut, enough: usize) {
        if let Phase::Greeting { sent: sent @ None, .. } = &mut self.phase {
            *sent = Some(now);
            let greeting = self.greeting();
            frame::put(out, |out| greeting.encode(out));
        }
        if !matches!(self.phase, Phase::Live(_)) {
            return;
        }
        if self.sasl.is_active() {
            return self.transmit_sasl(out);
        }
        let before = out.len();
        self.transmit_prelude(out, enough);
        if let Phase::Live(timers) = &mut self.phase
            && timers.ping_due()
        {
            timers.ping_sent(now);
            put(out, XID_PING, OpCode::Ping, |_| {});
        }
        let open = self.auth_due.is_empty() && !self.rearm.is_due() && self.leaving.is_none();
        if open && self.watches.has_many_unused() {
            self.transmit_removals(now, out, enough);
        }
        while open && out.len() < enough {
            let Some(operation) = self.queue.next_waiting() else { break };
            self.transmit_operation(now, operation, out);
        }
        if open {
            self.transmit_removals(now, out, enough);
        }
        if out.len() > before
            && let Phase::Live(timers) = &mut self.phase
        {
            timers.sent(now);
        }
        // What waited may have been cancelled, and nothing was left to wait for.
        self.depart(now);
    }

    /// Credentials, then watches: before any operation of a new connection.
    fn transmit_prelude(&mut self, out: &mut BytesMut, enough: usize) {
        while let Some(at) = self.auth_due.pop_front() {
            if let Some(credentials) = self.credentials.get(at) {
                put_auth(out, &credentials.scheme, credentials.secret.clone());
                self.auth_flying.push_back(None);
            }
        }
        while out.len() < enough
            && let Some(batch) = self.rearm.next()
        {
            put_rearm(out, batch);
        }
    }

    /// Tells the server what it watches for nobody; behind the operations, one of which may want it again. Everything
    /// at such a path goes at once: a server before 3.9 can remove no less. A request in flight that arms it anew
    /// is waited for, and one that follows comes behind.
    fn transmit_removals(&mut self, now: Duration, out: &mut BytesMut, enough: usize) {
        while out.len() < enough
            && let Some(path) = self.watches.next_unused()
        {
            let path = path.to_string();
            let request =
                Request::RemoveWatches(WatchesRequest { path, watcher_type: WatcherType::Any.code() });
            let operation = self.queue.own(request);
            self.transmit_operation(now, operation, out);
        }
    }

    fn transmit_operation(&mut self, now: Duration, mut operation: Operation, out: &mut BytesMut) {
        if !self.is_of_session(operation.pin) {
            let sent = operation.sends > 0;
            return self.fail(operation, Failure::SessionExpired { sent });
        }
        operation.sends += 1;
        operation.sent_at = now;
        if let Request::Auth(packet) = &*operation.request {
            let secret = packet.auth.0.clone().unwrap_or_default();
            put_auth(out, &packet.scheme, secret.clone());
            let credentials = Credentials::new(packet.scheme.clone(), secret);
            if !self.credentials.contains(&credentials) {
                self.credentials.push(credentials);
            }
            self.auth_flying.push_back(Some(operation));
            return;
        }
        operation.xid = self.queue.next_xid();
        let start = out.len();
        put(out, operation.xid, opcode(&operation.request), |out| encode_body(&operation.request, out));
        let bytes = out.len() - start - PREFIX_BYTES;
        if bytes > self.config.frame_limit {
            out.truncate(start);
            return self.fail(operation, Failure::FrameTooLarge { bytes, reply: false });
        }
        let covered = match &*operation.request {
            request @ (Request::Delete(_) | Request::Multi(_)) => {
                operation.fires = self.watches.deletions_depart(request);
                false
            }
            Request::RemoveWatches(request) => {
                self.watches.removal_departs(&request.path);
                false
            }
            request => asked_for(request).is_some_and(|(kind, path)| !self.watches.depart(kind, path)),
        };
        if covered && let Some(flag) = out.last_mut() {
            // The watch flag is the last byte of every read that has one.
            *flag = 0;
        }
        self.queue.fly(operation);
    }
}

fn put(out: &mut BytesMut, xid: i32, op: OpCode, body: impl FnOnce(&mut BytesMut)) {
    frame::put(out, |out| {
        RequestHeader { xid, op: op.code() }.encode(out);
        body(out);
    });
}

fn put_auth(out: &mut BytesMut, scheme: &str, secret: bytes::Bytes) {
    let packet = AuthPacket { auth_type: 0, scheme: scheme.to_owned(), auth: secret.into() };
    put(out, XID_AUTH, OpCode::Auth, |out| packet.encode(out));
}

/// `setWatches` of 3.4 and 3.5 where it says all there is to say, `setWatches2` where it does not.
fn put_rearm(out: &mut BytesMut, batch: SetWatches2) {
    if batch.persistent_watches.is_empty() && batch.persistent_recursive_watches.is_empty() {
        let batch = SetWatches {
            relative_zxid: batch.relative_zxid,
            data_watches: batch.data_watches,
            exist_watches: batch.exist_watches,
            child_watches: batch.child_watches,
        };
        put(out, XID_SET_WATCHES, OpCode::SetWatches, |out| batch.encode(out));
    } else {
        put(out, XID_SET_WATCHES, OpCode::SetWatches2, |out| batch.encode(out));
    }
}
