//! The connection: absent, being dialled, or open. Moves bytes; never looks into them.

use bytes::BytesMut;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};

use crate::connect::{Connection, Dialer};
use crate::hosts::Host;
use crate::limits::READ_CHUNK_BYTES;

type Dial = Pin<Box<dyn Future<Output = io::Result<Box<dyn Connection>>> + Send>>;

pub(super) enum Link {
    Down,
    Dialing(Dial),
    Up(Open),
}

pub(super) struct Open {
    connection: Box<dyn Connection>,
    /// Something was written since the last complete flush: a connection that encrypts may still hold it.
    unflushed: bool,
}

/// What has happened to it.
pub(super) enum Linked {
    Connected,
    /// Bytes were appended to the input.
    Read,
    Lost(io::Error),
}

impl Link {
    pub(super) fn dial(dialer: Arc<dyn Dialer>, host: Host) -> Self {
        Self::Dialing(Box::pin(async move { dialer.dial(&host).await }))
    }

    /// Advances the dialling, or reads once into `input`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<Linked> {
        match self {
            Self::Down => Poll::Pending,
            Self::Dialing(dial) => dial.as_mut().poll(cx).map(|outcome| match outcome {
                Ok(connection) => {
                    *self = Self::Up(Open { connection, unflushed: false });
                    Linked::Connected
                }
                Err(error) => Linked::Lost(error),
            }),
            Self::Up(open) => {
                if input.capacity() - input.len() < READ_CHUNK_BYTES / 4 {
                    input.reserve(READ_CHUNK_BYTES);
                }
                // The future holds nothing between polls, so a new one each time loses nothing.
                pin!(open.connection.read_buf(input)).poll(cx).map(|outcome| match outcome {
                    Ok(0) => Linked::Lost(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => Linked::Read,
                    Err(error) => Linked::Lost(error),
                })
            }
        }
    }

    /// Writes some of `bytes`, which are not empty.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self::Up(open) = self else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        open.unflushed = true;
        Pin::new(&mut open.connection).poll_write(cx, bytes).map(|outcome| match outcome {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            outcome => outcome,
        })
    }

    /// Sees to it that what was written leaves. To be polled again until it is ready; free when there is nothing
    /// to do.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self::Up(open) = self else { return Poll::Ready(Ok(())) };
        if !open.unflushed {
            return Poll::Ready(Ok(()));
        }
        let outcome = Pin::new(&mut open.connection).poll_flush(cx);
        open.unflushed = outcome.is_pending();
        outcome
    }
}
