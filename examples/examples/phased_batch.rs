//! A nightly batch in three phases. Four workers begin each phase together and nobody goes on before all are done;
//! what they have done is counted by one number that all of them change. In the middle of the second phase a worker
//! dies. Its replacement joins the phase under way, and the batch goes on with four.
//!
//! `cargo run --release -p examples --example phased_batch` starts a server of its own; `--connect HOSTS` or
//! `ZK_CONNECT` names another, such as an Apache ZooKeeper.

use std::process::ExitCode;
use std::time::Duration;

use examples::{Failure, Narrator, Playground};
use integration_tests::session_killer;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use zk_client::Client;
use zk_recipes::{AtomicI64, DoubleBarrier, Released, SharedValue};

/// Where everything of this example lives.
const BATCH: &str = "/nightly-batch";
const PHASES: [&str; 3] = ["load", "join", "write"];
const WORKERS: usize = 4;
/// Records that a worker works off in a phase.
const RECORDS: i64 = 25;

#[tokio::main]
async fn main() -> ExitCode {
    examples::told("phased_batch", tell()).await
}

/// A worker as it is made: who it is, at which phase it begins, and when it is to die.
struct Worker {
    name: &'static str,
    hosts: String,
    from_phase: usize,
    /// Told where its session is when it stands in the middle of the second phase, where it stops working.
    dies: Option<oneshot::Sender<zk_client::SessionId>>,
    narrator: Narrator,
}

impl Worker {
    /// Works phase by phase. Returns how many records it has worked off and counted.
    async fn work(mut self) -> Result<i64, Failure> {
        let zk = Client::builder().session_timeout(Duration::from_secs(4)).connect(&self.hosts).await?;
        let barrier =
            DoubleBarrier::builder(&zk, format!("{BATCH}/phase"), WORKERS).identifier(self.name).build();
        let done = AtomicI64::builder(&zk, format!("{BATCH}/done")).tries(100).exact(true).build();
        let mut mine = 0;
        for (nth, phase) in PHASES.iter().enumerate().skip(self.from_phase) {
            let ticket = barrier.enter().await?;
            for record in 0..RECORDS {
                if nth == 1
                    && record == RECORDS / 2
                    && let Some(dies) = self.dies.take()
                {
                    self.narrator.say(format_args!("{} hangs in the middle of \"{phase}\"", self.name));
                    dies.send(ticket.session()).map_err(|_| "nobody listens")?;
                    // What is left of its work is its successor's.
                    let why = ticket.lost().await;
                    self.narrator.say(format_args!("{} hears that it is out: {why}", self.name));
                    return Ok(mine);
                }
                done.increment().await?;
                mine += 1;
            }
            self.narrator.say(format_args!("{} has done \"{phase}\"", self.name));
            match ticket.leave().await? {
                Released::Deleted => {}
                other => return Err(format!("{} was put out of \"{phase}\": {other:?}", self.name).into()),
            }
        }
        zk.close().await;
        Ok(mine)
    }
}

async fn tell() -> Result<(), Failure> {
    let playground = Playground::from_command_line().await?;
    let narrator = Narrator::begin();
    let hosts = playground.connect_string();
    let zk = Client::connect(&hosts).await?;
    zk.delete_recursive(BATCH).await.or_else(|e| if e.is_no_node() { Ok(0) } else { Err(e) })?;
    let settings = SharedValue::open(&zk, format!("{BATCH}/settings"), "region=eu").await?;
    narrator.say(format_args!(
        "the batch begins, with {}",
        String::from_utf8_lossy(&settings.get().value.unwrap_or_default())
    ));

    let (dies, died) = oneshot::channel();
    let mut dies = Some(dies);
    let mut workers = JoinSet::new();
    for name in ["ada", "ben", "cleo", "dan"] {
        let dies = if name == "dan" { dies.take() } else { None };
        workers.spawn(Worker { name, hosts: hosts.clone(), from_phase: 0, dies, narrator }.work());
    }

    // The operator: ends the session of the one who hangs, as its timeout would, and starts another.
    let session = died.await?;
    session_killer::end(&hosts, session).await?;
    narrator.say("dan's session is ended, and eve joins the phase under way");
    workers.spawn(Worker { name: "eve", hosts: hosts.clone(), from_phase: 1, dies: None, narrator }.work());

    let mut counted = 0;
    while let Some(done) = workers.join_next().await {
        counted += done??;
    }
    let done = AtomicI64::new(&zk, format!("{BATCH}/done")).get().await?;
    narrator.say(format_args!("{done} records were counted, {counted} were worked off"));
    if done != counted || counted < i64::try_from(WORKERS * PHASES.len())? * RECORDS {
        return Err("the numbers do not add up".into());
    }
    drop(settings);
    zk.delete_recursive(BATCH).await?;
    zk.close().await;
    Ok(())
}
