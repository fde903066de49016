//! The lock's promises, on the embedded server, on every Apache ZooKeeper that is installed, and on the server that
//! `ZK_CONNECT` names.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::time::Duration;

use integration_tests::targets::{Failure, PATIENCE, Place};
use tokio::time::timeout;
use zk_client::Client;
use zk_recipes::{Error, Lock, LossReason};

type Outcome = Result<(), Failure>;

/// The lock all scenarios contend for.
const PATH: &str = "/lock";

integration_tests::scenarios!(
    one_holder_at_a_time_and_tokens_rise,
    a_lock_that_is_held_is_not_waited_for,
    what_is_dropped_leaves_nothing_behind,
    a_lost_session_is_a_lost_lock,
    a_deleted_node_is_a_lost_lock,
);

async fn contenders(zk: &Client) -> Result<usize, Failure> {
    match zk.get_children(PATH).await {
        Ok(children) => Ok(children.names.len()),
        // The container may be gone already.
        Err(e) if e.is_no_node() => Ok(0),
        Err(e) => Err(e.into()),
    }
}

async fn one_holder_at_a_time_and_tokens_rise(place: Place) -> Outcome {
    let (a, b) = (place.client().await?, place.client().await?);
    let first = Lock::new(&a, PATH).acquire().await?;
    let other = Lock::new(&b, PATH);
    let waiting = tokio::spawn(async move { other.acquire().await });
    timeout(PATIENCE, async {
        while contenders(&a).await? < 2 {
            tokio::task::yield_now().await;
        }
        Ok::<_, Failure>(())
    })
    .await??;
    assert!(!waiting.is_finished());
    let token = first.fencing_token();
    first.release().await?;
    let second = timeout(PATIENCE, waiting).await???;
    assert!(second.fencing_token() > token);
    second.transaction()?.create("/made-by-the-holder", "").commit().await?;
    second.release().await?;
    assert_eq!(contenders(&a).await?, 0);
    a.close().await;
    b.close().await;
    Ok(())
}

async fn a_lock_that_is_held_is_not_waited_for(place: Place) -> Outcome {
    let (a, b) = (place.client().await?, place.client().await?);
    let guard = Lock::new(&a, PATH).try_acquire().await?.unwrap();
    let lock = Lock::new(&b, PATH);
    assert!(lock.try_acquire().await?.is_none());
    let late = lock.acquire_within(Duration::from_millis(50)).await;
    assert!(matches!(late, Err(Error::Timeout { .. })), "{late:?}");
    guard.release().await?;
    assert!(lock.try_acquire().await?.is_some());
    a.close().await;
    b.close().await;
    Ok(())
}

async fn what_is_dropped_leaves_nothing_behind(place: Place) -> Outcome {
    let (a, b) = (place.client().await?, place.client().await?);
    let guard = Lock::new(&a, PATH).acquire().await?;
    let lock = Lock::new(&b, PATH);
    // Given up at every moment from "before anything was sent" to "waiting in line".
    for polls in 0..40 {
        let mut acquire = Box::pin(lock.acquire());
        for _ in 0..polls {
            tokio::select! {
                biased;
                done = &mut acquire => panic!("two holders: {done:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(acquire);
    }
    drop(guard);
    // Whoever comes next gets in, and in the end nobody is left in line.
    let last = timeout(PATIENCE, lock.acquire()).await??;
    last.release().await?;
    timeout(PATIENCE, async {
        while contenders(&a).await? > 0 {
            tokio::task::yield_now().await;
        }
        Ok::<_, Failure>(())
    })
    .await??;
    a.close().await;
    b.close().await;
    Ok(())
}

async fn a_lost_session_is_a_lost_lock(place: Place) -> Outcome {
    let (a, b) = (place.client().await?, place.client().await?);
    let stale = Lock::new(&a, PATH).acquire().await?;
    let other = Lock::new(&b, PATH);
    let waiting = tokio::spawn(async move { other.acquire().await });
    // Made while the lock was held, sent when it is not: ZooKeeper itself must refuse it.
    let late_write = stale.transaction()?.create("/stale", "");
    place.end_session(a.session_id().unwrap()).await?;
    let reason = timeout(PATIENCE, stale.lost()).await?;
    let expected = [LossReason::Disconnected, LossReason::SessionExpired, LossReason::NodeDeleted];
    assert!(expected.contains(&reason), "{reason}");
    assert!(!stale.is_held());
    let next = timeout(PATIENCE, waiting).await???;
    assert!(next.fencing_token() > stale.fencing_token());
    assert!(matches!(stale.transaction(), Err(Error::Lost { .. })));
    assert!(late_write.commit().await.is_err());
    next.release().await?;
    // The client has a new session by now, and the lock works in it.
    timeout(PATIENCE, Lock::new(&a, PATH).acquire()).await??.release().await?;
    assert!(b.exists("/stale").await?.is_none());
    a.close().await;
    b.close().await;
    Ok(())
}

async fn a_deleted_node_is_a_lost_lock(place: Place) -> Outcome {
    let (a, operator) = (place.client().await?, place.client().await?);
    let guard = Lock::new(&a, PATH).acquire().await?;
    let name = operator.get_children(PATH).await?.names.remove(0);
    operator.delete(format!("{PATH}/{name}")).await?;
    assert_eq!(timeout(PATIENCE, guard.lost()).await?, LossReason::NodeDeleted);
    assert!(matches!(guard.transaction(), Err(Error::Lost { .. })));
    a.close().await;
    operator.close().await;
    Ok(())
}
