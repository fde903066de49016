//! The leader latch: how long after one leader's close, or death, the next one leads.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use zk_client::Client;
use zk_recipes::{CloseMode, LeaderLatch, RunningLatch};

use super::order::{Order, SESSION_TIMEOUT, close};
use crate::Failure;

/// How long a line is left alone before its leader goes.
const SETTLED: Duration = Duration::from_millis(5);
/// Of a process that is going to be killed.
const SHORT_SESSION: Duration = Duration::from_secs(2);

/// One candidate, and when it led.
type Led = (usize, Instant);

/// Each time the leader closes, and becomes a candidate again once another one leads.
pub(super) async fn closed(order: &Order) -> Result<(), Failure> {
    let clients = order.connect(SESSION_TIMEOUT).await?;
    let (leads, mut led) = mpsc::channel(order.clients);
    let mut latches = Vec::new();
    for (who, zk) in clients.iter().enumerate() {
        latches.push(Some(candidate(zk, &order.path, who, leads.clone())?));
    }
    let (mut leader, _) = led.recv().await.ok_or("nobody leads")?;
    let meter = order.begin()?;
    let mut samples = Vec::with_capacity(order.count);
    for _ in 0..order.count {
        while LeaderLatch::new(&clients[0], order.path.as_str()).participants().await?.len() < order.clients {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(SETTLED).await;
        let latch = latches[leader].take().ok_or("a leader that is not a candidate")?;
        let begun = Instant::now();
        let (closing, next) = tokio::join!(latch.close(CloseMode::Silent), led.recv());
        closing?;
        let (next, at) = next.ok_or("nobody leads")?;
        samples.push(at.duration_since(begun).as_micros().to_string());
        latches[leader] = Some(candidate(&clients[leader], &order.path, leader, leads.clone())?);
        leader = next;
    }
    meter.end(order.count, &format!(" samples={}", samples.join(",")))?;
    drop(latches);
    close(clients).await;
    Ok(())
}

/// Starts a candidate that tells when it leads.
fn candidate(zk: &Client, path: &str, who: usize, leads: mpsc::Sender<Led>) -> Result<RunningLatch, Failure> {
    let latch = LeaderLatch::builder(zk, path).identifier(format!("candidate {who}")).build().start()?;
    let mut state = latch.state();
    tokio::spawn(async move {
        if state.wait_for(|status| status.is_leader()).await.is_ok() {
            // Whoever measured may be gone.
            let _gone = leads.send((who, Instant::now())).await;
        }
    });
    Ok(latch)
}

/// Stands in line until it is killed.
pub(super) async fn stand(order: &Order) -> Result<(), Failure> {
    let clients = order.connect(SHORT_SESSION).await?;
    // Ends with whoever started it.
    std::thread::spawn(|| {
        let mut line = String::new();
        while std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {}
        std::process::exit(0);
    });
    let zk = clients.first().ok_or("no client")?;
    let latch = LeaderLatch::new(zk, order.path.as_str()).start()?;
    while latch.participants().await?.iter().all(|other| other.session != session(zk)) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("ready");
    let _leadership = latch.wait_leader().await?;
    println!("leads");
    std::future::pending().await
}

fn session(zk: &Client) -> zk_proto::SessionId {
    zk.session_state().borrow().session().map_or(zk_proto::SessionId::NONE, |info| info.id)
}
