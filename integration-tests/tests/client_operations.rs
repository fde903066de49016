//! Every operation of the client and what is built of several, on the embedded server, on every Apache ZooKeeper
//! that is installed, and on the server that `ZK_CONNECT` names.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::time::Duration;

use futures::future::join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use integration_tests::peers::{JavaServer, JavaServerOptions, JavaVersion, Peers, free_port, or_skip};
use integration_tests::targets::{Failure, PATIENCE, Place};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use zk_client::limits::DELETE_BATCH_OPS;
use zk_client::{Acl, Client, CreateMode, ErrorCode, ErrorKind, EventType, ReadResult, WalkedNode};

type Outcome = Result<(), Failure>;

integration_tests::scenarios!(
    nodes_below_are_counted,
    ephemerals_of_the_session_are_listed,
    a_client_learns_who_it_is,
    reads_go_together_and_end_each_for_itself,
    children_come_with_and_without_a_stat,
    the_configuration_is_read_from_any_chroot,
    a_transaction_tells_the_stat_of_what_it_creates,
    a_transaction_creates_every_kind_of_node,
    a_path_is_ensured_from_the_chroot_down,
    upserts_race_without_an_error,
    a_subtree_is_deleted_whoever_writes_to_it,
    a_subtree_is_walked_level_by_level,
    a_protected_node_has_a_name_of_its_own,
    idempotent_writes_are_writes,
);

async fn nodes_below_are_counted(place: Place) -> Outcome {
    let zk = place.client().await?;
    assert_eq!(zk.get_all_children_number("/").await?, 0);
    for path in ["/a/b/c", "/a/b/d", "/ab"] {
        zk.create(path, "").parents().await?;
    }
    assert_eq!(zk.get_all_children_number("/").await?, 5);
    assert_eq!(zk.get_all_children_number("/a").await?, 3);
    assert_eq!(zk.get_all_children_number("/a/b/c").await?, 0);
    let e = zk.get_all_children_number("/none").await.unwrap_err();
    assert!(e.is_no_node(), "{e}");
    assert_eq!((e.operation(), e.path()), ("get_all_children_number", Some("/none")));
    // The server's own root counts what is ZooKeeper's too.
    let outside = Client::connect(&place.server).await?;
    assert_eq!(outside.get_all_children_number("/").await? + 1, outside.walk("/").count().await);
    outside.close().await;
    zk.close().await;
    Ok(())
}

async fn ephemerals_of_the_session_are_listed(place: Place) -> Outcome {
    let (zk, other) = (place.client().await?, place.client().await?);
    // Its root's name begins with ours.
    let outside = Client::connect(&place.server).await?;
    let neighbour = format!("{}-neighbour", place.root);
    outside.create(&neighbour, "").await?;
    assert!(zk.get_ephemerals("/").await?.is_empty());
    for path in ["/e-1", "/e-2", "/d/e-3"] {
        zk.create(path, "").ephemeral().parents().await?;
    }
    zk.create("/plain", "").await?;
    other.create("/e-other", "").ephemeral().await?;
    let sorted = |mut paths: Vec<String>| {
        paths.sort();
        paths
    };
    assert_eq!(sorted(zk.get_ephemerals("/").await?), ["/d/e-3", "/e-1", "/e-2"]);
    assert_eq!(sorted(zk.get_ephemerals("/e-").await?), ["/e-1", "/e-2"]);
    assert_eq!(zk.get_ephemerals("/d/").await?, ["/d/e-3"]);
    assert!(outside.get_ephemerals("/").await?.is_empty());
    let e = zk.get_ephemerals("e").await.unwrap_err();
    assert_eq!((e.kind(), e.path()), (ErrorKind::InvalidPath, Some("e")));
    outside.delete(&neighbour).await?;
    join_all([zk.close(), other.close(), outside.close()]).await;
    Ok(())
}

async fn a_client_learns_who_it_is(place: Place) -> Outcome {
    let zk = place.client().await?;
    let ids = zk.who_am_i().await?;
    assert!(ids.iter().any(|id| id.auth_scheme == "ip" && id.user == "127.0.0.1"), "{ids:?}");
    zk.add_auth("digest", "bob:secret").await?;
    let ids = zk.who_am_i().await?;
    assert!(ids.iter().any(|id| id.auth_scheme == "digest" && id.user == "bob"), "{ids:?}");
    zk.close().await;
    Ok(())
}

