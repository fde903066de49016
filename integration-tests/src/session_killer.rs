//! Ends somebody's session from a second connection that claims it: what operators and tests do where there is no
//! other way. A session's password follows from its id, so this needs nothing of the client.

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_proto::connect::{ConnectRequest, ConnectResponse, Password, ReadOnlyFlag};
use zk_proto::header::RequestHeader;
use zk_proto::{Decode, OpCode, SessionId, Zxid, frame};

use crate::targets::Failure;

/// Claims the session at `server`, closes it, and waits until the server has closed the connection.
///
/// # Errors
/// When the server cannot be reached, or no longer knows the session.
pub async fn end(server: &str, id: SessionId) -> Result<(), Failure> {
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
    let answer = loop {
        if let Some(frame) = frame::take(&mut input, 1024)? {
            break ConnectResponse::from_bytes(frame)?;
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Err("the server closed the connection".into());
        }
    };
    if answer.session_id != id {
        return Err(format!("session {id} is not there any more").into());
    }
    stream.write_all(&frame::of(&RequestHeader { xid: 1, op: OpCode::CloseSession.code() })).await?;
    while stream.read_buf(&mut input).await? > 0 {}
    Ok(())
}
