//! The client's promises, on the embedded server, on every Apache ZooKeeper that is installed, and on the server
//! that `ZK_CONNECT` names: the same scenarios everywhere.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::time::Duration;

use futures::future::join_all;
use integration_tests::targets::{Failure, PATIENCE, Place};
use tokio::time::timeout;
use zk_client::{Acl, Client, CreateMode, ErrorCode, ErrorKind, EventType, SessionState};

type Outcome = Result<(), Failure>;

integration_tests::scenarios!(
    every_kind_of_node,
    versions_guard_writes,
    children_and_existence,
    acls_and_credentials,
    transactions_are_all_or_nothing,
    watches_fire_once,
    many_in_flight_answer_in_order,
    ephemerals_go_with_their_session,
    an_ended_session_is_reported,
);

async fn every_kind_of_node(place: Place) -> Outcome {
    let zk = place.client().await?;
    let made = zk.create("/plain", "data").await?;
    assert_eq!(made.path, "/plain");
    assert_eq!((made.stat.version, made.stat.data_length), (0, 4));
    let session = zk.session_id().unwrap();
    let made = zk.create("/ephemeral", "").ephemeral().await?;
    assert_eq!(made.stat.ephemeral_owner, session);
    let first = zk.create("/s-", "").sequential().await?.path;
    let second = zk.create("/s-", "").ephemeral().sequential().await?.path;
    assert!(first < second && first.len() == "/s-".len() + 10, "{first} {second}");
    zk.create("/container", "").container().await?;
    zk.create("/deep/er/node", "x").parents().await?;
    assert_eq!(zk.get("/deep/er").await?.data.len(), 0);
    match zk.create("/ttl", "").ttl(Duration::from_secs(60)).await {
        Ok(made) => assert_eq!(made.stat.ephemeral_owner.0, 0),
        // Switched off on most servers.
        Err(e) => assert_eq!(e.code(), Some(ErrorCode::Unimplemented), "{e}"),
    }
    zk.close().await;
    Ok(())
}

async fn versions_guard_writes(place: Place) -> Outcome {
    let zk = place.client().await?;
    zk.create("/n", "one").await?;
    let stat = zk.set("/n", "two").version(0).await?;
    assert_eq!(stat.version, 1);
    let e = zk.set("/n", "three").version(0).await.unwrap_err();
    assert!(e.is_bad_version() && e.path() == Some("/n") && !e.outcome_unknown(), "{e}");
    let node = zk.get("/n").await?;
    assert_eq!((node.data.as_ref(), node.stat), (&b"two"[..], stat));
    assert!(zk.delete("/n").version(7).await.unwrap_err().is_bad_version());
    zk.delete("/n").version(1).await?;
    assert!(zk.get("/n").await.unwrap_err().is_no_node());
    assert!(zk.create("/no/parent", "").await.unwrap_err().is_no_node());
    assert_eq!(zk.create("no-slash", "").await.unwrap_err().kind(), ErrorKind::InvalidPath);
    let large = zk.create("/large", vec![7_u8; 900_000]).await?;
    assert_eq!(large.stat.data_length, 900_000);
    assert_eq!(zk.get("/large").await?.data.len(), 900_000);
    zk.close().await;
    Ok(())
}

async fn children_and_existence(place: Place) -> Outcome {
    let zk = place.client().await?;
    assert_eq!(zk.exists("/a").await?, None);
    zk.create("/a", "").await?;
    assert!(zk.create("/a", "").await.unwrap_err().is_node_exists());
    for name in ["x", "y", "z"] {
        zk.create(format!("/a/{name}"), "").await?;
    }
    let mut children = zk.get_children("/a").await?;
    children.names.sort();
    assert_eq!(children.names, ["x", "y", "z"]);
    assert_eq!((children.stat.num_children, children.stat.cversion), (3, 3));
    assert!(zk.delete("/a").await.unwrap_err().is_not_empty());
    zk.delete("/a/x").await?;
    assert_eq!(zk.exists("/a").await?.unwrap().cversion, 4);
    zk.sync("/a").await?;
    zk.close().await;
    Ok(())
}

async fn acls_and_credentials(place: Place) -> Outcome {
    let (owner, stranger) = (place.client().await?, place.client().await?);
    owner.add_auth("digest", "bob:secret").await?;
    owner.create("/mine", "private").acl(Acl::creator()).await?;
    assert_eq!(owner.get("/mine").await?.data.as_ref(), b"private");
    let e = stranger.get("/mine").await.unwrap_err();
    assert_eq!(e.code(), Some(ErrorCode::NoAuth), "{e}");
    let (acl, stat) = owner.get_acl("/mine").await?;
    assert_eq!((acl[0].id.scheme.as_str(), stat.aversion), ("digest", 0));
    let stat = owner.set_acl("/mine", Acl::open()).version(0).await?;
    assert_eq!(stat.aversion, 1);
    assert_eq!(stranger.get("/mine").await?.data.as_ref(), b"private");
    let e = owner.set_acl("/mine", vec![]).await.unwrap_err();
    assert_eq!(e.code(), Some(ErrorCode::InvalidAcl), "{e}");
    owner.close().await;
    stranger.close().await;
    Ok(())
}

