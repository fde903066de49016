//! Runs the SASL mechanism off the driver's task, where it may block. Decides nothing about the exchange.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::task::{JoinHandle, spawn_blocking};
use zk_proto::ops::auth::Secret;

use crate::hosts::Host;
use crate::sasl::{SaslError, SaslExchange, SaslMechanism, SaslStep};

/// The mechanism, and the one call of it that may be under way.
pub(super) struct Authenticator {
    mechanism: Arc<dyn SaslMechanism>,
    /// The exchange of the present connection, between two calls.
    exchange: Option<Box<dyn SaslExchange>>,
    call: Option<JoinHandle<Returned>>,
    /// Whether the connection that the call was made for is gone.
    stale: bool,
    /// A call to be made as soon as none is under way: a thread that hangs must not be joined by another with every
    /// connection.
    due: Option<Call>,
}

struct Call {
    server: Host,
    challenge: Option<Secret>,
}

type Returned = (Option<Box<dyn SaslExchange>>, Result<SaslStep, SaslError>);

impl Authenticator {
    pub(super) fn new(mechanism: Arc<dyn SaslMechanism>) -> Self {
        Self { mechanism, exchange: None, call: None, stale: false, due: None }
    }

    /// Asks for the next step; without a challenge for the first of a new exchange.
    pub(super) fn ask(&mut self, server: Host, challenge: Option<Secret>) {
        self.due = Some(Call { server, challenge });
    }

    /// The connection is gone: what is under way concerns nobody any more.
    pub(super) fn abandon(&mut self) {
        self.exchange = None;
        self.due = None;
        if let Some(call) = &self.call {
            // Helps only when its thread has not begun.
            call.abort();
            self.stale = true;
        }
    }

    /// The step that was asked for.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<SaslStep, SaslError>> {
        loop {
            if let Some(call) = &mut self.call {
                let returned = ready!(Pin::new(call).poll(cx));
                self.call = None;
                if std::mem::take(&mut self.stale) {
                    continue;
                }
                return Poll::Ready(match returned {
                    Ok((exchange, step)) => {
                        self.exchange = exchange;
                        step
                    }
                    Err(end) if end.is_panic() => Err(SaslError::new("the mechanism panicked")),
                    Err(_) => Err(SaslError::new("the mechanism was stopped with the runtime")),
                });
            }
            let Some(Call { server, challenge }) = self.due.take() else { return Poll::Pending };
            let mechanism = Arc::clone(&self.mechanism);
            let exchange = if challenge.is_some() { self.exchange.take() } else { None };
            self.call =
                Some(spawn_blocking(move || step(&*mechanism, exchange, &server, challenge.as_ref())));
        }
    }
}

fn step(
    mechanism: &dyn SaslMechanism,
    exchange: Option<Box<dyn SaslExchange>>,
    server: &Host,
    challenge: Option<&Secret>,
) -> Returned {
    let mut exchange = match exchange.map_or_else(|| mechanism.start(server), Ok) {
        Ok(exchange) => exchange,
        Err(error) => return (None, Err(error)),
    };
    let step = exchange.step(challenge.map(Secret::reveal));
    (Some(exchange), step)
}

impl Drop for Authenticator {
    fn drop(&mut self) {
        self.abandon();
    }
}
