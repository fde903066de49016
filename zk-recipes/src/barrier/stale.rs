//! Removing the `ready` of a round that is over, and never that of another one.
//!
//! A name can be deleted, not an age; so all who remove a `ready` write the data of the barrier's node with it, and
//! whoever has looked before another one's removal is refused.

use bytes::Bytes;
use zk_client::ops::Transaction;
use zk_client::{Client, ErrorCode};
use zk_proto::{Zxid, path};

use super::decision::READY;
use crate::asking::{explain, passes};
use crate::error::Error;

/// Adds the removal of `ready`, if the barrier's data are still these of this version.
pub(super) fn with_ready<'a>(
    transaction: Transaction<'a>,
    barrier: &str,
    data: Bytes,
    version: i32,
) -> Transaction<'a> {
    transaction.delete(path::join(barrier, READY)).set_version(barrier, data, version)
}

/// Removes the `ready` that was made at `age`, if it is still there. Afterwards one looks again: nothing is promised
/// when the answer was lost or somebody else was faster.
pub(super) async fn remove(client: &Client, barrier: &str, age: Zxid) -> Result<(), Error> {
    let ready = path::join(barrier, READY);
    // In this order, in one flight.
    let (node, look) = (client.get(barrier).send(), client.exists(ready.as_str()).send());
    let (node, look) = match (node.await, look.await) {
        (Ok(node), Ok(look)) => (node, look),
        (Err(error), _) | (_, Err(error)) if passes(&error) || error.is_no_node() => return Ok(()),
        (Err(error), _) | (_, Err(error)) => return Err(explain(barrier, error)),
    };
    if look.is_none_or(|stat| stat.czxid != age) {
        return Ok(());
    }
    let removal = with_ready(client.transaction(), barrier, node.data, node.stat.version);
    let Err(error) = removal.commit().await else { return Ok(()) };
    match error.code() {
        Some(ErrorCode::BadVersion | ErrorCode::NoNode) => Ok(()),
        // One may delete here, and not write: all one can do is to be quick.
        Some(ErrorCode::NoAuth) => match client.delete(ready).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_no_node() || passes(&error) => Ok(()),
            Err(error) => Err(explain(barrier, error)),
        },
        _ if passes(&error) => Ok(()),
        _ => Err(explain(barrier, error)),
    }
}
