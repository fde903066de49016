//! Persistent and recursive watches across cuts, other addresses, restarts and sessions: nothing is missed without a
//! `Resync`, what nobody waits for is taken off the server, and a slow reader delays nobody.

use std::collections::BTreeMap;

use integration_tests::proxy::{Message, Proxy, eager};
use integration_tests::targets::{Failure, Place};
use zk_client::{Client, ErrorCode, ErrorKind, EventType, WatchItem, WatchStream, WatchedEvent};
use zk_proto::OpCode;

use crate::{Outcome, connected, disconnected, soon};

integration_tests::scenarios!(
    a_view_is_never_wrong_across_cuts_and_addresses,
    a_child_list_is_never_wrong_across_cuts,
    many_streams_are_armed_again_in_batches,
    streams_go_on_in_the_next_session,
    the_last_interest_takes_the_watch_along,
    one_shots_and_streams_share_a_path,
    a_reader_that_sleeps_delays_nobody,
    watches_are_removed_on_request,
);

/// The next item of a stream that goes on.
async fn next(stream: &mut WatchStream) -> Result<WatchItem, Failure> {
    Ok(soon(stream.next()).await?.ok_or("the stream has ended")??)
}

async fn event(stream: &mut WatchStream) -> Result<WatchedEvent, Failure> {
    loop {
        if let WatchItem::Event(event) = next(stream).await? {
            return Ok(event);
        }
    }
}

/// What is at `/tree` and below: path and version.
async fn read_all(zk: &Client) -> Result<BTreeMap<String, i32>, Failure> {
    let mut seen = BTreeMap::new();
    let mut nodes = zk.walk("/tree");
    while let Some(node) = nodes.next().await.transpose()? {
        seen.insert(node.path, node.stat.version);
    }
    Ok(seen)
}

/// Keeps a picture of the tree by a recursive stream alone, until it shows `/tree/end`. Answers with the picture and
/// the number of resyncs.
async fn view(zk: &Client, mut changes: WatchStream) -> Result<(BTreeMap<String, i32>, usize), Failure> {
    let mut seen = read_all(zk).await?;
    let mut resyncs = 0;
    while !seen.contains_key("/tree/end") {
        match next(&mut changes).await? {
            WatchItem::Resync => {
                resyncs += 1;
                seen = read_all(zk).await?;
            }
            WatchItem::Event(event) if event.event_type == EventType::NodeDeleted => {
                seen.remove(&event.path);
            }
            WatchItem::Event(event) => match zk.exists(&event.path).await? {
                Some(stat) => drop(seen.insert(event.path, stat.version)),
                // Deleted since: its event is on its way.
                None => drop(seen.remove(&event.path)),
            },
        }
    }
    Ok((seen, resyncs))
}

/// Creates, sets and deletes below `/tree`.
async fn change(by: &Client, n: usize) -> Outcome {
    let path = format!("/tree/{}", n % 7);
    match n % 5 {
        0 => drop(by.upsert(&path, "x").await?),
        1 => drop(by.upsert(format!("{path}/child"), "x").parents().await?),
        2 => drop(by.delete_recursive(&path).await),
        _ => drop(by.upsert(&path, format!("{n}")).await?),
    }
    Ok(())
}

async fn a_view_is_never_wrong_across_cuts_and_addresses(place: Place) -> Outcome {
    const CUTS: usize = 30;
    let (a, b) = (place.proxy().await?, place.proxy().await?);
    let zk = eager().connect(&place.through(&[&a, &b])).await?;
    let direct = place.client().await?;
    direct.create("/tree", "").await?;
    let changes = zk.watch("/tree").recursive().await?;
    let viewer = tokio::spawn({
        let zk = zk.clone();
        async move { view(&zk, changes).await }
    });
    let session = zk.session_id();
    for n in 0..CUTS {
        let (from, to) = if n % 2 == 0 { (&a, &b) } else { (&b, &a) };
        for k in 0..20 {
            change(&direct, 20 * n + k).await?;
        }
        // Away from one address, on to the other; sometimes with nowhere to go for a while.
        from.refuse();
        if n % 3 == 0 {
            to.refuse();
        }
        from.cut_all();
        change(&direct, n).await?;
        to.heal();
        connected(&zk).await?;
    }
    a.heal();
    b.heal();
    direct.create("/tree/end", "").await?;
    let (seen, resyncs) = soon(viewer).await???;
    assert_eq!(seen, read_all(&direct).await?);
    assert!(resyncs > 0 && resyncs <= 2 * CUTS, "{resyncs} resyncs");
    assert_eq!(zk.session_id(), session);
    zk.close().await;
    direct.close().await;
    Ok(())
}

