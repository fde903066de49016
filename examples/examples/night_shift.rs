//! What a fleet does at night. A report that one of three machines writes, whichever comes first; the machine is
//! switched off, and the report is still not written twice. Backups, of which two may run at a time. And the fleet's
//! chores, which every machine does in its turn, until one is told to stop in the middle.
//!
//! `cargo run --release -p examples --example night_shift` starts a server of its own; `--connect HOSTS` or
//! `ZK_CONNECT` names another, such as an Apache ZooKeeper.

use std::process::ExitCode;
use std::time::Duration;

use examples::{Failure, Narrator, Playground};
use tokio::sync::mpsc;
use zk_client::{Client, async_trait};
use zk_recipes::{
    LeaderSelector, LeaderSelectorListener, Leadership, MultiNonBlockingLease, NonBlockingLease,
};

const MACHINES: [&str; 3] = ["ada", "ben", "cyd"];
/// Longer than any clock of the fleet is off, and than the report takes.
const NIGHT: Duration = Duration::from_secs(8 * 3600);
const BACKUPS_AT_ONCE: usize = 2;

#[tokio::main]
async fn main() -> ExitCode {
    examples::told("night_shift", tell()).await
}

async fn tell() -> Result<(), Failure> {
    let playground = Playground::from_command_line().await?;
    let hosts = playground.connect_string();
    let narrator = Narrator::begin();
    narrator.say(format_args!("a ZooKeeper at {hosts}"));
    let desk = Client::connect(&hosts).await?;
    let root = desk.create("/night-shift/run-", "").sequential().parents().await?.path;
    report(&hosts, &root, narrator).await?;
    backups(&hosts, &root, narrator).await?;
    chores(&hosts, &root, narrator).await?;
    narrator.say("done");
    Ok(())
}

/// Once in a night, by one of them.
async fn report(hosts: &str, root: &str, narrator: Narrator) -> Result<(), Failure> {
    let mut written = 0;
    for machine in MACHINES {
        // Each comes up, looks, and is switched off again: a lease outlives the session that took it.
        let zk = Client::connect(hosts).await?;
        let report =
            NonBlockingLease::builder(&zk, format!("{root}/report"), NIGHT).identifier(machine).build();
        match report.obtain().await? {
            Some(_) => {
                narrator.say(format_args!("{machine} writes the report, and is switched off"));
                written += 1;
            }
            None => {
                let by = report.holder().await?.ok_or("nobody has written the report")?.identifier;
                narrator.say(format_args!("{machine} has nothing to write: the report is {by}'s"));
            }
        }
        zk.close().await;
    }
    if written == 1 { Ok(()) } else { Err(format!("{written} reports").into()) }
}

/// Two at a time; whoever is done lets the next one begin.
async fn backups(hosts: &str, root: &str, narrator: Narrator) -> Result<(), Failure> {
    let zk = Client::connect(hosts).await?;
    let of = |machine| {
        let one = NonBlockingLease::builder(&zk, format!("{root}/backups"), NIGHT).identifier(machine);
        MultiNonBlockingLease::of(BACKUPS_AT_ONCE, &one)
    };
    let [first, second, third] = MACHINES.map(of);
    let adas = first.obtain().await?.ok_or("ada may not make a backup")?;
    let bens = second.obtain().await?.ok_or("ben may not make a backup")?;
    narrator.say("ada and ben make their backups");
    if third.obtain().await?.is_some() {
        return Err("a third backup has begun".into());
    }
    narrator.say(format_args!("cyd waits: {BACKUPS_AT_ONCE} at a time are enough for the disks"));
    adas.relinquish().await?;
    let cyds = third.obtain().await?.ok_or("cyd may not make a backup")?;
    narrator.say("ada is done, cyd begins");
    bens.relinquish().await?;
    cyds.relinquish().await?;
    Ok(())
}

/// Does its part of the chores, says so, and lets the next one lead.
struct Chores {
    machine: &'static str,
    done: mpsc::Sender<&'static str>,
}

#[async_trait]
impl LeaderSelectorListener for Chores {
    async fn take_leadership(&self, leadership: &Leadership) {
        // Told before anything is done: what comes after may be stopped at any await.
        if self.done.send(self.machine).await.is_ok() && self.machine == "cyd" {
            // Never done: it is to be told by somebody else to stop.
            leadership.lost().await;
        }
    }
}

/// In turns, for as long as it is night.
async fn chores(hosts: &str, root: &str, narrator: Narrator) -> Result<(), Failure> {
    const TURNS: usize = 7;
    let (done, mut turns) = mpsc::channel(1);
    let mut fleet = Vec::new();
    for machine in MACHINES {
        let zk = Client::connect(hosts).await?;
        let chores = Chores { machine, done: done.clone() };
        let selector = LeaderSelector::builder(&zk, format!("{root}/chores"), chores);
        fleet.push((machine, selector.identifier(machine).auto_requeue(true).build().start()?));
    }
    let mut seen = [0; MACHINES.len()];
    for _ in 0..TURNS {
        let machine = turns.recv().await.ok_or("nobody does the chores")?;
        narrator.say(format_args!("{machine} does the chores"));
        let at = MACHINES.iter().position(|known| *known == machine).ok_or("a stranger does the chores")?;
        seen[at] += 1;
        if machine == "cyd" {
            let (_, cyd) = &fleet[at];
            cyd.interrupt_leadership();
            narrator.say("cyd takes too long, and is told to stop");
        }
    }
    if seen.contains(&0) {
        return Err(format!("somebody never had a turn: {seen:?}").into());
    }
    // Whoever stands in a turn that nobody listens to any more is let out of it.
    drop(turns);
    for (machine, selector) in &fleet {
        selector.close().await;
        narrator.say(format_args!("{machine} goes home"));
    }
    Ok(())
}
