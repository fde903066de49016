//! The session behind every command, and the limit of time on every answer. Knows no command.

use std::future::IntoFuture;
use std::time::Duration;
use zk_client::{Client, Error, SessionState};

use crate::args::Target;
use crate::failure::{Doing, Failure};

/// What happens when the session ends before we do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// Nothing more works: a script's ephemeral nodes are gone, so going on would be wrong.
    Ends,
    /// A new session is opened, and the user is told.
    Renews,
}

/// A client and its patience.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    client: Client,
    limit: Duration,
}

impl Connection {
    /// Opens a session, within the target's limit of time.
    pub(crate) async fn open(target: &Target, expiry: Expiry) -> Result<Self, Failure> {
        let limit = target.timeout;
        let mut builder = Client::builder().connect_timeout(limit).expiry_is_terminal(expiry == Expiry::Ends);
        for credentials in target.credentials()? {
            builder = builder.auth(credentials.scheme, credentials.secret);
        }
        match builder.connect(&target.server).await {
            Ok(client) => Ok(Self { client, limit }),
            Err(error) => Err(Failure::not_connected(&target.server, &error)),
        }
    }

    /// The client.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The session's state now.
    pub(crate) fn state(&self) -> SessionState {
        *self.client.session_state().borrow()
    }

    /// The answer to one operation, if it comes in time.
    pub(crate) async fn answer<T>(
        &self,
        doing: Doing<'_>,
        operation: impl IntoFuture<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.limit, operation.into_future()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Failure::refused(doing, &error)),
            Err(_) => Err(Failure::no_answer(doing, self.limit, self.state().is_connected())),
        }
    }

    /// Closes the session, so that its ephemeral nodes go now and not after the timeout.
    pub(crate) async fn close(self) {
        self.client.close().await;
    }
}