async fn transactions_are_all_or_nothing(place: Place) -> Outcome {
    let zk = place.client().await?;
    zk.create("/a", "0").await?;
    let results = zk
        .transaction()
        .check("/a", 0)
        .create("/a/b", "x")
        .create_with("/a/s-", "", CreateMode::PersistentSequential, Acl::open())
        .set("/a", "1")
        .delete("/a/b")
        .commit()
        .await?;
    assert_eq!(results.len(), 5);
    // The counter counts creations: /a/b was the first.
    assert_eq!(results[2].created_path(), Some("/a/s-0000000001"));
    assert_eq!(results[3].stat().map(|s| s.version), Some(1));
    let e = zk.transaction().create("/a/c", "").check("/a", 0).delete("/a").commit().await.unwrap_err();
    assert!(e.is_bad_version() && e.path() == Some("/a"), "{e}");
    assert_eq!(zk.exists("/a/c").await?, None);
    assert!(zk.transaction().commit().await?.is_empty());
    zk.close().await;
    Ok(())
}

async fn watches_fire_once(place: Place) -> Outcome {
    let (a, b) = (place.client().await?, place.client().await?);
    a.create("/n", "0").await?;
    let (_, data) = a.get("/n").watch().await?;
    let (_, same) = a.get("/n").watch().await?;
    let (_, children) = a.get_children("/n").watch().await?;
    let (absent, created) = a.exists("/later").watch().await?;
    assert_eq!(absent, None);
    let set = b.set("/n", "1").await?;
    for watch in [data, same] {
        let event = timeout(PATIENCE, watch).await??;
        assert_eq!((event.event_type, event.path.as_str()), (EventType::NodeDataChanged, "/n"));
        // Servers before 3.9 do not say which transaction it was.
        assert!(event.zxid.is_none_or(|zxid| zxid == set.mzxid), "{event:?}");
    }
    b.create("/n/child", "").await?;
    assert_eq!(timeout(PATIENCE, children).await??.event_type, EventType::NodeChildrenChanged);
    b.create("/later", "").await?;
    assert_eq!(timeout(PATIENCE, created).await??.event_type, EventType::NodeCreated);
    let (_, deleted) = a.get("/later").watch().await?;
    b.delete("/later").await?;
    assert_eq!(timeout(PATIENCE, deleted).await??.event_type, EventType::NodeDeleted);
    a.close().await;
    b.close().await;
    Ok(())
}

async fn many_in_flight_answer_in_order(place: Place) -> Outcome {
    let zk = place.client().await?;
    zk.create("/n", "").await?;
    let writes: Vec<_> = (0..1000).map(|i: i32| zk.set("/n", i.to_string()).version(i).send()).collect();
    let read = zk.get("/n").send();
    let versions: Vec<i32> =
        join_all(writes).await.into_iter().map(|r| r.map(|s| s.version)).collect::<Result<_, _>>()?;
    assert_eq!(versions, (1..=1000).collect::<Vec<_>>());
    // Behind all of them, so it sees the last.
    assert_eq!(read.await?.data.as_ref(), b"999");
    zk.close().await;
    Ok(())
}

async fn ephemerals_go_with_their_session(place: Place) -> Outcome {
    let (a, b) = (place.client().await?, place.client().await?);
    a.create("/e", "").ephemeral().await?;
    let e = a.create("/e/child", "").await.unwrap_err();
    assert_eq!(e.code(), Some(ErrorCode::NoChildrenForEphemerals), "{e}");
    let (stat, gone) = b.exists("/e").watch().await?;
    assert!(stat.is_some());
    a.close().await;
    assert_eq!(timeout(PATIENCE, gone).await??.event_type, EventType::NodeDeleted);
    assert_eq!(b.exists("/e").await?, None);
    b.close().await;
    Ok(())
}

async fn an_ended_session_is_reported(place: Place) -> Outcome {
    let zk: Client = place.client().await?;
    let id = zk.session_id().unwrap();
    zk.create("/e", "").ephemeral().await?;
    let (_, watch) = zk.exists("/e").watch().await?;
    let mut states = zk.session_state();
    place.end_session(id).await?;
    let lost = timeout(PATIENCE, watch).await?;
    // Our own event of the deletion may still arrive before the connection goes.
    assert!(
        lost.as_ref()
            .map_or_else(zk_client::Error::is_session_lost, |e| e.event_type == EventType::NodeDeleted),
        "{lost:?}"
    );
    // By default the client goes on with a new session; this one is over.
    let renewed = |s: &SessionState| matches!(s, SessionState::Connected(info) if info.id != id);
    timeout(PATIENCE, states.wait_for(renewed)).await??;
    assert_eq!(zk.session_deadline(id), None);
    let e = zk.create("/pinned", "").in_session(id).await.unwrap_err();
    assert!(e.is_session_lost() && !e.outcome_unknown(), "{e}");
    assert_eq!(zk.exists("/e").await?, None);
    zk.close().await;
    Ok(())
}
