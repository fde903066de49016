//! `rm -r`: a node and everything below it, deleted in batches.

use std::collections::VecDeque;
use zk_proto::ErrorCode;

use super::Draft;
use super::delete::Delete;
use super::draft::{OwnedDraft, operation};
use super::transaction::{Transaction, TransactionResult};
use super::walk::Walk;
use crate::error::{Error, ErrorKind};
use crate::limits::{
    DELETE_BATCH_BYTES, DELETE_BATCH_OPS, DELETE_BATCHES_IN_FLIGHT, DELETE_ROUNDS_MAX, LOST_REPLIES_MAX,
};
use crate::pending::Pending;

/// Bytes that a deletion takes in a transaction besides its path: headers, a length, a version.
const STEP_BYTES: usize = 32;

/// Deletes a node and everything below it. Made by [`crate::Client::delete_recursive`].
///
/// The subtree is listed, then deleted from its leaves upwards, in transactions of at most
/// [`DELETE_BATCH_OPS`] nodes, several in flight. Where one fails, because somebody else was there in between, its
/// nodes are deleted one by one; nodes that others create meanwhile are looked for and deleted too, up to
/// [`DELETE_ROUNDS_MAX`] times, then it fails with `NotEmpty`. What is lost with the connection is sent again. The
/// whole is not one transaction: others see it half done.
///
/// Answers with how many nodes were found there and are gone, whoever removed them. `NoNode` when there is nothing
/// to begin with. Holds the paths of the whole subtree.
///
/// An error, and a future that is dropped, leaves a part of the subtree; what is left can be deleted by calling
/// again. The root of the server is refused.
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct DeleteRecursive<'a> {
    draft: Draft<'a>,
    path: String,
}
operation!(DeleteRecursive => usize);

impl<'a> DeleteRecursive<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String) -> Self {
        Self { draft, path }
    }

    fn start(self) -> Pending<usize> {
        let Self { draft, path } = self;
        match draft.path(path.clone()) {
            Ok(full) if full == "/" => {
                return Pending::failed(draft.invalid(&path, "the root cannot be deleted"));
            }
            Ok(_) => {}
            Err(error) => return Pending::failed(error),
        }
        let owned = draft.owned();
        let mut walk = Walk::new(owned.clone(), path.clone());
        walk.ask();
        Pending::steps(async move {
            let mut gone = 0;
            for _ in 0..DELETE_ROUNDS_MAX {
                let mut paths = Vec::new();
                while let Some(node) = walk.next().await {
                    match node {
                        Ok(node) => paths.push(node.path),
                        // Others have deleted the rest.
                        Err(error) if error.is_no_node() && gone > 0 => return Ok(gone),
                        Err(error) => return Err(error),
                    }
                }
                let round = Round { owned: &owned, gone: 0, left: 0 }.run(paths).await?;
                gone += round.gone;
                if round.left == 0 {
                    return Ok(gone);
                }
                walk = Walk::new(owned.clone(), path.clone());
            }
            Err(Error::server(ErrorCode::NotEmpty, "delete_recursive")
                .with_path(path)
                .with_detail("others keep creating nodes there"))
        })
    }
}

/// One pass over the nodes that were found.
struct Round<'a> {
    owned: &'a OwnedDraft,
    /// Nodes that are no longer there.
    gone: usize,
    /// Nodes that have new children.
    left: usize,
}

impl Round<'_> {
    /// Deletes these, the last ones first: they were listed parents first.
    async fn run(mut self, mut paths: Vec<String>) -> Result<Self, Error> {
        let mut flying: VecDeque<(Vec<String>, Pending<Vec<TransactionResult>>)> = VecDeque::new();
        loop {
            while flying.len() < DELETE_BATCHES_IN_FLIGHT && !paths.is_empty() {
                let batch = take_batch(&mut paths, self.owned.frame_limit());
                let together = Transaction::new(self.owned.draft());
                let together = batch.iter().fold(together, Transaction::delete);
                flying.push_back((batch, together.commit()));
            }
            let Some((batch, pending)) = flying.pop_front() else { return Ok(self) };
            match pending.await {
                Ok(_) => self.gone += batch.len(),
                Err(error) if error.is_session_lost() => return Err(error),
                Err(_) => self.one_by_one(batch).await?,
            }
        }
    }

    /// What could not be deleted together, or may have been and the answer is lost. Whoever is behind it in flight
    /// fails for the same reason, or is deleted all the same.
    async fn one_by_one(&mut self, batch: Vec<String>) -> Result<(), Error> {
        let flying: Vec<(String, Pending<()>)> = batch
            .into_iter()
            .map(|path| {
                let pending = Delete::new(self.owned.draft(), path.clone()).send();
                (path, pending)
            })
            .collect();
        for (path, pending) in flying {
            let mut outcome = pending.await;
            let mut lost = 0;
            while matches!(&outcome, Err(e) if e.outcome_unknown() && e.is_retryable())
                && lost < LOST_REPLIES_MAX
            {
                lost += 1;
                let again = Delete::new(self.owned.draft(), path.clone()).send();
                outcome = again.await;
            }
            match outcome {
                Ok(()) => self.gone += 1,
                Err(error) => match error.kind() {
                    ErrorKind::Server(ErrorCode::NoNode) => self.gone += 1,
                    ErrorKind::Server(ErrorCode::NotEmpty) => self.left += 1,
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }
}

/// Takes from the end as many as fit into one transaction, at least one.
fn take_batch(paths: &mut Vec<String>, frame_limit: usize) -> Vec<String> {
    let limit = DELETE_BATCH_BYTES.min(frame_limit / 2);
    let mut batch = Vec::new();
    let mut bytes = 0;
    while batch.len() < DELETE_BATCH_OPS
        && let Some(path) = paths.pop()
    {
        bytes += STEP_BYTES + path.len();
        if bytes > limit && !batch.is_empty() {
            paths.push(path);
            break;
        }
        batch.push(path);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_bounded_and_take_children_first() {
        let mut paths: Vec<String> = (0..1200).map(|n| format!("/{n}")).collect();
        let first = take_batch(&mut paths, 1 << 20);
        assert_eq!((first.len(), first[0].as_str(), paths.len()), (DELETE_BATCH_OPS, "/1199", 700));
        let narrow = take_batch(&mut paths, 200);
        assert_eq!(narrow, ["/699", "/698"]);
        let alone = take_batch(&mut paths, 0);
        assert_eq!(alone, ["/697"]);
    }
}
