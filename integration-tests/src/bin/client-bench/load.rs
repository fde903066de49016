//! The load: tasks that share one client, each with so many operations in flight.

use std::collections::VecDeque;
use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Failure;
use crate::contender::Contender;
use crate::table::Measured;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Reads 100 bytes.
    Get,
    /// Reads 1 KiB.
    GetKib,
    /// Writes 100 bytes.
    Set,
    /// Creates a sequential node of 100 bytes.
    Create,
}

/// How it is spread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Tasks.
    pub(crate) tasks: usize,
    /// Operations in flight of each.
    pub(crate) depth: usize,
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// What.
    pub(crate) op: Op,
    /// How spread.
    pub(crate) shape: Shape,
    /// How many in all.
    pub(crate) total: usize,
}

/// The value of small nodes.
pub(crate) static SMALL: [u8; 100] = [b'x'; 100];
/// The value of large ones.
pub(crate) static KIB: [u8; 1024] = [b'x'; 1024];
/// The node of small reads and writes.
pub(crate) const SMALL_NODE: &str = "/client-bench/small";
/// The node of large reads.
pub(crate) const KIB_NODE: &str = "/client-bench/kib";
/// Where nodes are created.
pub(crate) const CREATED: &str = "/client-bench/created/n-";

/// Latency is taken of one in so many pipelined operations.
pub(crate) const SAMPLED: usize = 16;

impl Load {
    pub(crate) fn name(self) -> String {
        let op = match self.op {
            Op::Get => "get",
            Op::GetKib => "get 1 KiB",
            Op::Set => "set",
            Op::Create => "create",
        };
        format!("{op}, {} x {}", self.shape.tasks, self.shape.depth)
    }
}

/// Runs the load on one client, and ends it.
pub(crate) async fn run<C: Contender>(client: C, load: Load) -> Result<Measured, Failure> {
    let share = load.total / load.shape.tasks;
    // Buffers grow and code pages come in before anything counts.
    lane(client.clone(), load.op, load.shape.depth, load.total / 50).await?;
    let meter = Measured::begin();
    let mut latencies = Vec::new();
    let mut tasks = JoinSet::new();
    for _ in 0..load.shape.tasks {
        tasks.spawn(lane(client.clone(), load.op, load.shape.depth, share));
    }
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    let measured = meter.end(share * load.shape.tasks, latencies);
    client.close().await;
    Ok(measured)
}

async fn lane<C: Contender>(client: C, op: Op, depth: usize, count: usize) -> Result<Vec<Duration>, Failure> {
    match op {
        Op::Get => pump(depth, count, || client.get(SMALL_NODE)).await,
        Op::GetKib => pump(depth, count, || client.get(KIB_NODE)).await,
        Op::Set => pump(depth, count, || client.set(SMALL_NODE, &SMALL)).await,
        Op::Create => pump(depth, count, || client.create(CREATED, &SMALL)).await,
    }
}

/// Keeps `depth` in flight until `count` are answered.
async fn pump<F>(depth: usize, count: usize, mut next: impl FnMut() -> F) -> Result<Vec<Duration>, Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let every = if depth == 1 { 1 } else { SAMPLED };
    let mut latencies = Vec::with_capacity(count / every + 1);
    let mut flying = VecDeque::with_capacity(depth);
    let mut asked = 0;
    loop {
        while asked < count && flying.len() < depth {
            let begun = (asked % every == 0).then(Instant::now);
            flying.push_back((begun, next()));
            asked += 1;
        }
        let Some((begun, answer)) = flying.pop_front() else { return Ok(latencies) };
        answer.await?;
        latencies.extend(begun.map(|begun| begun.elapsed()));
    }
}