async fn a_child_list_is_never_wrong_across_cuts(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    let direct = place.client().await?;
    direct.create("/list", "").await?;
    let mut changes = zk.watch("/list").await?;
    let reader = tokio::spawn({
        let zk = zk.clone();
        async move {
            let mut names = zk.get_children("/list").await?.names;
            while !names.contains(&"end".to_owned()) {
                match next(&mut changes).await? {
                    WatchItem::Event(event) if event.event_type != EventType::NodeChildrenChanged => {}
                    _ => names = zk.get_children("/list").await?.names,
                }
            }
            Ok::<_, Failure>(names.len())
        }
    });
    for n in 0..100 {
        direct.create(format!("/list/{n}"), "").await?;
        if n % 10 == 3 {
            proxy.cut_all();
        }
    }
    direct.create("/list/end", "").await?;
    assert_eq!(soon(reader).await???, 101);
    zk.close().await;
    direct.close().await;
    Ok(())
}

async fn many_streams_are_armed_again_in_batches(place: Place) -> Outcome {
    const STREAMS: usize = 60;
    const FRAME_BYTES: usize = 1500;
    let proxy = place.proxy().await?;
    let zk = eager().frame_limit(FRAME_BYTES).connect(&place.through(&[&proxy])).await?;
    let direct = place.client().await?;
    let name = |n: usize| format!("/{}-{n}", "long".repeat(20));
    let mut streams = Vec::new();
    for n in 0..STREAMS {
        direct.create(name(n), "").await?;
        let add = zk.watch(name(n));
        streams.push(if n % 2 == 0 { add.await? } else { add.recursive().await? });
    }
    proxy.take_record();
    proxy.refuse();
    proxy.cut_all();
    disconnected(&zk).await?;
    proxy.heal();
    connected(&zk).await?;
    for stream in &mut streams {
        assert_eq!(next(stream).await?, WatchItem::Resync);
    }
    let batches = proxy.count(|m| m.requested() == Some(OpCode::SetWatches2));
    assert!(batches >= 4, "{batches} batches");
    for (n, stream) in streams.iter_mut().enumerate() {
        direct.set(name(n), "x").await?;
        let event = event(stream).await?;
        assert_eq!((event.event_type, event.path), (EventType::NodeDataChanged, name(n)));
    }
    zk.close().await;
    direct.close().await;
    Ok(())
}

async fn streams_go_on_in_the_next_session(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    let direct = place.client().await?;
    direct.create("/n", "").await?;
    let old = connected(&zk).await?.id;
    let mut free = zk.watch("/n").await?;
    let mut pinned = zk.watch("/n").in_session(old).await?;
    proxy.refuse();
    proxy.cut_all();
    disconnected(&zk).await?;
    place.end_session(old).await?;
    proxy.heal();
    let lost = soon(pinned.next()).await?.ok_or("no end")?.unwrap_err();
    assert_eq!((lost.kind(), lost.path()), (ErrorKind::SessionExpired, Some("/n")), "{lost}");
    assert!(pinned.next().await.is_none() && pinned.next().await.is_none());
    assert_eq!(next(&mut free).await?, WatchItem::Resync);
    direct.set("/n", "x").await?;
    assert_eq!(event(&mut free).await?.event_type, EventType::NodeDataChanged);
    assert_ne!(zk.session_id(), Some(old));
    zk.close().await;
    let closed = soon(free.next()).await?.ok_or("no end")?.unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed);
    direct.close().await;
    Ok(())
}

fn removals(proxy: &Proxy) -> usize {
    proxy.count(|m| m.requested() == Some(OpCode::RemoveWatches))
}

fn events(proxy: &Proxy) -> usize {
    proxy.count(Message::is_event)
}

