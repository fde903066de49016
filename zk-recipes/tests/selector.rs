//! The leader selector and the election on a real server: the scenarios of Curator's and Kazoo's own tests of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

use support::{children, client, dropped_after, server, soon};
use zk_client::{Client, async_trait};
use zk_recipes::{
    Dialect, Election, Error, LeaderSelector, LeaderSelectorBuilder, LeaderSelectorListener, Leadership,
    Lock, LossPolicy, LossReason, Outcome, Participant, RunningSelector, SelectorState,
};

const PATH: &str = "/app/elections/compaction";

/// Says when it begins and leads until it is stopped.
struct Forever(mpsc::UnboundedSender<Leadership>);

#[async_trait]
impl LeaderSelectorListener for Forever {
    async fn take_leadership(&self, leadership: &Leadership) {
        let _ = self.0.send(leadership.clone());
        std::future::pending::<()>().await;
    }
}

fn forever(zk: &Client) -> (LeaderSelectorBuilder, mpsc::UnboundedReceiver<Leadership>) {
    let (begun, begins) = mpsc::unbounded_channel();
    (LeaderSelector::builder(zk, PATH, Forever(begun)), begins)
}

async fn becomes(selector: &RunningSelector, state: SelectorState) {
    soon(selector.state().wait_for(|now| *now == state)).await.unwrap();
}

async fn next<T>(receiver: &mut mpsc::UnboundedReceiver<T>) -> T {
    soon(receiver.recv()).await.unwrap()
}

/// Leads for a moment and returns.
struct Briefly {
    leading: Arc<AtomicUsize>,
    order: Arc<Mutex<Vec<usize>>>,
    id: usize,
}

#[async_trait]
impl LeaderSelectorListener for Briefly {
    async fn take_leadership(&self, leadership: &Leadership) {
        assert_eq!(self.leading.fetch_add(1, Ordering::SeqCst), 0, "two at once");
        assert!(leadership.is_held());
        self.order.lock().unwrap().push(self.id);
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(self.leading.fetch_sub(1, Ordering::SeqCst), 1);
    }
}

/// Curator's testRotatingLeadership and testAutoRequeue.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_goes_round() {
    const TURNS: usize = 30;
    let server = server().await;
    let zk = client(&server).await;
    let (leading, order) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let mut selectors = Vec::new();
    for id in 0..3 {
        let listener = Briefly { leading: Arc::clone(&leading), order: Arc::clone(&order), id };
        let selector = LeaderSelector::builder(&zk, PATH, listener).auto_requeue(true).build();
        selectors.push(selector.start().unwrap());
    }
    soon(async {
        while order.lock().unwrap().len() < TURNS {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    for selector in &selectors {
        soon(selector.close()).await;
        assert_eq!(*selector.state().borrow(), SelectorState::Closed);
    }
    children(&zk, PATH, 0).await;
    let order = order.lock().unwrap().clone();
    // Who has led goes to the tail. The first ones may lead before the others are there.
    for turns in order[TURNS / 3..TURNS].windows(3) {
        assert!(turns[0] != turns[1] && turns[1] != turns[2] && turns[0] != turns[2], "{order:?}");
    }
}

/// Curator's testInterruptLeadership, with and without requeue, and testLeaderNodeDeleteOnInterrupt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_leader_makes_room() {
    let server = server().await;
    let zk = client(&server).await;
    let (one, mut one_begins) = forever(&zk);
    let one = one.identifier("one").build().start().unwrap();
    let first = next(&mut one_begins).await;
    let (two, mut two_begins) = forever(&zk);
    let two = two.identifier("two").build().start().unwrap();
    let line = children(&zk, PATH, 2).await;
    assert!(line.iter().all(|name| name.starts_with("_c_") && name.contains("-lock-")), "{line:?}");
    assert!(!two.interrupt_leadership() && !two.requeue() && !two.has_leadership());
    assert!(one.has_leadership());
    assert_eq!(one.leader().await.unwrap().unwrap().identifier(), "one");

    assert!(one.interrupt_leadership());
    let second = next(&mut two_begins).await;
    assert!(!first.is_held() && second.fencing_token() > first.fencing_token());
    becomes(&one, SelectorState::Idle).await;
    children(&zk, PATH, 1).await;

    // Told while it leads, it stands again afterwards.
    assert!(two.requeue());
    assert!(!two.requeue(), "once is enough");
    assert!(two.interrupt_leadership());
    let third = next(&mut two_begins).await;
    assert!(third.fencing_token() > second.fencing_token());
    assert!(one.requeue());
    children(&zk, PATH, 2).await;
    let ids: Vec<String> = two.participants().await.unwrap().iter().map(Participant::identifier).collect();
    assert_eq!(ids, ["two", "one"]);
    drop(two);
    next(&mut one_begins).await;
    soon(one.close()).await;
    children(&zk, PATH, 0).await;
}

/// Curator's testErrorPolicies and testServerDying.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_stops_the_listener_or_does_not() {
    let server = server().await;
    let (standard_zk, session_zk) = (client(&server).await, client(&server).await);
    let (standard, mut begins) = forever(&standard_zk);
    let standard = standard.auto_requeue(true).build().start().unwrap();
    let old = next(&mut begins).await;
    let (begun, mut session_begins) = mpsc::unbounded_channel();
    let session = LeaderSelector::builder(&session_zk, "/other", Forever(begun));
    let session = session.loss_policy(LossPolicy::Session).auto_requeue(true).build().start().unwrap();
    let kept = next(&mut session_begins).await;
    server.drop_connections();
    assert_eq!(soon(old.lost()).await, LossReason::Disconnected);
    let new = next(&mut begins).await;
    assert!(new.fencing_token() > old.fencing_token());
    assert!(kept.is_held() && session.has_leadership());
    children(&session_zk, PATH, 1).await;
    drop((standard, session));
    children(&session_zk, PATH, 0).await;
}

