//! The ceiling: one socket, frames encoded beforehand, replies told apart by their length prefix and checked for
//! their error code, and nothing else.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zk_proto::connect::{ConnectRequest, ConnectResponse, Password, ReadOnlyFlag};
use zk_proto::header::RequestHeader;
use zk_proto::ops::create::CreateRequest;
use zk_proto::ops::data::{GetDataRequest, SetDataRequest};
use zk_proto::{Acl, Decode, Encode, OpCode, SessionId, Zxid, frame};

use crate::Failure;
use crate::load::{CREATED, KIB, KIB_NODE, Load, Op, SAMPLED, SMALL, SMALL_NODE};
use crate::table::Measured;

/// Where the xid lies in a reply, behind the prefix, and where the error code.
const XID_AT: usize = frame::PREFIX_BYTES;
const ERROR_AT: usize = XID_AT + 4 + 8;
/// The shortest reply: prefix and header.
const REPLY_MIN: usize = ERROR_AT + 4;
/// The error code of a node that is there already.
const NODE_EXISTS: i32 = -110;

/// A connection with a session.
pub(crate) struct Socket {
    stream: TcpStream,
    input: BytesMut,
}

impl Socket {
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
        let mut socket = Self { stream, input: BytesMut::with_capacity(256 * 1024) };
        loop {
            if let Some(answer) = frame::take(&mut socket.input, usize::MAX)? {
                let granted = ConnectResponse::from_bytes(answer)?.timeout_ms > 0;
                return if granted { Ok(socket) } else { Err("session refused".into()) };
            }
            socket.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        self.input.reserve(64 * 1024);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Takes all whole frames that are there, after waiting for one; returns how many were replies and how many
    /// events.
    pub(crate) async fn take(&mut self, may_exist: bool) -> Result<(usize, usize), Failure> {
        let (mut replies, mut events) = (0, 0);
        loop {
            while let Some(len) = frame::peek_len(&self.input, usize::MAX)? {
                let whole = frame::PREFIX_BYTES + len;
                if self.input.len() < whole {
                    break;
                }
                if whole < REPLY_MIN {
                    return Err("a frame without a header".into());
                }
                let code = (&self.input[ERROR_AT..]).get_i32();
                if code != 0 && !(may_exist && code == NODE_EXISTS) {
                    return Err(format!("the server says {code}").into());
                }
                if (&self.input[XID_AT..]).get_i32() == zk_proto::header::XID_NOTIFICATION {
                    events += 1;
                } else {
                    replies += 1;
                }
                self.input.advance(whole);
            }
            if replies + events > 0 {
                return Ok((replies, events));
            }
            self.fill().await?;
        }
    }

    async fn ask(&mut self, op: OpCode, body: &impl Encode) -> Result<(), Failure> {
        self.write(&request(op, body)).await?;
        self.take(true).await.map(drop)
    }
}

/// A request's frame. Its xid is written over when it is sent.
pub(crate) fn request(op: OpCode, body: &impl Encode) -> Bytes {
    let mut out = BytesMut::new();
    frame::put(&mut out, |out| {
        RequestHeader { xid: 1, op: op.code() }.encode(out);
        body.encode(out);
    });
    out.freeze()
}

pub(crate) fn set(path: &str) -> Bytes {
    let data = Some(Bytes::from_static(&SMALL));
    request(OpCode::SetData, &SetDataRequest { path: path.to_owned(), data, version: -1 })
}

pub(crate) fn get(path: &str, watch: bool) -> Bytes {
    request(OpCode::GetData, &GetDataRequest { path: path.to_owned(), watch })
}

fn create(path: &str, data: &'static [u8], flags: i32) -> CreateRequest {
    CreateRequest { path: path.to_owned(), data: Some(Bytes::from_static(data)), acl: Acl::open(), flags }
}

/// The node that is watched in this place.
pub(crate) fn watched(at: usize) -> String {
    format!("/client-bench/watched-{at}")
}

/// Creates the nodes that the measurements use.
pub(crate) async fn prepare(hosts: &str, watched_nodes: usize) -> Result<(), Failure> {
    let mut socket = Socket::open(hosts).await?;
    let parents = ["/client-bench", "/client-bench/created"];
    for path in parents {
        socket.ask(OpCode::Create, &create(path, b"", 0)).await?;
    }
    socket.ask(OpCode::Create, &create(SMALL_NODE, &SMALL, 0)).await?;
    socket.ask(OpCode::Create, &create(KIB_NODE, &KIB, 0)).await?;
    for at in 0..watched_nodes {
        socket.ask(OpCode::Create, &create(&watched(at), &SMALL, 0)).await?;
    }
    Ok(())
}

/// Runs the load, in a task as the others do. Tasks that share a connection are, for a socket, so many more in
/// flight.
pub(crate) async fn run(hosts: &str, load: Load) -> Result<Measured, Failure> {
    let socket = Socket::open(hosts).await?;
    tokio::spawn(pump(socket, load)).await?
}

async fn pump(mut socket: Socket, load: Load) -> Result<Measured, Failure> {
    let frame = match load.op {
        Op::Get => get(SMALL_NODE, false),
        Op::GetKib => get(KIB_NODE, false),
        Op::Set => set(SMALL_NODE),
        Op::Create => request(OpCode::Create2, &create(CREATED, &SMALL, 2)),
    };
    let depth = load.shape.tasks * load.shape.depth;
    let total = load.total / load.shape.tasks * load.shape.tasks;
    let every = if depth == 1 { 1 } else { SAMPLED };
    let mut latencies = Vec::with_capacity(total / every + 1);
    let mut sampled = VecDeque::new();
    let mut out = BytesMut::with_capacity(depth * frame.len());
    let meter = Measured::begin();
    let (mut sent, mut answered) = (0, 0);
    while answered < total {
        while sent < total && sent - answered < depth {
            if sent % every == 0 {
                sampled.push_back(Instant::now());
            }
            let start = out.len();
            out.extend_from_slice(&frame);
            let xid = i32::try_from(sent + 1)?;
            out[start + XID_AT..start + XID_AT + 4].copy_from_slice(&xid.to_be_bytes());
            sent += 1;
        }
        socket.stream.write_all_buf(&mut out).await?;
        out.clear();
        let (replies, _) = socket.take(false).await?;
        for at in answered..answered + replies {
            if at % every == 0 {
                latencies.extend(sampled.pop_front().map(|begun: Instant| begun.elapsed()));
            }
        }
        answered += replies;
    }
    Ok(meter.end(total, latencies))
}
