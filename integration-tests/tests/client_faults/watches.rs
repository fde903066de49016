//! One-shot watches across cuts, restarts and other addresses: what happened meanwhile is heard, once, and what has
//! not happened is still waited for.

use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use integration_tests::peers::{JavaServer, JavaVersion, Peers, or_skip, skipped};
use integration_tests::proxy::{Message, Pick, Proxy, eager};
use integration_tests::targets::{Failure, Place};
use zk_client::{Client, ErrorKind, EventType, Watch, WatchItem};
use zk_proto::{OpCode, Request};
use zk_server::EmbeddedServer;

use crate::{Outcome, connected, disconnected, soon};

integration_tests::scenarios!(
    what_happened_in_the_gap_is_heard,
    an_event_that_was_lost_is_told_again,
    a_watch_whose_answer_was_lost_is_set_all_the_same,
    another_address_arms_the_same_watches,
    rearming_is_cut_anywhere_in_its_batches,
    nobody_waits_and_nothing_is_armed,
    a_session_that_ends_ends_its_watches,
);

/// A watch of each kind on nodes below `root`, and what will be done to it.
struct Watched {
    watches: Vec<(Watch, EventType, String)>,
}

async fn watch_all(zk: &Client, root: &str) -> Result<Watched, Failure> {
    let path = |name: &str| format!("{root}/{name}");
    zk.create(root, "").await?;
    for name in ["set", "deleted", "parent", "gone", "stat"] {
        zk.create(path(name), "").await?;
    }
    let watches = vec![
        (zk.get(path("set")).watch().await?.1, EventType::NodeDataChanged, path("set")),
        (zk.get(path("set")).watch().await?.1, EventType::NodeDataChanged, path("set")),
        (zk.get(path("deleted")).watch().await?.1, EventType::NodeDeleted, path("deleted")),
        (zk.get_children(path("parent")).watch().await?.1, EventType::NodeChildrenChanged, path("parent")),
        (zk.get_children(path("gone")).watch().await?.1, EventType::NodeDeleted, path("gone")),
        (zk.exists(path("stat")).watch().await?.1, EventType::NodeDataChanged, path("stat")),
        (zk.exists(path("absent")).watch().await?.1, EventType::NodeCreated, path("absent")),
    ];
    Ok(Watched { watches })
}

/// Fires each of them.
async fn change_all(by: &Client, root: &str) -> Outcome {
    let path = |name: &str| format!("{root}/{name}");
    by.set(path("set"), "x").await?;
    by.delete(path("deleted")).await?;
    by.create(path("parent/child"), "").await?;
    by.delete(path("gone")).await?;
    by.set(path("stat"), "x").await?;
    by.create(path("absent"), "").await?;
    Ok(())
}

impl Watched {
    async fn all_heard(self) -> Outcome {
        for (watch, event_type, path) in self.watches {
            let event = soon(watch).await.map_err(|e| format!("{event_type:?} of {path}: {e}"))??;
            assert_eq!((event.event_type, event.path), (event_type, path));
        }
        Ok(())
    }

    /// None has fired so far. To be called behind an answer that would have come after the events.
    fn none_heard(&mut self) {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        for (watch, _, path) in &mut self.watches {
            assert!(std::pin::Pin::new(watch).poll(&mut cx).is_pending(), "{path} was heard early");
        }
    }
}

/// Away for a while: `meanwhile` happens while nobody can connect.
async fn gap(proxy: &Proxy, zk: &Client, meanwhile: impl Future<Output = Outcome>) -> Outcome {
    proxy.refuse();
    proxy.cut_all();
    disconnected(zk).await?;
    meanwhile.await?;
    proxy.heal();
    connected(zk).await?;
    Ok(())
}

async fn what_happened_in_the_gap_is_heard(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    let direct = place.client().await?;
    let missed = watch_all(&zk, "/missed").await?;
    let mut later = watch_all(&zk, "/later").await?;
    proxy.take_record();
    gap(&proxy, &zk, change_all(&direct, "/missed")).await?;
    missed.all_heard().await?;
    zk.sync("/").await?;
    later.none_heard();
    assert_eq!(proxy.count(|m| m.requested() == Some(OpCode::SetWatches)), 1);
    // Twice more, with nothing missed.
    for _ in 0..2 {
        gap(&proxy, &zk, async { Ok(()) }).await?;
    }
    zk.sync("/").await?;
    later.none_heard();
    change_all(&direct, "/later").await?;
    later.all_heard().await?;
    proxy.take_record();
    gap(&proxy, &zk, async { Ok(()) }).await?;
    zk.sync("/").await?;
    assert_eq!(proxy.count(|m| m.requested() == Some(OpCode::SetWatches)), 0, "all have fired");
    zk.close().await;
    direct.close().await;
    Ok(())
}