/// Curator's testKillSessionThenCloseShouldElectNewLeader and testLostRestart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_leader_is_replaced_and_comes_back() {
    let server = server().await;
    let (one_zk, two_zk) = (client(&server).await, client(&server).await);
    let (one, mut one_begins) = forever(&one_zk);
    let one = one.loss_policy(LossPolicy::Session).auto_requeue(true).build().start().unwrap();
    let old = next(&mut one_begins).await;
    let (two, mut two_begins) = forever(&two_zk);
    let two = two.build().start().unwrap();
    children(&two_zk, PATH, 2).await;
    assert!(server.expire_session(old.session()).await);
    let new = next(&mut two_begins).await;
    assert_eq!(soon(old.lost()).await, LossReason::SessionExpired);
    assert!(!old.is_held() && new.is_held());
    children(&two_zk, PATH, 2).await;
    becomes(&one, SelectorState::Queued).await;
    soon(two.close()).await;
    next(&mut one_begins).await;
    // Its node deleted under it, and while it waits.
    two_zk.delete(one.leader().await.unwrap().unwrap().node()).await.unwrap();
    let again = next(&mut one_begins).await;
    let (three, mut three_begins) = forever(&two_zk);
    let three = three.build().start().unwrap();
    let names = children(&two_zk, PATH, 2).await;
    let own = zk_proto::path::name(again.node());
    let waiting = names.iter().find(|name| *name != own).unwrap();
    two_zk.delete(zk_proto::path::join(PATH, waiting)).await.unwrap();
    // Noticed when whoever is before it goes.
    children(&two_zk, PATH, 1).await;
    soon(one.close()).await;
    next(&mut three_begins).await;
    assert!(three.has_leadership());
}

/// Needs a moment to put things away when it is told to stop.
struct Tidy(Arc<AtomicBool>);

