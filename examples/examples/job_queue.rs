//! A job queue with retries: a worker dies in the middle of a job and another one finishes it; a job that fails every
//! time goes to a queue of dead letters after three attempts; results are written together with the
//! acknowledgement, so that each is there once.
//!
//! `cargo run --release -p examples --example job_queue` starts a server of its own; `--connect HOSTS` or
//! `ZK_CONNECT` names another, such as an Apache ZooKeeper.

use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use examples::{Failure, Narrator, Playground};
use integration_tests::session_killer;
use zk_client::Acl;
use zk_client::{Client, CreateMode};
use zk_recipes::queue::{Delivery, WorkQueue, encode_items};

/// Attempts after which a job is given up.
const ATTEMPTS_MAX: u32 = 3;

/// What is in the queue: what to do, and how often that has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Job {
    failed: u32,
    picture: String,
}

impl Job {
    fn new(picture: &str) -> Self {
        Self { failed: 0, picture: picture.to_owned() }
    }

    fn encode(&self) -> Bytes {
        format!("{} {}", self.failed, self.picture).into()
    }

    fn decode(data: &[u8]) -> Result<Self, Failure> {
        let (failed, picture) = std::str::from_utf8(data)?.split_once(' ').ok_or("no job")?;
        Ok(Self { failed: failed.parse()?, picture: picture.to_owned() })
    }

    /// The work itself. Some pictures are broken.
    async fn resize(&self) -> Result<String, String> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if self.picture.starts_with("broken") {
            return Err(format!("{} is no picture", self.picture));
        }
        Ok(format!("a small {}", self.picture))
    }
}

/// Where everything of this run lives, so that it may run again on the same server.
#[derive(Debug, Clone)]
struct Places {
    jobs: String,
    dead: String,
    results: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    examples::told("job_queue", tell()).await
}

async fn tell() -> Result<(), Failure> {
    let playground = Playground::from_command_line().await?;
    let hosts = playground.connect_string();
    let narrator = Narrator::begin();
    narrator.say(format_args!("a ZooKeeper at {hosts}"));
    let desk = Client::connect(&hosts).await?;
    let root = desk.create("/job-queue/run-", "").sequential().parents().await?.path;
    let places = Places {
        jobs: format!("{root}/jobs"),
        dead: format!("{root}/dead"),
        results: format!("{root}/results"),
    };
    desk.create(&places.results, "").await?;
    desk.create(&places.dead, "").await?;

    let jobs = WorkQueue::new(&desk, &places.jobs);
    let pictures = ["cat", "dog", "broken fish", "horse", "cow"];
    jobs.put_many(pictures.map(|picture| Job::new(picture).encode())).await?;
    narrator.say(format_args!("{} pictures are to be made small", pictures.len()));

    // Ada takes the first one, and dies over it.
    let ada = Client::connect(&hosts).await?;
    let adas = WorkQueue::new(&ada, &places.jobs).take().await?;
    narrator.say(format_args!("ada works on the {}", Job::decode(&adas.data())?.picture));
    let lost = adas.lost();
    let server = hosts.split('/').next().unwrap_or_default().split(',').next().unwrap_or_default();
    session_killer::end(server, ada.session_id().ok_or("ada has no session")?).await?;
    let reason = tokio::time::timeout(Duration::from_secs(30), lost).await?;
    narrator.say(format_args!("ada's session is ended in the middle of it: {reason}"));

    // Ben and cyd do the rest, and hers.
    let mut workers = tokio::task::JoinSet::new();
    for name in ["ben", "cyd"] {
        let zk = Client::connect(&hosts).await?;
        workers.spawn(work(name, zk, places.clone(), narrator));
    }
    let all_done = async {
        loop {
            let results = desk.get_children(&places.results).await?.names.len();
            let dead = desk.get_children(&places.dead).await?.names.len();
            if results + dead == pictures.len() {
                return Ok::<_, Failure>((results, dead));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let done = tokio::select! {
        done = tokio::time::timeout(Duration::from_secs(30), all_done) => done??,
        ended = workers.join_next() => {
            return Err(format!("a worker has ended: {ended:?}").into());
        }
    };
    workers.shutdown().await;
    if done != (4, 1) {
        return Err(format!("{done:?} results and dead letters").into());
    }

    // Ada wakes up, and knows nothing of all that.
    let late = adas.transaction().create(format!("{}/cat-again", places.results), "").commit_and_ack().await;
    match late {
        Err(refused) => narrator.say(format_args!("ada wakes up and wants to write her result: {refused}")),
        Ok(_) => return Err("ada wrote a result of a job that was not hers any more".into()),
    }
    let letter = WorkQueue::new(&desk, &places.dead).try_take().await?.ok_or("no dead letter")?;
    let job = Job::decode(&letter.data())?;
    narrator.say(format_args!("a dead letter: {}, failed {} times", job.picture, job.failed));
    if job.failed != ATTEMPTS_MAX {
        return Err("given up too early or too late".into());
    }
    letter.ack().await?;
    for picture in ["cat", "dog", "horse", "cow"] {
        let result = desk.get(format!("{}/{picture}", places.results)).await?;
        narrator.say(format_args!("result: {}", String::from_utf8_lossy(&result.data)));
    }
    if !jobs.is_empty().await? {
        return Err("something is left in the queue".into());
    }
    narrator.say("done");
    Ok(())
}

/// One job after another, for as long as anybody lets us.
async fn work(name: &'static str, zk: Client, places: Places, narrator: Narrator) -> Result<(), Failure> {
    let jobs = WorkQueue::new(&zk, &places.jobs);
    loop {
        let delivery = jobs.take().await?;
        let job = Job::decode(&delivery.data())?;
        // Whoever has lost a job stops.
        let outcome = tokio::select! {
            biased;
            reason = delivery.lost() => {
                narrator.say(format_args!("{name} has lost the {}: {reason}", job.picture));
                continue;
            }
            outcome = job.resize() => outcome,
        };
        match outcome {
            Ok(result) => {
                let path = format!("{}/{}", places.results, job.picture);
                delivery.transaction().create(path, result).commit_and_ack().await?;
                narrator.say(format_args!("{name} has made the {} small", job.picture));
            }
            Err(why) => {
                let job = Job { failed: job.failed + 1, ..job };
                narrator.say(format_args!("{name} could not ({} of {ATTEMPTS_MAX}): {why}", job.failed));
                if job.failed < ATTEMPTS_MAX {
                    delivery.requeue(Some(job.encode())).await?;
                } else {
                    bury(delivery, &job, &places.dead).await?;
                }
            }
        }
    }
}

/// Moves a job to the dead letters: it is in one of the two queues at any time, and never in both.
async fn bury(delivery: Delivery, job: &Job, dead: &str) -> Result<(), Failure> {
    let letter = encode_items(&[job.encode()]);
    let path = format!("{dead}/queue-");
    let moved =
        delivery.transaction().create_with(path, letter, CreateMode::PersistentSequential, Acl::open());
    moved.commit_and_ack().await?;
    Ok(())
}
