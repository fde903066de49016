//! Much at once, and large: 100,000 watches armed again, 10,000 operations in flight, values of a mebibyte, frames
//! above the limit.

use std::time::{Duration, Instant};

use futures::future::join_all;
use integration_tests::peers::{JavaServer, JavaServerOptions, JavaVersion, Peers, free_port, or_skip};
use integration_tests::process::resident_bytes;
use integration_tests::proxy::{Message, Proxy, eager};
use integration_tests::targets::Place;
use zk_client::{ErrorKind, EventType};
use zk_proto::OpCode;
use zk_server::EmbeddedServer;

use crate::{Outcome, connected, disconnected, soon};

integration_tests::scenarios!(
    a_hundred_thousand_watches_are_armed_again,
    ten_thousand_operations_in_flight,
    a_frame_above_the_limit_fails_the_one_who_asked,
);

const WATCHES: usize = 100_000;

fn resident_mib() -> u64 {
    resident_bytes(std::process::id()).map_or(0, |bytes| bytes >> 20)
}

async fn a_hundred_thousand_watches_are_armed_again(place: Place) -> Outcome {
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    let direct = place.client().await?;
    // What the proxy remembers is not the client's memory.
    proxy.set_recording(false);
    let (begin, empty) = (Instant::now(), resident_mib());
    let path = |n: usize| format!("/watched/by/many/{n}");
    let asked: Vec<_> = (0..WATCHES).map(|n| zk.exists(path(n)).watch().send()).collect();
    let mut watches = Vec::with_capacity(WATCHES);
    for watch in soon(join_all(asked)).await? {
        watches.push(watch?.1);
    }
    proxy.set_recording(true);
    let (set, full) = (begin.elapsed(), resident_mib());
    direct.create("/watched/by/many", "").parents().await?;
    proxy.refuse();
    proxy.cut_all();
    disconnected(&zk).await?;
    // Some happen while nobody can connect, some after.
    let every = |from: usize| (from..WATCHES).step_by(WATCHES / 10);
    for n in every(1) {
        direct.create(path(n), "").await?;
    }
    let begin = Instant::now();
    proxy.heal();
    connected(&zk).await?;
    zk.exists("/").await?;
    let rearmed = begin.elapsed();
    let batches = proxy.count(|m| m.requested() == Some(OpCode::SetWatches));
    proxy.take_record();
    for n in every(2) {
        direct.create(path(n), "").await?;
    }
    for n in every(1).chain(every(2)) {
        let event = soon(&mut watches[n]).await.map_err(|e| format!("{n}: {e}"))??;
        assert_eq!((event.event_type, event.path), (EventType::NodeCreated, path(n)));
    }
    println!(
        "{WATCHES} watches: set in {set:?} ({} MiB more in this process), armed again in {rearmed:?} by {batches} \
         requests ({} MiB more)",
        full.saturating_sub(empty),
        resident_mib().saturating_sub(full)
    );
    let begin = Instant::now();
    drop(watches);
    zk.exists("/").await?;
    println!("forgotten in {:?}", begin.elapsed());
    zk.close().await;
    direct.close().await;
    Ok(())
}

async fn ten_thousand_operations_in_flight(place: Place) -> Outcome {
    const OPERATIONS: usize = 10_000;
    let proxy = place.proxy().await?;
    let zk = eager().connect(&place.through(&[&proxy])).await?;
    zk.create("/many", "").await?;
    // Nothing is answered before all of it is there.
    let held = proxy.on_reply(OpCode::Create2).hold();
    let begin = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..OPERATIONS {
        let zk = zk.clone();
        tasks.spawn(async move {
            let path = format!("/many/{n}");
            let made = zk.create(&path, path.clone()).await?;
            let node = zk.get(&made.path).await?;
            assert_eq!((&made.path, &node.data[..]), (&path, path.as_bytes()));
            Ok::<_, zk_client::Error>(())
        });
    }
    let asked = |m: &Message| m.requested() == Some(OpCode::Create2);
    soon(proxy.seen(OPERATIONS, asked)).await?;
    held.release();
    while let Some(done) = soon(tasks.join_next()).await? {
        done??;
    }
    assert_eq!(zk.get_children("/many").await?.names.len(), OPERATIONS);
    println!("{OPERATIONS} creates at once, and as many reads: {:?}", begin.elapsed());
    zk.close().await;
    Ok(())
}

