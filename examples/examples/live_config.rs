//! A service keeps its settings live: every change under one node reaches it within a round trip, and what was changed
//! while its connection was cut is not missed.
//!
//! `cargo run --release -p examples --example live_config` starts a server of its own; `--connect HOSTS` or
//! `ZK_CONNECT` names another, such as an Apache ZooKeeper 3.6 or later.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use examples::{Failure, Playground};
use integration_tests::proxy::Proxy;
use tokio::sync::watch;
use zk_client::{Client, EventType, SessionState, WatchItem, WatchStream};

/// Where the settings live.
const ROOT: &str = "/live-config";

/// Settings by name.
type Settings = BTreeMap<String, String>;

/// All there are now.
async fn read_all(zk: &Client) -> Result<Settings, Failure> {
    let mut settings = Settings::new();
    let mut nodes = zk.walk(ROOT).with_data();
    while let Some(node) = nodes.next().await.transpose()? {
        if let Some(name) = node.path.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/')) {
            let value = node.data.unwrap_or_default();
            settings.insert(name.to_owned(), String::from_utf8_lossy(&value).into_owned());
        }
    }
    Ok(settings)
}

/// Keeps `shown` true for as long as the stream lives. The stream was opened before the first read, so nothing falls
/// between the two.
async fn follow(zk: Client, mut changes: WatchStream, shown: watch::Sender<Settings>) -> Result<(), Failure> {
    shown.send_replace(read_all(&zk).await?);
    while let Some(change) = changes.next().await {
        match change? {
            WatchItem::Resync => {
                println!("service:  may have missed something, reads all again");
                shown.send_replace(read_all(&zk).await?);
            }
            WatchItem::Event(event) => {
                let Some(name) = event.path.strip_prefix(&format!("{ROOT}/")).map(str::to_owned) else {
                    continue;
                };
                let value = match event.event_type {
                    EventType::NodeDeleted => None,
                    _ => match zk.get(&event.path).await {
                        Ok(node) => Some(String::from_utf8_lossy(&node.data).into_owned()),
                        // Deleted since: that event is on its way.
                        Err(error) if error.is_no_node() => None,
                        Err(error) => return Err(error.into()),
                    },
                };
                println!("service:  {name} is now {value:?}");
                shown.send_modify(|settings| match value {
                    Some(value) => drop(settings.insert(name, value)),
                    None => drop(settings.remove(&name)),
                });
            }
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::told("live_config", tell()).await
}

async fn tell() -> Result<(), Failure> {
    let playground = Playground::from_command_line().await?;
    let hosts = playground.connect_string();
    // The service's connection goes through something that can be cut.
    let network = Proxy::before(hosts.clone()).await?;

    let operator = Client::connect(&hosts).await?;
    operator.delete_recursive(ROOT).await.or_else(|e| if e.is_no_node() { Ok(0) } else { Err(e) })?;
    operator.ensure_path(ROOT).await?;
    operator.upsert(format!("{ROOT}/timeout"), "5s").await?;

    let zk = Client::connect(&network.hosts()).await?;
    let (show, mut shown) = watch::channel(Settings::new());
    let changes = zk.watch(ROOT).recursive().await?;
    let service = tokio::spawn(follow(zk.clone(), changes, show));
    expect(&mut shown, "timeout", Some("5s")).await?;

    println!("operator: sets timeout to 3s");
    operator.set(format!("{ROOT}/timeout"), "3s").await?;
    expect(&mut shown, "timeout", Some("3s")).await?;

    println!("network:  the service's connection is cut");
    let mut state = zk.session_state();
    network.refuse();
    network.cut_all();
    state.wait_for(|state| !state.is_connected()).await?;
    println!("operator: removes timeout, sets retries to 9");
    operator.delete(format!("{ROOT}/timeout")).await?;
    operator.upsert(format!("{ROOT}/retries"), "9").await?;
    println!("network:  heals");
    network.heal();
    state.wait_for(SessionState::is_connected).await?;
    expect(&mut shown, "retries", Some("9")).await?;
    expect(&mut shown, "timeout", None).await?;
    println!("service:  {:?}", *shown.borrow());

    zk.close().await;
    // The stream ends with the client, and says so.
    let end = service.await?;
    println!("service:  {}", end.err().map_or_else(|| "done".to_owned(), |e| e.to_string()));
    operator.delete_recursive(ROOT).await?;
    operator.close().await;
    Ok(())
}

/// Waits until the service shows this.
async fn expect(
    shown: &mut watch::Receiver<Settings>,
    name: &str,
    value: Option<&str>,
) -> Result<(), Failure> {
    let seen = shown.wait_for(|settings| settings.get(name).map(String::as_str) == value);
    tokio::time::timeout(Duration::from_secs(30), seen)
        .await
        .map_err(|_| format!("{name} is not {value:?}"))??;
    Ok(())
}
