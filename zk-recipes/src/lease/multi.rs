//! Several leases of one kind, of which anybody may have one: Kazoo's `MultiNonBlockingLease`.

use std::time::Duration;
use zk_client::Client;

use super::handle::{Lease, LeaseHolder, NonBlockingLease, NonBlockingLeaseBuilder};
use crate::error::Error;

/// So many holders at once: [`NonBlockingLease`]s at `<path>/0`, `<path>/1` and so on. Whoever comes takes the first
/// that it can have.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use zk_client::Client;
/// use zk_recipes::MultiNonBlockingLease;
///
/// let zk = Client::connect("zk1:2181").await?;
/// let crawlers = MultiNonBlockingLease::new(&zk, 3, "/leases/crawlers", Duration::from_secs(600));
/// if let Some(lease) = crawlers.obtain().await? {
///     println!("one of three, by {}", lease.path());
/// }
/// # Ok(())
/// # }
/// ```
///
/// Layout, guarantees, loss and cancellation are those of [`NonBlockingLease`]. It costs that much for each that is
/// tried: one read for each that somebody else has.
///
/// # Differences from Kazoo
/// Kazoo takes the first that is free, even if a later one is the caller's already, who then has two. Here what
/// one has is looked for first, and renewed. Kazoo's own are not changed by that.
#[derive(Debug, Clone)]
pub struct MultiNonBlockingLease(Vec<NonBlockingLease>);

impl MultiNonBlockingLease {
    /// `count` leases below `path`, for `length` at a time, with default options.
    #[must_use]
    pub fn new(client: &Client, count: usize, path: impl Into<String>, length: Duration) -> Self {
        Self::of(count, &NonBlockingLease::builder(client, path, length))
    }

    /// `count` leases with these options, below the path that they name.
    #[must_use]
    pub fn of(count: usize, options: &NonBlockingLeaseBuilder) -> Self {
        let one = |n| options.at(zk_proto::path::join(&options.path, &format!("{n}"))).build();
        Self((0..count).map(one).collect())
    }

    /// Takes one of them; `None` when others have all.
    ///
    /// # Errors
    /// As [`NonBlockingLease::obtain`].
    ///
    /// # Cancellation
    /// As [`NonBlockingLease::obtain`].
    pub async fn obtain(&self) -> Result<Option<Lease>, Error> {
        let mut free = Vec::new();
        for lease in &self.0 {
            match lease.is_ours_already().await? {
                true => {
                    if let Some(lease) = lease.obtain().await? {
                        return Ok(Some(lease));
                    }
                }
                false => free.push(lease),
            }
        }
        for lease in free {
            if let Some(lease) = lease.obtain().await? {
                return Ok(Some(lease));
            }
        }
        Ok(None)
    }

    /// Who holds each of them, or held it last.
    ///
    /// # Errors
    /// As [`NonBlockingLease::holder`].
    pub async fn holders(&self) -> Result<Vec<Option<LeaseHolder>>, Error> {
        let mut holders = Vec::with_capacity(self.0.len());
        for lease in &self.0 {
            holders.push(lease.holder().await?);
        }
        Ok(holders)
    }
}
