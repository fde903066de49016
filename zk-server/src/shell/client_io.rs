//! One task per connection: reads frames, serves reads on the spot, hands writes to the pipeline, and sends what
//! the outbox holds. A slow or hostile client costs its own connection and nothing else.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::clock::SystemClock;
use super::mailbox::Mailbox;
use super::pipeline::Work;
use crate::core::connection::{Connection, Wake};
use crate::core::intake::{self, Refused, Submission};
use crate::core::node::Shared;
use crate::limits::{HANDSHAKE_TIMEOUT_MS, READ_CHUNK_BYTES};

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
    /// The client sent what it may not.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// No handshake in time.
    #[error("no handshake within {HANDSHAKE_TIMEOUT_MS} ms")]
    NoHandshake,
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
    submit: Vec<Submission>,
}

impl Task {
    /// Reads the first frame, or a four-letter word, and waits until the session is there.
    async fn handshake(&mut self, stream: &mut TcpStream) -> Result<(), Closed> {
        let request = loop {
            if let Some(first) = self.input.first_chunk::<4>()
                && let Some(text) = (self.context.words)(*first)
            {
                self.output.extend_from_slice(text.as_bytes());
                return Err(Closed::Normally);
            }
            if let Some(request) = intake::handshake(&mut self.input)? {
                break request;
            }
            self.fill(stream).await?;
        };
        self.connection.heard(self.context.clock.now());
        self.context.pipeline.send(Work::Connect { connection: Arc::clone(&self.connection), request });
        while !self.connection.is_open() && !self.connection.is_closing() {
            self.wake.0.notified().await;
        }
        Ok(())
    }

    async fn run(&mut self, stream: &mut TcpStream) -> Result<(), Closed> {
        loop {
            self.take_requests()?;
            self.send(stream)?;
            if self.connection.is_closing() {
                return Err(Closed::Normally);
            }
            let may_read = !self.connection.is_busy() && self.output.is_empty();
            if may_read && intake::has_request(&self.input) {
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

    fn take_requests(&mut self) -> Result<(), Closed> {
        let (now, limit) = (self.context.clock.now(), self.context.frame_bytes_max);
        let taken = intake::requests(
            &mut self.input,
            limit,
            &self.connection,
            &self.context.shared,
            now,
            &mut self.submit,
        );
        let mut work = self.submit.drain(..).map(Work::Submit).peekable();
        if work.peek().is_some() {
            self.context.pipeline.extend(work);
        }
        Ok(taken?)
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
