//! One task per connection: reads frames, serves reads on the spot, hands writes to the pipeline, and sends what
//! the outbox holds. A slow or hostile client costs its own connection and nothing else.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use zk_proto::connect::ConnectRequest;
use zk_proto::header::{RequestHeader, XID_AUTH, XID_PING};
use zk_proto::jute::{Decode, DecodeError, Reader};
use zk_proto::ops::auth::AuthPacket;
use zk_proto::{ErrorCode, OpCode, Request, Zxid, frame};

use super::clock::SystemClock;
use super::mailbox::Mailbox;
use super::pipeline::Work;
use crate::auth;
use crate::core::connection::{Admission, Connection, Wake};
use crate::core::node::Shared;
use crate::limits::{HANDSHAKE_BYTES_MAX, HANDSHAKE_TIMEOUT_MS, READ_CHUNK_BYTES, READS_PER_HOLD};

/// Known, but not from a client: a check outside a multi would end up in the log (ZOOKEEPER-2623), and SASL is not
/// offered yet.
const REFUSED: [OpCode; 2] = [OpCode::Check, OpCode::Sasl];

/// Wakes the task of a connection.
#[derive(Debug, Default)]
pub struct TaskWake(Notify);

impl Wake for TaskWake {
    fn wake(&self) {
        self.0.notify_one();
    }
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// The client closed it, or its session ended.
    #[error("closed")]
    Normally,
    /// The socket failed.
    #[error("socket: {0}")]
    Socket(#[from] io::Error),
    /// A frame length outside the limit.
    #[error("{0}")]
    Frame(#[from] frame::FrameTooLarge),
    /// Bytes that are no request.
    #[error("bytes that are no request: {0}")]
    Request(#[from] DecodeError),
    /// No handshake in time.
    #[error("no handshake within {HANDSHAKE_TIMEOUT_MS} ms")]
    NoHandshake,
    /// Credentials were refused.
    #[error("authentication with scheme {0:?} failed")]
    Auth(String),
}

/// Answers a four-letter word; `None` when the first four bytes are none.
pub type Words = dyn Fn([u8; 4]) -> Option<String> + Send + Sync;

/// What a connection's task needs of the server.
#[derive(Clone)]
pub struct Context {
    /// Where reads are served from.
    pub shared: Arc<Shared>,
    /// Where writes go.
    pub pipeline: Mailbox<Work>,
    /// What time it is.
    pub clock: SystemClock,
    /// The largest frame accepted, in bytes.
    pub frame_bytes_max: usize,
    /// Answers four-letter words.
    pub words: Arc<Words>,
}

/// Serves one connection until it ends. The caller forgets the connection afterwards, however this ends.
///
/// # Errors
/// Never `Ok`: the reason why it ended.
pub async fn serve(
    mut stream: TcpStream,
    connection: Arc<Connection>,
    wake: Arc<TaskWake>,
    context: Context,
) -> Result<(), Closed> {
    stream.set_nodelay(true)?;
    let mut task = Task {
        connection,
        wake,
        context,
        input: BytesMut::new(),
        output: BytesMut::new(),
        submit: Vec::new(),
    };
    let timeout = Duration::from_millis(HANDSHAKE_TIMEOUT_MS);
    let opened =
        tokio::time::timeout(timeout, task.handshake(&mut stream)).await.map_err(|_| Closed::NoHandshake)?;
    let ended = match opened {
        Ok(()) => task.run(&mut stream).await,
        Err(reason) => Err(reason),
    };
    // What was answered before the end still goes out, if the client takes it.
    task.connection.take_output_behind(&mut task.output);
    let _unsent = tokio::time::timeout(Duration::from_secs(1), async {
        stream.write_all_buf(&mut task.output).await?;
        stream.shutdown().await
    })
    .await;
    ended
}

struct Task {
    connection: Arc<Connection>,
    wake: Arc<TaskWake>,
    context: Context,
    input: BytesMut,
    output: BytesMut,
    submit: Vec<Work>,
}

impl Task {
    /// Reads the first frame, or a four-letter word, and waits until the session is there.
    async fn handshake(&mut self, stream: &mut TcpStream) -> Result<(), Closed> {
        let frame = loop {
            if let Some(first) = self.input.first_chunk::<4>()
                && let Some(text) = (self.context.words)(*first)
            {
                self.output.extend_from_slice(text.as_bytes());
                return Err(Closed::Normally);
            }
            if let Some(frame) = frame::take(&mut self.input, HANDSHAKE_BYTES_MAX)? {
                break frame;
            }
            self.fill(stream).await?;
        };
        let request = ConnectRequest::decode(&mut Reader::new(frame))?;
        self.connection.heard(self.context.clock.now());
        self.context.pipeline.send(Work::Connect { connection: Arc::clone(&self.connection), request });
        while !self.connection.is_open() && !self.connection.is_closing() {
            self.wake.0.notified().await;
        }
        Ok(())
    }

    async fn run(&mut self, stream: &mut TcpStream) -> Result<(), Closed> {
        loop {
            self.process()?;
            self.send(stream)?;
            if self.connection.is_closing() {
                return Err(Closed::Normally);
            }
            let may_read = !self.connection.is_busy() && self.output.is_empty();
            if may_read && self.has_whole_frame()? {
                continue;
            }
            tokio::select! {
                biased;
                () = self.wake.0.notified() => {}
                ready = stream.writable(), if !self.output.is_empty() => ready?,
                ready = stream.readable(), if may_read => {
                    ready?;
                    self.read(stream)?;
                }
            }
        }
    }

    /// Takes every whole frame of the input, as far as the limits allow.
    fn process(&mut self) -> Result<(), Closed> {
        let now = self.context.clock.now();
        let shared = Arc::clone(&self.context.shared);
        let mut heard = false;
        let mut done = Ok(());
        'holds: while done.is_ok() {
            // One hold for many reads: the lock is cheap, but not free.
            let mut state = None;
            for _ in 0..READS_PER_HOLD {
                if self.connection.is_busy() {
                    break 'holds;
                }
                let frame = match frame::take(&mut self.input, self.context.frame_bytes_max) {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break 'holds,
                    Err(e) => {
                        done = Err(e.into());
                        break;
                    }
                };
                heard = true;
                let mut reader = Reader::new(frame);
                let header = match reader.read::<RequestHeader>() {
                    Ok(header) => header,
                    Err(e) => {
                        done = Err(e.into());
                        break;
                    }
                };
                let xid = header.xid;
                let op = OpCode::from_code(header.op).filter(|op| !REFUSED.contains(op));
                match op.map(|op| (op, Request::decode(header.op, reader.take_rest()))) {
                    None | Some((_, Err(DecodeError::UnknownTag { what: "operation", .. }))) => {
                        self.connection.reply(xid, Zxid::ZERO, Err(ErrorCode::Unimplemented), |_| {});
                        done = Err(DecodeError::UnknownTag { what: "operation", tag: header.op }.into());
                    }
                    Some((_, Ok(Request::Auth(packet)))) => done = self.authenticate(&packet),
                    Some((op, Ok(request))) if op.is_write() => {
                        self.connection.admit_write(now);
                        self.submit.push(Work::Submit {
                            connection: Arc::clone(&self.connection),
                            xid,
                            request,
                        });
                    }
                    // Pings are answered out of turn: they say that the connection lives, and nothing else.
                    Some((_, Ok(Request::Ping))) => {
                        let state = state.get_or_insert_with(|| shared.read());
                        self.connection.reply(XID_PING, state.last_zxid, Ok(()), |_| {});
                    }
                    Some((_, read)) => {
                        let ask = read.map_err(|_| ErrorCode::MarshallingError);
                        if let Admission::Now(ask) = self.connection.admit_read(xid, ask) {
                            let state = state.get_or_insert_with(|| shared.read());
                            shared.serve(state, &self.connection, xid, &ask);
                        }
                    }
                }
                if done.is_err() {
                    break;
                }
            }
        }
        if heard {
            self.connection.heard(now);
        }
        self.context.pipeline.send_all(&mut self.submit);
        done
    }

    fn authenticate(&self, packet: &AuthPacket) -> Result<(), Closed> {
        let credentials = packet.auth.as_deref().unwrap_or_default();
        let super_digest = self.context.shared.options.super_digest.as_deref();
        match auth::authenticate(&packet.scheme, credentials, self.connection.peer.ip(), super_digest) {
            Ok(ids) => {
                self.connection.add_ids(ids);
                self.connection.reply(XID_AUTH, Zxid::ZERO, Ok(()), |_| {});
                Ok(())
            }
            Err(code) => {
                self.connection.reply(XID_AUTH, Zxid::ZERO, Err(code), |_| {});
                Err(Closed::Auth(packet.scheme.clone()))
            }
        }
    }

    /// Sends as much of the outbox as the socket takes without waiting.
    fn send(&mut self, stream: &TcpStream) -> Result<(), Closed> {
        loop {
            if self.output.is_empty() && !self.connection.take_output(&mut self.output) {
                return Ok(());
            }
            match stream.try_write(&self.output) {
                Ok(n) => self.output.advance(n),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn has_whole_frame(&self) -> Result<bool, Closed> {
        let len = frame::peek_len(&self.input, self.context.frame_bytes_max)?;
        Ok(len.is_some_and(|len| self.input.len() >= len + frame::PREFIX_BYTES))
    }

    async fn fill(&mut self, stream: &TcpStream) -> Result<(), Closed> {
        stream.readable().await?;
        self.read(stream)
    }

    fn read(&mut self, stream: &TcpStream) -> Result<(), Closed> {
        self.input.reserve(READ_CHUNK_BYTES);
        match stream.try_read_buf(&mut self.input) {
            Ok(0) => Err(Closed::Normally),
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}