async fn reads_go_together_and_end_each_for_itself(place: Place) -> Outcome {
    let (zk, stranger) = (place.client().await?, place.client().await?);
    zk.add_auth("digest", "bob:secret").await?;
    zk.create("/a", "data").await?;
    zk.create("/a/b", "").await?;
    zk.create("/mine", "").acl(Acl::creator()).await?;
    let read = stranger.multi_read().get("/a").get("/none").get_children("/a").get_children("/mine");
    let results = read.await?;
    assert_eq!(results.len(), 4);
    let Ok(ReadResult::Node(node)) = &results[0] else { panic!("{results:?}") };
    assert_eq!((node.data.as_ref(), node.stat.num_children), (&b"data"[..], 1));
    assert_eq!(*node, zk.get("/a").await?);
    let e = results[1].as_ref().unwrap_err();
    assert!(e.is_no_node() && e.path() == Some("/none") && e.detail() == Some("step 1"), "{e}");
    assert_eq!(results[2].as_ref().ok().and_then(|r| r.clone().into_children()), Some(vec!["b".into()]));
    let e = results[3].as_ref().unwrap_err();
    assert_eq!((e.code(), e.path()), (Some(ErrorCode::NoAuth), Some("/mine")));
    assert!(e.zxid().is_some() && !e.outcome_unknown());
    assert!(zk.multi_read().await?.is_empty());
    let e = zk.multi_read().get("/a").get("b").await.unwrap_err();
    assert_eq!((e.kind(), e.path()), (ErrorKind::InvalidPath, Some("b")));
    join_all([zk.close(), stranger.close()]).await;
    Ok(())
}

async fn children_come_with_and_without_a_stat(place: Place) -> Outcome {
    let zk = place.client().await?;
    zk.create("/a/b", "").parents().await?;
    assert_eq!(zk.get_children("/a").await?.stat.num_children, 1);
    assert_eq!(zk.get_children("/a").without_stat().await?, ["b"]);
    let (names, changed) = zk.get_children("/a").without_stat().watch().await?;
    assert_eq!(names, ["b"]);
    zk.create("/a/c", "").await?;
    assert_eq!(timeout(PATIENCE, changed).await??.event_type, EventType::NodeChildrenChanged);
    zk.close().await;
    Ok(())
}

async fn the_configuration_is_read_from_any_chroot(place: Place) -> Outcome {
    let zk = place.client().await?;
    let node = zk.get_config().await?;
    let (same, changed) = zk.get_config().watch().await?;
    assert_eq!(same, node);
    drop(changed);
    if node.config.servers.is_empty() {
        // Standalone: there is nothing to change.
        assert_eq!(node.config.version, None);
    }
    let e = zk.reconfig().join(9, "127.0.0.1:1:2:observer;3").version(1).await.unwrap_err();
    assert!(
        matches!(e.code(), Some(ErrorCode::ReconfigDisabled | ErrorCode::Unimplemented | ErrorCode::NoAuth)),
        "{e}"
    );
    assert_eq!(
        (e.operation(), e.path(), e.outcome_unknown()),
        ("reconfig", Some("/zookeeper/config"), false)
    );
    let e = zk.reconfig().await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{e}");
    let e = zk.reconfig().leave(1).member(2, "a:1:2").await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidArgument, "{e}");
    zk.close().await;
    Ok(())
}

/// Whether the server says that it is of version 3.8.
async fn is_3_8(place: &Place) -> Result<bool, Failure> {
    let mut stream = TcpStream::connect(&place.server).await?;
    stream.write_all(b"srvr").await?;
    let mut text = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut text)).await??;
    Ok(text.contains("Zookeeper version: 3.8"))
}

async fn a_transaction_tells_the_stat_of_what_it_creates(place: Place) -> Outcome {
    let zk = place.client().await?;
    let transaction = zk.transaction().create("/a", "x").set("/a", "long").delete("/a").create("/b", "yy");
    let results = transaction.commit().await?;
    if is_3_8(&place).await? {
        // It answers with the path alone (ZOOKEEPER-4026).
        assert_eq!((results[3].created_path(), results[3].stat()), (Some("/b"), None));
        return Ok(());
    }
    let stat = results[3].stat().unwrap();
    assert_eq!((stat, stat.data_length), (&zk.exists("/b").await?.unwrap(), 2));
    let first = results[0].stat().unwrap();
    assert_eq!((first.czxid, first.version), (stat.czxid, 0));
    let e = zk.transaction().create("/c", "").check("/b", 7).commit().await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Transaction { index: 1, code: ErrorCode::BadVersion });
    assert_eq!((e.operation(), e.path()), ("transaction", Some("/b")));
    zk.close().await;
    Ok(())
}

