//! First figures: our server beside Apache ZooKeeper, same machine, same run, data on disk, fsync on.
//!
//! `cargo run --release -p integration-tests` prints get, set and create with 50 connections x 16 in flight (rate
//! and server CPU per operation), one request at a time, start to
//! first reply, memory with 100,000 znodes, and locks acquired and released.

mod load;
mod lock;

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Parser;
use integration_tests::our_server::{self, OurServer};
use integration_tests::peers::{JavaServer, Peers};
use integration_tests::process::{cpu_time, resident_bytes};
use load::{Op, Shape};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Compares our server with Apache ZooKeeper.
#[derive(Debug, Parser)]
struct Arguments {
    /// Seconds for each measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Measure only our server.
    #[arg(long)]
    ours_only: bool,
    /// Measure the server that listens here instead; memory and CPU are then left out.
    #[arg(long)]
    connect: Option<String>,
}

/// A server under test.
enum Server {
    Ours(OurServer),
    Java(JavaServer),
}

impl Server {
    fn hosts(&self) -> String {
        match self {
            Self::Ours(s) => s.hosts(),
            Self::Java(s) => s.hosts(),
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Ours(s) => s.pid(),
            Self::Java(s) => s.pid(),
        }
    }
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let time = Duration::from_secs(arguments.seconds);
    if let Some(hosts) = &arguments.connect {
        return runtime.block_on(async {
            rates(hosts, None, time).await?;
            locks(hosts, time).await
        });
    }
    our_server::binary()?;
    println!("# ours");
    runtime.block_on(all(time, |dir| OurServer::start(dir, "").map(Server::Ours)))?;
    if arguments.ours_only {
        return Ok(());
    }
    let Ok(peers) = Peers::find() else {
        println!("# no Apache ZooKeeper here; .ci/peers.sh installs one");
        return Ok(());
    };
    for version in peers.versions() {
        println!("# {version:?}");
        let start = |dir: &Path| JavaServer::start(&peers, version, dir, None).map(Server::Java);
        runtime.block_on(all(time, start))?;
    }
    Ok(())
}

async fn all(time: Duration, start: impl Fn(&Path) -> io::Result<Server>) -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let begun = Instant::now();
    let server = start(dir.path())?;
    drop(load::Session::open(&server.hosts()).await?);
    println!("start to first reply, empty      {:>10.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    println!("memory, idle                     {:>10.1} MB", megabytes(server.pid())?);
    let nodes = Shape { connections: 50, depth: 16, time, total: Some(100_000) };
    load::run(&server.hosts(), Op::Create, nodes).await?;
    println!("memory, 100,000 znodes           {:>10.1} MB", megabytes(server.pid())?);
    rates(&server.hosts(), Some(server.pid()), time).await?;
    locks(&server.hosts(), time).await
}

async fn rates(hosts: &str, pid: Option<u32>, time: Duration) -> Result<(), Failure> {
    for (connections, depth) in [(50, 16), (1, 256), (1, 1)] {
        for op in [Op::Get, Op::Set, Op::Create] {
            let before = pid.map(cpu_time).transpose()?;
            let (answered, took) =
                load::run(hosts, op, Shape { connections, depth, time, total: None }).await?;
            let rate = answered as f64 / took.as_secs_f64();
            let cpu = match (pid, before) {
                (Some(pid), Some(before)) => {
                    format!(
                        "{:>8.2} us CPU each",
                        (cpu_time(pid)? - before).as_secs_f64() * 1e6 / answered as f64
                    )
                }
                _ => String::new(),
            };
            let name = format!("{op:?}, {connections} x {depth} in flight");
            println!(
                "{name:<32} {rate:>10.0} /s {cpu}  ({:.0} us each)",
                1e6 / rate * (connections * depth) as f64
            );
        }
    }
    Ok(())
}

async fn locks(hosts: &str, time: Duration) -> Result<(), Failure> {
    for contenders in [1, 10, 50] {
        let rate = lock::rate(hosts, contenders, time).await?;
        println!("lock, {contenders:>2} contenders              {rate:>10.0} acquired and released /s");
    }
    Ok(())
}

fn megabytes(pid: u32) -> io::Result<f64> {
    Ok(resident_bytes(pid)? as f64 / 1e6)
}
