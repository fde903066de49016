//! The leader latch under faults of the network: what it costs in requests and events, and that lost answers, cut
//! connections and a silent network leave neither a second leader, nor none, nor a forgotten node.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::future::Future;
use std::time::Duration;

use integration_tests::proxy::{Message, Pick, Proxy};
use integration_tests::targets::{Failure, PATIENCE};
use tokio::time::Instant;
use zk_client::{Client, SessionState};
use zk_proto::{OpCode, path};
use zk_recipes::{CloseMode, Error, LeaderLatch, LeaderState, LossPolicy, LossReason, Outcome, RunningLatch};
use zk_server::EmbeddedServer;

type Done = Result<(), Failure>;

const PATH: &str = "/app/scheduler";
const LONG: Duration = Duration::from_secs(10);

struct Stage {
    server: EmbeddedServer,
    proxy: Proxy,
    /// Beside the proxy.
    direct: Client,
    /// Through the proxy.
    zk: Client,
}

async fn stage(timeout: Duration) -> Result<Stage, Failure> {
    let server = EmbeddedServer::start().await?;
    let proxy = Proxy::before(server.connect_string()).await?;
    let direct = Client::connect(&server.connect_string()).await?;
    let zk = Client::builder().session_timeout(timeout).connect(&proxy.hosts()).await?;
    direct.create(PATH, "").parents().await?;
    Ok(Stage { server, proxy, direct, zk })
}

fn start(zk: &Client) -> RunningLatch {
    LeaderLatch::new(zk, PATH).start().unwrap()
}

/// Waits for something that must happen.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}

async fn becomes(latch: &RunningLatch, what: impl Fn(&LeaderState) -> bool) -> u64 {
    let mut state = latch.state();
    soon(state.wait_for(|status| what(&status.state))).await.unwrap().generation
}

fn follows(state: &LeaderState) -> bool {
    matches!(state, LeaderState::Follower { .. })
}

async fn one_leads(one: &RunningLatch, other: &RunningLatch) {
    soon(async {
        while one.is_leader() == other.is_leader() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn candidates(zk: &Client, count: usize) -> Vec<String> {
    soon(async {
        loop {
            let names = zk.get_children(PATH).await.unwrap().names;
            if names.len() == count {
                return names;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
}

/// Operations asked for since the last call, pings aside, and how many events came.
fn take_counts(proxy: &Proxy) -> (Vec<OpCode>, usize) {
    let record = proxy.take_record();
    let ops = record.iter().filter_map(Message::requested).filter(|op| *op != OpCode::Ping).collect();
    (ops, record.iter().filter(|m| m.is_event()).count())
}

/// Loses the request, or its answer, and the connection with it.
fn losses(proxy: &Proxy, op: OpCode) -> [Pick<'_>; 2] {
    [proxy.on_reply(op), proxy.on_request(op)]
}

/// Also Curator's testCorrectWatching: one watch each, and no herd.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_costs() -> Done {
    use OpCode::{Create2, Delete, Exists, GetChildren2, GetData, Sync};
    let Stage { server: _server, proxy, direct, zk } = stage(LONG).await?;
    take_counts(&proxy);

    let latch = start(&zk);
    soon(latch.wait_leader()).await?;
    // Leads long enough for the watch on its own node, whose answer comes before that of the next request.
    let watched = |m: &Message| m.requested() == Some(GetData);
    soon(proxy.seen(1, watched)).await;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![Create2, GetChildren2, GetData, Exists], 0), "to lead");
    soon(latch.close(CloseMode::Silent)).await?;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![Delete, Exists], 1), "to leave; one event, of the own node");

    let (first, second) = (start(&direct), Client::connect(&proxy.hosts()).await?);
    soon(first.wait_leader()).await?;
    let middle = LeaderLatch::new(&direct, PATH).start()?;
    becomes(&middle, follows).await;
    take_counts(&proxy);
    let third = start(&zk);
    becomes(&third, follows).await;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![Create2, GetChildren2, GetData, Exists], 0), "to follow");
    first.close(CloseMode::Silent).await?;
    soon(middle.wait_leader()).await?;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![Exists], 0), "the third in line hears nothing of the first");
    middle.close(CloseMode::Silent).await?;
    let old = soon(third.wait_leader()).await?;
    soon(proxy.seen(1, watched)).await;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![GetChildren2, GetData, Exists], 1), "one event, one list");

    // A leader whose connection is cut looks for its node, and stands on it: nothing is made anew.
    second.close().await;
    proxy.cut_all();
    assert_eq!(soon(old.lost()).await, LossReason::Disconnected);
    soon(third.wait_leader()).await?;
    soon(proxy.seen(2, watched)).await;
    zk.exists("/").await?;
    let (mut ops, events) = take_counts(&proxy);
    ops.retain(|op| !matches!(op, OpCode::CloseSession | OpCode::SetWatches | OpCode::SetWatches2 | Exists));
    assert_eq!((ops, events), (vec![Sync, GetChildren2, GetData, GetData], 0), "to lead again");
    Ok(())
}

