//! The leader latch on a real server: the scenarios of Curator's own tests of it, and what ours promises beyond them.
//! Faults of the network are in `integration-tests/tests/leader_faults.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::time::Duration;

use support::{children, client, dropped_after, server, soon};
use zk_client::Client;
use zk_proto::path;
use zk_recipes::{
    CloseMode, Error, LeaderLatch, LeaderState, LeaderStatus, LossPolicy, LossReason, Participant,
    RunningLatch,
};
use zk_server::EmbeddedServer;

const PATH: &str = "/app/scheduler";

fn latch(zk: &Client, id: &str) -> LeaderLatch {
    LeaderLatch::builder(zk, PATH).identifier(id).build()
}

fn start(zk: &Client, id: &str) -> RunningLatch {
    latch(zk, id).start().unwrap()
}

fn start_by_session(zk: &Client) -> RunningLatch {
    LeaderLatch::builder(zk, PATH).loss_policy(LossPolicy::Session).build().start().unwrap()
}

async fn becomes(latch: &RunningLatch, what: impl Fn(&LeaderState) -> bool) -> LeaderStatus {
    let mut state = latch.state();
    soon(state.wait_for(|status| what(&status.state))).await.unwrap().clone()
}

fn is_follower(state: &LeaderState) -> bool {
    matches!(state, LeaderState::Follower { .. })
}

