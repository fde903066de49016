//! Numbers taken in blocks: one change of the shared number for many of one's own.

use std::num::NonZeroU32;
use tokio::sync::Mutex;

use super::atomic::AtomicI64;
use crate::error::Error;

/// Numbers that are nobody else's, taken from an [`AtomicI64`] in blocks. Curator's `CachedAtomicLong`.
///
/// # Layout
/// The [`AtomicI64`]'s.
///
/// # Cost
/// One change of the [`AtomicI64`] for a block, nothing for each number in it.
///
/// # Guarantees
/// Numbers rise here, and are never given out twice by anybody; a block that was not used up when its owner ended
/// leaves a gap.
///
/// # Loss
/// Nothing is held: a block stays ours, whatever becomes of the session.
///
/// # Cancellation
/// Dropped while a block is taken, that block may be lost.
///
/// # Differences from Curator and Kazoo
/// Curator answers with a result one must ask whether it succeeded; here a block that was not had is an error. Kazoo has
/// none.
#[derive(Debug)]
pub struct CachedAtomicI64 {
    number: AtomicI64,
    block: NonZeroU32,
    left: Mutex<std::ops::RangeInclusive<i64>>,
}

impl CachedAtomicI64 {
    /// Takes `block` numbers at a time.
    #[must_use]
    pub fn new(number: AtomicI64, block: NonZeroU32) -> Self {
        // Empty.
        #[allow(clippy::reversed_empty_ranges, reason = "there is nothing left before the first block")]
        let left = Mutex::new(1..=0);
        Self { number, block, left }
    }

    /// The next number.
    ///
    /// # Errors
    /// As [`AtomicI64::add`](super::Atomic::add). After [`Error::Indeterminate`] a block may be lost, and the next
    /// call takes another one.
    ///
    /// # Cancellation
    /// Dropped while a block is taken, that block may be lost.
    pub async fn next(&self) -> Result<i64, Error> {
        let mut left = self.left.lock().await;
        if let Some(next) = left.next() {
            return Ok(next);
        }
        let change = self.number.add(i64::from(self.block.get())).await?;
        let overflow = || Error::Overflow { path: self.number.path().to_owned() };
        // Of a number that wraps as well: a number that was given out is not given out again.
        *left = change.before.checked_add(1).ok_or_else(overflow)?..=change.after;
        left.next().ok_or_else(overflow)
    }
}
