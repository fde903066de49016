//! A client by hand: frames over a socket, for tests of what no real client does.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::BytesMut;
use zk_proto::connect::{ConnectRequest, ConnectResponse, Password, ReadOnlyFlag};
use zk_proto::header::{ReplyHeader, RequestHeader};
use zk_proto::jute::{Decode, Encode, Reader};
use zk_proto::ops::data::GetDataRequest;
use zk_proto::{OpCode, SessionId, Zxid, frame};

/// A connection, as a socket.
pub struct Raw(TcpStream, SessionId);

impl Raw {
    /// Connects and says nothing.
    pub fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream, SessionId::NONE)
    }

    /// Connects and opens a session.
    pub fn session(address: SocketAddr) -> Self {
        let mut raw = Self::dial(address);
        raw.send(&frame::of(&ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: 30_000,
            session_id: SessionId::NONE,
            password: Password::default(),
            read_only: ReadOnlyFlag::Present(false),
        }));
        let answer = ConnectResponse::from_bytes(raw.frame().unwrap()).unwrap();
        assert!(answer.timeout_ms > 0);
        raw.1 = answer.session_id;
        raw
    }

    /// Its session.
    pub fn session_id(&self) -> SessionId {
        self.1
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        // The server may have closed already: then the next read says so.
        let _closed = self.0.write_all(bytes);
    }

    /// The next frame; `None` when the server has closed.
    pub fn frame(&mut self) -> Option<bytes::Bytes> {
        let mut len = [0; 4];
        self.0.read_exact(&mut len).ok()?;
        let mut body = vec![0; u32::from_be_bytes(len) as usize];
        self.0.read_exact(&mut body).ok()?;
        Some(body.into())
    }

    /// Whether the server has closed the connection, without having to be asked twice.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(e) => e.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// Sends one request and returns its reply's header; `None` when the server has closed.
    pub fn ask(&mut self, xid: i32, op: i32, body: &impl Encode) -> Option<ReplyHeader> {
        let mut out = BytesMut::new();
        frame::put(&mut out, |out| {
            RequestHeader { xid, op }.encode(out);
            body.encode(out);
        });
        self.send(&out);
        Reader::new(self.frame()?).read().ok()
    }

    /// Whether a read is answered.
    pub fn is_served(&mut self) -> bool {
        let root = GetDataRequest { path: "/".into(), watch: false };
        self.ask(7, OpCode::GetData.code(), &root).is_some_and(|h| h.outcome.is_ok())
    }

    /// Everything until the server closes, as text.
    pub fn rest(&mut self) -> String {
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        text
    }
}
