//! The load: many connections, each with so many requests in flight, over raw sockets and encoded frames, so
//! that what is measured is the server and not a client.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use zk_proto::connect::{ConnectRequest, ConnectResponse, Password, ReadOnlyFlag};
use zk_proto::header::{ReplyHeader, RequestHeader};
use zk_proto::ops::create::CreateRequest;
use zk_proto::ops::data::{GetDataRequest, SetDataRequest};
use zk_proto::{Acl, Decode, Encode, OpCode, Reader, SessionId, Zxid, frame};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Reads a node of its own connection.
    Get,
    /// Sets a node of its own connection.
    Set,
    /// Creates sequential nodes below a node of its own connection.
    Create,
}

/// How much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Connections.
    pub(crate) connections: usize,
    /// Requests in flight on each.
    pub(crate) depth: usize,
    /// How long, unless `total` ends it.
    pub(crate) time: Duration,
    /// Requests in all, when a number is what is wanted.
    pub(crate) total: Option<usize>,
}

/// Bytes of a value.
pub(crate) const VALUE_BYTES: usize = 100;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One connection with a session.
pub(crate) struct Session {
    stream: TcpStream,
    input: BytesMut,
    xid: i32,
}

impl Session {
    /// Connects and opens a session.
    pub(crate) async fn open(hosts: &str) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect(hosts).await?;
        stream.set_nodelay(true)?;
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: Zxid::ZERO,
            timeout_ms: 30_000,
            session_id: SessionId::NONE,
            password: Password::default(),
            read_only: ReadOnlyFlag::Present(false),
        };
        stream.write_all(&frame::of(&request)).await?;
        let mut session = Self { stream, input: BytesMut::with_capacity(64 * 1024), xid: 0 };
        let answer = ConnectResponse::from_bytes(session.frame().await?)?;
        if answer.timeout_ms == 0 { Err("session refused".into()) } else { Ok(session) }
    }

    async fn frame(&mut self) -> Result<Bytes, Failure> {
        loop {
            if let Some(frame) = frame::take(&mut self.input, usize::MAX)? {
                return Ok(frame);
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
    }

    fn put(&mut self, out: &mut BytesMut, op: OpCode, body: &impl Encode) {
        self.xid += 1;
        let header = RequestHeader { xid: self.xid, op: op.code() };
        frame::put(out, |out| {
            header.encode(out);
            body.encode(out);
        });
    }

    /// Sends one request and waits for its reply; an error code is returned, not raised.
    pub(crate) async fn ask(
        &mut self,
        op: OpCode,
        body: &impl Encode,
    ) -> Result<Result<(), zk_proto::ErrorCode>, Failure> {
        let mut out = BytesMut::new();
        self.put(&mut out, op, body);
        self.stream.write_all(&out).await?;
        let header: ReplyHeader = Reader::new(self.frame().await?).read()?;
        Ok(header.outcome)
    }
}

/// A create request for a persistent node.
#[must_use]
pub(crate) fn create(path: &str, flags: i32) -> CreateRequest {
    let data = Some(Bytes::from_static(&[b'x'; VALUE_BYTES]));
    CreateRequest { path: path.to_owned(), data, acl: Acl::open(), flags }
}

/// Runs the load and returns how many requests were answered, and how long that took.
pub(crate) async fn run(hosts: &str, op: Op, shape: Shape) -> Result<(u64, Duration), Failure> {
    let mut sessions = Vec::new();
    for n in 0..shape.connections {
        let mut session = Session::open(hosts).await?;
        // There already, after an earlier run.
        let _there = session.ask(OpCode::Create, &create(&format!("/bench-{n}"), 0)).await?;
        sessions.push(session);
    }
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (n, session) in sessions.into_iter().enumerate() {
        let share = shape.total.map(|total| total / shape.connections);
        tasks.spawn(connection(session, n, op, shape.depth, begun + shape.time, share));
    }
    let mut answered = 0;
    while let Some(done) = tasks.join_next().await {
        answered += done??;
    }
    Ok((answered, begun.elapsed()))
}

async fn connection(
    mut s: Session,
    n: usize,
    op: Op,
    depth: usize,
    until: Instant,
    share: Option<usize>,
) -> Result<u64, Failure> {
    let path = format!("/bench-{n}");
    let mut out = BytesMut::new();
    let mut sent = 0;
    let mut answered = 0;
    loop {
        let more = share.map_or_else(|| Instant::now() < until, |share| sent < share);
        while more && sent - answered < depth && share.is_none_or(|share| sent < share) {
            match op {
                Op::Get => {
                    s.put(&mut out, OpCode::GetData, &GetDataRequest { path: path.clone(), watch: false });
                }
                Op::Set => {
                    let data = Some(Bytes::from_static(&[b'y'; VALUE_BYTES]));
                    s.put(
                        &mut out,
                        OpCode::SetData,
                        &SetDataRequest { path: path.clone(), data, version: -1 },
                    );
                }
                Op::Create => s.put(&mut out, OpCode::Create, &create(&format!("{path}/n-"), 2)),
            }
            sent += 1;
        }
        if sent == answered {
            return Ok(answered as u64);
        }
        s.stream.write_all_buf(&mut out).await?;
        // One wait, then everything that has arrived: the generator must cost less than the server.
        let mut reply = s.frame().await?;
        loop {
            let header: ReplyHeader = Reader::new(reply).read()?;
            header.outcome?;
            answered += 1;
            match frame::take(&mut s.input, usize::MAX)? {
                Some(next) => reply = next,
                None => break,
            }
        }
    }
}
