//! What the lock's tests stand on: a server, clients, patience. Faults of the network are in
//! `integration-tests/tests/lock_faults.rs`.

#![allow(dead_code, reason = "not every test file uses everything")]

use std::future::Future;
use std::time::Duration;
use zk_client::Client;
use zk_server::EmbeddedServer;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn server() -> EmbeddedServer {
    EmbeddedServer::start().await.unwrap()
}

pub(crate) async fn client(server: &EmbeddedServer) -> Client {
    client_with(&server.connect_string(), Duration::from_secs(6)).await
}

pub(crate) async fn client_with(servers: &str, timeout: Duration) -> Client {
    Client::builder().session_timeout(timeout).connect(servers).await.unwrap()
}

/// Waits for something that must happen.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it never happened")
}

/// Waits until `path` has exactly `count` children (or is not there, for none).
pub(crate) async fn children(zk: &Client, path: &str, count: usize) -> Vec<String> {
    soon(async {
        loop {
            let mut names = match zk.get_children(path).await {
                Ok(list) => list.names,
                Err(error) if error.is_no_node() => Vec::new(),
                Err(error) => panic!("{error}"),
            };
            if names.len() == count {
                names.sort();
                return names;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// Polls a future up to `polls` times, each when it has asked for it, then drops it.
pub(crate) async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    let mut polled = 0;
    std::future::poll_fn(move |cx| {
        if polled == polls {
            return std::task::Poll::Ready(None);
        }
        polled += 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}
