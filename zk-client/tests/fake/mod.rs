//! A server played by hand: it listens, and every frame it reads or writes is asked for by the test.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "a test's own server")]

use bytes::{Bytes, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use zk_proto::connect::{ConnectRequest, ConnectResponse, Password, ReadOnlyFlag};
use zk_proto::event::KeeperState;
use zk_proto::header::{ReplyHeader, RequestHeader, XID_NOTIFICATION};
use zk_proto::ops::data::GetDataResponse;
use zk_proto::{
    Decode as _, Encode, ErrorCode, EventType, Reader, Request, SessionId, Stat, WatcherEvent, Zxid, frame,
};

pub(crate) const SESSION: SessionId = SessionId(0x1234);
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    listener: TcpListener,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    /// At another address; `None` when this machine has none of that kind.
    pub(crate) async fn start_at(address: &str) -> Option<Self> {
        TcpListener::bind(address).await.ok().map(|listener| Self { listener })
    }

    pub(crate) fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = self.listener.accept().await.unwrap();
        Peer { stream, input: BytesMut::new(), zxid: 100 }
    }

    /// Accepts a client and grants what it asks for: its session, or [`SESSION`].
    pub(crate) async fn welcome(&self) -> (Peer, ConnectRequest) {
        let mut peer = self.accept().await;
        let request = peer.greeting().await;
        let session = if request.session_id == SessionId::NONE { SESSION } else { request.session_id };
        peer.grant(session).await;
        (peer, request)
    }
}

/// One connection, seen from the server.
pub(crate) struct Peer {
    stream: TcpStream,
    input: BytesMut,
    zxid: i64,
}

impl Peer {
    /// The next frame; `None` when the client has closed.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = frame::take(&mut self.input, 1 << 24).unwrap() {
                return Some(frame);
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(crate) async fn greeting(&mut self) -> ConnectRequest {
        let frame = self.frame().await.unwrap();
        assert_eq!(frame.len(), 45, "16 bytes of password and the read-only byte");
        ConnectRequest::from_bytes(frame).unwrap()
    }

    /// A four-letter word.
    pub(crate) async fn word(&mut self) -> [u8; 4] {
        let mut word = [0; 4];
        self.stream.read_exact(&mut word).await.unwrap();
        word
    }

    pub(crate) async fn grant(&mut self, session: SessionId) {
        self.establish(session, false).await;
    }

    /// As a server without a quorum.
    pub(crate) async fn grant_read_only(&mut self, session: SessionId) {
        self.establish(session, true).await;
    }

    async fn establish(&mut self, session: SessionId, read_only: bool) {
        let (protocol_version, timeout_ms) = (0, TIMEOUT.as_millis() as i32);
        let (password, read_only) = (Password([7; 16]), ReadOnlyFlag::Present(read_only));
        let response =
            ConnectResponse { protocol_version, timeout_ms, session_id: session, password, read_only };
        self.write(&frame::of(&response)).await;
    }

    pub(crate) async fn refuse(&mut self) {
        self.write(&frame::of(&ConnectResponse::refused(ReadOnlyFlag::Present(false)))).await;
    }

    /// The next request.
    pub(crate) async fn request(&mut self) -> Option<(i32, Request)> {
        let mut reader = Reader::new(self.frame().await?);
        let header: RequestHeader = reader.read().unwrap();
        Some((header.xid, Request::decode(header.op, reader.take_rest()).unwrap()))
    }

    pub(crate) async fn expect(&mut self) -> (i32, Request) {
        self.request().await.unwrap()
    }

    pub(crate) async fn ok(&mut self, xid: i32, body: &impl Encode) {
        self.zxid += 1;
        let zxid = Zxid(self.zxid);
        let bytes = reply(xid, zxid, Ok(()), &body.to_bytes());
        self.write(&bytes).await;
    }

    pub(crate) async fn err(&mut self, xid: i32, code: ErrorCode) {
        let bytes = reply(xid, Zxid(self.zxid), Err(code), &[]);
        self.write(&bytes).await;
    }

    pub(crate) async fn event(&mut self, event_type: EventType, path: &str) {
        let body = WatcherEvent { event_type, state: KeeperState::SyncConnected, path: path.into() };
        let bytes = reply(XID_NOTIFICATION, Zxid(900), Ok(()), &body.to_bytes());
        self.write(&bytes).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Answers everything until the client closes; returns the requests.
    pub(crate) async fn serve(mut self) -> Vec<Request> {
        let mut seen = Vec::new();
        while let Some((xid, request)) = self.request().await {
            match &request {
                Request::GetData(r) => {
                    let body = data(&r.path);
                    self.ok(xid, &body).await;
                }
                _ => self.ok(xid, &Empty).await,
            }
            let closing = request == Request::CloseSession;
            seen.push(request);
            if closing {
                break;
            }
        }
        seen
    }
}

/// No body.
pub(crate) struct Empty;

impl Encode for Empty {
    fn encode(&self, _: &mut BytesMut) {}
}

/// A node whose data is `text`.
pub(crate) fn data(text: &str) -> GetDataResponse {
    GetDataResponse { data: Some(Bytes::copy_from_slice(text.as_bytes())), stat: Stat::default() }
}

fn reply(xid: i32, zxid: Zxid, outcome: Result<(), ErrorCode>, body: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    frame::put(&mut out, |out| {
        ReplyHeader { xid, zxid, outcome }.encode(out);
        out.extend_from_slice(body);
    });
    out.freeze()
}
