//! A service comes up for the first time, and its database needs a schema. Two operators' jobs stand for election to
//! make it; the web servers wait behind a barrier until it is there. The job that was elected dies half way, and the
//! other one goes on where it stopped. Then the web servers open as many connections as a shared count allows, and a
//! counter tells how many are open in all.
//!
//! `cargo run --release -p examples --example first_start` starts a server of its own; `--connect HOSTS` or
//! `ZK_CONNECT` names another, such as an Apache ZooKeeper.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use examples::{Failure, Narrator, Playground};
use integration_tests::session_killer;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use zk_client::{Client, SessionId};
use zk_recipes::counter::KazooCounter;
use zk_recipes::{Barrier, Election, Leadership, Outcome, SharedCount};

/// What the schema takes, one after the other and each once.
const STEPS: [&str; 4] = ["tables", "indexes", "rights", "users"];
/// The step in which the first one to be elected dies.
const FATAL: &str = "indexes";
const WEB_SERVERS: [&str; 3] = ["web-1", "web-2", "web-3"];
const CONNECTIONS_EACH: i32 = 5;

/// Where everything of this run lives, so that it may run again on the same server.
#[derive(Debug, Clone)]
struct Places {
    election: String,
    gate: String,
    schema: String,
    connections_each: String,
    connections: String,
}

impl Places {
    fn below(root: &str) -> Self {
        let place = |name: &str| format!("{root}/{name}");
        Self {
            election: place("migration"),
            gate: place("no-schema-yet"),
            schema: place("schema"),
            connections_each: place("connections-each"),
            connections: place("connections"),
        }
    }
}

/// Whose session is about to end. One of them, the first to tell.
struct Danger(Mutex<Option<oneshot::Sender<SessionId>>>);

impl Danger {
    /// Whether it is us.
    fn tell(&self, session: SessionId) -> bool {
        let first = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.is_some_and(|first| first.send(session).is_ok())
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::told("first_start", tell()).await
}

async fn tell() -> Result<(), Failure> {
    let playground = Playground::from_command_line().await?;
    let hosts = playground.connect_string();
    let narrator = Narrator::begin();
    narrator.say(format_args!("a ZooKeeper at {hosts}"));
    let desk = Client::connect(&hosts).await?;
    let root = desk.create("/first-start/run-", "").sequential().parents().await?.path;
    let places = Places::below(&root);
    desk.create(&places.schema, "").await?;
    Barrier::new(&desk, &places.gate).set().await?;
    let limit = SharedCount::open(&desk, &places.connections_each, CONNECTIONS_EACH).await?;
    narrator.say("the gate is shut: there is no schema yet");

    let mut web = JoinSet::new();
    for name in WEB_SERVERS {
        web.spawn(serve(name, Client::connect(&hosts).await?, places.clone(), narrator));
    }
    let (in_danger, danger) = oneshot::channel();
    let in_danger = Arc::new(Danger(Mutex::new(Some(in_danger))));
    let mut jobs = JoinSet::new();
    for name in ["ada", "ben"] {
        let zk = Client::connect(&hosts).await?;
        jobs.spawn(migrate(name, zk, places.clone(), in_danger.clone(), narrator));
    }
    let doomed = danger.await?;
    let server = hosts.split('/').next().unwrap_or_default().split(',').next().unwrap_or_default();
    session_killer::end(server, doomed).await?;

    while let Some(ended) = jobs.join_next().await {
        ended??;
    }
    while let Some(ended) = web.join_next().await {
        ended??;
    }
    for step in STEPS {
        let made = desk.get(format!("{}/{step}", places.schema)).await?;
        narrator.say(format_args!("{step} were made by {}", String::from_utf8_lossy(&made.data)));
    }
    let open = KazooCounter::new(&desk, &places.connections).get().await?;
    narrator.say(format_args!("{open} connections are open"));
    let allowed = limit.get().count.ok_or("nobody says how many connections there may be")?;
    if open.0 != i64::from(allowed) * WEB_SERVERS.len() as i64 {
        return Err("that is not what was allowed".into());
    }
    narrator.say("done");
    Ok(())
}

/// A job that makes the schema if it is elected before anybody else has made it.
async fn migrate(
    name: &'static str,
    zk: Client,
    places: Places,
    in_danger: Arc<Danger>,
    narrator: Narrator,
) -> Result<(), Failure> {
    let election = Election::builder(&zk, &places.election).identifier(name).build();
    loop {
        let gate = Barrier::new(&zk, &places.gate);
        let (zk, places, in_danger) = (&zk, &places, &in_danger);
        let work = async move |leadership: Leadership| {
            if !gate.is_set().await? {
                narrator.say(format_args!("{name} is elected, and there is nothing left to do"));
                return Ok(());
            }
            narrator.say(format_args!("{name} is elected, as {}", leadership.fencing_token()));
            for step in STEPS {
                let path = format!("{}/{step}", places.schema);
                if zk.exists(&path).await?.is_some() {
                    narrator.say(format_args!("{name}: {step} are there already"));
                    continue;
                }
                if step == FATAL && in_danger.tell(leadership.session()) {
                    narrator.say(format_args!("{name} dies over the {step}"));
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
                // Refused by the server if somebody else leads by now.
                leadership.transaction()?.create(path, name).commit().await?;
            }
            gate.remove().await?;
            narrator.say(format_args!("{name} has opened the gate"));
            Ok::<_, Failure>(())
        };
        match election.run(work).await? {
            Outcome::Finished(done) => return done,
            Outcome::LostLeadership(why) => narrator.say(format_args!("{name} was stopped: {why}")),
            Outcome::Cancelled => return Ok(()),
        }
    }
}

/// A web server: nothing before there is a schema, then so many connections to the database.
async fn serve(name: &'static str, zk: Client, places: Places, narrator: Narrator) -> Result<(), Failure> {
    Barrier::new(&zk, &places.gate).wait().await?;
    let allowed = SharedCount::open(&zk, &places.connections_each, 1).await?.get().count.unwrap_or(1);
    let change = KazooCounter::new(&zk, &places.connections).add(i64::from(allowed).into()).await?;
    narrator.say(format_args!("{name} opens {allowed} connections, which makes {}", change.after));
    Ok(())
}
