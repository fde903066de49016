//! Asking again: operations of recipes that wait as long as it takes, through lost connections and ended sessions.
//! Decides only whether another try makes sense; what to ask is its caller's.

use std::time::Duration;
use zk_client::{Client, Error, ErrorKind, SessionState};
use zk_proto::SessionId;

use crate::contender::final_reason;
use crate::error::Error as RecipeError;
use crate::limits::RETRY_PAUSE;
use crate::loss::LossReason;

/// Asks until there is an answer: an error that passes, or the end of a session, is waited out. For reads, and for
/// writes that may be done twice.
///
/// # Cancellation
/// May be dropped at any time.
pub(crate) async fn until_answered<T, F>(mut ask: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    loop {
        match ask().await {
            Err(error) if passes(&error) => tokio::time::sleep(RETRY_PAUSE).await,
            answer => return answer,
        }
    }
}

/// Whether it makes sense to try again, in this session or the next one.
pub(crate) fn passes(error: &Error) -> bool {
    error.is_retryable() || (error.kind() == ErrorKind::SessionExpired && !error.is_final())
}

/// What an application is told of an error of its client at `path`.
pub(crate) fn explain(path: &str, source: Error) -> RecipeError {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::Closed => RecipeError::ClientEnded { path, reason: LossReason::ClientClosed },
        ErrorKind::AuthFailed => RecipeError::ClientEnded { path, reason: LossReason::AuthFailed },
        ErrorKind::SessionExpired if source.is_final() => {
            RecipeError::ClientEnded { path, reason: LossReason::SessionExpired }
        }
        _ => RecipeError::Client { path, source },
    }
}

/// Does it within `limit`, or tells that it did not.
pub(crate) async fn within<T>(
    path: &str,
    limit: Duration,
    what: impl Future<Output = Result<T, RecipeError>>,
) -> Result<T, RecipeError> {
    match tokio::time::timeout(limit, what).await {
        Ok(done) => done,
        Err(_) => Err(RecipeError::Timeout { path: path.to_owned(), limit }),
    }
}

/// A session that is connected, when there is one.
///
/// # Cancellation
/// May be dropped at any time.
pub(crate) async fn session_of(client: &Client, path: &str) -> Result<SessionId, RecipeError> {
    let mut states = client.session_state();
    let over = |reason| RecipeError::ClientEnded { path: path.to_owned(), reason };
    loop {
        let state = *states.borrow_and_update();
        match state {
            SessionState::Connected(info) => return Ok(info.id),
            SessionState::Closed => return Err(over(LossReason::ClientClosed)),
            SessionState::AuthFailed => return Err(over(LossReason::AuthFailed)),
            _ => {}
        }
        if states.changed().await.is_err() {
            return Err(over(final_reason(state)));
        }
    }
}

/// Waits until the client has ended, and tells why.
///
/// # Cancellation
/// May be dropped at any time.
pub(crate) async fn end_of(client: &Client) -> LossReason {
    let mut states = client.session_state();
    loop {
        let state = *states.borrow_and_update();
        match state {
            SessionState::Closed => return LossReason::ClientClosed,
            SessionState::AuthFailed => return LossReason::AuthFailed,
            _ => {}
        }
        if states.changed().await.is_err() {
            return final_reason(state);
        }
    }
}
