//! Barriers under faults of the network: what they cost in requests and events, and that lost answers, lost requests,
//! lost events, a silent network and the end of a session let nobody in early, and keep nobody for ever.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::future::Future;
use std::time::Duration;

use integration_tests::proxy::{Kind, Message, Pick, Proxy};
use integration_tests::session_killer;
use integration_tests::targets::{Failure, PATIENCE};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use zk_client::{Client, SessionState};
use zk_proto::OpCode;
use zk_recipes::{Barrier, BarrierTicket, DoubleBarrier, Error, LossPolicy, LossReason, Released};
use zk_server::EmbeddedServer;

type Outcome = Result<(), Failure>;

const PATH: &str = "/app/phase";
const READY: &str = "/app/phase/ready";

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
async fn children(zk: &Client, count: usize) {
    soon(async {
        loop {
            let names = match zk.get_children(PATH).await {
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

/// Loses the answer, or the request, and the connection with it.
fn losses(proxy: &Proxy, op: OpCode) -> [Pick<'_>; 2] {
    [proxy.on_reply(op), proxy.on_request(op)]
}

type Entering = JoinHandle<Result<BarrierTicket, Error>>;

fn entering(zk: &Client) -> Entering {
    let barrier = DoubleBarrier::new(zk, PATH, 2);
    tokio::spawn(async move { barrier.enter().await })
}

/// One of two that is inside, and the other.
async fn inside(ours: Entering, theirs: Entering) -> Result<(BarrierTicket, BarrierTicket), Failure> {
    Ok((soon(ours).await??, soon(theirs).await??))
}

/// Both leave, and nothing is left.
async fn leave(direct: &Client, ours: BarrierTicket, theirs: BarrierTicket) -> Outcome {
    let (ours, theirs) = soon(async { tokio::join!(ours.leave(), theirs.leave()) }).await;
    assert_eq!((ours?, theirs?), (Released::Deleted, Released::Deleted));
    children(direct, 0).await;
    Ok(())
}

/// Two inside, of whom ours, through the proxy, leaves last or does not.
async fn inside_as(
    zk: &Client,
    direct: &Client,
    last: bool,
) -> Result<(BarrierTicket, BarrierTicket), Failure> {
    for _ in 0..64 {
        let (ours, theirs) = inside(entering(zk), entering(direct)).await?;
        if (ours.node() < theirs.node()) == last {
            return Ok((ours, theirs));
        }
        leave(direct, ours, theirs).await?;
    }
    Err("64 times the same of two random names was the lower one".into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_costs() -> Outcome {
    use OpCode::{Create2, Delete, Exists, GetData};
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let barrier = Barrier::new(&zk, "/app/maintenance");
    barrier.set().await?;
    barrier.remove().await?;
    take_counts(&proxy);
    barrier.wait().await?;
    assert_eq!(take_counts(&proxy), (vec![GetData], 0), "not set");
    barrier.set().await?;
    assert_eq!(take_counts(&proxy), (vec![Create2], 0));
    let waiting = tokio::spawn({
        let barrier = barrier.clone();
        async move { barrier.wait().await }
    });
    soon(proxy.seen(1, |m| m.requested() == Some(GetData))).await;
    zk.exists("/").await?;
    Barrier::new(&direct, "/app/maintenance").remove().await?;
    soon(waiting).await??;
    assert_eq!(take_counts(&proxy), (vec![GetData, Exists, GetData], 1));
    barrier.set().await?;
    take_counts(&proxy);
    barrier.remove().await?;
    assert_eq!(take_counts(&proxy), (vec![Delete], 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_double_barrier_costs() -> Outcome {
    use OpCode::{Create2, Delete, Exists, GetChildren2, GetData, Multi};
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let (ours, theirs) = inside(entering(&zk), entering(&direct)).await?;
    leave(&direct, ours, theirs).await?;
    let settled = async || {
        zk.exists("/").await.unwrap();
    };
    for last in [true, false] {
        let (ours, theirs) = inside_as(&zk, &direct, last).await?;
        settled().await;
        take_counts(&proxy);
        let leaving = tokio::spawn(ours.leave());
        if last {
            soon(proxy.seen(1, |m| m.requested() == Some(GetData))).await;
        } else {
            children(&direct, 2).await;
        }
        settled().await;
        assert_eq!(soon(theirs.leave()).await?, Released::Deleted);
        assert_eq!(soon(leaving).await??, Released::Deleted);
        settled().await;
        let (requests, events) = take_counts(&proxy);
        if last {
            let expected = vec![GetChildren2, GetData, Exists, GetChildren2, Multi, Exists];
            assert_eq!((requests, events), (expected, 2), "the highest, and our own node");
        } else {
            let expected = vec![GetChildren2, Delete, GetData, Exists, GetChildren2, Exists];
            assert_eq!((requests, events), (expected, 2), "our own node, and the lowest");
        }
    }

    // The first to come: four requests, and one event when all have come.
    let ours = entering(&zk);
    soon(proxy.seen(1, |m| m.requested() == Some(GetData))).await;
    settled().await;
    let theirs = entering(&direct);
    let (ours, theirs) = inside(ours, theirs).await?;
    settled().await;
    let expected = vec![Create2, Exists, GetChildren2, GetData, Exists, Exists];
    assert_eq!(take_counts(&proxy), (expected, 1));
    leave(&direct, ours, theirs).await?;
    settled().await;
    take_counts(&proxy);

    // The last to come: one more, which opens the round.
    let theirs = entering(&direct);
    children(&direct, 1).await;
    let (ours, theirs) = inside(entering(&zk), theirs).await?;
    settled().await;
    let (mut requests, events) = take_counts(&proxy);
    // The watch on the own node is nobody's who waits.
    requests.retain(|op| *op != GetData);
    assert_eq!(requests, vec![Create2, Exists, GetChildren2, Create2, Exists]);
    assert!(events <= 1, "of what it did itself");
    leave(&direct, ours, theirs).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn setting_removing_and_waiting_through_losses() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let (barrier, other) = (Barrier::new(&zk, "/app/gate"), Barrier::new(&direct, "/app/gate"));
    other.set().await?;
    other.remove().await?;
    for (n, lost) in losses(&proxy, OpCode::Create2).into_iter().enumerate() {
        let cut = lost.cut_before();
        let first = soon(barrier.set()).await?;
        assert_eq!((cut.times(), first), (1, n == 1), "whose it was is lost with the answer");
        assert!(other.is_set().await? && other.remove().await?);
    }
    for (n, lost) in losses(&proxy, OpCode::Delete).into_iter().enumerate() {
        other.set().await?;
        let cut = lost.cut_before();
        let first = soon(barrier.remove()).await?;
        assert_eq!((cut.times(), first), (1, n == 1));
        assert!(!other.is_set().await?);
    }
    // The look, its answer, the event.
    let [answer, request] = losses(&proxy, OpCode::GetData);
    for lost in [answer, request, proxy.on_event()] {
        other.set().await?;
        let cut = lost.cut_before();
        let waiting = tokio::spawn({
            let barrier = barrier.clone();
            async move { barrier.wait().await }
        });
        soon(proxy.seen(1, |m| m.kind == Kind::Reply(OpCode::GetData))).await;
        zk.session_state().wait_for(SessionState::is_connected).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        other.remove().await?;
        soon(waiting).await??;
        assert_eq!(cut.times(), 1);
        connected(&zk).await;
        proxy.take_record();
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_create_counts_once() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let (ours, theirs) = inside(entering(&zk), entering(&direct)).await?;
    leave(&direct, ours, theirs).await?;
    for lost in losses(&proxy, OpCode::Create2) {
        let cut = lost.matching(|m| m.path.as_deref() != Some(READY)).cut_before();
        let ours = entering(&zk);
        soon(cut.acted()).await;
        children(&direct, 1).await;
        connected(&zk).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!ours.is_finished(), "two nodes of one participant are not two participants");
        children(&direct, 1).await;
        let (ours, theirs) = inside(ours, entering(&direct)).await?;
        assert_eq!(ours.fencing_token().czxid(), direct.get(ours.node()).await?.stat.czxid);
        leave(&direct, ours, theirs).await?;
    }
    // Lost, and given up before anybody looked.
    for lost in losses(&proxy, OpCode::Create2) {
        let cut = lost.cut_before();
        let barrier = DoubleBarrier::new(&zk, PATH, 2);
        let given_up = tokio::select! {
            biased;
            _ = cut.acted() => true,
            _ = barrier.enter() => false,
        };
        assert!(given_up);
        // Begun again at once: what was given up is not counted beside it.
        let alone = barrier.enter_within(Duration::from_secs(1)).await;
        assert!(matches!(alone, Err(Error::Timeout { .. })), "{alone:?}");
        children(&direct, 0).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_opening_lets_all_in() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    for lost in losses(&proxy, OpCode::Create2) {
        let theirs = entering(&direct);
        children(&direct, 1).await;
        let cut = lost.path(READY).cut_before();
        let (ours, theirs) = inside(entering(&zk), theirs).await?;
        assert_eq!(cut.times(), 1);
        leave(&direct, ours, theirs).await?;
    }
    // The event that would have told us.
    let ours = entering(&zk);
    children(&direct, 1).await;
    soon(proxy.seen(1, |m| m.kind == Kind::Reply(OpCode::GetData))).await;
    let cut = proxy.on_event().path(READY).cut_before();
    let (ours, theirs) = inside(ours, entering(&direct)).await?;
    assert_eq!(cut.times(), 1);
    leave(&direct, ours, theirs).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_through_losses() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    for (last, op) in [(true, OpCode::Multi), (false, OpCode::Delete)] {
        for lost in losses(&proxy, op) {
            let (ours, theirs) = inside_as(&zk, &direct, last).await?;
            let cut = lost.cut_before();
            leave(&direct, ours, theirs).await?;
            assert_eq!(cut.times(), 1);
            connected(&zk).await;
        }
    }
    // The watch on whoever is waited for, its answer, its event.
    for last in [true, false] {
        for which in 0..3 {
            let (ours, theirs) = inside_as(&zk, &direct, last).await?;
            let their = theirs.node().to_owned();
            let [answer, request] = losses(&proxy, OpCode::GetData);
            let lost = [answer.path(&their), request.path(&their), proxy.on_event().path(&their)];
            let cut = lost.into_iter().nth(which).unwrap().cut_before();
            let leaving = tokio::spawn(ours.leave());
            if which < 2 {
                soon(cut.acted()).await;
            } else {
                let watched = move |m: &Message| {
                    m.kind == Kind::Reply(OpCode::GetData) && m.path.as_deref() == Some(&their)
                };
                soon(proxy.seen(1, watched)).await;
            }
            assert_eq!(soon(theirs.leave()).await?, Released::Deleted);
            assert_eq!(soon(leaving).await??, Released::Deleted);
            assert_eq!(cut.times(), 1);
            children(&direct, 0).await;
            connected(&zk).await;
        }
    }
    Ok(())
}

/// One who comes late tells an open round by the ages of those in it. What is not known of them is no reason to
/// close it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_latecomer_whose_look_is_lost_closes_nothing() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    for reply in [true, false] {
        let (one, two) = inside(entering(&direct), entering(&direct)).await?;
        let opened = direct.exists(READY).await?.unwrap().czxid;
        let pick = if reply { proxy.on_reply(OpCode::Exists) } else { proxy.on_request(OpCode::Exists) };
        let (first, second) = (one.node().to_owned(), two.node().to_owned());
        let cut = pick
            .matching(move |m| m.path.as_ref().is_some_and(|path| *path == first || *path == second))
            .cut_before();
        let late = soon(entering(&zk)).await??;
        assert_eq!(cut.times(), 1);
        assert_eq!(
            direct.exists(READY).await?.map(|stat| stat.czxid),
            Some(opened),
            "the round is still open"
        );
        let (one, two, late) = soon(async { tokio::join!(one.leave(), two.leave(), late.leave()) }).await;
        assert_eq!([one?, two?, late?], [Released::Deleted; 3]);
        children(&direct, 0).await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_session_outside_and_inside() -> Outcome {
    let Stage { server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    // Outside it begins anew.
    let ours = entering(&zk);
    children(&direct, 1).await;
    let session = zk.session_id().unwrap();
    session_killer::end(&server.connect_string(), session).await?;
    let (ours, theirs) = inside(ours, entering(&direct)).await?;
    assert_ne!(ours.session(), session);
    // Inside it is lost, and the other may go.
    session_killer::end(&server.connect_string(), ours.session()).await?;
    assert_eq!(soon(ours.lost()).await, LossReason::SessionExpired);
    assert_eq!(soon(theirs.leave()).await?, Released::Deleted);
    assert_eq!(soon(ours.leave()).await?, Released::Lost(LossReason::SessionExpired));
    children(&direct, 0).await;
    // While the last one closes the round.
    let (ours, theirs) = inside_as(&zk, &direct, true).await?;
    let cut = proxy.on_request(OpCode::Multi).cut_before();
    let session = ours.session();
    let leaving = tokio::spawn(ours.leave());
    assert_eq!(soon(async { tokio::join!(cut.acted(), theirs.leave()) }).await.1?, Released::Deleted);
    drop(session_killer::end(&server.connect_string(), session).await);
    soon(leaving).await??;
    // What may be left of it lets nobody in.
    let alone = DoubleBarrier::new(&zk, PATH, 2).enter_within(Duration::from_millis(50)).await;
    assert!(matches!(alone, Err(Error::Timeout { .. })), "{alone:?}");
    let (ours, theirs) = inside(entering(&zk), entering(&direct)).await?;
    leave(&direct, ours, theirs).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_network_past_the_deadline() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_millis(1500)).await?;
    let (ours, theirs) = inside(entering(&zk), entering(&direct)).await?;
    // Nobody is told: no end of the stream, no answer.
    proxy.half_open();
    let leaving =
        tokio::spawn(async move { theirs.leave().await.map(|released| (released, Instant::now())) });
    let reason = soon(ours.lost()).await;
    let lost = Instant::now();
    assert_eq!(reason, LossReason::DeadlineReached);
    let (released, gone) = soon(leaving).await??;
    assert_eq!(released, Released::Deleted);
    assert!(lost < gone, "told before the other went on without us");
    assert!(matches!(soon(ours.leave()).await?, Released::Lost(_)));
    // Nor does a limit wait for an answer that does not come.
    let began = Instant::now();
    let alone = soon(DoubleBarrier::new(&zk, PATH, 2).enter_within(Duration::from_millis(100))).await;
    assert!(matches!(alone, Err(Error::Timeout { .. })), "{alone:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    proxy.heal();
    let (ours, theirs) = inside(entering(&zk), entering(&direct)).await?;
    leave(&direct, ours, theirs).await
}

/// Under the standard policy a disconnect while entering begins anew, in the same session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_begins_anew_is_not_counted_twice() -> Outcome {
    let Stage { server: _server, proxy, direct, zk } = stage(Duration::from_secs(10)).await?;
    let standard = DoubleBarrier::builder(&zk, PATH, 2).loss_policy(LossPolicy::Standard).build();
    let ours = tokio::spawn(async move { standard.enter().await });
    children(&direct, 1).await;
    for _ in 0..20 {
        soon(proxy.seen(1, |m| m.kind == Kind::Reply(OpCode::GetData))).await;
        proxy.take_record();
        proxy.cut_all();
        soon(zk.session_state().wait_for(|state| !state.is_connected())).await?;
        connected(&zk).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert!(!ours.is_finished(), "it was alone");
    }
    let (ours, theirs) = inside(ours, entering(&direct)).await?;
    leave(&direct, ours, theirs).await
}