#[async_trait]
impl LeaderSelectorListener for Tidy {
    async fn take_leadership(&self, leadership: &Leadership) {
        leadership.interrupted().await;
        // Still ours: nobody else is in.
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.0.store(leadership.is_held(), Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_grace_the_listener_is_told_and_may_finish() {
    let server = server().await;
    let zk = client(&server).await;
    let done = Arc::new(AtomicBool::new(false));
    let selector = LeaderSelector::builder(&zk, PATH, Tidy(Arc::clone(&done)));
    let selector = selector.grace(Duration::from_secs(10)).build().start().unwrap();
    soon(selector.state().wait_for(|state| matches!(state, SelectorState::Leading { .. }))).await.unwrap();
    assert!(selector.interrupt_leadership());
    becomes(&selector, SelectorState::Idle).await;
    assert!(done.swap(false, Ordering::SeqCst), "kept until it had stopped");
    assert!(selector.requeue());
    soon(selector.state().wait_for(|state| matches!(state, SelectorState::Leading { .. }))).await.unwrap();
    soon(selector.close()).await;
    assert!(done.load(Ordering::SeqCst));
    // And not for ever.
    let (stubborn, mut begins) = forever(&zk);
    let stubborn = stubborn.grace(Duration::from_millis(20)).build().start().unwrap();
    next(&mut begins).await;
    soon(stubborn.close()).await;
    children(&zk, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selector_that_cannot_go_on_says_why() {
    let server = server().await;
    let zk = client(&server).await;
    let (selector, mut begins) = forever(&zk);
    let selector = selector.auto_requeue(true).build().start().unwrap();
    let leadership = next(&mut begins).await;
    zk.close().await;
    becomes(&selector, SelectorState::Closed).await;
    assert!(matches!(selector.error(), Some(Error::ClientEnded { .. })), "{:?}", selector.error());
    assert_eq!(soon(leadership.lost()).await, LossReason::ClientClosed);
    soon(selector.close()).await;

    struct Panics;
    #[async_trait]
    impl LeaderSelectorListener for Panics {
        async fn take_leadership(&self, _: &Leadership) {
            panic!("a listener's own fault");
        }
    }
    let zk = client(&server).await;
    let selector = LeaderSelector::new(&zk, PATH, Panics).start().unwrap();
    becomes(&selector, SelectorState::Closed).await;
    children(&zk, PATH, 0).await;
}

/// Kazoo's test_election.
/// Whether it leads, or has led and was not told to lead again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selector_ends_with_its_client() {
    let server = server().await;
    let zk = client(&server).await;
    let (selector, mut begins) = forever(&zk);
    let selector = selector.build().start().unwrap();
    next(&mut begins).await;
    zk.close().await;
    becomes(&selector, SelectorState::Closed).await;
    assert!(matches!(selector.error(), Some(Error::ClientEnded { .. })), "{:?}", selector.error());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn elected_in_order_among_locks_and_selectors_of_every_dialect() {
    let server = server().await;
    let zk = client(&server).await;
    let guard = Lock::new(&zk, PATH).acquire().await.unwrap();
    let mut all = tokio::task::JoinSet::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    for (n, dialect) in [Dialect::Kazoo, Dialect::Both, Dialect::Curator].into_iter().enumerate() {
        let election = Election::builder(&zk, PATH).identifier(format!("{n}")).dialect(dialect).build();
        let order = Arc::clone(&order);
        all.spawn(async move {
            let work = |leadership: Leadership| async move {
                assert!(leadership.is_held());
                order.lock().unwrap().push(n);
                n
            };
            election.run(work).await
        });
        children(&zk, PATH, [2, 4, 5][n]).await;
    }
    let election = Election::new(&zk, PATH);
    let ids: Vec<String> =
        election.contenders().await.unwrap().iter().skip(1).map(Participant::identifier).collect();
    assert_eq!(ids, ["0", "1", "2"]);
    guard.release().await.unwrap();
    let mut outcomes = Vec::new();
    while let Some(outcome) = soon(all.join_next()).await {
        outcomes.push(outcome.unwrap().unwrap());
    }
    assert_eq!(outcomes, [Outcome::Finished(0), Outcome::Finished(1), Outcome::Finished(2)]);
    assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
    children(&zk, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_election_ends_by_loss_by_cancel_and_by_panic() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let election = Election::new(&zk, PATH);
    // Lost, with a leadership given away.
    let (given, mut gifts) = mpsc::unbounded_channel();
    let leading = tokio::spawn({
        let election = election.clone();
        async move {
            let work = |leadership: Leadership| async move {
                given.send(leadership).unwrap();
                std::future::pending::<()>().await;
            };
            election.run(work).await
        }
    });
    let leadership = next(&mut gifts).await;
    // Waiting ones are cancelled, whoever leads is not.
    let waiting = tokio::spawn({
        let election = election.clone();
        async move { election.run(|_| async {}).await }
    });
    children(&other, PATH, 2).await;
    election.cancel();
    assert_eq!(soon(waiting).await.unwrap().unwrap(), Outcome::Cancelled);
    children(&other, PATH, 1).await;
    assert!(leadership.is_held());
    other.delete(leadership.node()).await.unwrap();
    let outcome = soon(leading).await.unwrap().unwrap();
    assert_eq!(outcome, Outcome::LostLeadership(LossReason::NodeDeleted));
    assert!(!leadership.is_held());

    // Kazoo's test_bad_func.
    let failing = tokio::spawn({
        let election = election.clone();
        async move { election.run(|_| async { panic!("the work's own fault") }).await.map(|_: Outcome<()>| ()) }
    });
    assert!(soon(failing).await.unwrap_err().is_panic());
    children(&other, PATH, 0).await;

    // Again and again, until it is cancelled.
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let (again, cancelling) = (election.clone(), election.clone());
    let work = move |_| {
        let (turns, election) = (Arc::clone(&counted), cancelling.clone());
        async move {
            if turns.fetch_add(1, Ordering::SeqCst) == 4 {
                election.cancel();
            }
        }
    };
    soon(again.run_forever(work)).await.unwrap();
    assert_eq!(turns.load(Ordering::SeqCst), 5);
    zk.close().await;
    assert!(matches!(election.run(|_| async {}).await, Err(Error::ClientEnded { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_at_every_step_an_election_and_a_selector_leave_nothing() {
    let server = server().await;
    let zk = client(&server).await;
    let election = Election::new(&zk, PATH);
    let mut kept = Vec::new();
    for polls in 0..25 {
        let (given, mut gifts) = mpsc::unbounded_channel();
        let work = |leadership: Leadership| async move {
            given.send(leadership).unwrap();
            tokio::task::yield_now().await;
        };
        drop(dropped_after(polls, election.run(work)).await);
        kept.extend(gifts.try_recv());
        let (selector, _) = forever(&zk);
        let selector = selector.build().start().unwrap();
        let _ = dropped_after(polls, selector.close()).await;
        drop(selector);
    }
    children(&zk, PATH, 0).await;
    assert!(
        kept.iter().all(|leadership| !leadership.is_held()),
        "over, though somebody still has it in hand"
    );
}