async fn the_last_interest_takes_the_watch_along(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    let direct = place.client().await?;
    direct.create("/n", "").await?;
    let first = zk.watch("/n").await?;
    let mut second = zk.watch("/n").await?;
    let (_, once) = zk.get_children("/n").watch().await?;
    drop(first);
    drop(once);
    zk.sync("/").await?;
    assert_eq!(removals(&proxy), 0, "somebody still waits");
    direct.set("/n", "x").await?;
    event(&mut second).await?;
    assert_eq!(events(&proxy), 1, "two interests, one watch on the server");
    drop(second);
    zk.sync("/").await?;
    assert_eq!(removals(&proxy), 1);
    direct.set("/n", "y").await?;
    // A one-shot too.
    drop(zk.get("/n").watch().await?);
    zk.sync("/").await?;
    direct.set("/n", "z").await?;
    zk.sync("/").await?;
    assert_eq!((removals(&proxy), events(&proxy)), (2, 1), "nobody waits, nothing is watched");
    zk.close().await;
    direct.close().await;
    Ok(())
}

/// Before 3.9 a server keeps one mode for a path (ZOOKEEPER-4466): a one-shot watch must not end a stream.
async fn one_shots_and_streams_share_a_path(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    let direct = place.client().await?;
    direct.create("/n", "").await?;
    for recursive in [false, true] {
        let add = zk.watch("/n");
        let mut stream = if recursive { add.recursive().await? } else { add.await? };
        for round in 0..3 {
            let (_, data) = zk.get("/n").watch().await?;
            let (_, list) = zk.get_children("/n").watch().await?;
            direct.set("/n", "x").await?;
            let child = direct.create("/n/c-", "").sequential().await?;
            assert_eq!(soon(data).await??.event_type, EventType::NodeDataChanged);
            assert_eq!(soon(list).await??.event_type, EventType::NodeChildrenChanged);
            let heard = [event(&mut stream).await?, event(&mut stream).await?];
            let second = if recursive {
                (EventType::NodeCreated, &child.path[..])
            } else {
                (EventType::NodeChildrenChanged, "/n")
            };
            assert_eq!(heard[0].event_type, EventType::NodeDataChanged);
            assert_eq!((heard[1].event_type, &heard[1].path[..]), second, "round {round}");
        }
        // The stream goes first: who waits with it still hears.
        let (_, data) = zk.get("/n").watch().await?;
        drop(stream);
        zk.sync("/").await?;
        direct.set("/n", "x").await?;
        assert_eq!(soon(data).await??.event_type, EventType::NodeDataChanged);
        zk.sync("/").await?;
    }
    zk.close().await;
    direct.close().await;
    Ok(())
}

async fn a_reader_that_sleeps_delays_nobody(place: Place) -> Outcome {
    const CHANGES: usize = zk_client::limits::STREAM_ITEMS_MAX + 200;
    let zk = place.client().await?;
    zk.create("/n", "").await?;
    let mut asleep = zk.watch("/n").await?;
    let mut awake = zk.watch("/n").await?;
    // In portions that the one awake has room for: with all at once, a busy machine could let it fall behind as well.
    let numbers: Vec<_> = (0..CHANGES).collect();
    for portion in numbers.chunks(zk_client::limits::STREAM_ITEMS_MAX / 2) {
        let sets: Vec<_> = portion.iter().map(|n| zk.set("/n", n.to_string()).send()).collect();
        for set in sets {
            set.await?;
        }
        for _ in portion {
            let item = next(&mut awake).await?;
            assert!(matches!(item, WatchItem::Event(_)), "{item:?}");
        }
    }
    assert_eq!(next(&mut asleep).await?, WatchItem::Resync);
    zk.set("/n", "later").await?;
    assert_eq!(event(&mut asleep).await?.event_type, EventType::NodeDataChanged);
    zk.close().await;
    Ok(())
}

async fn watches_are_removed_on_request(place: Place) -> Outcome {
    let zk = place.client().await?;
    zk.create("/n", "").await?;
    let mut stream = zk.watch("/n").recursive().await?;
    let (_, once) = zk.get_children("/n").watch().await?;
    zk.remove_watches("/n").await?;
    let ended = soon(stream.next()).await?.ok_or("no end")?.unwrap_err();
    assert_eq!((ended.kind(), ended.path()), (ErrorKind::WatchRemoved, Some("/n")), "{ended}");
    assert_eq!(soon(once).await?.unwrap_err().kind(), ErrorKind::WatchRemoved);
    let none = zk.remove_watches("/n").await.unwrap_err();
    assert_eq!((none.code(), none.path()), (Some(ErrorCode::NoWatcher), Some("/n")), "{none}");
    zk.close().await;
    Ok(())
}
