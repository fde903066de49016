//! A session that one client leaves and another carries on, on every server there is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::time::Duration;

use integration_tests::targets::{Failure, PATIENCE, Place};
use tokio::time::timeout;
use zk_client::{Client, ErrorKind, EventType, SessionState, SessionTicket};

type Outcome = Result<(), Failure>;

integration_tests::scenarios!(
    ephemerals_survive_the_handover,
    a_ticket_kept_in_time_outlives_its_client,
    a_session_that_is_gone_is_an_expiry,
    the_connected_server_has_a_name,
);

fn resumed(ticket: SessionTicket) -> zk_client::Builder {
    Client::builder().resume(ticket)
}

async fn ephemerals_survive_the_handover(place: Place) -> Outcome {
    let (first, observer) = (place.client().await?, place.client().await?);
    let made = first.create("/mine", "").ephemeral().await?;
    let (_, touched) = observer.exists("/mine").watch().await?;
    let session = first.session_id().unwrap();
    let late = first.create("/late", "").ephemeral().send();
    let ticket = first.detach().await.unwrap();
    let late = late.await?;
    assert_eq!(first.detach().await, None, "a session has one owner");
    assert_eq!(first.get("/mine").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(*first.session_state().borrow(), SessionState::Closed);

    // As another process would.
    let ticket = SessionTicket::from_bytes(&ticket.to_bytes())?;
    assert_eq!(ticket.session(), session);
    assert!(ticket.last_zxid() >= late.stat.czxid && late.stat.czxid > made.stat.czxid);
    let second = resumed(ticket).connect(&place.hosts).await?;
    assert_eq!(second.session_id(), Some(session));
    for node in ["/mine", "/late"] {
        assert_eq!(observer.exists(node).await?.unwrap().ephemeral_owner, session);
    }
    second.set("/mine", "still").in_session(session).await?;
    let event = timeout(PATIENCE, touched).await??;
    assert_eq!(event.event_type, EventType::NodeDataChanged, "never deleted in between");
    let (_, gone) = observer.exists("/mine").watch().await?;
    second.close().await;
    assert_eq!(timeout(PATIENCE, gone).await??.event_type, EventType::NodeDeleted);
    observer.close().await;
    Ok(())
}

/// What a process does that may be killed at any time: it keeps its ticket.
async fn a_ticket_kept_in_time_outlives_its_client(place: Place) -> Outcome {
    let first = place.client().await?;
    first.create("/mine", "").ephemeral().await?;
    let (session, ticket) = (first.session_id(), first.session_ticket().unwrap());
    assert_eq!(Some(ticket.session()), session);
    let second = resumed(ticket).connect(&place.hosts).await?;
    // The second takes the connection over; the first one is as good as dead, and must not take it back.
    first.detach().await;
    let mut state = second.session_state();
    timeout(PATIENCE, state.wait_for(SessionState::is_connected)).await??;
    assert_eq!(second.session_id(), session);
    assert!(second.exists("/mine").await?.is_some());
    second.close().await;
    Ok(())
}

async fn a_session_that_is_gone_is_an_expiry(place: Place) -> Outcome {
    let first = place.client().await?;
    let ticket = first.detach().await.unwrap();
    place.end_session(ticket.session()).await?;
    let terminal = resumed(ticket.clone()).expiry_is_terminal(true);
    let refused = terminal.connect(&place.hosts).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::SessionExpired, "{refused}");
    assert!(refused.is_session_lost());
    let renewed = resumed(ticket.clone()).connect(&place.hosts).await?;
    assert_ne!(renewed.session_id().unwrap(), ticket.session());
    renewed.close().await;
    Ok(())
}

async fn the_connected_server_has_a_name(place: Place) -> Outcome {
    let zk = place.client().await?;
    assert_eq!(zk.server().unwrap().to_string(), place.server);
    // A server that is not there is left alone, and the one that is there is left for it by nobody for long.
    zk.update_servers(&format!("{},127.0.0.1:1", place.server))?;
    assert_eq!(zk.update_servers("h:1/chroot").unwrap_err().kind(), ErrorKind::Config);
    zk.exists("/").await?;
    let back = async {
        while zk.server().is_none_or(|server| server.to_string() != place.server) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, back).await?;
    zk.close().await;
    assert_eq!(zk.server(), None);
    assert_eq!(zk.update_servers("h:1").unwrap_err().kind(), ErrorKind::Closed);
    Ok(())
}
