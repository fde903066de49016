//! `setData`: replaces a node's data.

use bytes::Bytes;
use zk_proto::ops::data::{SetDataRequest, StatResponse};
use zk_proto::{ErrorCode, Stat};

use super::draft::{OwnedDraft, operation};
use super::get::Get;
use super::{Draft, lost_reply};
use crate::core::Request;
use crate::error::Error;
use crate::limits::LOST_REPLIES_MAX;
use crate::pending::Pending;

/// Replaces a node's data. Made by [`crate::Client::set`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct Set<'a> {
    draft: Draft<'a>,
    path: String,
    data: Bytes,
    version: i32,
    idempotent: bool,
}
operation!(Set => Stat);

impl<'a> Set<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String, data: Bytes) -> Self {
        Self { draft, path, data, version: -1, idempotent: false }
    }

    /// Only if the node's data has this version; -1, the default, is any.
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    /// Goes on when the answer is lost. Needs [`Set::version`], by which the write can be known again; without, it
    /// is [`crate::ErrorKind::InvalidArgument`].
    ///
    /// After a lost answer the node is read, behind a `sync`. If it still has the version, the write did not happen
    /// and never will: it is sent again, behind what was submitted meanwhile, for at most
    /// [`LOST_REPLIES_MAX`](crate::limits::LOST_REPLIES_MAX) lost answers. If it has the next version and this
    /// data, the write succeeded. If it has the next version and other data, somebody else's came first:
    /// `BadVersion`. If it is further on, or gone, the write may have been there in between: the error of the lost
    /// answer, with [`Error::outcome_unknown`].
    ///
    /// So `Ok` means: the node had this data at the version after the expected one. Two writers that set the same
    /// data over the same version may both be told so after losses: it does not say who won. The version is all
    /// that is compared: a node that was deleted and created anew counts as the same when its version does. Needs
    /// READ besides WRITE.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    fn start(self) -> Pending<Stat> {
        let Self { draft, path, data, version, idempotent } = self;
        if !idempotent {
            return attempt(&draft, path, data, version);
        }
        if version == -1 {
            return Pending::failed(draft.invalid(&path, "an idempotent set needs a version"));
        }
        let first = attempt(&draft, path.clone(), data.clone(), version);
        let owned = draft.owned();
        Pending::steps(async move {
            let mut outcome = first.await;
            let mut lost = 0;
            loop {
                let error = match outcome {
                    Err(error) if error.outcome_unknown() => error,
                    outcome => return outcome,
                };
                lost += 1;
                let read = |owned: &OwnedDraft| Get::new(owned.draft(), path.clone()).send();
                let node = match lost_reply::look(&owned, &path, read).await {
                    Ok(node) => node,
                    Err(why) if why.is_session_lost() => return Err(why.with_unknown_outcome(true)),
                    Err(_) => return Err(error),
                };
                match node.stat.version {
                    same if same == version => {}
                    next if next == after(version) && node.data == data => return Ok(node.stat),
                    next if next == after(version) => {
                        return Err(Error::server(ErrorCode::BadVersion, error.operation()).with_path(path));
                    }
                    _ => return Err(error),
                }
                if !error.is_retryable() || lost >= LOST_REPLIES_MAX {
                    return Err(error.with_unknown_outcome(false));
                }
                let again = attempt(&owned.draft(), path.clone(), data.clone(), version);
                outcome = again.await;
            }
        })
    }
}

fn attempt(draft: &Draft<'_>, path: String, data: Bytes, version: i32) -> Pending<Stat> {
    let request =
        draft.path(path).map(|path| Request::SetData(SetDataRequest { path, data: Some(data), version }));
    draft.send(request, |answered| {
        let (reply, _): (StatResponse, _) = answered.read()?;
        Ok(reply.stat)
    })
}

/// The version after this one: a counter that would become -1, which means any, becomes 0.
fn after(version: i32) -> i32 {
    match version.wrapping_add(1) {
        -1 => 0,
        next => next,
    }
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn versions_go_round_past_minus_one() {
        assert_eq!((after(0), after(i32::MAX), after(-2)), (1, i32::MIN, 0));
    }
}
