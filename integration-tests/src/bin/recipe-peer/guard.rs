//! What is held, of whatever kind.

use std::future::Future;

use integration_tests::targets::Failure;
use zk_recipes::{Error, FencedTransaction, Held, LockGuard, MultiGuard, Permit, ReadGuard, WriteGuard};

pub(crate) enum Guard {
    Lock(LockGuard),
    Read(ReadGuard),
    Write(WriteGuard),
    Permit(Permit),
    Multi(MultiGuard),
}

/// Somebody who holds, and what the holder may ask.
pub(crate) trait Holder {
    /// What orders holders.
    fn token(&self) -> i64;

    fn is_held(&self) -> bool;

    /// Refused when it is lost.
    fn transaction(&self) -> Result<FencedTransaction<'_>, Error>;
}

impl Holder for Held {
    fn token(&self) -> i64 {
        self.fencing_token().get()
    }

    fn is_held(&self) -> bool {
        Self::is_held(self)
    }

    fn transaction(&self) -> Result<FencedTransaction<'_>, Error> {
        Self::transaction(self)
    }
}

impl Holder for Guard {
    /// Of several the last: it was made when the others were held.
    fn token(&self) -> i64 {
        match self.held() {
            Ok(held) => held.token(),
            Err(several) => several.tokens().map(|(_, token)| token.get()).max().unwrap_or(0),
        }
    }

    fn is_held(&self) -> bool {
        match self.held() {
            Ok(held) => held.is_held(),
            Err(several) => several.is_held(),
        }
    }

    fn transaction(&self) -> Result<FencedTransaction<'_>, Error> {
        match self.held() {
            Ok(held) => held.transaction(),
            Err(several) => several.transaction(),
        }
    }
}

impl Guard {
    /// The one thing, or the several that are held as one.
    fn held(&self) -> Result<&Held, &MultiGuard> {
        match self {
            Self::Lock(guard) => Ok(guard),
            Self::Read(guard) => Ok(guard),
            Self::Write(guard) => Ok(guard),
            Self::Permit(permit) => Ok(permit),
            Self::Multi(guard) => Err(guard),
        }
    }

    /// The holder's node; of several one after the other, with commas between.
    pub(crate) fn node(&self) -> String {
        match self.held() {
            Ok(held) => held.node().to_owned(),
            Err(several) => several.nodes().collect::<Vec<_>>().join(","),
        }
    }

    /// Resolves when somebody asks for it back.
    pub(crate) fn revoked(&self) -> impl Future<Output = ()> + use<> {
        let one = self.held().ok().map(Held::revoked);
        let several = self.held().err().map(MultiGuard::revoked);
        async move {
            match (one, several) {
                (Some(one), _) => one.await,
                (None, Some(several)) => several.await,
                (None, None) => {}
            }
        }
    }

    pub(crate) async fn release(self) -> Result<String, Failure> {
        let released = match self {
            Self::Lock(guard) => guard.release().await?,
            Self::Read(guard) => guard.release().await?,
            Self::Write(guard) => guard.release().await?,
            Self::Permit(permit) => permit.release().await?,
            Self::Multi(guard) => guard.release().await?,
        };
        Ok(format!("{released:?}"))
    }
}
