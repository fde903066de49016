//! Nodes that must be there: created from below upwards until one finds a parent, then downwards.

use bytes::Bytes;
use zk_proto::path::{ancestors, parent};
use zk_proto::{Acl, CreateMode};

use super::create::NewNode;
use super::draft::OwnedDraft;
use crate::error::Error;
use crate::limits::LOST_REPLIES_MAX;

/// Creates the missing ancestors of `path`. False if there are none to create: what is missing then is the chroot.
pub(super) async fn create(
    owned: &OwnedDraft,
    path: &str,
    mode: CreateMode,
    acl: &[Acl],
) -> Result<bool, Error> {
    match parent(path) {
        None | Some("/") => Ok(false),
        Some(parent) => ensure(owned, parent, mode, acl).await.map(|()| true),
    }
}

/// Creates `path` and whatever is missing above it. A node that another client creates meanwhile is as good, and
/// so is one of ours whose answer was lost: what was lost is sent again.
pub(super) async fn ensure(
    owned: &OwnedDraft,
    path: &str,
    mode: CreateMode,
    acl: &[Acl],
) -> Result<(), Error> {
    let above = ancestors(path).filter(|path| *path != "/");
    let mut missing: Vec<String> = std::iter::once(path).chain(above).map(str::to_owned).collect();
    // Usually only the last one or two are missing: look upwards first, then create downwards.
    let (mut next, mut lost) = (0, 0);
    while let Some(path) = missing.get(next) {
        let node = NewNode { path: path.clone(), data: Bytes::new(), mode, ttl: None, acl: acl.to_vec() };
        let attempt = node.attempt(&owned.draft());
        match attempt.await {
            Ok(_) => {}
            Err(error) if error.is_node_exists() => {}
            Err(error) if error.is_no_node() && next + 1 < missing.len() => {
                next += 1;
                continue;
            }
            Err(error) if error.outcome_unknown() && error.is_retryable() && lost < LOST_REPLIES_MAX => {
                lost += 1;
                continue;
            }
            Err(error) => return Err(error),
        }
        missing.truncate(next);
        next = next.saturating_sub(1);
    }
    Ok(())
}
