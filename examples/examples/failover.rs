//! A scheduler in several processes, one of them active. The active one is killed, and another takes over. Then the
//! active one is stopped for longer than its session lives, and woken: it finds that it does not lead any more, and
//! what it was about to write is refused.
//!
//! `cargo run --release -p examples --example failover` starts a server of its own; `--connect HOSTS` or `ZK_CONNECT`
//! names another, such as an Apache ZooKeeper. The processes are this very program, run again.

use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use examples::{Failure, Narrator, Playground};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use zk_client::Client;
use zk_recipes::{CloseMode, LeaderLatch, LeaderState, Leadership, Participant};

/// Where everything of this example lives.
const ROOT: &str = "/failover";
/// What we ask for. A server may insist on more: Apache ZooKeeper on 4 seconds, as it is configured usually.
const SESSION_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a scheduler works on one thing.
const WORK: Duration = Duration::from_millis(50);
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A scheduler that fails over.
#[derive(Debug, Parser)]
struct Arguments {
    /// The ZooKeeper to use, as host:port,host:port/chroot. Without it the example starts its own.
    #[arg(long, env = "ZK_CONNECT")]
    connect: Option<String>,
    /// Be one of the schedulers, by this name, instead of the one who tells the story.
    #[arg(long, requires = "connect")]
    scheduler: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match (arguments.scheduler, arguments.connect) {
        // For as long as it is let live.
        (Some(name), Some(hosts)) => examples::ended("failover", schedule(&name, &hosts).await),
        (_, connect) => examples::told("failover", tell(connect)).await,
    }
}

/// One scheduler: leads or follows, and says so on its standard output, a line at a time.
async fn schedule(name: &str, hosts: &str) -> Result<(), Failure> {
    let zk = Client::builder().session_timeout(SESSION_TIMEOUT).connect(hosts).await?;
    if let Some(session) = zk.session_state().borrow().session() {
        println!("session {}", session.timeout.as_millis());
    }
    let latch = LeaderLatch::builder(&zk, format!("{ROOT}/leader")).identifier(name).build().start()?;
    let mut state = latch.state();
    tokio::spawn(async move {
        while state.changed().await.is_ok() {
            if let LeaderState::Follower { .. } = state.borrow_and_update().state {
                println!("follows");
            }
        }
    });
    let working = async {
        loop {
            let leadership = latch.wait_leader().await?;
            println!("leads {}", leadership.fencing_token().get());
            lead(name, &leadership).await;
        }
    };
    tokio::select! {
        ended = working => ended,
        // Nobody listens any more: leave in good order, so that nobody has to wait for the session to end.
        () = end_of_input() => {
            latch.close(CloseMode::Silent).await?;
            zk.close().await;
            Ok(())
        }
    }
}

async fn end_of_input() {
    let (end, ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = end.send(());
    });
    let _ = ended.await;
}

/// Works until leadership is lost.
async fn lead(name: &str, leadership: &Leadership) {
    for job in 1.. {
        // Decide on what to do now, and find out how it went. Whatever happens to this process meanwhile, what is
        // written then is written only if it still leads.
        let work = async {
            let begun = leadership.transaction()?;
            tokio::time::sleep(WORK).await;
            begun.set(format!("{ROOT}/plan"), format!("{name} {job}")).commit().await
        };
        match work.await {
            Ok(_) => println!("done {job}"),
            Err(refused) => {
                println!("refused {refused}");
                break;
            }
        }
    }
    println!("lost {}", leadership.lost().await);
    // A careless one would write on. Whoever takes writes outside of ZooKeeper refuses them by their token.
    println!("late {}", leadership.fencing_token().get());
}

/// A scheduler's process, and what it says.
struct Scheduler {
    name: &'static str,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    timeout: Duration,
}

impl Scheduler {
    async fn start(name: &'static str, hosts: &str) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--scheduler", name, "--connect", hosts])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
        let mut scheduler = Self { name, child, lines, timeout: Duration::ZERO };
        let timeout = scheduler.says("session").await?;
        scheduler.timeout = Duration::from_millis(timeout.parse()?);
        Ok(scheduler)
    }

