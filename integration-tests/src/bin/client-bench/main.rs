//! What one client costs: ours beside a raw socket that only moves frames, and beside the crates.io
//! `zookeeper-client` (feature `rivals`), on the same server in the same run.
//!
//! ```text
//! RUST_LOG=warn cargo run --release -p integration-tests --features rivals --bin client-bench
//! ```
//!
//! The contenders take turns, round by round, and the median of the rounds is printed: rate, latency, CPU time of
//! this process for each operation, and two ratios, ours to the raw loop's rate and the rival's CPU to ours. The
//! server is our own, in a process of its own; `ZK_CONNECT` names another one.

mod contender;
mod load;
mod ours;
mod raw;
#[cfg(feature = "rivals")]
mod rival;
mod table;
mod watching;

use clap::Parser;
use integration_tests::our_server::OurServer;
use load::{Load, Op, Shape};
use table::Row;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Compares clients.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Operations in one pipelined measurement; a tenth of it one at a time, a quarter of it
    /// when they change something.
    #[arg(long, default_value_t = 400_000)]
    operations: usize,
    /// Measurements of each contender; the median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Worker threads of the runtime; 0 runs everything on one thread.
    #[arg(long, default_value_t = 0)]
    workers: usize,
    /// Only rows whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Only this contender (raw, ours, rival), for a profiler.
    #[arg(long)]
    contender: Option<String>,
}

/// Nodes watched at a time.
const WATCHED: usize = 1000;

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let given = std::env::var("ZK_CONNECT").ok().filter(|hosts| !hosts.is_empty());
    let dir = tempfile::tempdir()?;
    let server = if given.is_none() { Some(OurServer::start(dir.path(), "")?) } else { None };
    let hosts = match (&server, given) {
        (Some(server), _) => server.hosts(),
        (None, given) => given.unwrap_or_default(),
    };
    let mut builder = match arguments.workers {
        0 => tokio::runtime::Builder::new_current_thread(),
        workers => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
    };
    let runtime = builder.enable_all().build()?;
    println!("server {hosts}, {} rounds, workers {}", arguments.rounds, arguments.workers);
    runtime.block_on(compare(&hosts, &arguments))
}

async fn compare(hosts: &str, arguments: &Arguments) -> Result<(), Failure> {
    raw::prepare(hosts, WATCHED).await?;
    Row::head();
    let shapes =
        [Shape { tasks: 1, depth: 1 }, Shape { tasks: 1, depth: 256 }, Shape { tasks: 50, depth: 16 }];
    for op in [Op::Get, Op::GetKib, Op::Set, Op::Create] {
        for shape in shapes {
            let load = Load { op, shape, total: total(op, shape, arguments.operations) };
            if load.name().contains(&arguments.only) {
                rounds(hosts, load, arguments).await?.print(&load.name());
            }
        }
    }
    let name = "watch notifications";
    if name.contains(&arguments.only) {
        watching::rounds(hosts, WATCHED, arguments).await?.print(name);
    }
    Ok(())
}

/// One at a time takes longer, and created nodes stay.
fn total(op: Op, shape: Shape, operations: usize) -> usize {
    let total = if shape.tasks * shape.depth == 1 { operations / 10 } else { operations };
    let total = if matches!(op, Op::Set | Op::Create) { total / 4 } else { total };
    total.max(shape.tasks)
}

async fn rounds(hosts: &str, load: Load, arguments: &Arguments) -> Result<Row, Failure> {
    let mut row = Row::new();
    let wanted = |name: &str| arguments.contender.as_deref().is_none_or(|only| only == name);
    for _ in 0..arguments.rounds {
        if wanted("raw") {
            row.raw.push(raw::run(hosts, load).await?);
        }
        if wanted("ours") {
            row.ours.push(load::run(ours::connect(hosts).await?, load).await?);
        }
        #[cfg(feature = "rivals")]
        if wanted("rival") {
            row.rival.push(load::run(rival::connect(hosts).await?, load).await?);
        }
    }
    Ok(row)
}
