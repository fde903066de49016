//! Asks a server whether it is writable, on a connection of its own: four-letter `isro`, answered `rw` or `ro`.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::connect::Dialer;
use crate::hosts::Host;
use crate::limits::{PROBE_ANSWER_BYTES, PROBE_MAX};

/// A question under way; dropping it ends it.
#[derive(Default)]
pub(super) struct Probe(Option<(usize, Asking)>);

type Asking = Pin<Box<dyn Future<Output = bool> + Send>>;

impl Probe {
    /// Asks `host`, known to the core under `number`.
    pub(super) fn ask(number: usize, dialer: Arc<dyn Dialer>, host: Host) -> Self {
        let asking = async move {
            match timeout(PROBE_MAX, is_writable(dialer, &host)).await {
                Ok(Ok(writable)) => writable,
                Ok(Err(error)) => {
                    tracing::debug!(target: "zk_client::connect", server = %host, %error, "not asked whether it is writable");
                    false
                }
                Err(_) => false,
            }
        };
        Self(Some((number, Box::pin(asking))))
    }

    /// The server's number, and whether it is writable.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(usize, bool)> {
        let Some((number, asking)) = &mut self.0 else { return Poll::Pending };
        let number = *number;
        asking.as_mut().poll(cx).map(|writable| {
            self.0 = None;
            (number, writable)
        })
    }
}

/// A server that does not know the word, or may not say, does not count as writable.
async fn is_writable(dialer: Arc<dyn Dialer>, host: &Host) -> io::Result<bool> {
    let mut connection = dialer.dial(host).await?;
    connection.write_all(b"isro").await?;
    connection.flush().await?;
    let mut answer = Vec::with_capacity(PROBE_ANSWER_BYTES);
    connection.take(PROBE_ANSWER_BYTES as u64).read_to_end(&mut answer).await?;
    Ok(answer.trim_ascii() == b"rw")
}
