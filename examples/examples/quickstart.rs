//! Three workers share one lock. They take turns; then the holder's session dies in mid-work, the next one takes
//! over, and what the old one still tries to write is refused.
//!
//! `cargo run --release -p examples --example quickstart` starts a server of its own; `--connect HOSTS` or
//! `ZK_CONNECT` names another, such as an Apache ZooKeeper.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use examples::{Failure, Narrator, Playground};
use integration_tests::session_killer;
use zk_client::Client;
use zk_recipes::{FencingToken, Lock};

/// Where everything of this example lives.
const ROOT: &str = "/quickstart";

/// Something outside ZooKeeper that only the holder may write to. It remembers the highest fencing token it has seen
/// and refuses lower ones: the one defence that needs no clock.
#[derive(Debug, Default)]
struct Ledger(Mutex<Option<FencingToken>>);

impl Ledger {
    fn write(&self, token: FencingToken) -> Result<(), String> {
        let mut highest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *highest {
            Some(seen) if token < seen => Err(format!("token {token} is older than {seen}")),
            _ => {
                *highest = Some(token);
                Ok(())
            }
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::told("quickstart", tell()).await
}

async fn tell() -> Result<(), Failure> {
    let playground = Playground::from_command_line().await?;
    let hosts = playground.connect_string();
    let narrator = Narrator::begin();
    narrator.say(format_args!("a ZooKeeper at {hosts}"));

    let setup = Client::connect(&hosts).await?;
    let ledger_path = format!("{ROOT}/ledger");
    match setup.create(&ledger_path, "nobody").parents().await {
        Err(e) if e.is_node_exists() => {}
        made => drop(made?),
    }
    let ledger = Arc::new(Ledger::default());

    narrator.say("three workers, two turns each; the lock decides who works");
    let mut workers = tokio::task::JoinSet::new();
    for name in ["ada", "ben", "cyd"] {
        workers.spawn(take_turns(name, hosts.clone(), Arc::clone(&ledger), narrator));
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }

    narrator.say("");
    narrator.say("now dan takes the lock, eve waits, and dan's session dies in mid-work");
    let (dan, eve) = (Client::connect(&hosts).await?, Client::connect(&hosts).await?);
    let dans = Lock::new(&dan, format!("{ROOT}/lock")).acquire().await?;
    let dans_token = dans.fencing_token();
    ledger.write(dans_token)?;
    narrator.say(format_args!("dan holds the lock, token {dans_token}"));

    let eves_lock = Lock::new(&eve, format!("{ROOT}/lock"));
    let waiting = tokio::spawn(async move { eves_lock.acquire().await });
    let session = dan.session_id().ok_or("dan has no session")?;
    let server = hosts.split('/').next().unwrap_or_default().split(',').next().unwrap_or_default();
    session_killer::end(server, session).await?;
    narrator.say("dan's session is ended behind his back");

    let reason = tokio::time::timeout(Duration::from_secs(30), dans.lost()).await?;
    narrator.say(format_args!("dan is told: the lock is lost, {reason}"));
    let eves = tokio::time::timeout(Duration::from_secs(30), waiting).await???;
    narrator.say(format_args!("eve holds the lock, token {}", eves.fencing_token()));
    ledger.write(eves.fencing_token())?;

    // Dan was paused, say, and has not looked at what he was told.
    match ledger.write(dans_token) {
        Err(refused) => narrator.say(format_args!("dan's late write to the ledger is refused: {refused}")),
        Ok(()) => return Err("the ledger took a stale write".into()),
    }
    match dans.transaction() {
        Err(refused) => narrator.say(format_args!("and so is one to ZooKeeper: {refused}")),
        Ok(_) => return Err("a lost lock gave out a transaction".into()),
    }
    eves.transaction()?.set(&ledger_path, "eve").commit().await?;
    narrator.say("eve's write is taken");
    eves.release().await?;
    for client in [dan, eve, setup] {
        client.close().await;
    }
    narrator.say("done");
    Ok(())
}

async fn take_turns(
    name: &'static str,
    hosts: String,
    ledger: Arc<Ledger>,
    narrator: Narrator,
) -> Result<(), Failure> {
    let zk = Client::connect(&hosts).await?;
    let lock = Lock::new(&zk, format!("{ROOT}/lock"));
    for turn in 1..=2 {
        let guard = lock.acquire().await?;
        narrator.say(format_args!("{name} holds the lock, token {}", guard.fencing_token()));
        ledger.write(guard.fencing_token())?;
        // The work itself.
        tokio::time::sleep(Duration::from_millis(20)).await;
        narrator.say(format_args!("{name} is done with turn {turn}"));
        guard.release().await?;
    }
    zk.close().await;
    Ok(())
}
