//! Barriers on a real server: nobody passes early, nobody leaves early, round after round on one path.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{children, client, dropped_after, server, soon};
use tokio::time::timeout;
use zk_client::{Client, CreateMode};
use zk_recipes::{Barrier, DoubleBarrier, Error, LossReason, Released};
use zk_server::EmbeddedServer;

const PATH: &str = "/app/barrier";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_barrier_holds_everybody_back_until_it_is_removed() {
    let server = server().await;
    let zk = client(&server).await;
    let barrier = Barrier::builder(&zk, PATH).identifier("operator").build();
    assert!(!barrier.is_set().await.unwrap());
    soon(barrier.wait()).await.unwrap();
    assert!(barrier.set().await.unwrap() && !barrier.set().await.unwrap());
    assert_eq!(&zk.get(PATH).await.unwrap().data[..], b"operator");
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let barrier = Barrier::new(&client(&server).await, PATH);
        waiting.push(tokio::spawn(async move { barrier.wait().await }));
    }
    let error = barrier.wait_within(Duration::from_millis(30)).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    // A write uses watches up, and opens nothing.
    zk.set(PATH, "still closed").await.unwrap();
    assert!(barrier.wait_within(Duration::from_millis(30)).await.is_err());
    assert!(waiting.iter().all(|waiter| !waiter.is_finished()));
    assert!(barrier.remove().await.unwrap() && !barrier.remove().await.unwrap());
    for waiter in waiting {
        soon(waiter).await.unwrap().unwrap();
    }
    barrier.set().await.unwrap();
    for polls in 0..3 {
        drop(timeout(Duration::from_millis(20), dropped_after(polls, barrier.wait())).await);
    }
    zk.exists("/").await.unwrap();
    assert_eq!(watches(&server), 0, "a wait that is dropped takes its watch along");
}

fn watches(server: &EmbeddedServer) -> u64 {
    server.server().reporter().report().watches
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_goes_on_in_the_next_session() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let barrier = Barrier::new(&zk, PATH);
    barrier.set().await.unwrap();
    let waiting = tokio::spawn({
        let barrier = barrier.clone();
        async move { barrier.wait().await }
    });
    let session = zk.session_state().borrow().session().unwrap().id;
    assert!(server.expire_session(session).await);
    assert!(Barrier::new(&other, PATH).remove().await.unwrap());
    soon(waiting).await.unwrap().unwrap();
}

/// What all participants see: how many are in the round, how many have asked to leave it.
#[derive(Default)]
struct Rounds {
    entering: Vec<AtomicUsize>,
    leaving: Vec<AtomicUsize>,
}

impl Rounds {
    fn new(rounds: usize) -> Arc<Self> {
        let counters = || (0..rounds).map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Self { entering: counters(), leaving: counters() })
    }
}

async fn participate(zk: Client, quantity: usize, rounds: Arc<Rounds>) -> Result<(), Error> {
    let barrier = DoubleBarrier::new(&zk, PATH, quantity);
    for round in 0..rounds.entering.len() {
        rounds.entering[round].fetch_add(1, Ordering::SeqCst);
        let ticket = barrier.enter().await?;
        assert_eq!(rounds.entering[round].load(Ordering::SeqCst), quantity, "entered early");
        rounds.leaving[round].fetch_add(1, Ordering::SeqCst);
        assert_eq!(ticket.leave().await?, Released::Deleted);
        assert_eq!(rounds.leaving[round].load(Ordering::SeqCst), quantity, "left early");
    }
    Ok(())
}