async fn a_transaction_creates_every_kind_of_node(place: Place) -> Outcome {
    let zk = place.client().await?;
    let modes = CreateMode::ALL.into_iter().filter(|mode| !mode.has_ttl());
    let plain = modes
        .enumerate()
        .fold(zk.transaction(), |all, (n, mode)| all.create_with(format!("/n-{n}-"), "", mode, Acl::open()));
    let results = plain.commit().await?;
    let session = zk.session_id().unwrap();
    for (mode, result) in CreateMode::ALL.into_iter().zip(&results) {
        let path = result.created_path().unwrap();
        let stat = zk.exists(path).await?.unwrap();
        assert_eq!(stat.ephemeral_owner == session, mode.is_ephemeral(), "{mode:?}");
        assert!(result.stat().is_none_or(|told| *told == stat), "{mode:?}");
    }
    let minute = Duration::from_secs(60);
    let lasting = zk
        .transaction()
        .create_with_ttl("/t-", "", CreateMode::PersistentSequentialTtl, minute, Acl::open())
        .create("/beside", "");
    match lasting.commit().await {
        Ok(results) => assert!(zk.exists(results[0].created_path().unwrap()).await?.is_some()),
        // Switched off on most servers.
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Transaction { index: 0, code: ErrorCode::Unimplemented });
        }
    }
    let wrong = zk.transaction().create_with("/t", "", CreateMode::PersistentTtl, Acl::open()).commit();
    assert_eq!(wrong.await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    zk.close().await;
    Ok(())
}

async fn a_path_is_ensured_from_the_chroot_down(place: Place) -> Outcome {
    let zk = place.client().await?;
    zk.ensure_path("/").await?;
    zk.ensure_path("/a/b/c").await?;
    zk.ensure_path("/a/b/c").await?;
    assert_eq!(zk.exists("/a/b/c").await?.unwrap().version, 0);
    // Many at once, in each other's way.
    let ensuring = (0..20).map(|n| zk.ensure_path(format!("/m/n/o/p/{}", n % 3)).send());
    for outcome in join_all(ensuring).await {
        outcome?;
    }
    zk.ensure_path("/box").as_containers().acl(Acl::read_only()).await?;
    // The ACL of /box forbids it, and the path is still the caller's.
    let e = zk.ensure_path("/box/in").await.unwrap_err();
    assert_eq!((e.code(), e.path()), (Some(ErrorCode::NoAuth), Some("/box/in")));
    let deep = Client::connect(&format!("{}/not/there", place.hosts)).await?;
    deep.ensure_path("/x").await?;
    assert!(zk.exists("/not/there/x").await?.is_some());
    let e = deep.ensure_path("x").await.unwrap_err();
    assert_eq!((e.kind(), e.operation()), (ErrorKind::InvalidPath, "ensure_path"));
    join_all([zk.close(), deep.close()]).await;
    Ok(())
}

async fn upserts_race_without_an_error(place: Place) -> Outcome {
    let zk = place.client().await?;
    let first = zk.upsert("/n", "one").await?;
    assert!(first.created);
    let second = zk.upsert("/n", "two").await?;
    assert!(!second.created && second.stat.version == 1);
    assert!(zk.upsert("/no/parent", "").await.unwrap_err().is_no_node());
    assert!(zk.upsert("/with/parent", "").parents().mode(CreateMode::Ephemeral).await?.created);
    let clients = join_all((0..4).map(|_| place.client())).await;
    let racing = clients.into_iter().map(|client| async move {
        let client = client?;
        for n in 0..20 {
            client.upsert("/race", n.to_string()).await?;
            client.delete("/race").idempotent().await?;
        }
        client.close().await;
        Ok::<(), Failure>(())
    });
    for outcome in join_all(racing).await {
        outcome?;
    }
    let e = zk.upsert("/s-", "").mode(CreateMode::PersistentSequential).await.unwrap_err();
    assert_eq!((e.kind(), e.path()), (ErrorKind::InvalidArgument, Some("/s-")));
    zk.close().await;
    Ok(())
}

/// Creates these without waiting for each.
async fn plant(zk: &Client, paths: impl Iterator<Item = String>) -> Outcome {
    let planted: Vec<_> = paths.map(|path| zk.create(path, "").send()).collect();
    for node in planted {
        node.await?;
    }
    Ok(())
}

