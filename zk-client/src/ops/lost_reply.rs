//! What became of a write whose answer was lost: a read that is certain to show it.
//!
//! The read goes behind a `sync`, in a session that lives. If it is still the write's session, the write was ordered
//! before the `sync` or is refused: whoever serves the session now has taken it over, and its leader refuses what a
//! former server still passes on. If it is a later session, the former one's end was ordered before its beginning.
//! So what the read does not show did not happen, and will not.

use crate::error::Error;
use crate::limits::LOST_REPLIES_MAX;
use crate::pending::Pending;

use super::draft::OwnedDraft;
use super::sync::Sync;

/// Reads, behind everything that was sent before and lost.
pub(super) async fn look<T>(
    owned: &OwnedDraft,
    path: &str,
    read: impl Fn(&OwnedDraft) -> Pending<T>,
) -> Result<T, Error> {
    let mut lost = 0;
    loop {
        let barrier = Sync::new(owned.draft(), path.to_owned()).send();
        let answer = read(owned);
        let outcome = match barrier.await {
            Ok(()) => answer.await,
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if error.is_retryable() && lost < LOST_REPLIES_MAX => lost += 1,
            outcome => return outcome,
        }
    }
}