/// Also Curator's testResetRace: what a lost answer hides is found, by the session that owns it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_create_is_found_again_or_made_again() -> Done {
    let Stage { server: _server, proxy, direct, zk } = stage(LONG).await?;
    for lost in losses(&proxy, OpCode::Create2) {
        let cut = lost.cut_before();
        let latch = start(&zk);
        let leadership = soon(latch.wait_leader()).await?;
        assert_eq!(cut.times(), 1);
        let names = candidates(&direct, 1).await;
        assert_eq!(path::name(leadership.node()), names[0]);
        let stat = direct.get(leadership.node()).await?.stat;
        assert_eq!(
            (stat.czxid, stat.ephemeral_owner),
            (leadership.fencing_token().czxid(), leadership.session())
        );
        latch.close(CloseMode::Silent).await?;
        candidates(&direct, 0).await;
    }
    // Closed before anybody looked: found by its name, and deleted.
    for lost in losses(&proxy, OpCode::Create2) {
        let cut = lost.cut_before();
        let latch = start(&zk);
        soon(cut.acted()).await;
        soon(latch.close(CloseMode::Silent)).await?;
        soon(zk.session_state().wait_for(SessionState::is_connected)).await?;
        candidates(&direct, 0).await;
    }
    Ok(())
}

/// The session ends while the answer to the create is lost: the node that is about to vanish is never stood upon
/// (C-696), and there is one new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_the_last_session_is_never_stood_upon() -> Done {
    let Stage { server, proxy, direct, zk } = stage(LONG).await?;
    let session = zk.session_id().unwrap();
    let cut = proxy.on_reply(OpCode::Create2).cut_before();
    // Nobody comes back before the session is over.
    let held = proxy.on_greeting().hold();
    let latch = start(&zk);
    soon(cut.acted()).await;
    soon(held.acted()).await;
    let ghost = candidates(&direct, 1).await.remove(0);
    assert!(server.expire_session(session).await);
    held.release();
    let leadership = soon(latch.wait_leader()).await?;
    assert_ne!(leadership.session(), session);
    assert_ne!(path::name(leadership.node()), ghost);
    candidates(&direct, 1).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_delete_is_seen_through() -> Done {
    let Stage { server: _server, proxy, direct, zk } = stage(LONG).await?;
    for lost in losses(&proxy, OpCode::Delete) {
        let latch = start(&zk);
        let leadership = soon(latch.wait_leader()).await?;
        let cut = lost.cut_before();
        let outcome = soon(latch.close(CloseMode::NotifyLeader)).await;
        assert!(matches!(outcome, Err(Error::ReleasePending { .. })), "{outcome:?}");
        assert_eq!(cut.times(), 1);
        assert!(!leadership.is_held());
        candidates(&direct, 0).await;
    }
    Ok(())
}

