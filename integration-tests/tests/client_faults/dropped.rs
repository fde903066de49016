//! Operations given up at every point of their life: nothing leaks, nothing hangs, no answer goes to another.

use futures::FutureExt as _;
use integration_tests::proxy::{Proxy, eager};
use integration_tests::targets::Place;
use std::future::{Future, poll_fn};
use std::task::Poll;
use zk_client::Client;
use zk_client::limits::QUEUE_UNITS_MAX;
use zk_proto::OpCode;

use crate::cuts::no_room_is_lost;
use crate::lost::{Kind, prepared, reads, writes};
use crate::{Outcome, connected, disconnected, only_tasks, soon, tasks};

integration_tests::scenarios!(
    given_up_at_every_stage_between_two_that_are_not,
    given_up_while_it_waits_for_room,
    given_up_in_the_middle_of_several_steps,
    connecting_and_closing_are_given_up,
);

/// Polls a future so often, each time when it has asked for it, then drops it.
async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    let mut polled = 0;
    poll_fn(move |cx| {
        if polled == polls {
            return Poll::Ready(None);
        }
        polled += 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Where in its life an operation is given up.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// At once, unpolled.
    Unpolled,
    /// At once, polled: somebody was to be woken.
    Polled,
    /// Sent, and not at the server yet.
    Sent,
    /// Done, and the answer is on its way.
    Done,
    /// Answered, and nobody has looked.
    Answered,
    /// Sent, and the connection is lost: a read waits to be sent again.
    Lost,
    /// Not sent, for want of a connection.
    Unsent,
}

const STAGES: [Stage; 7] =
    [Stage::Unpolled, Stage::Polled, Stage::Sent, Stage::Done, Stage::Answered, Stage::Lost, Stage::Unsent];

async fn given_up_at_every_stage_between_two_that_are_not(place: Place) -> Outcome {
    let direct = place.client().await?;
    direct.create("/front", "front").await?;
    direct.create("/behind", "behind").await?;
    let before = tasks();
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    for (n, kind) in reads().into_iter().chain(writes()).enumerate() {
        for (m, stage) in STAGES.into_iter().enumerate() {
            let path = format!("/{n}-{m}");
            prepared(&direct, &path).await?;
            let outcome = give_up(&proxy, &zk, &kind, stage, &path).await;
            outcome.map_err(|e| format!("{:?} {stage:?}: {e}", kind.op))?;
            proxy.take_record();
        }
    }
    no_room_is_lost(&proxy, &zk).await?;
    soon(zk.close()).await?;
    drop(zk);
    proxy.close().await;
    only_tasks(before).await?;
    direct.close().await;
    Ok(())
}

async fn give_up(proxy: &Proxy, zk: &Client, kind: &Kind, stage: Stage, path: &str) -> Outcome {
    proxy.clear_rules();
    connected(zk).await?;
    let (op, of_node) = (kind.op, path.to_owned());
    let of_node = move |m: &integration_tests::proxy::Message| {
        m.op() == Some(OpCode::Multi) || m.path.as_deref().is_some_and(|path| path.contains(&of_node))
    };
    let pick = match stage {
        Stage::Done => proxy.on_reply(op),
        _ => proxy.on_request(op),
    };
    let held = pick.matching(of_node).hold();
    if matches!(stage, Stage::Unpolled | Stage::Polled | Stage::Answered | Stage::Unsent) {
        held.withdraw();
    }
    if matches!(stage, Stage::Unsent) {
        proxy.refuse();
        proxy.cut_all();
        disconnected(zk).await?;
    }
    let front = zk.get("/front").send();
    let mut operation = (kind.start)(zk, path);
    let behind = zk.get("/behind").send();
    match stage {
        Stage::Unpolled => {}
        // It may be answered already; most often it is not.
        Stage::Polled => drop((&mut operation).now_or_never()),
        Stage::Sent | Stage::Done => drop(soon(held.acted()).await?),
        Stage::Answered => {
            zk.exists("/").await?;
        }
        Stage::Lost => {
            soon(held.acted()).await?;
            proxy.refuse();
            proxy.cut_all();
            disconnected(zk).await?;
        }
        Stage::Unsent => assert!((&mut operation).now_or_never().is_none(), "an answer from nobody"),
    }
    drop(operation);
    drop(held);
    proxy.heal();
    let (front, behind) = soon(async { (front.await, behind.await) }).await?;
    assert_eq!((&front?.data[..], &behind?.data[..]), (&b"front"[..], &b"behind"[..]));
    if matches!(stage, Stage::Unsent) {
        assert_eq!(proxy.count(|m| m.requested() == Some(op) && op.is_write() && m.passed()), 0);
    }
    Ok(())
}

async fn given_up_while_it_waits_for_room(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    zk.create("/n", "data").await?;
    proxy.refuse();
    proxy.cut_all();
    disconnected(&zk).await?;
    let full: Vec<_> = (0..QUEUE_UNITS_MAX).map(|_| zk.exists("/").send()).collect();
    let mut parked: Vec<_> = (0..1000).map(|n| zk.create(format!("/parked-{n}"), "").send()).collect();
    let last = zk.get("/n").send();
    // From the middle, the front, the end; polled and not.
    for n in [500, 0, 997, 1] {
        let mut one = parked.remove(n);
        assert!((&mut one).now_or_never().is_none());
        drop(one);
    }
    parked.truncate(10);
    // Those in the queue make room; nobody else does.
    drop(full);
    proxy.heal();
    for one in parked {
        soon(one).await??;
    }
    assert_eq!(soon(last).await??.data, "data");
    let made = proxy.count(|m| m.requested() == Some(OpCode::Create2) && m.passed());
    assert_eq!(made, 11, "what was given up in line was sent");
    no_room_is_lost(&proxy, &zk).await?;
    zk.close().await;
    Ok(())
}

async fn given_up_in_the_middle_of_several_steps(place: Place) -> Outcome {
    let before = tasks();
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    let mut made = false;
    for polls in 0..24 {
        let path = format!("/{polls}/a/b/c");
        let create = zk.create(&path, "").parents().send();
        let behind = zk.exists("/").send();
        made = soon(dropped_after(polls, create)).await?.is_some();
        assert!(soon(behind).await??.is_some());
        // What is half made is gone on with.
        match soon(zk.create(&path, "").parents().send()).await? {
            Ok(done) => assert_eq!(done.path, path),
            Err(error) => assert!(error.is_node_exists(), "{error}"),
        }
    }
    assert!(made, "never came to its end");
    no_room_is_lost(&proxy, &zk).await?;
    zk.close().await;
    drop(zk);
    proxy.close().await;
    only_tasks(before).await?;
    Ok(())
}

async fn connecting_and_closing_are_given_up(place: Place) -> Outcome {
    let before = tasks();
    let proxy = place.proxy().await?;
    let hosts = place.through(&[&proxy]);
    let mut connections = 0;
    for polls in 0..12 {
        if let Some(zk) = soon(dropped_after(polls, eager().connect(&hosts))).await? {
            connections += 1;
            let zk = zk?;
            let closing = proxy.on_request(OpCode::CloseSession).notice();
            // A poll, or none: who never polls it has not asked.
            dropped_after(polls % 3 + 1, zk.close()).await;
            soon(closing.acted()).await?;
        }
    }
    assert!(connections > 0);
    proxy.close().await;
    only_tasks(before).await
}
