//! A connection's bytes to requests: reads are served on the spot, writes and syncs get their place and are handed
//! on, and whatever no client may send ends the connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use zk_proto::connect::ConnectRequest;
use zk_proto::header::{RequestHeader, XID_AUTH, XID_PING};
use zk_proto::jute::{Decode, DecodeError, Reader};
use zk_proto::ops::auth::AuthPacket;
use zk_proto::{ErrorCode, OpCode, Request, Zxid, frame};

use super::connection::{Admission, Connection};
use super::node::Shared;
use crate::auth;
use crate::limits::{HANDSHAKE_BYTES_MAX, READS_PER_HOLD};

/// Known, but not from a client: a check outside a multi would end up in the log (ZOOKEEPER-2623), and SASL is not
/// offered yet.
const REFUSED: [OpCode; 2] = [OpCode::Check, OpCode::Sasl];

/// A write, or a sync, in its place, on its way to the pipeline.
#[derive(Debug)]
pub struct Submission {
    /// Whose.
    pub connection: Arc<Connection>,
    /// Its number.
    pub xid: i32,
    /// What it asks.
    pub request: Request,
}

/// Why a connection is ended: what its client sent.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// A frame length outside the limit.
    #[error(transparent)]
    Frame(#[from] frame::FrameTooLarge),
    /// Bytes that are no request.
    #[error("bytes that are no request: {0}")]
    Request(#[from] DecodeError),
    /// Credentials that were refused.
    #[error("authentication with scheme {0:?} failed")]
    Credentials(String),
}

/// The first frame; `None` until it is whole.
///
/// # Errors
/// [`Refused`] when it is too large or no handshake: close the connection.
pub fn handshake(input: &mut BytesMut) -> Result<Option<ConnectRequest>, Refused> {
    let frame = frame::take(input, HANDSHAKE_BYTES_MAX)?;
    Ok(frame.map(ConnectRequest::from_bytes).transpose()?)
}

/// Whether a whole frame waits in `input`, or a length that will be refused.
#[must_use]
pub fn has_request(input: &[u8]) -> bool {
    match frame::peek_len(input, usize::MAX) {
        Ok(None) => false,
        Ok(Some(len)) => input.len() >= len + frame::PREFIX_BYTES,
        Err(_) => true,
    }
}

/// Takes every whole frame of `input`, as far as the connection may have requests unanswered. Writes are appended
/// to `submit`, in order; they must be submitted even when this ends in an error.
///
/// # Errors
/// [`Refused`]: send what the outbox holds, then close the connection.
pub fn requests(
    input: &mut BytesMut,
    frame_bytes_max: usize,
    connection: &Arc<Connection>,
    shared: &Shared,
    now: Duration,
    submit: &mut Vec<Submission>,
) -> Result<(), Refused> {
    let mut more = true;
    while more && !connection.is_busy() {
        // One hold of the state for many reads: the lock is cheap, but not free.
        let mut state = None;
        for _ in 0..READS_PER_HOLD {
            more = !connection.is_busy();
            let Some(frame) = (if more { frame::take(input, frame_bytes_max)? } else { None }) else {
                more = false;
                break;
            };
            connection.heard(now);
            let mut reader = Reader::new(frame);
            let RequestHeader { xid, op } = reader.read()?;
            let known = OpCode::from_code(op).filter(|op| !REFUSED.contains(op));
            match known.map(|op| (op, Request::decode(op.code(), reader.take_rest()))) {
                None | Some((_, Err(DecodeError::UnknownTag { what: "operation", .. }))) => {
                    connection.reply(xid, Zxid::ZERO, Err(ErrorCode::Unimplemented), |_| {});
                    return Err(DecodeError::UnknownTag { what: "operation", tag: op }.into());
                }
                Some((_, Ok(Request::Auth(packet)))) => authenticate(connection, shared, &packet)?,
                Some((op, Ok(request))) if op.is_write() || op == OpCode::Sync => {
                    connection.admit_write(now);
                    submit.push(Submission { connection: Arc::clone(connection), xid, request });
                }
                // Answered out of turn: a ping says that the connection lives, and nothing else.
                Some((_, Ok(Request::Ping))) => {
                    let state = state.get_or_insert_with(|| shared.read());
                    connection.reply(XID_PING, state.last_zxid, Ok(()), |_| {});
                }
                Some((_, read)) => {
                    let ask = read.map_err(|_| ErrorCode::MarshallingError);
                    if let Admission::Now(ask) = connection.admit_read(xid, ask) {
                        let state = state.get_or_insert_with(|| shared.read());
                        shared.serve(state, connection, xid, &ask);
                    }
                }
            }
        }
    }
    Ok(())
}

fn authenticate(connection: &Connection, shared: &Shared, packet: &AuthPacket) -> Result<(), Refused> {
    let super_digest = shared.options.super_digest.as_deref();
    match auth::authenticate(&packet.scheme, packet.auth.reveal(), connection.peer.ip(), super_digest) {
        Ok(ids) => {
            connection.add_ids(ids);
            connection.reply(XID_AUTH, Zxid::ZERO, Ok(()), |_| {});
            Ok(())
        }
        Err(code) => {
            connection.reply(XID_AUTH, Zxid::ZERO, Err(code), |_| {});
            Err(Refused::Credentials(packet.scheme.clone()))
        }
    }
}
