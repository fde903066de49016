//! Values and counters under faults of the network: what they cost in requests and events, and that a lost answer, a
//! lost request, a silent network and the end of a session count nothing twice and forget nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::future::Future;
use std::num::NonZeroU32;
use std::time::Duration;

use integration_tests::proxy::{Message, Pick, Proxy};
use integration_tests::session_killer;
use integration_tests::targets::{Failure, PATIENCE};
use zk_client::{Client, SessionState};
use zk_proto::OpCode;
use zk_recipes::counter::{CachedAtomicI64, KazooCounter};
use zk_recipes::{AtomicI64, Error, SharedCount, SharedValue};
use zk_server::EmbeddedServer;

type Outcome = Result<(), Failure>;

const PATH: &str = "/app/orders";

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

async fn connected(zk: &Client) {
    soon(zk.session_state().wait_for(SessionState::is_connected)).await.unwrap();
}

/// Waits until no marker is left under the number.
async fn no_markers(zk: &Client) {
    soon(async {
        while !zk.get_children(PATH).await.unwrap().names.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Operations asked for since the last call, pings aside, and how many events came.
fn take_counts(proxy: &Proxy) -> (Vec<OpCode>, usize) {
    let record = proxy.take_record();
    let ops = record.iter().filter_map(Message::requested).filter(|op| *op != OpCode::Ping).collect();
    (ops, record.iter().filter(|m| m.is_event()).count())
}

/// Loses the answer, or the request, and the connection with it.
fn losses(proxy: &Proxy, op: OpCode) -> [Pick<'_>; 2] {
    [proxy.on_reply(op), proxy.on_request(op)]
}

fn exact(zk: &Client) -> AtomicI64 {
    AtomicI64::builder(zk, PATH).exact(true).build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_costs() -> Outcome {
    use OpCode::{Create2, Delete, Exists, GetData, Multi, SetData};
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let orders = AtomicI64::new(&zk, PATH);
    // Makes the parents.
    assert!(orders.initialize(5).await?);
    take_counts(&proxy);

    assert_eq!(orders.get().await?, 5);
    assert_eq!(take_counts(&proxy), (vec![GetData], 0));
    orders.add(2).await?;
    assert_eq!(take_counts(&proxy), (vec![GetData, SetData], 0));
    assert!(orders.compare_and_set(0, 1).await?.is_none());
    assert_eq!(take_counts(&proxy), (vec![GetData], 0), "nothing to write");
    orders.force_set(7).await?;
    assert_eq!(take_counts(&proxy), (vec![SetData], 0));
    exact(&zk).add(1).await?;
    no_markers(&direct).await;
    zk.exists("/").await?;
    assert_eq!(
        take_counts(&proxy),
        (vec![GetData, Multi, Delete, Exists], 0),
        "the marker, in the background"
    );

    let block = CachedAtomicI64::new(orders.clone(), NonZeroU32::new(10).unwrap());
    for number in 9..=18 {
        assert_eq!(block.next().await?, number);
    }
    assert_eq!(take_counts(&proxy), (vec![GetData, SetData], 0), "one change for ten numbers");

    let motto = SharedValue::open(&zk, "/app/motto", "festina lente").await?;
    assert_eq!(take_counts(&proxy), (vec![GetData, Create2, GetData], 0), "there was none");
    let mut changes = motto.changes();
    direct.set("/app/motto", "ad astra").await?;
    soon(changes.wait_for(|state| state.value.as_deref() == Some(b"ad astra"))).await?;
    assert_eq!(take_counts(&proxy), (vec![GetData], 1), "one event, one read");
    let again = SharedValue::open(&zk, "/app/motto", "").await?;
    zk.exists("/").await?;
    assert_eq!(take_counts(&proxy), (vec![GetData, Exists], 0), "one read that leaves a watch");
    assert_eq!(again.get().value, motto.get().value);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_change_is_told_or_made_once() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let orders = AtomicI64::new(&zk, PATH);
    direct.create("/app", "").await?;
    let mut there = 0;
    // The first change makes the node; the others set its data.
    for op in [OpCode::Create2, OpCode::SetData, OpCode::SetData] {
        for (n, lost) in losses(&proxy, op).into_iter().enumerate() {
            if op == OpCode::Create2 && n == 1 {
                direct.delete(PATH).await?;
                there = 0;
            }
            let cut = lost.cut_before();
            let change = soon(orders.increment()).await;
            assert_eq!(cut.times(), 1);
            there += 1;
            match n {
                0 => assert!(matches!(change, Err(Error::Indeterminate { .. })), "{change:?}"),
                _ => {
                    let change = change?;
                    assert_eq!((change.before, change.after), (there - 1, there), "lost before it was made");
                }
            }
            assert_eq!(AtomicI64::new(&direct, PATH).get().await?, there, "never twice");
            connected(&zk).await;
        }
    }
    let kazoo = KazooCounter::new(&zk, "/app/visits");
    kazoo.add(zk_recipes::counter::Text(1)).await?;
    let cut = proxy.on_reply(OpCode::SetData).cut_before();
    assert!(matches!(soon(kazoo.add(zk_recipes::counter::Text(1))).await, Err(Error::Indeterminate { .. })));
    assert_eq!(cut.times(), 1);
    assert_eq!(&direct.get("/app/visits").await?.data[..], b"2", "Kazoo would have said 3");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exact_change_is_always_the_right_one() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let orders = exact(&zk);
    direct.create("/app", "").await?;
    let mut there = 0;
    for round in 0..3 {
        for lost in losses(&proxy, OpCode::Multi) {
            let cut = lost.cut_before();
            let change = soon(orders.add(10)).await?;
            assert_eq!(cut.times(), 1, "round {round}");
            there += 10;
            assert_eq!((change.before, change.after), (there - 10, there));
            // Others go on meanwhile.
            AtomicI64::new(&direct, PATH).increment().await?;
            there += 1;
        }
    }
    // The marker's deletion is lost as well.
    for lost in losses(&proxy, OpCode::Delete) {
        let cut = lost.cut_before();
        soon(orders.add(10)).await?;
        there += 10;
        soon(cut.acted()).await;
    }
    no_markers(&direct).await;
    assert_eq!(AtomicI64::new(&direct, PATH).get().await?, there);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_in_the_midst_of_which_the_session_ends() -> Outcome {
    let Stage { server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let (plain, exact) = (AtomicI64::new(&zk, PATH), exact(&zk));
    plain.initialize(0).await?;
    let mut there = 0;
    for (exactly, op) in [(false, OpCode::SetData), (true, OpCode::Multi)] {
        for (n, lost) in losses(&proxy, op).into_iter().enumerate() {
            let session = zk.session_id().unwrap();
            proxy.refuse();
            let cut = lost.cut_before();
            let number = if exactly { exact.clone() } else { plain.clone() };
            let change = tokio::spawn(async move { number.increment().await });
            soon(cut.acted()).await;
            session_killer::end(&server.connect_string(), session).await?;
            proxy.heal();
            let change = soon(change).await?;
            there += 1;
            if n == 0 && !exactly {
                assert!(matches!(change, Err(Error::Indeterminate { .. })), "{change:?}");
            } else {
                assert_eq!(change?.after, there);
            }
            assert_eq!(AtomicI64::new(&direct, PATH).get().await?, there);
            connected(&zk).await;
        }
    }
    no_markers(&direct).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_network_past_the_deadline() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_millis(1500)).await?;
    let (plain, exact) = (AtomicI64::new(&zk, PATH), exact(&zk));
    plain.initialize(0).await?;
    let motto = SharedValue::open(&zk, "/app/motto", "one").await?;
    let mut changes = motto.changes();
    soon(changes.wait_for(|state| !state.stale)).await?;
    zk.create("/app/alive", "").ephemeral().await?;
    // Nobody is told: no end of the stream, no answer.
    proxy.half_open();
    let both = tokio::spawn(async move { (plain.increment().await, exact.add(10).await) });
    soon(changes.wait_for(|state| state.stale)).await?;
    assert_eq!(motto.get().value.as_deref(), Some(&b"one"[..]), "the last that is known");
    direct.set("/app/motto", "two").await?;
    soon(async {
        while direct.exists("/app/alive").await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    proxy.heal();
    let (plain, exact) = soon(both).await?;
    assert_eq!(plain?.after, 1, "it never left");
    assert_eq!(exact?.after, 11);
    soon(changes.wait_for(|state| !state.stale && state.value.as_deref() == Some(b"two"))).await?;
    no_markers(&direct).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_value_through_lost_writes_and_events() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    direct.create("/app", "").await?;
    // Lost while it is made; it is the first who opens it, whoever is told so.
    for (n, lost) in losses(&proxy, OpCode::Create2).into_iter().enumerate() {
        let cut = lost.cut_before();
        let count = soon(SharedCount::open(&zk, format!("/app/seats-{n}"), 40)).await?;
        assert_eq!((cut.times(), count.get().count), (1, Some(40)));
    }
    let count = SharedCount::open(&zk, "/app/seats-0", 0).await?;
    let mut changes = count.changes();
    for (n, lost) in losses(&proxy, OpCode::SetData).into_iter().enumerate() {
        let seen = count.get();
        let cut = lost.cut_before();
        let set = soon(count.try_set(&seen, 41)).await;
        assert_eq!(cut.times(), 1);
        match n {
            0 => assert!(matches!(set, Err(Error::Indeterminate { .. })), "{set:?}"),
            _ => assert!(set?, "it was not made, and made then"),
        }
        soon(changes.wait_for(|state| !state.stale && state.value.as_deref() == Some(&[0, 0, 0, 41])))
            .await?;
        connected(&zk).await;
    }
    for lost in losses(&proxy, OpCode::SetData) {
        let cut = lost.cut_before();
        soon(count.set(42)).await?;
        assert_eq!((cut.times(), &direct.get("/app/seats-0").await?.data[..]), (1, &[0, 0, 0, 42][..]));
    }
    // Whoever shows this watches again, after all those cuts.
    direct.set("/app/seats-0", vec![0, 0, 0, 43]).await?;
    soon(changes.wait_for(|state| state.value.as_deref() == Some(&[0, 0, 0, 43]))).await?;
    // The event that tells of a change is lost.
    let cut = proxy.on_event().cut_before();
    direct.set("/app/seats-0", vec![0, 0, 0, 44]).await?;
    soon(changes.wait_for(|state| state.value.as_deref() == Some(&[0, 0, 0, 44]))).await?;
    assert_eq!(cut.times(), 1);
    Ok(())
}
