//! Five training jobs share three GPUs. Each takes a permit, trains, and returns it; one job asks for two GPUs at
//! once. Then a worker crashes in mid-training: its permit comes back by itself, and the next job in line gets it.
//! An operator sees at any time who holds what.
//!
//! `cargo run --release -p examples --example gpu_pool` starts a server of its own; `--connect HOSTS` or `ZK_CONNECT`
//! names another, such as an Apache ZooKeeper.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use examples::{Failure, Narrator, Playground};
use integration_tests::session_killer;
use zk_client::Client;
use zk_recipes::Semaphore;

/// Where everything of this example lives.
const POOL: &str = "/gpu-pool";

/// How many there are.
const GPUS: u32 = 3;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    examples::told("gpu_pool", tell()).await
}

/// The pool as one worker sees it; its permits say whose they are.
fn pool(zk: &Client, worker: &str) -> Semaphore {
    Semaphore::builder(zk, POOL).permits(GPUS).identifier(worker).build()
}

async fn tell() -> Result<(), Failure> {
    let playground = Playground::from_command_line().await?;
    let hosts = playground.connect_string();
    let narrator = Narrator::begin();
    narrator.say(format_args!("a ZooKeeper at {hosts}, and a pool of {GPUS} GPUs"));

    let in_use = Arc::new(AtomicU32::new(0));
    let mut jobs = tokio::task::JoinSet::new();
    for (worker, gpus) in [("ada", 1), ("ben", 1), ("cyd", 2), ("dan", 1), ("eve", 1)] {
        jobs.spawn(train(worker, gpus, hosts.clone(), Arc::clone(&in_use), narrator));
    }
    while let Some(done) = jobs.join_next().await {
        done??;
    }

    narrator.say("");
    narrator.say("now fay, gus and hal train for long, ivy waits, and gus crashes");
    let mut long = Vec::new();
    for worker in ["fay", "gus", "hal"] {
        let zk = Client::connect(&hosts).await?;
        let permit = pool(&zk, worker).acquire().await?;
        long.push((zk, permit));
    }
    let ivy = Client::connect(&hosts).await?;
    let ivys = pool(&ivy, "ivy");
    let waiting = tokio::spawn(async move { ivys.acquire().await });
    let operator = Client::connect(&hosts).await?;
    let view = Semaphore::new(&operator, POOL, GPUS);
    tokio::time::timeout(PATIENCE, async {
        while view.participants().await?.len() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<_, Failure>(())
    })
    .await??;
    show(&view, narrator).await?;

    let (_, gus) = long.get(1).ok_or("gus has no permit")?;
    let server = hosts.split('/').next().unwrap_or_default().split(',').next().unwrap_or_default();
    session_killer::end(server, gus.session()).await?;
    let reason = tokio::time::timeout(PATIENCE, gus.lost()).await?;
    narrator.say(format_args!("gus is told: the permit is lost, {reason}"));
    match gus.transaction() {
        Err(refused) => {
            narrator.say(format_args!("and what gus still writes under it is refused: {refused}"));
        }
        Ok(_) => return Err("a lost permit gave out a transaction".into()),
    }
    let ivys = tokio::time::timeout(PATIENCE, waiting).await???;
    narrator.say(format_args!("ivy has the GPU, token {}", ivys.fencing_token()));
    show(&view, narrator).await?;
    let holders: Vec<String> =
        view.holders().await?.iter().map(zk_recipes::Participant::identifier).collect();
    if holders != ["fay", "hal", "ivy"] {
        return Err(format!("the wrong ones hold: {holders:?}").into());
    }

    ivys.release().await?;
    for (zk, permit) in long {
        permit.release().await?;
        zk.close().await;
    }
    narrator.say(format_args!("{} of {GPUS} GPUs are free again", view.available().await?));
    if view.available().await? != GPUS {
        return Err("a permit did not come back".into());
    }
    ivy.close().await;
    operator.close().await;
    narrator.say("done");
    Ok(())
}

async fn train(
    worker: &'static str,
    gpus: u32,
    hosts: String,
    in_use: Arc<AtomicU32>,
    narrator: Narrator,
) -> Result<(), Failure> {
    let zk = Client::connect(&hosts).await?;
    let permits = pool(&zk, worker).acquire_many(gpus).await?;
    let now = in_use.fetch_add(gpus, Ordering::SeqCst) + gpus;
    narrator.say(format_args!("{worker} trains on {gpus}; {now} of {GPUS} are in use"));
    if now > GPUS {
        return Err(format!("{now} GPUs in use, and there are {GPUS}").into());
    }
    // The work itself: stopped at once if the permits are lost.
    permits.run(tokio::time::sleep(Duration::from_millis(30))).await?;
    in_use.fetch_sub(gpus, Ordering::SeqCst);
    permits.release().await?;
    zk.close().await;
    Ok(())
}

/// What an operator sees.
async fn show(view: &Semaphore, narrator: Narrator) -> Result<(), Failure> {
    for participant in view.participants().await? {
        let what = if participant.admitted { "holds" } else { "waits" };
        narrator.say(format_args!(
            "    {} {what}, session {}",
            participant.identifier(),
            participant.session
        ));
    }
    Ok(())
}
