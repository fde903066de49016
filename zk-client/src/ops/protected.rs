//! A protected create: its name, and how the node is found again after a lost answer.
//!
//! The layout is Curator's, `_c_<uuid>-<name>`, so that tools which know it know ours.

use zk_proto::path::{join, parent};
use zk_proto::{CreateMode, ErrorCode};

use super::create::{Created, NewNode};
use super::draft::OwnedDraft;
use super::exists::Exists;
use super::get_children::GetChildren;
use super::{Draft, lost_reply, parents};
use crate::error::{Error, ErrorKind};
use crate::limits::LOST_REPLIES_MAX;
use crate::pending::Pending;

/// Creates `node` under a name of its own.
pub(super) fn create(draft: &Draft<'_>, mut node: NewNode, parents: Option<CreateMode>) -> Pending<Created> {
    // What is wrong with it is told of the path as the caller wrote it.
    if let Err(error) = node.request(draft) {
        return Pending::failed(error);
    }
    let mark = mark(draft.client.random_bits());
    node.path = marked(&node.path, &mark);
    let first = node.attempt(draft);
    let create = Protected { owned: draft.owned(), node, mark, parents };
    Pending::steps(async move { create.run(first).await })
}

struct Protected {
    owned: OwnedDraft,
    node: NewNode,
    /// What no other node's name begins with.
    mark: String,
    parents: Option<CreateMode>,
}

impl Protected {
    async fn run(self, first: Pending<Created>) -> Result<Created, Error> {
        let Self { owned, node, .. } = &self;
        let mut attempt = first;
        let mut lost = 0;
        loop {
            let error = match (attempt.await, self.parents) {
                (Err(error), Some(mode)) if error.is_no_node() => {
                    if !parents::create(owned, &node.path, mode, &node.acl).await.map_err(known)? {
                        return Err(known(error));
                    }
                    attempt = node.attempt(&owned.draft());
                    continue;
                }
                // The name is ours alone: an earlier attempt has come through after all.
                (Err(error), _) if error.outcome_unknown() || (lost > 0 && error.is_node_exists()) => error,
                (outcome, _) => return outcome,
            };
            lost += 1;
            match self.find().await {
                Ok(Some(created)) => return Ok(created),
                Ok(None) if error.is_retryable() && lost < LOST_REPLIES_MAX => {}
                Ok(None) => return Err(known(error)),
                Err(why) => return Err(self.left_open(error, why)),
            }
            attempt = node.attempt(&owned.draft());
        }
    }

    /// The node, if it was created.
    async fn find(&self) -> Result<Option<Created>, Error> {
        let folder = parent(&self.node.path).unwrap_or("/");
        let session = self.owned.session();
        let list = |owned: &OwnedDraft| GetChildren::new(owned.draft(), folder.to_owned()).send();
        let children = match lost_reply::look(&self.owned, folder, list).await {
            Ok(children) => children,
            // The parent is gone, and the node with it.
            Err(error) if error.is_no_node() => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(name) = children.names.iter().find(|name| name.starts_with(&self.mark)) else {
            return Ok(None);
        };
        let path = join(folder, name);
        let stat = Exists::new(self.owned.draft(), path.clone()).await?;
        match stat {
            Some(stat) => Ok(Some(Created { path, stat })),
            // It went with its session.
            None if self.node.mode.is_ephemeral() && self.owned.session() != session => Ok(None),
            None => Err(Error::server(ErrorCode::NoNode, "create")
                .with_path(path)
                .with_detail("created, and deleted before it was found again")),
        }
    }

    /// The answer was lost, and then the node could not be looked for.
    fn left_open(&self, lost: Error, why: Error) -> Error {
        match why.kind() {
            // It did happen, and was undone by others.
            ErrorKind::Server(ErrorCode::NoNode) => why,
            ErrorKind::SessionExpired if self.node.mode.is_ephemeral() => {
                why.map_path(|_| self.node.path.clone())
            }
            _ if why.is_session_lost() => why.map_path(|_| self.node.path.clone()).with_unknown_outcome(true),
            _ => lost,
        }
    }
}

/// Nothing was created.
fn known(error: Error) -> Error {
    error.with_unknown_outcome(false)
}

/// `_c_<uuid>-`, of these random bits.
fn mark(bits: u128) -> String {
    // Six of them give way to version (4) and variant (RFC 9562, 5.4).
    let bits = (bits & !(0xf << 76) & !(0b11 << 62)) | (0x4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!("_c_{}-{}-{}-{}-{}-", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The path with the mark in front of its last name, which is empty of a sequential node named by its number alone.
fn marked(path: &str, mark: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    format!("{folder}/{mark}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_of_curator() {
        let mark = mark(u128::MAX);
        assert_eq!(mark, "_c_ffffffff-ffff-4fff-bfff-ffffffffffff-");
        assert_eq!(marked("/a/lock-", &mark), format!("/a/{mark}lock-"));
        assert_eq!(marked("/a/", &mark), format!("/a/{mark}"));
        assert_eq!(marked("/n", &mark), format!("/{mark}n"));
    }
}
