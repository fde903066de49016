//! Queues under faults of the network: what they cost in requests and events, and that lost answers, lost requests and
//! a silent network lose no item, do none twice, and leave no claim behind.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::future::Future;
use std::time::Duration;

use integration_tests::proxy::{Kind, Message, Pick, Proxy};
use integration_tests::session_killer;
use integration_tests::targets::{Failure, PATIENCE};
use zk_client::{Client, SessionState};
use zk_proto::OpCode;
use zk_recipes::queue::{SimpleQueue, WorkQueue};
use zk_recipes::{Error, LossReason};
use zk_server::EmbeddedServer;

type Outcome = Result<(), Failure>;

const PATH: &str = "/app/jobs";
const CLAIMS: &str = "/app/jobs-claims";

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
    Ok(Stage { server, proxy, direct, zk })
}

/// Waits for something that must happen.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}

/// Waits until there are exactly `count` children.
async fn children(zk: &Client, path: &str, count: usize) {
    soon(async {
        loop {
            let names = match zk.get_children(path).await {
                Ok(list) => list.names,
                Err(e) if e.is_no_node() => Vec::new(),
                Err(e) => panic!("{e}"),
            };
            if names.len() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

async fn connected(zk: &Client) {
    soon(zk.session_state().wait_for(SessionState::is_connected)).await.unwrap();
}

/// Operations asked for since the last call, pings aside, and how many events came.
fn take_counts(proxy: &Proxy) -> (Vec<OpCode>, usize) {
    let record = proxy.take_record();
    let ops = record.iter().filter_map(Message::requested).filter(|op| *op != OpCode::Ping).collect();
    (ops, record.iter().filter(|m| m.is_event()).count())
}

fn queue(zk: &Client) -> WorkQueue {
    WorkQueue::new(zk, PATH)
}

/// Loses the answer, or the request, and the connection with it.
fn losses(proxy: &Proxy, op: OpCode) -> [Pick<'_>; 2] {
    [proxy.on_reply(op), proxy.on_request(op)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_costs() -> Outcome {
    use OpCode::{Create2, Delete, Exists, GetChildren2, GetData, Multi};
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let jobs = queue(&zk);
    // Makes the parents.
    jobs.put("warm").await?;
    jobs.take().await?.ack().await?;
    let settled = async || {
        zk.exists("/").await.unwrap();
    };
    settled().await;
    take_counts(&proxy);

    jobs.put("a").await?;
    assert_eq!(take_counts(&proxy), (vec![Create2], 0));
    queue(&direct).put_many(["b", "c", "d"]).await?;
    let first = jobs.take().await?;
    settled().await;
    let looked = vec![GetChildren2, GetChildren2, Create2, GetData, Exists];
    assert_eq!(take_counts(&proxy), (looked, 1), "items and claims in one flight, claim and item in another");
    let second = jobs.take().await?;
    settled().await;
    assert_eq!(take_counts(&proxy), (vec![Create2, GetData, Exists], 0), "no look while something was seen");
    let rest = jobs.take_many(2).await?;
    assert_eq!(rest.len(), 2);
    assert_eq!(take_counts(&proxy), (vec![Create2, GetData, Create2, GetData], 0), "in one flight");
    first.ack().await?;
    settled().await;
    assert_eq!(take_counts(&proxy), (vec![Multi, Exists], 1), "the watch on the items, once");
    second.ack().await?;
    for delivery in rest {
        delivery.nack().await?;
    }
    settled().await;
    assert_eq!(take_counts(&proxy), (vec![Multi, Delete, Delete, Exists], 0), "who is busy hears nothing");

    let simple = SimpleQueue::new(&zk, "/app/simple");
    simple.put("a").await?;
    simple.put("b").await?;
    drop(simple.take().await?);
    take_counts(&proxy);
    drop(simple.take().await?);
    assert_eq!(take_counts(&proxy).0, vec![GetData, Delete]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_put_is_told_or_put_once() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let (plain, confirmed) = (queue(&zk), WorkQueue::with(WorkQueue::builder(&zk, PATH).exact(true)));
    confirmed.put("warm").await?;
    let mut count = 1;
    for (there, lost) in [1, 0].into_iter().zip(losses(&proxy, OpCode::Create2)) {
        let cut = lost.cut_before();
        let put = soon(plain.put("a")).await;
        assert!(matches!(put, Err(Error::Indeterminate { .. })), "{put:?}");
        assert_eq!(cut.times(), 1);
        count += there;
        children(&direct, PATH, count).await;
        connected(&zk).await;
    }
    for lost in losses(&proxy, OpCode::Multi) {
        let cut = lost.cut_before();
        soon(confirmed.put_many(["b", "c"])).await?;
        assert_eq!(cut.times(), 1);
        count += 2;
        children(&direct, PATH, count).await;
    }
    children(&direct, "/app/jobs-puts", 0).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_claim_is_found_or_made_again() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let jobs = queue(&zk);
    jobs.put("warm").await?;
    soon(jobs.take()).await?.ack().await?;
    for lost in losses(&proxy, OpCode::Create2) {
        queue(&direct).put("a").await?;
        let cut = lost.cut_before();
        let delivery = soon(jobs.take()).await?;
        assert_eq!((cut.times(), delivery.data()), (1, "a".into()));
        assert!(delivery.is_held());
        children(&direct, CLAIMS, 1).await;
        soon(delivery.ack()).await?;
        children(&direct, PATH, 0).await;
        children(&direct, CLAIMS, 0).await;
    }
    // Lost, and given up before anybody looked.
    for lost in losses(&proxy, OpCode::Create2) {
        queue(&direct).put("a").await?;
        let cut = lost.cut_before();
        let given_up = tokio::select! {
            biased;
            _ = cut.acted() => true,
            _ = jobs.take() => false,
        };
        assert!(given_up);
        let other = soon(queue(&direct).take()).await?;
        assert_eq!(other.data(), "a");
        other.ack().await?;
        children(&direct, CLAIMS, 0).await;
        connected(&zk).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_acknowledgement_is_looked_up() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let jobs = queue(&zk);
    for (n, lost) in losses(&proxy, OpCode::Multi).into_iter().enumerate() {
        jobs.put("a").await?;
        let delivery = soon(jobs.take()).await?;
        let result = format!("/result-{n}");
        let cut = lost.cut_before();
        let done = soon(delivery.transaction().create(&result, "").commit_and_ack()).await?;
        assert_eq!((cut.times(), done.is_empty()), (1, n == 0), "results are lost with the answer");
        assert!(direct.exists(&result).await?.is_some());
        children(&direct, PATH, 0).await;
        children(&direct, CLAIMS, 0).await;
    }
    // The item went by another hand: nothing was written, and nobody says so.
    jobs.put("a").await?;
    let delivery = soon(jobs.take()).await?;
    direct.delete(delivery.node()).await?;
    let cut = proxy.on_request(OpCode::Multi).cut_before();
    let refused = soon(delivery.transaction().create("/not-done", "").commit_and_ack()).await;
    assert!(matches!(refused, Err(Error::Lost { reason: LossReason::NodeDeleted, .. })), "{refused:?}");
    assert_eq!(cut.times(), 1);
    assert!(direct.exists("/not-done").await?.is_none());
    children(&direct, CLAIMS, 0).await;
    // Given back, whatever is lost on the way.
    for lost in losses(&proxy, OpCode::Delete) {
        jobs.put("a").await?;
        let delivery = soon(jobs.take()).await?;
        let cut = lost.cut_before();
        let given_back = soon(delivery.nack()).await;
        assert!(matches!(given_back, Err(Error::ReleasePending { .. })), "{given_back:?}");
        assert_eq!(cut.times(), 1);
        children(&direct, CLAIMS, 0).await;
        soon(jobs.take()).await?.ack().await?;
    }
    children(&direct, PATH, 0).await;
    children(&direct, CLAIMS, 0).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_session_ends_in_the_midst_of_it_nobody_can_tell() -> Outcome {
    let Stage { server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let jobs = queue(&zk);
    for (n, lost) in losses(&proxy, OpCode::Multi).into_iter().enumerate() {
        jobs.put("a").await?;
        let delivery = soon(jobs.take()).await?;
        let session = zk.session_id().unwrap();
        proxy.refuse();
        let cut = lost.cut_before();
        let acking = tokio::spawn(delivery.ack());
        soon(cut.acted()).await;
        session_killer::end(&server.connect_string(), session).await?;
        proxy.heal();
        let outcome = soon(acking).await?;
        if n == 0 {
            assert!(matches!(outcome, Err(Error::Indeterminate { .. })), "{outcome:?}");
        } else {
            let expired = matches!(outcome, Err(Error::Lost { reason: LossReason::SessionExpired, .. }));
            assert!(expired, "{outcome:?}");
            soon(queue(&direct).take()).await?.ack().await?;
        }
        children(&direct, PATH, 0).await;
        children(&direct, CLAIMS, 0).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_removal_is_told() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let letters = SimpleQueue::new(&zk, "/letters");
    let [reply, request] = losses(&proxy, OpCode::Delete);
    letters.put_many(["a", "b"]).await?;
    let cut = reply.cut_before();
    let taken = soon(letters.take()).await;
    assert!(matches!(&taken, Err(Error::Indeterminate { .. })), "{taken:?}");
    assert_eq!(cut.times(), 1);
    let _cut = request.cut_before();
    assert_eq!(soon(letters.take()).await?.data(), "b", "it was still there");
    children(&direct, "/letters", 0).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_requeue_is_one_item_and_not_two() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let jobs = queue(&zk);
    jobs.put("attempt 0").await?;
    for (n, lost) in losses(&proxy, OpCode::Multi).into_iter().enumerate() {
        let delivery = soon(jobs.take()).await?;
        let cut = lost.cut_before();
        soon(delivery.requeue(Some(format!("attempt {}", n + 1).into()))).await?;
        assert_eq!(cut.times(), 1);
        children(&direct, PATH, 1).await;
        children(&direct, CLAIMS, 0).await;
    }
    let delivery = soon(queue(&direct).take()).await?;
    assert_eq!(delivery.data(), "attempt 2");
    delivery.ack().await?;
    children(&direct, PATH, 0).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_network_past_the_deadline() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_millis(1500)).await?;
    let jobs = queue(&zk);
    jobs.put_many(["a", "b"]).await?;
    let [mine, other] = <[_; 2]>::try_from(soon(jobs.take_many(2)).await?).unwrap();
    let next = queue(&direct);
    let next = tokio::spawn(async move {
        let next = next.take().await;
        next.map(|delivery| (delivery, tokio::time::Instant::now()))
    });
    // Nobody is told: no end of the stream, no answer.
    proxy.half_open();
    let reason = soon(mine.lost()).await;
    let lost = tokio::time::Instant::now();
    assert_eq!(reason, LossReason::DeadlineReached);
    assert!(!mine.is_held());
    let (again, taken) = soon(next).await??;
    assert!(lost < taken, "told before somebody else has it");
    proxy.heal();
    let refused = soon(mine.transaction().create("/twice", "").commit_and_ack()).await;
    assert!(matches!(refused, Err(Error::Lost { .. })), "{refused:?}");
    assert!(direct.exists("/twice").await?.is_none());
    assert!(soon(other.ack()).await.is_err());
    again.ack().await?;
    soon(queue(&direct).take()).await?.ack().await?;
    children(&direct, PATH, 0).await;
    children(&direct, CLAIMS, 0).await;
    Ok(())
}

/// The event that tells of an item, or of a claim that is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_event_keeps_nobody_waiting() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let theirs = queue(&direct);
    theirs.put("warm").await?;
    theirs.take().await?.ack().await?;
    for given_back in [false, true] {
        let held = if given_back {
            theirs.put("a").await?;
            Some(theirs.take().await?)
        } else {
            None
        };
        let jobs = queue(&zk);
        let waiting = tokio::spawn(async move { jobs.take().await });
        soon(proxy.seen(2, |m| m.kind == Kind::Reply(OpCode::GetChildren2))).await;
        zk.exists("/").await?;
        let cut = proxy.on_event().cut_before();
        match held {
            Some(held) => held.nack().await?,
            None => drop(theirs.put("a").await?),
        }
        soon(soon(waiting).await??.ack()).await?;
        assert_eq!(cut.times(), 1);
        children(&direct, PATH, 0).await;
        connected(&zk).await;
        proxy.take_record();
    }
    Ok(())
}
