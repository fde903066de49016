//! Proxies before the server of a scenario.

use std::time::Duration;
use zk_client::{Builder, Client, RetryPolicy};

use super::Proxy;
use crate::targets::{Failure, Place};

/// A client that does not wait before it connects again, so that tests of reconnects are quick.
pub fn eager() -> Builder {
    let millisecond = Duration::from_millis(1);
    let retry = RetryPolicy::default().initial(millisecond).max(millisecond);
    Client::builder().session_timeout(Duration::from_secs(10)).retry(retry).seed(1)
}

impl Place {
    /// A proxy before this place's server.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn proxy(&self) -> Result<Proxy, Failure> {
        Ok(Proxy::before(&self.server).await?)
    }

    /// The connect string that leads here through these proxies, any one of them.
    #[must_use]
    pub fn through(&self, proxies: &[&Proxy]) -> String {
        let hosts: Vec<String> = proxies.iter().map(|proxy| proxy.hosts()).collect();
        format!("{}{}", hosts.join(","), self.root)
    }

    /// `path` of a client here, as the server and so a proxy knows it.
    #[must_use]
    pub fn path(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }
}