async fn a_subtree_is_deleted_whoever_writes_to_it(place: Place) -> Outcome {
    let (zk, other) = (place.client().await?, place.client().await?);
    // More than one batch, on several levels.
    let wide = 2 * DELETE_BATCH_OPS + 100;
    zk.create("/t", "").await?;
    plant(&zk, (0..20).map(|n| format!("/t/{n}"))).await?;
    plant(&zk, (0..wide).map(|n| format!("/t/{}/{n}", n % 20))).await?;
    zk.create("/tt", "").await?;
    assert_eq!(zk.delete_recursive("/t").await?, wide + 21);
    assert_eq!(zk.exists("/t").await?, None);
    assert!(zk.exists("/tt").await?.is_some());
    assert!(zk.delete_recursive("/t").await.unwrap_err().is_no_node());
    // Others create and delete there all the while.
    for round in 0..5 {
        zk.create("/busy", "").await?;
        plant(&zk, (0..200).map(|n| format!("/busy/{n}"))).await?;
        let writing = async {
            for n in 0..40 {
                // Lost races are what this is about.
                let _ = other.create(format!("/busy/{n}/new"), "").await;
                let _ = other.delete(format!("/busy/{}", 199 - n)).await;
            }
        };
        let (gone, ()) = tokio::join!(zk.delete_recursive("/busy").send(), writing);
        assert!(gone? >= 200 - 40, "round {round}");
        assert_eq!(zk.exists("/busy").await?, None);
    }
    let outside = Client::connect(&place.server).await?;
    let e = outside.delete_recursive("/").await.unwrap_err();
    assert_eq!((e.kind(), e.path()), (ErrorKind::InvalidArgument, Some("/")));
    zk.add_auth("digest", "bob:secret").await?;
    zk.create("/mine", "").acl(Acl::creator()).await?;
    zk.create("/mine/own", "").await?;
    let e = other.delete_recursive("/mine").await.unwrap_err();
    assert_eq!((e.code(), e.operation()), (Some(ErrorCode::NoAuth), "delete_recursive"), "{e}");
    join_all([zk.close(), other.close(), outside.close()]).await;
    Ok(())
}

async fn a_subtree_is_walked_level_by_level(place: Place) -> Outcome {
    let zk = place.client().await?;
    for path in ["/w/b/y", "/w/a/z", "/w/a/x/deep", "/w/c"] {
        zk.create(path, path.to_owned()).parents().await?;
    }
    let seen: Vec<WalkedNode> = zk.walk("/w").with_data().try_collect().await?;
    let paths: Vec<_> = seen.iter().map(|node| node.path.as_str()).collect();
    assert_eq!(paths, ["/w", "/w/a", "/w/b", "/w/c", "/w/a/x", "/w/a/z", "/w/b/y", "/w/a/x/deep"]);
    for node in &seen {
        let read = zk.get(&node.path).await?;
        assert_eq!((node.data.as_ref(), node.stat), (Some(&read.data), read.stat));
    }
    let one_by_one: Vec<WalkedNode> = zk.walk("/w").in_flight(1).try_collect().await?;
    assert!(one_by_one.iter().zip(&seen).all(|(a, b)| (&a.path, a.stat) == (&b.path, b.stat)));
    assert!(one_by_one.iter().all(|node| node.data.is_none()));
    // Vanished before it was asked for; forbidden.
    let mut walk = zk.walk("/w").in_flight(1);
    assert_eq!(walk.next().await.unwrap()?.path, "/w");
    zk.delete("/w/c").await?;
    zk.set_acl("/w/a", vec![Acl::new(zk_client::Perms::WRITE, zk_client::AuthId::anyone())]).await?;
    let e = walk.next().await.unwrap().unwrap_err();
    assert_eq!((e.code(), e.path(), e.operation()), (Some(ErrorCode::NoAuth), Some("/w/a"), "walk"));
    let rest: Vec<WalkedNode> = walk.try_collect().await?;
    assert_eq!(rest.iter().map(|node| node.path.as_str()).collect::<Vec<_>>(), ["/w/b", "/w/b/y"]);
    let mut none = zk.walk("/none");
    assert!(none.next().await.unwrap().unwrap_err().is_no_node());
    assert!(none.next().await.is_none());
    plant(&zk, (0..500).map(|n| format!("/w/b/{n:03}"))).await?;
    assert_eq!(zk.walk("/w/b").count().await, 502);
    // It ends with the session it is tied to.
    let id = zk.session_id().unwrap();
    let mut tied = zk.walk("/w/b").in_session(id);
    assert!(tied.next().await.unwrap().is_ok());
    let mut states = zk.session_state();
    place.end_session(id).await?;
    timeout(PATIENCE, states.wait_for(|state| state.session().is_some_and(|now| now.id != id))).await??;
    let tail: Vec<_> = tied.collect().await;
    assert!(tail.last().unwrap().as_ref().is_err_and(zk_client::Error::is_session_lost), "{:?}", tail.last());
    zk.close().await;
    Ok(())
}