/// Several candidates in the order of the line, each with a client of its own.
async fn candidates(server: &EmbeddedServer, count: usize) -> Vec<(Client, RunningLatch)> {
    let mut all = Vec::new();
    for n in 0..count {
        let zk = client(server).await;
        let latch = start(&zk, &format!("candidate-{n}"));
        if n == 0 {
            soon(latch.wait_leader()).await.unwrap();
        } else {
            becomes(&latch, is_follower).await;
        }
        all.push((zk, latch));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_leads_and_the_next_follow_in_order() {
    let server = server().await;
    let mut line = candidates(&server, 4).await;
    let zk = client(&server).await;
    let names = children(&zk, PATH, 4).await;
    let mut last = None;
    for n in 0..4 {
        let (_, first) = line.remove(0);
        let leadership = soon(first.wait_leader()).await.unwrap();
        assert!(first.is_leader() && leadership.is_held());
        assert!(line.iter().all(|(_, other)| !other.is_leader()));
        let token = leadership.fencing_token();
        assert!(Some(token) > last, "tokens rise");
        last = Some(token);
        assert_eq!(zk.get(leadership.node()).await.unwrap().stat.czxid, token.czxid());
        assert_eq!(first.state().borrow().token(), Some(token));
        // As Curator writes it: `_c_<uuid>-latch-<n>`, the identifier as data.
        let own = path::name(leadership.node());
        let (prefix, rest) = own.split_at(3);
        assert_eq!((prefix, &rest[36..]), ("_c_", &*format!("-latch-{n:010}")));
        assert!(names.iter().any(|name| name == own));
        let leader = soon(first.leader()).await.unwrap().unwrap();
        assert_eq!((leader.identifier(), leader.token), (format!("candidate-{n}"), token));
        let ids: Vec<String> =
            first.participants().await.unwrap().iter().map(Participant::identifier).collect();
        assert_eq!(ids, (n..4).map(|n| format!("candidate-{n}")).collect::<Vec<_>>());
        first.close(CloseMode::Silent).await.unwrap();
        assert!(!leadership.is_held());
        assert_eq!(soon(leadership.lost()).await, LossReason::Released);
    }
    children(&zk, PATH, 0).await;
    assert_eq!(latch(&zk, "").leader().await.unwrap(), None);
    assert_eq!(latch(&zk, "").participants().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_session_expires_stops_and_comes_back_at_the_tail() {
    let server = server().await;
    let line = candidates(&server, 3).await;
    let (first, second) = (&line[0].1, &line[1].1);
    let old = soon(first.wait_leader()).await.unwrap();
    assert!(server.expire_session(old.session()).await);
    let new = soon(second.wait_leader()).await.unwrap();
    // The server cuts the connection of a session that it expires.
    let reason = soon(old.lost()).await;
    assert!(matches!(reason, LossReason::Disconnected | LossReason::SessionExpired), "{reason}");
    assert!(old.transaction().is_err() && new.fencing_token() > old.fencing_token());
    becomes(first, is_follower).await;
    let other = &line[2].0;
    children(other, PATH, 3).await;
    let ids: Vec<_> = first.participants().await.unwrap().iter().map(Participant::identifier).collect();
    assert_eq!(ids, ["candidate-1", "candidate-2", "candidate-0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_keeps_its_node_through_a_suspend_and_not_through_expiry() {
    let server = server().await;
    let line = candidates(&server, 2).await;
    let follower = &line[1].1;
    let LeaderState::Follower { node } = follower.state().borrow().state.clone() else { panic!() };
    let before = follower.state().borrow().generation;
    server.drop_connections();
    let after = becomes(follower, is_follower).await;
    assert!(after.generation >= before);
    assert_eq!(after.state, LeaderState::Follower { node: node.clone() });

    assert!(server.expire_session(line[1].0.session_id().unwrap()).await);
    let after = becomes(follower, |state| {
        is_follower(state) && *state != LeaderState::Follower { node: node.clone() }
    });
    let after = after.await;
    assert!(after.generation > before);
    children(&line[0].0, PATH, 2).await;
}

/// Curator's testErrorPolicies and testLostConnection; the node stays, as in C-504 and C-644.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disconnected_leader_stops_at_once_and_leads_again_on_its_node() {
    let server = server().await;
    let line = candidates(&server, 2).await;
    let leader = &line[0].1;
    let old = soon(leader.wait_leader()).await.unwrap();
    let before = leader.state().borrow().generation;
    server.drop_connections();
    assert_eq!(soon(old.lost()).await, LossReason::Disconnected);
    let new = soon(leader.wait_leader()).await.unwrap();
    assert!(new.is_held() && !old.is_held(), "what is lost stays lost");
    assert_eq!((new.node(), new.fencing_token()), (old.node(), old.fencing_token()));
    assert!(leader.state().borrow().generation > before + 1);
    becomes(&line[1].1, is_follower).await;
    children(&line[1].0, PATH, 2).await;
    new.transaction().unwrap().create("/done", "").commit().await.unwrap();
}

/// Curator's testSessionErrorPolicy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_session_a_leader_leads_through_a_disconnect() {
    let server = server().await;
    let zk = client(&server).await;
    let leader = start_by_session(&zk);
    let leadership = soon(leader.wait_leader()).await.unwrap();
    let mut states = leadership.state();
    let generation = leader.state().borrow().generation;
    server.drop_connections();
    soon(states.wait_for(|state| !matches!(state, zk_recipes::LockState::Held))).await.unwrap();
    soon(states.wait_for(|state| matches!(state, zk_recipes::LockState::Held))).await.unwrap();
    assert!(leader.is_leader() && leadership.is_held());
    assert_eq!(leader.state().borrow().generation, generation);
}

/// What Curator does not see (R-fact 7): it would have two leaders from here on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_node_ends_leadership_and_is_made_anew() {
    let server = server().await;
    let line = candidates(&server, 2).await;
    let zk = client(&server).await;
    let old = soon(line[0].1.wait_leader()).await.unwrap();
    zk.delete(old.node()).await.unwrap();
    assert_eq!(soon(old.lost()).await, LossReason::NodeDeleted);
    let new = soon(line[1].1.wait_leader()).await.unwrap();
    becomes(&line[0].1, is_follower).await;
    assert!(!line[0].1.is_leader());
    // A follower's, too.
    let LeaderState::Follower { node } = line[0].1.state().borrow().state.clone() else { panic!() };
    zk.delete(&node).await.unwrap();
    zk.delete(new.node()).await.unwrap();
    soon(async {
        while line.iter().filter(|(_, latch)| latch.is_leader()).count() != 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    children(&zk, PATH, 2).await;
}

/// Curator's testCreateDeleteRace and testResetRace, by an outsider who deletes everything, the parent too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_often_the_line_is_torn_down_one_leads_in_the_end() {
    let server = server().await;
    let line = candidates(&server, 4).await;
    let zk = client(&server).await;
    for _ in 0..25 {
        for name in zk.get_children(PATH).await.map(|list| list.names).unwrap_or_default() {
            let _ = zk.delete(path::join(PATH, &name)).await;
        }
        let _ = zk.delete(PATH).await;
    }
    soon(async {
        loop {
            let leaders = line.iter().filter(|(_, latch)| latch.is_leader()).count();
            let followers =
                line.iter().filter(|(_, latch)| is_follower(&latch.state().borrow().state)).count();
            if (leaders, followers) == (1, 3) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    children(&zk, PATH, 4).await;
}

/// Curator's testSessionInterruptionDoNotCauseBrainSplit: sessions end one after the other, and in pairs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_sessions_split_nothing() {
    let server = server().await;
    let line = candidates(&server, 3).await;
    let zk = client(&server).await;
    zk.create("/ledger", "").await.unwrap();
    let mut last = None;
    for round in 0..12 {
        for (n, (client, _)) in line.iter().enumerate() {
            if (round + n) % 3 != 0
                && let Some(id) = client.session_id()
            {
                server.expire_session(id).await;
            }
        }
        let elected = line.iter().map(|(_, latch)| Box::pin(latch.wait_leader()));
        let (leadership, _, _) = soon(futures::future::select_all(elected)).await;
        let leadership = leadership.unwrap();
        if let Ok(transaction) = leadership.transaction()
            && transaction.set("/ledger", "").commit().await.is_ok()
        {
            assert!(last <= Some(leadership.fencing_token()), "who wrote was the latest");
            last = Some(leadership.fencing_token());
        }
    }
    assert!(last.is_some());
    children(&zk, PATH, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stepping_down_lets_the_next_one_lead() {
    let server = server().await;
    let line = candidates(&server, 2).await;
    let (first, second) = (&line[0].1, &line[1].1);
    assert!(!second.step_down().await);
    let old = soon(first.wait_leader()).await.unwrap();
    assert!(soon(first.step_down()).await);
    assert!(!old.is_held() && !first.is_leader());
    soon(second.wait_leader()).await.unwrap();
    becomes(first, is_follower).await;
    assert!(soon(second.step_down()).await);
    let new = soon(first.wait_leader()).await.unwrap();
    assert!(new.fencing_token() > old.fencing_token());
    children(&line[0].0, PATH, 2).await;
}

/// Curator's testCallbackNotifyLeader and testCallbackDontNotify.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_hears_of_a_close() {
    let server = server().await;
    let zk = client(&server).await;
    for mode in [CloseMode::Silent, CloseMode::NotifyLeader] {
        let latch = start(&zk, "");
        let leadership = soon(latch.wait_leader()).await.unwrap();
        let mut state = latch.state();
        state.borrow_and_update();
        soon(latch.close(mode)).await.unwrap();
        assert_eq!(state.changed().await.is_ok(), mode == CloseMode::NotifyLeader);
        assert!(state.changed().await.is_err());
        assert_eq!(state.borrow().state, LeaderState::Closed);
        assert!(!latch.is_leader() && !leadership.is_held());
        assert!(matches!(latch.wait_leader().await, Err(Error::Closed { .. })));
        soon(latch.close(CloseMode::Silent)).await.unwrap();
        children(&zk, PATH, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_or_closed_at_any_moment_it_leaves_nothing() {
    let server = server().await;
    let zk = client(&server).await;
    let keep = client(&server).await;
    for round in 0..30 {
        let latch = start(&zk, "");
        drop(dropped_after(round % 6, latch.wait_leader()).await);
        match round % 3 {
            0 => drop(latch),
            1 => drop(dropped_after(round % 4, latch.close(CloseMode::Silent)).await),
            _ => soon(latch.close(CloseMode::NotifyLeader)).await.unwrap(),
        }
        if round % 5 == 0 {
            tokio::task::yield_now().await;
        }
    }
    children(&keep, PATH, 0).await;
    // Behind a leader, too.
    let leader = start(&keep, "");
    soon(leader.wait_leader()).await.unwrap();
    for polls in 0..20 {
        let latch = start(&zk, "");
        drop(dropped_after(polls, becomes(&latch, is_follower)).await);
        drop(latch);
    }
    children(&keep, PATH, 1).await;
    assert!(leader.is_leader());
}

/// Curator's testWaiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_take_turns_and_never_two_at_once() {
    let server = server().await;
    let zk = client(&server).await;
    let leading = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut all = tokio::task::JoinSet::new();
    for n in 0..8 {
        let latch = start(&zk, &format!("{n}"));
        let leading = std::sync::Arc::clone(&leading);
        all.spawn(async move {
            latch.wait_leader().await.unwrap();
            assert_eq!(leading.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert_eq!(leading.fetch_sub(1, std::sync::atomic::Ordering::SeqCst), 1);
            latch.close(CloseMode::Silent).await.unwrap();
        });
    }
    while let Some(done) = soon(all.join_next()).await {
        done.unwrap();
    }
    children(&zk, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_has_its_limits_and_the_latch_goes_on() {
    let server = server().await;
    let line = candidates(&server, 2).await;
    let error = line[1].1.wait_leader_within(Duration::from_millis(20)).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    line[0].1.close(CloseMode::Silent).await.unwrap();
    soon(line[1].1.wait_leader()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_with_its_client_and_says_why() {
    let server = server().await;
    let zk = client(&server).await;
    let leader = start(&zk, "a");
    let leadership = soon(leader.wait_leader()).await.unwrap();
    let follower = start(&zk, "b");
    becomes(&follower, is_follower).await;
    zk.close().await;
    for latch in [&leader, &follower] {
        let error = soon(latch.wait_leader()).await.unwrap_err();
        let closed = matches!(error, Error::ClientEnded { reason: LossReason::ClientClosed, .. });
        assert!(closed, "{error}");
        becomes(latch, |state| *state == LeaderState::Closed).await;
        soon(latch.close(CloseMode::Silent)).await.unwrap();
    }
    let reason = soon(leadership.lost()).await;
    assert_eq!(reason, LossReason::ClientClosed);

    // A path that is not valid, a parent that must be there.
    let zk = client(&server).await;
    let latch = LeaderLatch::new(&zk, "no-slash").start().unwrap();
    let error = soon(latch.wait_leader()).await.unwrap_err();
    assert!(matches!(error, Error::Client { .. }), "{error}");
    let strict = LeaderLatch::builder(&zk, "/missing/latch").parents(zk_recipes::Parents::MustExist).build();
    let error = soon(strict.start().unwrap().wait_leader()).await.unwrap_err();
    assert!(error.client_error().unwrap().is_no_node(), "{error}");
    assert!(matches!(
        std::thread::spawn(move || strict.start().map(drop)).join().unwrap(),
        Err(Error::NoRuntime)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_a_lock_do_not_stand_in_a_latchs_line() {
    let server = server().await;
    let zk = client(&server).await;
    let guard = zk_recipes::Lock::new(&zk, PATH).acquire().await.unwrap();
    let latch = start(&zk, "");
    soon(latch.wait_leader()).await.unwrap();
    assert!(guard.is_held());
}