    /// Waits until it says `what`, and returns the rest of that line.
    async fn says(&mut self, what: &str) -> Result<String, Failure> {
        let waiting = async {
            while let Some(line) = self.lines.next_line().await? {
                if let Some(rest) = line.strip_prefix(what) {
                    return Ok(rest.trim().to_owned());
                }
            }
            Err(format!("{} ended before it said '{what}'", self.name).into())
        };
        let late = |_| -> Failure { format!("{} never said '{what}'", self.name).into() };
        tokio::time::timeout(PATIENCE, waiting).await.map_err(late)?
    }

    async fn leads(&mut self) -> Result<i64, Failure> {
        Ok(self.says("leads").await?.parse()?)
    }

    fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok(kill_process(id.ok_or("the process is gone")?, signal)?)
    }
}

async fn tell(connect: Option<String>) -> Result<(), Failure> {
    let playground = Playground::open(connect).await?;
    let hosts = playground.connect_string();
    let narrator = Narrator::begin();
    narrator.say(format_args!("a ZooKeeper at {hosts}"));
    let zk = Client::connect(&hosts).await?;
    match zk.create(format!("{ROOT}/plan"), "").parents().await {
        Err(e) if e.is_node_exists() => {}
        made => drop(made?),
    }

    let mut ada = Scheduler::start("ada", &hosts).await?;
    let adas = ada.leads().await?;
    narrator.say(format_args!("ada leads, by token {adas:#x}; her session lives {:?}", ada.timeout));
    let mut ben = Scheduler::start("ben", &hosts).await?;
    ben.says("follows").await?;
    narrator.say("ben follows");
    ada.says("done 3").await?;
    narrator.say("ada has done three things");

    ada.child.kill().await?;
    let killed = Instant::now();
    narrator.say("ada is killed");
    let bens = ben.leads().await?;
    narrator.say(format_args!("ben leads, by token {bens:#x}, {:?} after", killed.elapsed()));
    if bens <= adas {
        return Err("a later leader has a smaller token".into());
    }
    ben.says("done 3").await?;
    let mut cyd = Scheduler::start("cyd", &hosts).await?;
    cyd.says("follows").await?;
    narrator.say("ben works; cyd follows");

    ben.signal(Signal::STOP)?;
    narrator.say("ben is stopped, as by a debugger or a very busy machine: his process, not his plans");
    let cyds = cyd.leads().await?;
    cyd.says("done 1").await?;
    narrator.say(format_args!("cyd leads, by token {cyds:#x}, and works"));
    if cyds <= bens {
        return Err("a later leader has a smaller token".into());
    }
    ben.signal(Signal::CONT)?;
    narrator.say("ben is woken, in the middle of what he was about to write");
    let refused = ben.says("refused").await?;
    narrator.say(format_args!("it is refused: {refused}"));
    let lost = ben.says("lost").await?;
    narrator.say(format_args!("and ben knows: {lost}"));
    let late: i64 = ben.says("late").await?.parse()?;
    if late >= cyds {
        return Err("the late token is not smaller".into());
    }
    narrator.say(format_args!("anybody else would refuse his token, {late:#x}, who has seen {cyds:#x}"));
    ben.says("follows").await?;
    narrator.say("ben follows");

    let written = zk.get(format!("{ROOT}/plan")).await?;
    let written = String::from_utf8_lossy(&written.data).into_owned();
    if !written.starts_with("cyd") {
        return Err(format!("the plan is '{written}', and cyd leads").into());
    }
    let latch = LeaderLatch::new(&zk, format!("{ROOT}/leader"));
    let line: Vec<String> = latch.participants().await?.iter().map(Participant::identifier).collect();
    if line != ["cyd", "ben"] {
        return Err(format!("the line is {line:?}").into());
    }
    narrator.say(format_args!("the plan says '{written}'; in line: {}", line.join(", ")));
    for mut scheduler in [ben, cyd] {
        drop(scheduler.child.stdin.take());
        if !scheduler.child.wait().await?.success() {
            return Err(format!("{} did not end well", scheduler.name).into());
        }
    }
    if !latch.participants().await?.is_empty() {
        return Err("somebody is still in line".into());
    }
    zk.close().await;
    narrator.say("done");
    Ok(())
}
