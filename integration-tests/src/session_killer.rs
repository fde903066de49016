//! Ends somebody's session from a second connection that claims it: what operators and tests do where there is no
//! other way. A session's password follows from its id, so this needs nothing of the client.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_proto::connect::{ConnectRequest, ConnectResponse, Password, ReadOnlyFlag};
use zk_proto::header::{ReplyHeader, RequestHeader};
use zk_proto::{Decode, OpCode, SessionId, Zxid, frame};

use crate::targets::Failure;

/// How often the owner may take its session back before it is closed.
const CLAIMS_MAX: usize = 100;

/// Claims the session at `server`, closes it, and waits until the server has closed the connection. The owner, whose
/// connection the claim takes away, may come back before the close is read and take ours away: then again.
///
/// # Errors
/// When the server cannot be reached, or no longer knows the session.
pub async fn end(server: &str, id: SessionId) -> Result<(), Failure> {
    for claim in 0..CLAIMS_MAX {
        match claim_and_close(server, id).await? {
            Claim::Closed => return Ok(()),
            // The close was read all the same.
            Claim::Unknown if claim > 0 => return Ok(()),
            Claim::Unknown => return Err(format!("session {id} is not there any more").into()),
            Claim::TakenBack => {}
        }
    }
    Err(format!("session {id} was taken back {CLAIMS_MAX} times").into())
}

enum Claim {
    Closed,
    TakenBack,
    Unknown,
}

async fn claim_and_close(server: &str, id: SessionId) -> Result<Claim, Failure> {
    let mut stream = TcpStream::connect(server).await?;
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: 10_000,
        session_id: id,
        password: Password::of_session(id),
        read_only: ReadOnlyFlag::Present(false),
    };
    stream.write_all(&frame::of(&request)).await?;
    let mut input = BytesMut::new();
    let Some(answer) = next(&mut stream, &mut input).await? else { return Ok(Claim::TakenBack) };
    if ConnectResponse::from_bytes(answer)?.session_id != id {
        return Ok(Claim::Unknown);
    }
    let close = frame::of(&RequestHeader { xid: 1, op: OpCode::CloseSession.code() });
    if stream.write_all(&close).await.is_err() {
        return Ok(Claim::TakenBack);
    }
    let mut answered = false;
    // An event of the session may come before the answer.
    while let Some(reply) = next(&mut stream, &mut input).await? {
        answered |= ReplyHeader::from_bytes(reply)?.xid == 1;
    }
    Ok(if answered { Claim::Closed } else { Claim::TakenBack })
}

/// The next frame; `None` when the server has closed, or reset, the connection.
async fn next(stream: &mut TcpStream, input: &mut BytesMut) -> Result<Option<Bytes>, Failure> {
    loop {
        if let Some(frame) = frame::take(input, 1024)? {
            return Ok(Some(frame));
        }
        if !matches!(stream.read_buf(input).await, Ok(1..)) {
            return Ok(None);
        }
    }
}