/// Curator's testLeadershipElectionWhenNodeDisappearsAfterChildrenAreRetrieved and testWatchedNodeDeletedOnReconnect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_predecessor_that_goes_unseen_leaves_nobody_waiting() -> Done {
    let Stage { server: _server, proxy, direct, zk } = stage(LONG).await?;
    // Between the list and the watch on it.
    let first = start(&direct);
    soon(first.wait_leader()).await?;
    let held = proxy.on_request(OpCode::GetData).hold();
    let second = start(&zk);
    soon(held.acted()).await;
    first.close(CloseMode::Silent).await?;
    held.release();
    soon(second.wait_leader()).await?;

    // While the follower is away.
    second.close(CloseMode::Silent).await?;
    let first = start(&direct);
    soon(first.wait_leader()).await?;
    let second = start(&zk);
    becomes(&second, follows).await;
    zk.exists("/").await?;
    proxy.refuse();
    proxy.cut_all();
    becomes(&second, |state| *state == LeaderState::Suspended).await;
    first.close(CloseMode::Silent).await?;
    candidates(&direct, 1).await;
    proxy.heal();
    soon(second.wait_leader()).await?;
    Ok(())
}

/// Curator's testNoServerAtStart and testProperCloseWithoutConnectionEstablished.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn started_without_a_server_it_leads_later_or_is_closed_at_once() -> Done {
    let Stage { server: _server, proxy, direct, zk } = stage(LONG).await?;
    proxy.refuse();
    proxy.cut_all();
    soon(zk.session_state().wait_for(|state| !state.is_connected())).await?;
    let (later, never) = (start(&zk), start(&zk));
    becomes(&later, |state| *state == LeaderState::Suspended).await;
    soon(never.close(CloseMode::Silent)).await?;
    proxy.heal();
    soon(later.wait_leader()).await?;
    candidates(&direct, 1).await;
    Ok(())
}

/// Cut again and again, in the middle of whatever is under way; Curator's testWithCircuitBreaker in its way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_often_the_connection_breaks_one_leads_on_its_node() -> Done {
    let Stage { server: _server, proxy, direct, zk } = stage(LONG).await?;
    let (first, second) = (start(&zk), start(&zk));
    one_leads(&first, &second).await;
    let mut before = candidates(&direct, 2).await;
    let mut generation = 0;
    for op in [OpCode::Sync, OpCode::GetChildren2, OpCode::GetData, OpCode::GetChildren2, OpCode::Sync] {
        let cut = proxy.on_request(op).cut_before();
        proxy.cut_all();
        soon(cut.acted()).await;
        let now = first.state().borrow().generation;
        assert!(now >= generation, "generations never go back");
        generation = now;
        one_leads(&first, &second).await;
    }
    let mut after = candidates(&direct, 2).await;
    before.sort();
    after.sort();
    assert_eq!(before, after, "nobody lost its place");
    Ok(())
}

/// Nobody is told anything: no end of the stream, no answer. The leader stops before the next one leads, by either
/// policy, and comes back as a follower.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_deadline_comes_before_the_next_leader() -> Done {
    for policy in [LossPolicy::Standard, LossPolicy::Session] {
        let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_millis(1500)).await?;
        let old = LeaderLatch::builder(&zk, PATH).loss_policy(policy).build().start()?;
        let leadership = soon(old.wait_leader()).await?;
        let next = start(&direct);
        becomes(&next, follows).await;
        let stopped = tokio::spawn({
            let leadership = leadership.clone();
            async move { (leadership.run(std::future::pending::<()>()).await, Instant::now()) }
        });
        proxy.half_open();
        soon(next.wait_leader()).await?;
        let led = Instant::now();
        assert!(!old.is_leader() && !leadership.is_held());
        let (outcome, at) = soon(stopped).await?;
        assert!(matches!(outcome, Err(Error::Lost { .. })), "{outcome:?}");
        assert!(at < led, "stopped {:?} after the next one led", at - led);
        proxy.heal();
        becomes(&old, follows).await;
        candidates(&direct, 2).await;
        assert!(next.is_leader() && !old.is_leader());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_election_hears_of_a_cut_connection_and_leaves_nothing() -> Done {
    let Stage { server: _server, proxy, direct, zk } = stage(LONG).await?;
    let election = zk_recipes::Election::new(&zk, PATH);
    let work = |_| async {
        proxy.cut_all();
        std::future::pending::<()>().await;
    };
    let outcome = soon(election.run(work)).await?;
    assert_eq!(outcome, Outcome::LostLeadership(LossReason::Disconnected));
    candidates(&direct, 0).await;
    Ok(())
}
