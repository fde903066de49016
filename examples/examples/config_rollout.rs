//! A fleet's configuration is rolled out. Services read it under a read lock, many at once. The editor writes a new
//! edition alone, goes on as a reader to verify what was written, and no other editor gets in between. Then a change
//! that touches two regions is made under both of their locks, or not at all.
//!
//! `cargo run --release -p examples --example config_rollout` starts a server of its own; `--connect HOSTS` or
//! `ZK_CONNECT` names another, such as an Apache ZooKeeper.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use examples::{Failure, Narrator, Playground};
use tokio::task::JoinSet;
use zk_client::Client;
use zk_recipes::{MultiLock, RwLock};

/// Where everything of this example lives.
const ROOT: &str = "/config-rollout";

/// The settings of one service; both must be of one edition.
const SETTINGS: [&str; 2] = ["pool-size", "timeout"];

const REGIONS: [&str; 3] = ["eu", "us", "ap"];

const SERVICES: usize = 4;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    examples::told("config_rollout", tell()).await
}

async fn tell() -> Result<(), Failure> {
    let playground = Playground::from_command_line().await?;
    let hosts = playground.connect_string();
    let narrator = Narrator::begin();
    narrator.say(format_args!("a ZooKeeper at {hosts}"));
    let zk = Client::connect(&hosts).await?;
    set_up(&zk).await?;
    roll_out(&zk, &hosts, narrator).await?;
    move_capacity(&zk, &hosts, narrator).await?;
    zk.close().await;
    narrator.say("done");
    Ok(())
}

async fn set_up(zk: &Client) -> Result<(), Failure> {
    let settings = SETTINGS.map(|name| (format!("{ROOT}/settings/{name}"), "edition 1"));
    let regions = REGIONS.map(|name| (format!("{ROOT}/capacity/{name}"), "100"));
    for (path, value) in settings.into_iter().chain(regions) {
        match zk.create(&path, value).parents().await {
            // Left by an earlier run.
            Err(e) if e.is_node_exists() => drop(zk.set(&path, value).await?),
            made => drop(made?),
        }
    }
    Ok(())
}

/// What both settings say; an error when they are not of one edition.
async fn edition(zk: &Client) -> Result<String, Failure> {
    let mut editions = Vec::new();
    for name in SETTINGS {
        let node = zk.get(format!("{ROOT}/settings/{name}")).await?;
        editions.push(String::from_utf8_lossy(&node.data).into_owned());
        // Long enough to be caught by a writer that did not wait.
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    if editions[0] == editions[1] {
        Ok(editions.swap_remove(0))
    } else {
        Err(format!("half a rollout was seen: {editions:?}").into())
    }
}

/// Services read while an editor writes; nobody sees half of it.
async fn roll_out(zk: &Client, hosts: &str, narrator: Narrator) -> Result<(), Failure> {
    narrator.say(format_args!("{SERVICES} services read their settings, together"));
    let (together, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let rolled_out = Arc::new(AtomicUsize::new(0));
    let mut services = JoinSet::new();
    for _ in 0..SERVICES {
        let (hosts, together, most) = (hosts.to_owned(), Arc::clone(&together), Arc::clone(&most));
        let rolled_out = Arc::clone(&rolled_out);
        services.spawn(async move {
            let zk = Client::connect(&hosts).await?;
            let lock = RwLock::new(&zk, format!("{ROOT}/lock"));
            // Until the last edition has been seen.
            loop {
                let last = rolled_out.load(Ordering::SeqCst) == 3;
                let reading = lock.read().await?;
                let readers = together.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(readers, Ordering::SeqCst);
                let seen = edition(&zk).await;
                together.fetch_sub(1, Ordering::SeqCst);
                let seen = seen?;
                reading.release().await?;
                if last {
                    zk.close().await;
                    return Ok::<_, Failure>(seen);
                }
            }
        });
    }

    let lock = RwLock::builder(zk, format!("{ROOT}/lock")).identifier("the editor").build();
    for number in 2..=3 {
        let writing = lock.write_within(PATIENCE).await?;
        let (first, second) = (SETTINGS.map(|name| format!("{ROOT}/settings/{name}"))).into();
        let text = format!("edition {number}");
        // One after the other: the lock is what makes it one change. Each is refused if we are not the writer.
        writing.transaction()?.set(first, text.clone()).commit().await?;
        tokio::time::sleep(Duration::from_millis(10)).await;
        writing.transaction()?.set(second, text.clone()).commit().await?;
        narrator.say(format_args!("{text} is written, under token {}", writing.fencing_token()));
        let reading = writing.downgrade().await?;
        let verified = edition(zk).await?;
        if verified != text {
            return Err(format!("{text} was written and {verified} read, under the lock").into());
        }
        narrator.say(format_args!("{text} is verified, while the services read it already"));
        reading.release().await?;
        rolled_out.store(number, Ordering::SeqCst);
    }
    while let Some(service) = services.join_next().await {
        let seen = service??;
        if seen != "edition 3" {
            return Err(format!("a service went on with {seen}").into());
        }
    }
    narrator.say(format_args!(
        "every service is on edition 3; at most {} read at once, and none saw half of one",
        most.load(Ordering::SeqCst)
    ));
    Ok(())
}

/// Movers shift capacity between regions, each under the locks of two: the sum stays.
async fn move_capacity(zk: &Client, hosts: &str, narrator: Narrator) -> Result<(), Failure> {
    narrator.say("");
    narrator.say("three movers shift capacity between two regions each, in a ring");
    let mut movers = JoinSet::new();
    for n in 0..REGIONS.len() {
        let hosts = hosts.to_owned();
        movers.spawn(async move {
            let zk = Client::connect(&hosts).await?;
            let (from, to) = (REGIONS[n], REGIONS[(n + 1) % REGIONS.len()]);
            // Named in a ring, taken in one order: nobody waits for ever.
            let both = MultiLock::new(&zk, [from, to].map(|region| format!("{ROOT}/locks/{region}")));
            for _ in 0..3 {
                let guard = both.acquire_within(PATIENCE).await?;
                let (less, more) = (capacity(&zk, from).await? - 10, capacity(&zk, to).await? + 10);
                guard
                    .transaction()?
                    .set(format!("{ROOT}/capacity/{from}"), less.to_string())
                    .set(format!("{ROOT}/capacity/{to}"), more.to_string())
                    .commit()
                    .await?;
                guard.release().await?;
            }
            zk.close().await;
            Ok::<_, Failure>(())
        });
    }
    while let Some(mover) = movers.join_next().await {
        mover??;
    }
    let mut left = Vec::new();
    for region in REGIONS {
        left.push(capacity(zk, region).await?);
    }
    if left != [100; 3] {
        return Err(format!("capacity was lost or made up: {left:?}").into());
    }
    narrator.say("nine moves later every region has what it had: none was lost, none was made twice");
    Ok(())
}

async fn capacity(zk: &Client, region: &str) -> Result<i64, Failure> {
    let node = zk.get(format!("{ROOT}/capacity/{region}")).await?;
    Ok(std::str::from_utf8(&node.data)?.parse()?)
}
