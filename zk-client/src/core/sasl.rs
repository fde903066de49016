//! The SASL exchange of a connection: between the handshake and everything else. Computes no token: the shell runs the
//! mechanism, and hands its steps in.
//!
//! The server counts nothing in the exchange as a sign of life of the session (ZooKeeper handles operation 102 on the
//! connection), and pings are not to be sent in it. So the exchange is given two thirds of the session timeout, the
//! ping that came due meanwhile leaves right behind it, and its replies do not move the session's deadline.

use bytes::{Bytes, BytesMut};
use std::time::Duration;
use zk_proto::header::{ReplyHeader, RequestHeader};
use zk_proto::ops::auth::{SaslToken, Secret};
use zk_proto::{Encode as _, ErrorCode, OpCode, Reader, frame};

use super::machine::{Core, Phase};
use super::output::{DropReason, Output, SessionEnd};
use super::request::Failure;
use crate::limits::{SASL_ROUNDS_MAX, SASL_TOKEN_BYTES_MAX};
use crate::sasl::SaslStep;

/// Where the exchange of the present connection stands.
#[derive(Debug, Default)]
pub(super) struct Sasl {
    turn: Turn,
    /// When it has taken too long.
    until: Duration,
    /// Challenges of the server so far.
    rounds: usize,
}

/// Whose turn it is.
#[derive(Debug, Default)]
enum Turn {
    /// There is no exchange, or it is complete.
    #[default]
    Nobody,
    /// The mechanism's.
    Mechanism,
    /// A token is to be sent.
    Client { token: Secret, last: bool },
    /// It was sent with this xid.
    Server { xid: i32, last: bool },
}

impl Sasl {
    /// Whether an exchange is under way, and nothing else may be sent.
    pub(super) const fn is_active(&self) -> bool {
        !matches!(self.turn, Turn::Nobody)
    }

    pub(super) const fn wants_transmit(&self) -> bool {
        matches!(self.turn, Turn::Client { .. })
    }

    /// When the exchange has taken too long; `None` when there is none.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.is_active().then_some(self.until)
    }

    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Core {
    /// What the mechanism answered to [`Output::Sasl`]. Ignored when nobody asked.
    pub fn sasl_step(&mut self, now: Duration, step: SaslStep) {
        if !matches!(self.sasl.turn, Turn::Mechanism) {
            return;
        }
        let (token, last) = match step {
            SaslStep::Send(token) => (token, false),
            SaslStep::SendLast(token) => (token, true),
            SaslStep::Done => return self.sasl_complete(),
        };
        if token.len() > SASL_TOKEN_BYTES_MAX {
            return self.drop_connection(now, DropReason::SaslFailed);
        }
        self.sasl.turn = Turn::Client { token: token.into(), last };
    }

    /// The mechanism cannot answer [`Output::Sasl`]. Ignored when nobody asked. The next connection may do better:
    /// a ticket can be fetched, another server may prove itself.
    pub fn sasl_failed(&mut self, now: Duration) {
        if matches!(self.sasl.turn, Turn::Mechanism) {
            self.drop_connection(now, DropReason::SaslFailed);
        }
    }

    /// Begins the exchange of a new connection, if there is to be one.
    pub(super) fn sasl_begin(&mut self, now: Duration) {
        self.sasl.reset();
        if self.config.sasl {
            self.sasl.until = now + self.timeout() * 2 / 3;
            self.sasl.turn = Turn::Mechanism;
            self.push(Output::Sasl { challenge: None });
        }
    }

    fn sasl_complete(&mut self) {
        self.sasl.reset();
        self.settle();
        self.announce();
    }

    /// Appends the token that is to be sent, if any.
    pub(super) fn transmit_sasl(&mut self, out: &mut BytesMut) {
        match std::mem::take(&mut self.sasl.turn) {
            Turn::Client { token, last } => {
                let xid = self.queue.next_xid();
                self.sasl.turn = Turn::Server { xid, last };
                frame::put(out, |out| {
                    RequestHeader { xid, op: OpCode::Sasl.code() }.encode(out);
                    SaslToken { token }.encode(out);
                });
            }
            turn => self.sasl.turn = turn,
        }
    }

    /// An ordinary reply during the exchange.
    pub(super) fn sasl_replied(&mut self, now: Duration, header: ReplyHeader, reader: &mut Reader) {
        let last = match self.sasl.turn {
            Turn::Server { xid, last } if xid == header.xid => last,
            Turn::Server { xid, .. } => {
                return self.drop_connection(now, DropReason::OutOfOrder { expected: xid, got: header.xid });
            }
            // Nothing was asked.
            _ => return self.drop_connection(now, DropReason::OutOfOrder { expected: 0, got: header.xid }),
        };
        match header.outcome {
            Ok(()) => {}
            Err(code @ (ErrorCode::AuthFailed | ErrorCode::SessionClosedRequireSaslAuth)) => {
                return self.sasl_refused(now, DropReason::SaslRefused { code });
            }
            // It says nothing about who we are: another server may do better.
            Err(code) => return self.drop_connection(now, DropReason::SaslRefused { code }),
        }
        let Ok(SaslToken { token: Secret(token) }) = reader.read() else {
            return self.drop_connection(now, DropReason::Malformed);
        };
        match token {
            None if last => self.sasl_complete(),
            // Not authenticated, and let in all the same. Java's client ends here too.
            None => self.sasl_refused(now, DropReason::SaslIgnored),
            Some(token) if last && token.is_empty() => self.sasl_complete(),
            Some(_) if last => self.drop_connection(now, DropReason::SaslProtocol),
            Some(token) => self.sasl_challenged(now, token),
        }
    }

    fn sasl_challenged(&mut self, now: Duration, token: Bytes) {
        self.sasl.rounds += 1;
        if token.len() > SASL_TOKEN_BYTES_MAX || self.sasl.rounds > SASL_ROUNDS_MAX {
            return self.drop_connection(now, DropReason::SaslProtocol);
        }
        self.sasl.turn = Turn::Mechanism;
        self.push(Output::Sasl { challenge: Some(token.into()) });
    }

    /// The server will not have us: final.
    fn sasl_refused(&mut self, now: Duration, why: DropReason) {
        self.phase = Phase::Waiting { until: now };
        self.push(Output::Disconnect { why });
        self.finish(SessionEnd::AuthFailed);
    }

    /// A reply that says that the server demands authentication and this connection has none: it closes the connection
    /// behind it, and has not counted the request as a sign of life.
    pub(super) fn auth_demanded(&mut self, now: Duration, header: ReplyHeader) {
        let code = ErrorCode::SessionClosedRequireSaslAuth;
        if self.queue.due_xid() == Some(header.xid)
            && let Some(operation) = self.queue.land()
        {
            if self.closing.is_some_and(|closing| closing.op == Some(operation.id)) {
                return self.finish(SessionEnd::Closed);
            }
            self.fail(operation, Failure::Refused { code, zxid: header.zxid });
        }
        self.drop_connection(now, DropReason::AuthDemanded);
    }
}