async fn an_event_that_was_lost_is_told_again(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    let direct = place.client().await?;
    let cuts: [fn(Pick<'_>) -> integration_tests::proxy::Rule; 3] =
        [|pick| pick.cut_before(), |pick| pick.cut_at(18), |pick| pick.by_reset().cut_before()];
    for (n, cut) in cuts.into_iter().enumerate() {
        let root = format!("/{n}");
        let watched = watch_all(&zk, &root).await?;
        // The server has fired it, and forgotten it.
        let cut = cut(proxy.on_event().nth(n as u64 + 1));
        change_all(&direct, &root).await?;
        watched.all_heard().await?;
        assert_eq!(cut.times(), 1);
    }
    zk.close().await;
    direct.close().await;
    Ok(())
}

async fn a_watch_whose_answer_was_lost_is_set_all_the_same(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    let direct = place.client().await?;
    direct.create("/n", "old").await?;
    // Changed while nobody can connect: the read that is asked again sees it, and its watch is for what follows.
    let held = proxy.on_reply(OpCode::GetData).hold();
    let read = zk.get("/n").watch().send();
    soon(held.acted()).await?;
    gap(&proxy, &zk, async {
        direct.set("/n", "new").await?;
        Ok(())
    })
    .await?;
    let (node, mut watch) = soon(read).await??;
    assert_eq!(node.data, "new");
    zk.sync("/").await?;
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::Pin::new(&mut watch).poll(&mut cx).is_pending(), "that was before the read");
    let set = direct.set("/n", "newer").await?;
    let event = soon(watch).await??;
    assert!(event.zxid.is_none_or(|zxid| zxid == set.mzxid), "{event:?}");
    zk.close().await;
    direct.close().await;
    Ok(())
}

async fn another_address_arms_the_same_watches(place: Place) -> Outcome {
    let (a, b) = (place.proxy().await?, place.proxy().await?);
    let zk = eager().connect(&place.through(&[&a, &b])).await?;
    let direct = place.client().await?;
    let (here, there) = if a.connections() > 0 { (a, b) } else { (b, a) };
    let missed = watch_all(&zk, "/missed").await?;
    let later = watch_all(&zk, "/later").await?;
    let session = zk.session_id();
    there.refuse();
    here.refuse();
    here.cut_all();
    disconnected(&zk).await?;
    change_all(&direct, "/missed").await?;
    there.heal();
    missed.all_heard().await?;
    change_all(&direct, "/later").await?;
    later.all_heard().await?;
    assert_eq!((there.connections(), zk.session_id()), (1, session), "the session has moved");
    zk.close().await;
    direct.close().await;
    Ok(())
}

/// The paths that a re-arming request names.
fn armed(message: &Message) -> usize {
    match message.request() {
        Some(Request::SetWatches(r)) => r.data_watches.len() + r.exist_watches.len() + r.child_watches.len(),
        _ => 0,
    }
}

async fn rearming_is_cut_anywhere_in_its_batches(place: Place) -> Outcome {
    const WATCHES: usize = 120;
    const FRAME_BYTES: usize = 1500;
    let proxy = place.proxy().await?;
    let zk = eager().frame_limit(FRAME_BYTES).connect(&place.through(&[&proxy])).await?;
    let direct = place.client().await?;
    let mut watches = Vec::new();
    for n in 0..WATCHES {
        zk.create(format!("/n-{n}"), "").await?;
        watches.push(zk.get(format!("/n-{n}")).watch().await?.1);
    }
    let rearms = |proxy: &Proxy| {
        let newest = proxy.connections();
        let record = proxy.record();
        let of = move |m: &&Message| m.connection == newest && m.requested() == Some(OpCode::SetWatches);
        record.into_iter().filter(|m| of(&m)).collect::<Vec<_>>()
    };
    gap(&proxy, &zk, async { Ok(()) }).await?;
    zk.sync("/").await?;
    let batches = rearms(&proxy);
    assert!(batches.len() >= 4, "{} batches", batches.len());
    assert!(batches.iter().all(|m| m.bytes <= 4 + FRAME_BYTES));
    assert_eq!(batches.iter().map(armed).sum::<usize>(), WATCHES);
    let cuts: [fn(&Proxy) -> integration_tests::proxy::Rule; 6] = [
        |proxy| proxy.on_request(OpCode::SetWatches).cut_before(),
        |proxy| proxy.on_request(OpCode::SetWatches).nth(2).cut_at(700),
        |proxy| proxy.on_request(OpCode::SetWatches).nth(3).cut_after(),
        |proxy| proxy.on_reply(OpCode::SetWatches).cut_before(),
        |proxy| proxy.on_reply(OpCode::SetWatches).nth(2).cut_at(9),
        // Among the events of what was missed: some are heard, the others told again.
        |proxy| proxy.on_event().nth(3).cut_before(),
    ];
    for (n, cut) in cuts.into_iter().enumerate() {
        proxy.take_record();
        // Some of every batch.
        let missed: Vec<usize> = (n..WATCHES).step_by(20).collect();
        let cut = cut(&proxy);
        gap(&proxy, &zk, async {
            for n in &missed {
                direct.set(format!("/n-{n}"), "x").await?;
            }
            Ok(())
        })
        .await?;
        soon(cut.acted()).await?;
        for n in missed {
            let event = soon(&mut watches[n]).await.map_err(|e| format!("{n}: {e}"))??;
            assert_eq!((event.event_type, event.path), (EventType::NodeDataChanged, format!("/n-{n}")));
            watches[n] = zk.get(format!("/n-{n}")).watch().await?.1;
        }
    }
    for n in 0..WATCHES {
        direct.set(format!("/n-{n}"), "y").await?;
    }
    for watch in soon(join_all(watches)).await? {
        watch?;
    }
    zk.close().await;
    direct.close().await;
    Ok(())
}

async fn nobody_waits_and_nothing_is_armed(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    zk.create("/n", "").await?;
    let (_, kept) = zk.get("/n").watch().await?;
    let (_, shared) = zk.get("/n").watch().await?;
    drop(zk.get_children("/n").watch().await?);
    // Given up while it was on its way.
    drop(zk.exists("/other").watch().send());
    drop(shared);
    zk.sync("/").await?;
    gap(&proxy, &zk, async { Ok(()) }).await?;
    zk.sync("/").await?;
    let armed_now = proxy.record().iter().map(armed).sum::<usize>();
    assert_eq!(armed_now, 1, "only /n is waited for, once");
    drop(kept);
    zk.sync("/").await?;
    proxy.take_record();
    gap(&proxy, &zk, async { Ok(()) }).await?;
    zk.sync("/").await?;
    assert_eq!(proxy.count(|m| m.requested() == Some(OpCode::SetWatches)), 0);
    zk.close().await;
    Ok(())
}

async fn a_session_that_ends_ends_its_watches(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    let direct = place.client().await?;
    let watched = watch_all(&zk, "/n").await?;
    let old = connected(&zk).await?.id;
    gap(&proxy, &zk, async {
        place.end_session(old).await?;
        change_all(&direct, "/n").await
    })
    .await?;
    for (watch, _, path) in watched.watches {
        let error = soon(watch).await?.unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::SessionExpired, Some(&path[..])), "{error}");
    }
    zk.close().await;
    direct.close().await;
    Ok(())
}

