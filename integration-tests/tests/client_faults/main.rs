//! What the client claims of lost connections, lost requests, lost answers and watches, shown with the fault proxy
//! on the embedded server and on every Apache ZooKeeper that is installed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod cuts;
mod dropped;
mod load;
mod lost;
mod silence;
mod streams;
mod volume;
mod watches;

use std::future::Future;

use integration_tests::targets::{Failure, PATIENCE};
use zk_client::{Client, SessionInfo, SessionState};

type Outcome = Result<(), Failure>;

/// Waits for something that must happen.
async fn soon<T>(what: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, what).await.map_err(|_| Failure::from("it never happened"))
}

/// Waits until the client is connected.
async fn connected(zk: &Client) -> Result<SessionInfo, Failure> {
    let mut state = zk.session_state();
    let state = *soon(state.wait_for(SessionState::is_connected)).await??;
    state.session().ok_or_else(|| "connected without a session".into())
}

/// Waits until the client knows that it is not connected.
async fn disconnected(zk: &Client) -> Outcome {
    let mut state = zk.session_state();
    soon(state.wait_for(|state| !state.is_connected())).await??;
    Ok(())
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Waits until no more than `before` tasks are left.
async fn only_tasks(before: usize) -> Outcome {
    soon(async {
        while tasks() > before {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    })
    .await
    .map_err(|_| format!("{} tasks are left over", tasks() - before).into())
}
