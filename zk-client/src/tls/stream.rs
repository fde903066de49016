//! An open connection with TLS. Says what a failure means; the bytes are rustls's.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::explain::Explain;
use crate::connect::Connection;

pub(super) struct TlsConnection {
    stream: TlsStream<Box<dyn Connection>>,
    explain: Explain,
    /// Whether the server has said anything since the handshake.
    answered: bool,
}

impl TlsConnection {
    pub(super) fn new(stream: TlsStream<Box<dyn Connection>>, explain: Explain) -> Self {
        Self { stream, explain, answered: false }
    }

    fn explained(&self, error: &io::Error) -> io::Error {
        self.explain.connection(error, self.answered)
    }
}

impl AsyncRead for TlsConnection {
    /// A connection that ends without TLS's own good-bye just ends: a frame says how long it is, so nothing cut
    /// short can be taken for a whole.
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        Poll::Ready(match outcome {
            Ok(()) if buf.filled().len() > before || buf.remaining() == 0 => {
                self.answered |= buf.filled().len() > before;
                Ok(())
            }
            Ok(()) if self.answered => Ok(()),
            Ok(()) => Err(self.explained(&io::ErrorKind::UnexpectedEof.into())),
            Err(error) if self.answered && error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(self.explained(&error)),
        })
    }
}

impl AsyncWrite for TlsConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes).map_err(|error| self.explained(&error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx).map_err(|error| self.explained(&error))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
