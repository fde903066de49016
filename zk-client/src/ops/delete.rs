//! `delete`: removes a node without children.

use zk_proto::ops::delete::DeleteRequest;

use super::Draft;
use super::draft::operation;
use crate::core::Request;
use crate::limits::LOST_REPLIES_MAX;
use crate::pending::Pending;

/// Removes a node without children. Made by [`crate::Client::delete`].
#[derive(Debug, Clone)]
#[must_use = "an operation is sent by .await or .send()"]
pub struct Delete<'a> {
    draft: Draft<'a>,
    path: String,
    version: i32,
    idempotent: bool,
}
operation!(Delete => ());

impl<'a> Delete<'a> {
    pub(crate) fn new(draft: Draft<'a>, path: String) -> Self {
        Self { draft, path, version: -1, idempotent: false }
    }

    /// Only if the node's data has this version; -1, the default, is any.
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    /// Gone is what counts: a node that is not there is a success, and a delete whose answer was lost is sent
    /// again, behind what was submitted meanwhile, for at most
    /// [`LOST_REPLIES_MAX`](crate::limits::LOST_REPLIES_MAX) lost answers.
    ///
    /// So `Ok` means that the node was not there at one moment after the call, whoever removed it: not to be used
    /// as a claim, where the one whose delete succeeds has won. A node that somebody creates anew before the delete
    /// is sent again is deleted too, unless [`Delete::version`] spares it. When the delete is refused after a lost
    /// answer (`BadVersion`, `NotEmpty`), the node that is there may be such a new one, and
    /// [`Error::outcome_unknown`](crate::Error::outcome_unknown) is true.
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    fn start(self) -> Pending<()> {
        let Self { draft, path, version, idempotent } = self;
        if !idempotent {
            return attempt(&draft, path, version);
        }
        let first = attempt(&draft, path.clone(), version);
        let owned = draft.owned();
        Pending::steps(async move {
            let mut outcome = first.await;
            let mut lost = 0;
            loop {
                match outcome {
                    Ok(()) => return Ok(()),
                    Err(error) if error.is_no_node() => return Ok(()),
                    Err(error)
                        if error.outcome_unknown() && error.is_retryable() && lost < LOST_REPLIES_MAX =>
                    {
                        lost += 1;
                    }
                    Err(error) => {
                        let unknown = error.outcome_unknown() || lost > 0;
                        return Err(error.with_unknown_outcome(unknown));
                    }
                }
                let again = attempt(&owned.draft(), path.clone(), version);
                outcome = again.await;
            }
        })
    }
}

fn attempt(draft: &Draft<'_>, path: String, version: i32) -> Pending<()> {
    let request = draft.path(path).map(|path| Request::Delete(DeleteRequest { path, version }));
    draft.send(request, |answered| answered.reply().map(|_| ()))
}
