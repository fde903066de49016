//! A process's end of its connections: the client's dialer, and a stream whose bytes arrive at their times by the
//! process's own clock.

use std::fmt;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use zk_client::hosts::Host;
use zk_client::{Connection, Dialer, async_trait};

use super::stage::{Arrival, Shared};
use crate::sim::network::LinkId;

/// Where a process's clock stands in everybody's time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Epoch {
    /// When the process began.
    pub(super) born: Duration,
    /// What its clock said then.
    pub(super) origin: Instant,
}

impl Epoch {
    /// Everybody's time, by the process's clock.
    pub(super) fn now(self) -> Duration {
        self.born + self.origin.elapsed()
    }

    pub(super) fn at(self, time: Duration) -> Instant {
        self.origin + time.saturating_sub(self.born)
    }
}

/// Opens connections of one process.
pub(super) struct StageDialer {
    pub(super) stage: Shared,
    pub(super) slot: usize,
    pub(super) epoch: Epoch,
}

impl fmt::Debug for StageDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageDialer").field("slot", &self.slot).finish_non_exhaustive()
    }
}

#[async_trait]
impl Dialer for StageDialer {
    async fn dial(&self, _host: &Host) -> io::Result<Box<dyn Connection>> {
        let link = self.stage.lock().dial(self.epoch.now(), self.slot);
        let timer = Box::pin(sleep_until(self.epoch.origin));
        let stage = self.stage.clone();
        let mut wire = Wire { stage, link, epoch: self.epoch, timer, unread: Bytes::new(), gone: false };
        match poll_fn(|cx| wire.poll_arrival(cx)).await {
            Arrival::Dialled(true) => Ok(Box::new(wire)),
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}

/// One connection. Hung up when dropped.
struct Wire {
    stage: Shared,
    link: LinkId,
    epoch: Epoch,
    timer: Pin<Box<Sleep>>,
    /// Arrived, but not read yet.
    unread: Bytes,
    gone: bool,
}

impl Wire {
    /// The next thing that arrives, when its time has come.
    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<Arrival> {
        loop {
            let when = {
                let mut stage = self.stage.lock();
                let Some(inbox) = stage.inboxes.get_mut(&self.link) else {
                    return Poll::Ready(Arrival::Gone);
                };
                match inbox.arrivals.front() {
                    None => {
                        inbox.reader = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                    Some((when, _)) if *when <= self.epoch.now() => {
                        let arrival = inbox.arrivals.pop_front();
                        return Poll::Ready(arrival.map_or(Arrival::Gone, |(_, arrival)| arrival));
                    }
                    Some((when, _)) => *when,
                }
            };
            self.timer.as_mut().reset(self.epoch.at(when));
            ready!(self.timer.as_mut().poll(cx));
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() && !self.gone {
            match ready!(self.poll_arrival(cx)) {
                Arrival::Bytes(bytes) => self.unread = bytes,
                Arrival::Dialled(_) => {}
                Arrival::Gone => self.gone = true,
            }
        }
        let len = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..len]);
        self.unread.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.gone {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.stage.lock().send(self.epoch.now(), self.link, buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // A process that is killed drops it outside of its runtime, where its clock cannot be read.
        let now = self.stage.lock().k.now;
        self.stage.lock().hang_up(now, self.link);
    }
}
