//! Watch notifications: one-shot watches on many nodes, all of them fired, heard, and set again.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::contender::Contender;
use crate::raw::{self, Socket};
use crate::table::{Measured, Row, cpu_time_of_thread};
use crate::{Arguments, Failure, ours};

/// How often all of them are fired in one measurement.
const TURNS: usize = 20;

pub(crate) async fn rounds(hosts: &str, watched: usize, arguments: &Arguments) -> Result<Row, Failure> {
    let mut row = Row::new();
    let wanted = |name: &str| arguments.contender.as_deref().is_none_or(|only| only == name);
    for _ in 0..arguments.rounds {
        if wanted("raw") {
            row.raw.push(by_socket(hosts, watched).await?);
        }
        if wanted("ours") {
            row.ours.push(by_client(ours::connect(hosts).await?, hosts, watched).await?);
        }
        #[cfg(feature = "rivals")]
        if wanted("rival") {
            row.rival.push(by_client(crate::rival::connect(hosts).await?, hosts, watched).await?);
        }
    }
    Ok(row)
}

async fn by_client<C: Contender>(client: C, hosts: &str, watched: usize) -> Result<Measured, Failure> {
    let nodes: Vec<String> = (0..watched).map(raw::watched).collect();
    let mut foreign = Duration::ZERO;
    let meter = Measured::begin();
    for _ in 0..TURNS {
        let asked: Vec<_> = nodes.iter().map(|node| client.watch(node)).collect();
        let mut armed = Vec::with_capacity(watched);
        for answer in asked {
            armed.push(answer.await?);
        }
        let fired = fire(hosts, watched);
        for changed in armed {
            changed.await?;
        }
        foreign += fired.await??;
    }
    let measured = meter.end_without(foreign, watched * TURNS, Vec::new());
    client.close().await;
    Ok(measured)
}

async fn by_socket(hosts: &str, watched: usize) -> Result<Measured, Failure> {
    let arming: Vec<u8> = (0..watched).flat_map(|at| raw::get(&raw::watched(at), true)).collect();
    let mut socket = Socket::open(hosts).await?;
    let mut foreign = Duration::ZERO;
    let meter = Measured::begin();
    for _ in 0..TURNS {
        socket.write(&arming).await?;
        let mut armed = 0;
        while armed < watched {
            armed += socket.take(false).await?.0;
        }
        let fired = fire(hosts, watched);
        let mut heard = 0;
        while heard < watched {
            heard += socket.take(false).await?.1;
        }
        foreign += fired.await??;
    }
    Ok(meter.end_without(foreign, watched * TURNS, Vec::new()))
}

/// Sets every node from a thread of its own, and says what CPU time that took.
fn fire(hosts: &str, watched: usize) -> oneshot::Receiver<Result<Duration, Failure>> {
    let (done, outcome) = oneshot::channel();
    let hosts = hosts.to_owned();
    std::thread::spawn(move || {
        // Whoever asked may have failed meanwhile.
        let _gone = done.send(set_all(&hosts, watched));
    });
    outcome
}

fn set_all(hosts: &str, watched: usize) -> Result<Duration, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut socket = Socket::open(hosts).await?;
        for at in 0..watched {
            socket.write(&raw::set(&raw::watched(at))).await?;
        }
        let mut answered = 0;
        while answered < watched {
            answered += socket.take(false).await?.0;
        }
        Ok(cpu_time_of_thread())
    })
}
