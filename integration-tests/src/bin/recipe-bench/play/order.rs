//! One order: what to play, its sessions, and the meter between `ready` and `ok`.

use std::collections::BTreeMap;
use std::future::Future;
use std::io::BufRead as _;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;
use zk_client::Client;

use crate::Failure;

/// An order, as it was told.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) row: String,
    pub(super) path: String,
    pub(super) clients: usize,
    pub(super) count: usize,
    pub(super) time: Duration,
    hosts: String,
}

/// A measurement under way.
pub(super) struct Meter {
    pub(super) begun: Instant,
    cpu: Duration,
}

impl Order {
    pub(super) fn parse(hosts: &str, line: &str) -> Option<Self> {
        let mut words = line.split(' ').skip(1);
        let row = words.next()?.to_owned();
        let fields: BTreeMap<_, _> = words.filter_map(|word| word.split_once('=')).collect();
        Some(Self {
            row,
            path: (*fields.get("path")?).to_owned(),
            clients: fields.get("clients")?.parse().ok()?,
            count: fields.get("count")?.parse().ok()?,
            time: Duration::try_from_secs_f64(fields.get("seconds")?.parse().ok()?).ok()?,
            hosts: hosts.to_owned(),
        })
    }

    /// As many sessions as there are clients.
    pub(super) async fn connect(&self, timeout: Duration) -> Result<Vec<Client>, Failure> {
        let mut clients = Vec::with_capacity(self.clients);
        for _ in 0..self.clients {
            clients.push(Client::builder().session_timeout(timeout).connect(&self.hosts).await?);
        }
        Ok(clients)
    }

    /// Says that all is ready, and waits for the word. The runtime stands still meanwhile.
    pub(super) fn begin(&self) -> Result<Meter, Failure> {
        println!("ready");
        hear("go")?;
        Ok(Meter { begun: Instant::now(), cpu: cpu_time() })
    }

    /// Every client in a task of its own, turn after turn until the time is over. `player` makes what a client
    /// plays with, `turn` is one turn of it, told which.
    pub(super) async fn repeat<P, F>(
        &self,
        player: impl Fn(&Client, usize) -> P,
        turn: impl Fn(P, usize) -> F + Copy + Send + 'static,
    ) -> Result<(), Failure>
    where
        P: Clone + Send + Sync + 'static,
        F: Future<Output = Result<(), Failure>> + Send,
    {
        let clients = self.connect(SESSION_TIMEOUT).await?;
        let players: Vec<P> = clients.iter().enumerate().map(|(who, zk)| player(zk, who)).collect();
        let meter = self.begin()?;
        let until = meter.begun + self.time;
        let mut tasks = JoinSet::new();
        for player in players {
            tasks.spawn(async move {
                let mut done = 0;
                while Instant::now() < until {
                    turn(player.clone(), done).await?;
                    done += 1;
                }
                Ok(done)
            });
        }
        meter.end(all(tasks).await?, "")?;
        close(clients).await;
        Ok(())
    }
}

/// Of every session, unless the row says otherwise.
pub(super) const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

impl Meter {
    /// Says what was measured, and waits for the word.
    pub(super) fn end(self, count: usize, more: &str) -> Result<(), Failure> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let cpu = cpu_time().saturating_sub(self.cpu).as_micros();
        println!("ok count={count} seconds={seconds} cpu_us={cpu}{more}");
        hear("clear")
    }
}

/// The sum of what the tasks did; the others end with the first that fails.
pub(super) async fn all(mut tasks: JoinSet<Result<usize, Failure>>) -> Result<usize, Failure> {
    let mut sum = 0;
    while let Some(done) = tasks.join_next().await {
        sum += done??;
    }
    Ok(sum)
}

pub(super) async fn close(clients: Vec<Client>) {
    for client in clients {
        client.close().await;
    }
}

fn hear(wanted: &str) -> Result<(), Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    if line.trim() == wanted { Ok(()) } else { Err(format!("not {wanted}: {line}").into()) }
}

fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}