/// Watches over a server that is restarted: with a change before, a change after, and nothing lost between.
async fn across_a_restart(server: String, restart: impl FnOnce() -> BoxFuture<'static, Outcome>) -> Outcome {
    let proxy = Proxy::before(server.clone()).await?;
    let zk = eager().session_timeout(Duration::from_secs(20)).connect(&proxy.hosts()).await?;
    let direct = Client::connect(&server).await?;
    let missed = watch_all(&zk, "/missed").await?;
    let later = watch_all(&zk, "/later").await?;
    let mut stream = zk.watch("/later").recursive().await?;
    let session = zk.session_id();
    proxy.refuse();
    proxy.cut_all();
    disconnected(&zk).await?;
    change_all(&direct, "/missed").await?;
    restart().await?;
    proxy.heal();
    missed.all_heard().await?;
    soon(change_all(&direct, "/later")).await??;
    later.all_heard().await?;
    assert_eq!(soon(stream.next()).await?.transpose()?, Some(WatchItem::Resync));
    let Some(WatchItem::Event(first)) = soon(stream.next()).await?.transpose()? else {
        return Err("a stream without an event".into());
    };
    assert_eq!((first.event_type, &first.path[..]), (EventType::NodeDataChanged, "/later/set"));
    assert_eq!(zk.session_id(), session);
    zk.close().await;
    direct.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn across_a_restart_of_our_server() -> Outcome {
    let server = EmbeddedServer::start().await?;
    let hosts = server.connect_string();
    let (kept, keep) = tokio::sync::oneshot::channel();
    let restart = move || -> BoxFuture<'static, Outcome> {
        Box::pin(async move {
            let _ = kept.send(server.restart().await?);
            Ok(())
        })
    };
    across_a_restart(hosts, restart).await?;
    keep.await?.stop().await;
    Ok(())
}

async fn across_a_restart_of_apache_zookeeper(version: JavaVersion) -> Outcome {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    if !peers.versions().any(|v| v == version) {
        skipped(format_args!("no Apache ZooKeeper {} on this machine", version.name()));
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let mut server = JavaServer::start(&peers, version, dir.path(), None)?;
    let hosts = server.hosts();
    let (kept, keep) = tokio::sync::oneshot::channel();
    let restart = move || -> BoxFuture<'static, Outcome> {
        Box::pin(async move {
            let server = tokio::task::spawn_blocking(move || server.restart().map(|()| server)).await??;
            let _ = kept.send(server);
            Ok(())
        })
    };
    across_a_restart(hosts, restart).await?;
    drop(keep.await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn across_a_restart_of_apache_zookeeper_3_8() -> Outcome {
    across_a_restart_of_apache_zookeeper(JavaVersion::V3_8).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn across_a_restart_of_apache_zookeeper_3_9() -> Outcome {
    across_a_restart_of_apache_zookeeper(JavaVersion::V3_9_5).await
}