async fn a_protected_node_has_a_name_of_its_own(place: Place) -> Outcome {
    let zk = place.client().await?;
    let made = zk.create("/p/lock-", "x").ephemeral().sequential().parents().protected().await?;
    let name = made.path.strip_prefix("/p/_c_").unwrap();
    assert!(name.ends_with("-lock-0000000000") && name.len() == 36 + "-lock-0000000000".len(), "{name}");
    assert_eq!(zk.exists(&made.path).await?, Some(made.stat));
    let plain = zk.create("/p/n", "x").protected().await?;
    assert!(plain.path.starts_with("/p/_c_") && plain.path.ends_with("-n"));
    let nameless = zk.create("/p/", "").sequential().protected().await?;
    assert!(nameless.path.ends_with("-0000000002"), "{}", nameless.path);
    assert_eq!(zk.get_children("/p").await?.names.len(), 3);
    let e = zk.create("/none/n", "").protected().await.unwrap_err();
    assert!(e.is_no_node() && !e.outcome_unknown(), "{e}");
    zk.close().await;
    Ok(())
}

async fn idempotent_writes_are_writes(place: Place) -> Outcome {
    let zk = place.client().await?;
    zk.create("/n", "0").await?;
    assert_eq!(zk.set("/n", "1").version(0).idempotent().await?.version, 1);
    let e = zk.set("/n", "1").version(0).idempotent().await.unwrap_err();
    assert!(e.is_bad_version() && !e.outcome_unknown(), "{e}");
    assert!(zk.delete("/n").version(0).idempotent().await.unwrap_err().is_bad_version());
    zk.delete("/n").version(1).idempotent().await?;
    zk.delete("/n").idempotent().await?;
    zk.close().await;
    Ok(())
}

/// An ensemble of one can be changed: an observer joins it, and leaves.
async fn an_ensemble_is_changed(version: JavaVersion) -> Outcome {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    if !peers.versions().any(|found| found == version) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("myid"), "1")?;
    let (port, quorum, election) = (free_port()?, free_port()?, free_port()?);
    let line = format!("127.0.0.1:{quorum}:{election}:participant;127.0.0.1:{port}");
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let options = JavaServerOptions {
        version,
        data_dir: dir.path().to_owned(),
        port,
        config: vec![
            pair("server.1", &line),
            pair("standaloneEnabled", "false"),
            pair("reconfigEnabled", "true"),
        ],
        jvm_flags: vec!["-Dzookeeper.skipACL=yes".into()],
    };
    let mut server = JavaServer::spawn(&peers, options)?;
    server.wait_serving()?;
    let zk = Client::connect(&format!("{}/chroot", server.hosts())).await?;
    let (before, changed) = zk.get_config().watch().await?;
    assert_eq!(before.config.servers[0].client_host().unwrap().to_string(), server.hosts());
    let observer = "127.0.0.1:1:2:observer;127.0.0.1:3";
    let start = before.config.version.unwrap();
    let joined = zk.reconfig().join(2, observer).version(start).await?;
    assert_eq!(joined.config.server(2).unwrap().to_string(), observer);
    assert!(joined.config.version.unwrap() > start);
    let event = timeout(PATIENCE, changed).await??;
    assert_eq!((event.event_type, event.path.as_str()), (EventType::NodeDataChanged, "/zookeeper/config"));
    assert_eq!(zk.get_config().await?.config, joined.config);
    let e = zk.reconfig().leave(2).version(start).await.unwrap_err();
    assert!(e.is_bad_version(), "{e}");
    let left = zk.reconfig().leave(2).await?;
    assert_eq!(left.config.servers, before.config.servers);
    // The whole membership at once.
    let mut config = left.config;
    config.servers.extend(joined.config.server(2).cloned());
    let whole = zk.reconfig().membership(&config).await?;
    assert_eq!(whole.config.servers, joined.config.servers);
    let e = zk.reconfig().join(1, "nonsense").await.unwrap_err();
    assert_eq!(e.code(), Some(ErrorCode::BadArguments), "{e}");
    zk.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ensemble_of_apache_zookeeper_3_8_is_changed() -> Outcome {
    an_ensemble_is_changed(JavaVersion::V3_8).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ensemble_of_apache_zookeeper_3_9_is_changed() -> Outcome {
    an_ensemble_is_changed(JavaVersion::V3_9_5).await
}
