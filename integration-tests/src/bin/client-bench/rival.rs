//! The crates.io `zookeeper-client`, as an application uses it.

use std::future::Future;

use zookeeper_client::{Acls, Client, CreateMode};

use crate::Failure;
use crate::contender::Contender;

/// A client with a session of its own.
pub(crate) async fn connect(hosts: &str) -> Result<Client, Failure> {
    Ok(Client::connect(hosts).await?)
}

impl Contender for Client {
    fn get(&self, path: &str) -> impl Future<Output = Result<(), Failure>> + Send {
        let pending = self.get_data(path);
        async move { Ok(pending.await.map(drop)?) }
    }

    fn set(&self, path: &str, data: &'static [u8]) -> impl Future<Output = Result<(), Failure>> + Send {
        let pending = self.set_data(path, data, None);
        async move { Ok(pending.await.map(drop)?) }
    }

    fn create(
        &self,
        prefix: &'static str,
        data: &'static [u8],
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let mode = CreateMode::PersistentSequential.with_acls(Acls::anyone_all());
        let pending = Self::create(self, prefix, data, &mode);
        async move { Ok(pending.await.map(drop)?) }
    }

    fn watch(
        &self,
        path: &str,
    ) -> impl Future<Output = Result<impl Future<Output = Result<(), Failure>> + Send, Failure>> + Send {
        let pending = self.get_and_watch_data(path);
        async move {
            let (_, _, watcher) = pending.await?;
            Ok(async move {
                watcher.changed().await;
                Ok(())
            })
        }
    }

    /// Its session ends when the last handle goes.
    async fn close(self) {}
}
