//! A network that says nothing: dead connections are found in time to go elsewhere, idle sessions are kept, and the
//! client's own deadline never comes after the server's.

use std::time::{Duration, Instant};

use integration_tests::proxy::{Kind, Message, eager};
use integration_tests::targets::Place;
use zk_client::{EventType, SessionState};
use zk_proto::OpCode;

use crate::{Outcome, connected, soon};

integration_tests::scenarios!(
    a_dead_connection_is_left_at_two_thirds_of_the_timeout,
    a_server_that_greets_nobody_is_left_for_another,
    pings_keep_an_idle_session,
    the_deadline_comes_before_the_expiry,
);

async fn a_dead_connection_is_left_at_two_thirds_of_the_timeout(place: Place) -> Outcome {
    let (a, b) = (place.proxy().await?, place.proxy().await?);
    let asked = Duration::from_millis(3000);
    let zk = eager().session_timeout(asked).connect(&place.through(&[&a, &b])).await?;
    let (here, there) = if a.connections() > 0 { (a, b) } else { (b, a) };
    let info = connected(&zk).await?;
    zk.create("/e", "").ephemeral().await?;
    let before = Instant::now();
    zk.exists("/").await?;
    here.half_open();
    let read = zk.exists("/e").send();
    let mut state = zk.session_state();
    soon(state.wait_for(|state| matches!(state, SessionState::Suspended(_)))).await??;
    assert!(before.elapsed() >= info.timeout * 2 / 3, "given up after {:?}", before.elapsed());
    let deadline = zk.session_deadline(info.id).ok_or("the session is over already")?;
    assert!(deadline.into_std() <= Instant::now() + info.timeout / 3, "more is left than there can be");
    // In time to save the session.
    assert_eq!(soon(read).await??.ok_or("the session was lost")?.ephemeral_owner, info.id);
    assert_eq!((connected(&zk).await?.id, there.connections()), (info.id, 1));
    zk.close().await;
    Ok(())
}

async fn a_server_that_greets_nobody_is_left_for_another(place: Place) -> Outcome {
    let (a, b) = (place.proxy().await?, place.proxy().await?);
    let zk = eager().session_timeout(Duration::from_secs(4)).connect(&place.through(&[&a, &b])).await?;
    let (here, there) = if a.connections() > 0 { (a, b) } else { (b, a) };
    let session = zk.session_id();
    // It accepts, and says nothing, whether it is asked first or second.
    here.half_open();
    here.cut_all();
    let greeted = there.on_greeting().notice();
    soon(zk.exists("/").send()).await??;
    soon(greeted.acted()).await?;
    assert_eq!(zk.session_id(), session);
    zk.close().await;
    Ok(())
}

async fn pings_keep_an_idle_session(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().session_timeout(Duration::from_secs(1)).connect(&place.through(&[&proxy])).await?;
    let info = connected(&zk).await?;
    zk.create("/e", "").ephemeral().await?;
    let first = zk.session_deadline(info.id).ok_or("no session")?;
    let begin = Instant::now();
    let pong = |m: &Message| m.kind == Kind::Reply(OpCode::Ping);
    // A ping each third of the timeout.
    soon(proxy.seen(7, pong)).await?;
    assert!(begin.elapsed() >= info.timeout * 2, "pings come too often: {:?}", begin.elapsed());
    zk.exists("/e").await?.ok_or("the session was lost")?;
    assert_eq!((zk.session_id(), proxy.connections()), (Some(info.id), 1));
    assert!(zk.session_deadline(info.id).ok_or("no session")? >= first + info.timeout * 2);
    zk.close().await;
    Ok(())
}

async fn the_deadline_comes_before_the_expiry(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().session_timeout(Duration::from_millis(1500)).connect(&place.through(&[&proxy])).await?;
    let other = place.client().await?;
    let info = connected(&zk).await?;
    zk.create("/e", "").ephemeral().await?;
    let (_, gone) = other.exists("/e").watch().await?;
    // The server hears this, and the answer does not come: the deadline must not count what was not answered.
    let held = proxy.on_reply(OpCode::Exists).hold();
    let read = zk.exists("/").send();
    soon(held.acted()).await?;
    let deadline = zk.session_deadline(info.id).ok_or("no session")?;
    proxy.half_open();
    let event = soon(gone).await??;
    let gone_at = tokio::time::Instant::now();
    assert_eq!(event.event_type, EventType::NodeDeleted);
    assert!(deadline <= gone_at, "the client thought its session safe for {:?} more", deadline - gone_at);
    assert_eq!(zk.session_deadline(info.id), Some(deadline), "nothing was answered since");
    proxy.heal();
    proxy.cut_all();
    let mut state = zk.session_state();
    let renewed = |state: &SessionState| state.session().is_some_and(|new| new.id != info.id);
    soon(state.wait_for(renewed)).await??;
    assert_eq!(zk.session_deadline(info.id), None);
    let error = soon(read).await?.unwrap_err();
    assert!(error.is_session_lost(), "{error}");
    zk.close().await;
    other.close().await;
    Ok(())
}
