//! The client on an in-memory network: everything it does goes through its dialer, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use zk_client::hosts::Host;
use zk_client::{Client, Connection, Dialer, ErrorKind, SessionId, SessionState, Stat, Zxid, async_trait};
use zk_proto::connect::{ConnectRequest, ConnectResponse, Password};
use zk_proto::header::{ReplyHeader, RequestHeader};
use zk_proto::ops::data::{GetDataRequest, GetDataResponse};
use zk_proto::{Decode, Encode, OpCode, Reader, frame};

const FRAME_MAX: usize = 1 << 20;
/// Smaller than what is written, so that writes are cut short.
const PIPE_BYTES: usize = 700;

/// Hands out in-memory connections to a server made of [`serve`].
#[derive(Debug, Default)]
struct Memory {
    dials: AtomicUsize,
    /// How many of the first dials fail.
    failures: usize,
    /// Requests answered by a connection before it is cut.
    lifetime: Option<usize>,
    /// Whether writes stay in a buffer until they are flushed.
    buffered: bool,
}

#[async_trait]
impl Dialer for Memory {
    async fn dial(&self, host: &Host) -> io::Result<Box<dyn Connection>> {
        assert_eq!(host.to_string(), "nowhere.invalid:7");
        if self.dials.fetch_add(1, Ordering::Relaxed) < self.failures {
            return Err(io::Error::other("the wire is cut"));
        }
        let (ours, theirs) = duplex(PIPE_BYTES);
        let lifetime = self.lifetime.unwrap_or(usize::MAX);
        tokio::spawn(async move { serve(theirs, lifetime).await });
        Ok(if self.buffered {
            Box::new(Buffered { pipe: ours, held: BytesMut::new() })
        } else {
            Box::new(ours)
        })
    }
}

/// Answers the handshake and up to `lifetime` requests; a read returns the path it asks for.
async fn serve(mut pipe: DuplexStream, lifetime: usize) -> Option<()> {
    let mut input = BytesMut::new();
    let hello = ConnectRequest::from_bytes(next_frame(&mut pipe, &mut input).await?).unwrap();
    let session_id = if hello.session_id == SessionId::NONE { SessionId(7) } else { hello.session_id };
    let welcome = ConnectResponse {
        protocol_version: 0,
        timeout_ms: hello.timeout_ms,
        session_id,
        password: Password([7; 16]),
        read_only: hello.read_only,
    };
    pipe.write_all(&frame::of(&welcome)).await.ok()?;
    for n in 0..lifetime {
        let mut request = Reader::new(next_frame(&mut pipe, &mut input).await?);
        let header: RequestHeader = request.read().unwrap();
        let mut reply = BytesMut::new();
        frame::put(&mut reply, |out| {
            ReplyHeader { xid: header.xid, zxid: Zxid(n as i64 + 1), outcome: Ok(()) }.encode(out);
            if header.op == OpCode::GetData.code() {
                let asked: GetDataRequest = request.read().unwrap();
                let data = Some(Bytes::from(asked.path));
                GetDataResponse { data, stat: Stat::default() }.encode(out);
            }
        });
        pipe.write_all(&reply).await.ok()?;
    }
    Some(())
}

async fn next_frame(pipe: &mut DuplexStream, input: &mut BytesMut) -> Option<Bytes> {
    loop {
        if let Some(frame) = frame::take(input, FRAME_MAX).unwrap() {
            return Some(frame);
        }
        if pipe.read_buf(input).await.ok()? == 0 {
            return None;
        }
    }
}

/// Takes every write and lets nothing out before it is flushed, as an encrypting stream may.
struct Buffered {
    pipe: DuplexStream,
    held: BytesMut,
}

impl AsyncRead for Buffered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, buf)
    }
}

impl AsyncWrite for Buffered {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.held.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let Self { pipe, held } = &mut *self;
            let written = ready!(Pin::new(pipe).poll_write(cx, held))?;
            let _ = held.split_to(written);
        }
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

async fn connect(dialer: Memory) -> (Client, Arc<Memory>) {
    let dialer = Arc::new(dialer);
    let zk = Client::builder().dialer(Arc::clone(&dialer) as _).connect("nowhere.invalid:7").await.unwrap();
    (zk, dialer)
}

async fn read_many(zk: &Client) {
    let pending: Vec<_> = (0..200).map(|n| zk.get(format!("/node-{n}")).send()).collect();
    for (n, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.await.unwrap().data, format!("/node-{n}").as_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_over_memory() {
    let (zk, dialer) = connect(Memory::default()).await;
    assert_eq!(zk.session_id(), Some(SessionId(7)));
    read_many(&zk).await;
    zk.close().await;
    assert_eq!(dialer.dials.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_connection_buffers_is_flushed() {
    let (zk, _) = connect(Memory { buffered: true, ..Memory::default() }).await;
    read_many(&zk).await;
    zk.close().await;
}

#[tokio::test(start_paused = true)]
async fn cut_connections_are_dialled_again() {
    let (zk, dialer) = connect(Memory { lifetime: Some(40), failures: 2, ..Memory::default() }).await;
    read_many(&zk).await;
    assert!(dialer.dials.load(Ordering::Relaxed) > 2 + 200 / 40 - 1);
    assert_eq!(zk.session_id(), Some(SessionId(7)));
    zk.close().await;
    assert_eq!(*zk.session_state().borrow(), SessionState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_dialer_that_never_succeeds_times_out() {
    let dialer = Arc::new(Memory { failures: usize::MAX, ..Memory::default() });
    let connecting = Client::builder()
        .dialer(Arc::clone(&dialer) as _)
        .connect_timeout(Duration::from_secs(20))
        .connect("nowhere.invalid:7");
    let error = connecting.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(dialer.dials.load(Ordering::Relaxed) > 2);
}
