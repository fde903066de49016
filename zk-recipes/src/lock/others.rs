//! What one may know of others in the line, and do about them: who holds and who waits, asking a holder to give up,
//! and an operator's last resort.

use super::handle::Lock;
use crate::error::Error;
use crate::participants::{self, Participant};

impl Lock {
    /// Who holds and who waits, in the order of the line. Costs one request for the list and one for each node.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn participants(&self) -> Result<Vec<Participant>, Error> {
        let context = self.context();
        participants::list(&context.client, self.path(), &context.options.rule)
            .await
            .map_err(|source| self.failed(source))
    }

    /// Who holds, if anybody does.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn holder(&self) -> Result<Option<Participant>, Error> {
        Ok(self.participants().await?.into_iter().find(|participant| participant.admitted))
    }

    /// Asks a holder, or somebody who waits, to give up: writes `__REVOKE__` to its node, as Curator's `Revoker`
    /// does. Ours hear it by [`Held::revoked`](crate::Held::revoked), Curator's by their `RevocationListener`.
    /// Whether they follow is up to them. What the node said of its owner is overwritten. Returns whether it was
    /// still there. Durable participants are not asked (false): what is written to their nodes takes them away.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn revoke(&self, participant: &Participant) -> Result<bool, Error> {
        participants::revoke(&self.context().client, participant).await.map_err(|source| self.failed(source))
    }

    /// Takes a participant out of the line, whoever it is: deletes its nodes. One of ours that holds hears at once
    /// that it has lost; stock Curator and Kazoo do not notice. Whoever is next gets in while the evicted may
    /// still be at work: only fencing keeps it from harm. Returns whether it was still there.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn evict(&self, participant: &Participant) -> Result<bool, Error> {
        participants::evict(&self.context().client, participant).await.map_err(|source| self.failed(source))
    }

    /// Takes the lock away from whoever holds it, by [`Lock::evict`], and returns who that was.
    ///
    /// # Errors
    /// [`Error::Client`].
    pub async fn break_lock(&self) -> Result<Option<Participant>, Error> {
        let Some(holder) = self.holder().await? else { return Ok(None) };
        Ok(self.evict(&holder).await?.then_some(holder))
    }

    fn failed(&self, source: zk_client::Error) -> Error {
        Error::Client { path: self.path().to_owned(), source }
    }
}
