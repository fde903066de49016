//! The connection: absent, being dialled, or open. Moves bytes; never looks into them.

use bytes::BytesMut;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::net::TcpStream;

use crate::connect::dial;
use crate::hosts::Host;
use crate::limits::READ_CHUNK_BYTES;

type Dial = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

pub(super) enum Link {
    Down,
    Dialing(Dial),
    Up(TcpStream),
}

/// What has happened to it.
pub(super) enum Linked {
    Connected,
    /// Bytes were appended to the input.
    Read,
    Lost(io::Error),
}

impl Link {
    pub(super) fn dial(host: Host, attempt: usize) -> Self {
        Self::Dialing(Box::pin(dial(host, attempt)))
    }

    /// Advances the dialling, or reads once into `input`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<Linked> {
        match self {
            Self::Down => Poll::Pending,
            Self::Dialing(dial) => dial.as_mut().poll(cx).map(|outcome| match outcome {
                Ok(stream) => {
                    *self = Self::Up(stream);
                    Linked::Connected
                }
                Err(error) => Linked::Lost(error),
            }),
            Self::Up(stream) => {
                if input.capacity() - input.len() < READ_CHUNK_BYTES / 4 {
                    input.reserve(READ_CHUNK_BYTES);
                }
                // The future holds nothing between polls, so a new one each time loses nothing.
                pin!(stream.read_buf(input)).poll(cx).map(|outcome| match outcome {
                    Ok(0) => Linked::Lost(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => Linked::Read,
                    Err(error) => Linked::Lost(error),
                })
            }
        }
    }

    /// Writes some of `bytes`, which are not empty.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self::Up(stream) = self else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        Pin::new(stream).poll_write(cx, bytes).map(|outcome| match outcome {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            outcome => outcome,
        })
    }
}
