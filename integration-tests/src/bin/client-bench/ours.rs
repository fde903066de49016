//! Our client, as an application uses it.

use std::future::Future;

use zk_client::Client;

use crate::Failure;
use crate::contender::Contender;

/// A client with a session of its own.
pub(crate) async fn connect(hosts: &str) -> Result<Client, Failure> {
    Ok(Client::connect(hosts).await?)
}

impl Contender for Client {
    fn get(&self, path: &str) -> impl Future<Output = Result<(), Failure>> + Send {
        let pending = Self::get(self, path).send();
        async move { Ok(pending.await.map(drop)?) }
    }

    fn set(&self, path: &str, data: &'static [u8]) -> impl Future<Output = Result<(), Failure>> + Send {
        let pending = Self::set(self, path, data).send();
        async move { Ok(pending.await.map(drop)?) }
    }

    fn create(
        &self,
        prefix: &'static str,
        data: &'static [u8],
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let pending = Self::create(self, prefix, data).sequential().send();
        async move { Ok(pending.await.map(drop)?) }
    }

    fn watch(
        &self,
        path: &str,
    ) -> impl Future<Output = Result<impl Future<Output = Result<(), Failure>> + Send, Failure>> + Send {
        let pending = Self::get(self, path).watch().send();
        async move {
            let (_, changed) = pending.await?;
            Ok(async move { Ok(changed.await.map(drop)?) })
        }
    }

    async fn close(self) {
        Self::close(&self).await;
    }
}