async fn play(server: &EmbeddedServer, quantity: usize, count: usize) {
    let rounds = Rounds::new(count);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..quantity {
        tasks.spawn(participate(client(server).await, quantity, Arc::clone(&rounds)));
    }
    while let Some(done) = timeout(Duration::from_secs(60), tasks.join_next()).await.expect("it hangs") {
        done.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_on_one_path_begin_and_end_together() {
    let server = server().await;
    play(&server, 1, 5).await;
    play(&server, 3, 100).await;
    let zk = client(&server).await;
    children(&zk, PATH, 0).await;
}

/// ZooKeeper's paper, 5.4: 50 clients, 200 barriers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_participants_two_hundred_rounds() {
    let server = server().await;
    let began = std::time::Instant::now();
    play(&server, 50, 200).await;
    println!("50 participants, 200 rounds: {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_gives_up_entering_leaves_nothing_and_is_not_counted() {
    let server = server().await;
    let zk = client(&server).await;
    let barrier = DoubleBarrier::new(&zk, PATH, 2);
    let error = barrier.enter_within(Duration::from_millis(30)).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    for polls in 0..8 {
        drop(timeout(Duration::from_millis(20), dropped_after(polls, barrier.enter())).await);
        children(&zk, PATH, 0).await;
    }
    assert!(barrier.enter_within(Duration::from_millis(30)).await.is_err(), "nobody else is there");
    // Inside, and gone without a word: the other may leave.
    let (one, two) = tokio::join!(barrier.enter(), barrier.enter());
    drop(one.unwrap());
    assert_eq!(soon(two.unwrap().leave()).await.unwrap(), Released::Deleted);
    for polls in 0..12 {
        let (one, two) = tokio::join!(barrier.enter(), barrier.enter());
        let (one, two) = (one.unwrap(), two.unwrap());
        let other = tokio::spawn(two.leave());
        drop(timeout(Duration::from_millis(50), dropped_after(polls, one.leave())).await);
        soon(other).await.unwrap().unwrap();
        // Who was cut off in the middle may have left `ready` to the next round.
        soon(async {
            let (one, two) = tokio::join!(barrier.enter(), barrier.enter());
            let (one, two) = tokio::join!(one.unwrap().leave(), two.unwrap().leave());
            assert_eq!((one.unwrap(), two.unwrap()), (Released::Deleted, Released::Deleted));
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_round_left_lets_nobody_in() {
    let server = server().await;
    let zk = client(&server).await;
    zk.create(format!("{PATH}/ready"), "").parents().await.unwrap();
    let barrier = DoubleBarrier::new(&zk, PATH, 2);
    assert!(barrier.enter_within(Duration::from_millis(50)).await.unwrap_err().is_timeout());
    let (one, two) = soon(async { tokio::join!(barrier.enter(), barrier.enter()) }).await;
    let (one, two) = soon(async { tokio::join!(one.unwrap().leave(), two.unwrap().leave()) }).await;
    one.unwrap();
    two.unwrap();
    children(&zk, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_late_to_a_round_is_let_in() {
    let server = server().await;
    let zk = client(&server).await;
    let barrier = DoubleBarrier::new(&zk, PATH, 2);
    let (one, two) = soon(async { tokio::join!(barrier.enter(), barrier.enter()) }).await;
    let late = soon(barrier.enter()).await.unwrap();
    let (one, two, late) =
        soon(async { tokio::join!(one.unwrap().leave(), two.unwrap().leave(), late.leave()) }).await;
    assert_eq!([one.unwrap(), two.unwrap(), late.unwrap()], [Released::Deleted; 3]);
    children(&zk, PATH, 0).await;
}

/// Those of the round have gone without closing it; who came late is still at work in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_came_late_does_not_count_for_the_next_round() {
    let server = server().await;
    let zk = client(&server).await;
    let barrier = DoubleBarrier::new(&zk, PATH, 2);
    let (one, two) = soon(async { tokio::join!(barrier.enter(), barrier.enter()) }).await;
    let late = soon(barrier.enter()).await.unwrap();
    assert!(late.node().ends_with("-late") && late.is_held());
    assert_eq!(late.fencing_token().czxid(), zk.get(late.node()).await.unwrap().stat.czxid);
    drop((one.unwrap(), two.unwrap()));
    children(&zk, PATH, 2).await;
    let alone = barrier.enter_within(Duration::from_millis(50)).await.unwrap_err();
    assert!(alone.is_timeout(), "{alone}");
    let (one, two) = soon(async { tokio::join!(barrier.enter(), barrier.enter()) }).await;
    assert_eq!(soon(late.leave()).await.unwrap(), Released::Deleted);
    let (one, two) = soon(async { tokio::join!(one.unwrap().leave(), two.unwrap().leave()) }).await;
    assert_eq!([one.unwrap(), two.unwrap()], [Released::Deleted; 2]);
    children(&zk, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_participant_begins_anew_outside_and_is_told_inside() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let (mine, theirs) = (DoubleBarrier::new(&zk, PATH, 2), DoubleBarrier::new(&other, PATH, 2));
    let entering = tokio::spawn({
        let mine = mine.clone();
        async move { mine.enter().await }
    });
    children(&other, PATH, 1).await;
    let session = zk.session_state().borrow().session().unwrap().id;
    assert!(server.expire_session(session).await);
    let their = tokio::spawn(async move { theirs.enter().await });
    let my = soon(entering).await.unwrap().unwrap();
    let their = soon(their).await.unwrap().unwrap();
    assert_ne!(my.session(), session);
    assert!(server.expire_session(my.session()).await);
    assert!(matches!(soon(my.lost()).await, LossReason::SessionExpired));
    assert!(matches!(soon(my.leave()).await.unwrap(), Released::Lost(_)));
    assert_eq!(soon(their.leave()).await.unwrap(), Released::Deleted);
    children(&other, PATH, 0).await;
}

/// Curator's last participant deletes its node first, and `ready` then: whoever is faster finds it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ready_that_outlives_its_round_is_cleared() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let barrier = DoubleBarrier::new(&zk, PATH, 2);
    let curator = format!("{PATH}/00000000-0000-0000-0000-000000000000");
    let create = other.create(curator.as_str(), "").mode(CreateMode::Ephemeral).parents();
    create.await.unwrap();
    let ticket = soon(barrier.enter()).await.unwrap();
    let leaving = tokio::spawn(ticket.leave());
    children(&other, PATH, 2).await;
    other.delete(curator.as_str()).await.unwrap();
    assert_eq!(soon(leaving).await.unwrap().unwrap(), Released::Deleted);
    children(&other, PATH, 0).await;
}