async fn a_frame_above_the_limit_fails_the_one_who_asked(place: Place) -> Outcome {
    const FRAME_BYTES: usize = 4000;
    let direct = place.client().await?;
    direct.create("/large", vec![1; 2 * FRAME_BYTES]).await?;
    direct.create("/small", "small").await?;
    let proxy = place.proxy().await?;
    let zk = eager().frame_limit(FRAME_BYTES).connect(&place.through(&[&proxy])).await?;
    let (_, watch) = zk.get("/small").watch().await?;

    // A request: nothing of it is sent, and the connection does not notice.
    let front = zk.get("/small").send();
    let large = zk.set("/small", vec![2; FRAME_BYTES]).send();
    let behind = zk.get("/small").send();
    let error = soon(large).await?.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::FrameTooLarge, Some("/small")), "{error}");
    assert!(!error.outcome_unknown() && !error.is_retryable(), "{error}");
    assert!(error.to_string().contains("bytes, request"), "{error}");
    assert_eq!((soon(front).await??.data, soon(behind).await??.data), ("small".into(), "small".into()));
    assert_eq!((proxy.connections(), proxy.count(|m| m.requested() == Some(OpCode::SetData))), (1, 0));

    // An answer: the connection cannot be read on, but nobody else loses anything.
    let front = zk.get("/small").send();
    let large = zk.get("/large").send();
    let behind: Vec<_> = (0..20).map(|_| zk.get("/small").send()).collect();
    let error = soon(large).await?.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::FrameTooLarge, Some("/large")), "{error}");
    assert!(error.to_string().contains("bytes, reply") && !error.outcome_unknown(), "{error}");
    assert_eq!(soon(front).await??.data, "small");
    for read in soon(join_all(behind)).await? {
        assert_eq!(read?.data, "small");
    }
    let asked = |m: &Message| m.requested() == Some(OpCode::GetData) && m.path == Some(place.path("/large"));
    assert_eq!((proxy.connections(), proxy.count(asked)), (2, 1), "it was asked again");
    direct.set("/small", "changed").await?;
    soon(watch).await??;

    // Above the server's limit alone: it hangs up, and others go on.
    let generous = eager().frame_limit(8 << 20).connect(&place.hosts).await?;
    let large = generous.set("/large", vec![3; 2 << 20]).send();
    let behind = generous.get("/small").send();
    let error = soon(large).await?.unwrap_err();
    assert!(error.kind() == ErrorKind::ConnectionLoss && error.outcome_unknown(), "{error}");
    assert_eq!(soon(behind).await??.data, "changed");
    for zk in [zk, direct, generous] {
        zk.close().await;
    }
    Ok(())
}

/// Values of a mebibyte, where both sides allow them; `hosts` must take frames of 4 MiB.
async fn a_mebibyte(hosts: String) -> Outcome {
    const LIMIT: usize = 4 << 20;
    let proxy = Proxy::before(hosts).await?;
    let zk = eager().frame_limit(LIMIT).connect(&proxy.hosts()).await?;
    let value = |n: u8| bytes::Bytes::from(vec![n; 1 << 20]);
    zk.create("/n", value(1)).await?;
    assert_eq!(zk.get("/n").await?.data, value(1));
    // Lost in the middle, asked again.
    let cut = proxy.on_reply(OpCode::GetData).cut_at(500_000);
    assert_eq!(soon(zk.get("/n").send()).await??.data, value(1));
    assert_eq!(cut.times(), 1);
    let _cut = proxy.on_request(OpCode::SetData).cut_at(500_000);
    let error = soon(zk.set("/n", value(2)).send()).await?.unwrap_err();
    assert!(error.outcome_unknown(), "{error}");
    assert_eq!(soon(zk.get("/n").send()).await??.stat.version, 0, "half a request is none");
    let writes: Vec<_> = (0..16).map(|n| zk.set("/n", value(n)).version(n.into()).send()).collect();
    let read = zk.get("/n").send();
    for (n, write) in soon(join_all(writes)).await?.into_iter().enumerate() {
        assert_eq!(write?.version, i32::try_from(n)? + 1);
    }
    assert_eq!(soon(read).await??.data, value(15));
    zk.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mebibyte_on_our_server() -> Outcome {
    let server = EmbeddedServer::builder().frame_bytes_max(4 << 20).start().await?;
    a_mebibyte(server.connect_string()).await?;
    server.stop().await;
    Ok(())
}

async fn a_mebibyte_on_apache_zookeeper(version: JavaVersion) -> Outcome {
    let Some(peers) = or_skip(Peers::find())? else { return Ok(()) };
    if !peers.versions().any(|v| v == version) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let options = JavaServerOptions {
        version,
        data_dir: dir.path().to_owned(),
        port: free_port()?,
        config: Vec::new(),
        jvm_flags: vec!["-Djute.maxbuffer=4194304".into()],
    };
    let mut server = JavaServer::spawn(&peers, options)?;
    let server = tokio::task::spawn_blocking(move || server.wait_serving().map(|()| server)).await??;
    tokio::time::timeout(Duration::from_secs(60), a_mebibyte(server.hosts())).await?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mebibyte_on_apache_zookeeper_3_8() -> Outcome {
    a_mebibyte_on_apache_zookeeper(JavaVersion::V3_8).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mebibyte_on_apache_zookeeper_3_9() -> Outcome {
    a_mebibyte_on_apache_zookeeper(JavaVersion::V3_9_5).await
}
