//! The read/write lock on a real server: who is in with whom, the downgrade, its dialects, and that nothing is left
//! wherever a future is dropped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use support::{children, client, dropped_after, server, soon};
use tokio::time::timeout;
use zk_client::{Client, CreateMode};
use zk_proto::path;
use zk_recipes::{Dialect, Error, LockState, LossPolicy, LossReason, Released, RwLock};

const PATH: &str = "/app/locks/catalogue";
const DIALECTS: [Dialect; 3] = [Dialect::Curator, Dialect::Kazoo, Dialect::Both];

fn of(zk: &Client, dialect: Dialect) -> RwLock {
    RwLock::builder(zk, PATH).dialect(dialect).build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_together_writers_alone_in_every_dialect() {
    let server = server().await;
    let zk = client(&server).await;
    for (ours, theirs) in DIALECTS.into_iter().flat_map(|a| DIALECTS.map(|b| (a, b))) {
        let (ours, theirs) = (of(&zk, ours), of(&zk, theirs));
        let (one, two) = (soon(ours.read()).await.unwrap(), soon(theirs.read()).await.unwrap());
        assert!(one.is_held() && two.is_held());
        assert!(theirs.try_write().await.unwrap().is_none());
        assert!(ours.try_read().await.unwrap().is_some(), "nobody queues to write");
        one.release().await.unwrap();
        assert!(ours.try_write().await.unwrap().is_none());
        two.release().await.unwrap();
        let writer = soon(ours.write()).await.unwrap();
        assert!(theirs.try_read().await.unwrap().is_none());
        assert!(theirs.try_write().await.unwrap().is_none());
        assert!(matches!(theirs.read_within(Duration::from_millis(20)).await, Err(Error::Timeout { .. })));
        assert_eq!(writer.release().await.unwrap(), Released::Deleted);
        children(&zk, PATH, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_is_fair_and_tokens_order_writers() {
    let server = server().await;
    let zk = client(&server).await;
    let lock = RwLock::builder(&zk, PATH).identifier("editor").build();
    let first = soon(lock.read()).await.unwrap();
    let writing = tokio::spawn({
        let lock = lock.clone();
        async move { lock.write().await.unwrap() }
    });
    children(&zk, PATH, 2).await;
    assert!(lock.try_read().await.unwrap().is_none(), "no overtaking of a queued writer");
    let reading: Vec<_> = (0..2)
        .map(|_| {
            let lock = lock.clone();
            tokio::spawn(async move { lock.read().await.unwrap() })
        })
        .collect();
    children(&zk, PATH, 4).await;
    let line = lock.participants().await.unwrap();
    let seen: Vec<_> = line.iter().map(|one| (one.writes(), one.admitted)).collect();
    assert_eq!(seen, [(false, true), (true, false), (false, false), (false, false)]);
    assert!(line.iter().all(|one| one.identifier() == "editor" && one.session == first.session()));
    assert_eq!(lock.holders().await.unwrap()[0].node(), first.node());

    assert_eq!(first.release().await.unwrap(), Released::Deleted);
    let writer = soon(writing).await.unwrap();
    assert!(reading.iter().all(|reader| !reader.is_finished()));
    let token = writer.fencing_token();
    writer.release().await.unwrap();
    let mut readers = Vec::new();
    for reader in reading {
        readers.push(soon(reader).await.unwrap());
    }
    assert!(readers.iter().all(|reader| reader.is_held() && reader.fencing_token() > token));
    let last = tokio::spawn({
        let lock = lock.clone();
        async move { lock.write().await.unwrap() }
    });
    children(&zk, PATH, 3).await;
    let greatest = readers.iter().map(|reader| reader.fencing_token()).max().unwrap();
    drop(readers);
    let last = soon(last).await.unwrap();
    assert!(last.fencing_token() > greatest);
    last.release().await.unwrap();
    children(&zk, PATH, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_downgrade_lets_readers_in_and_no_writer() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    for dialect in DIALECTS {
        let (mine, theirs) = (of(&zk, dialect), of(&other, dialect));
        let writer = soon(mine.write()).await.unwrap();
        let (written_by, token) = (writer.nodes().to_vec(), writer.fencing_token());
        let nodes = written_by.len();
        let reading = tokio::spawn({
            let theirs = theirs.clone();
            async move { theirs.read().await.unwrap() }
        });
        children(&other, PATH, 2 * nodes).await;
        let writing = tokio::spawn(async move { theirs.write().await.unwrap() });
        children(&other, PATH, 3 * nodes).await;
        let lost = writer.lost();
        let reader = soon(writer.downgrade()).await.unwrap();
        assert_eq!(soon(lost).await, LossReason::Released);
        // The digits of its own write, in a reader's name, ephemeral.
        for (write, read) in written_by.iter().zip(reader.nodes()) {
            let digits = |node: &str| path::name(node).chars().rev().take(10).collect::<String>();
            assert_eq!(digits(write), digits(read));
            assert!(read.contains("__READ__") || read.contains("__rlock__"), "{read}");
            let stat = zk.get(read.as_str()).await.unwrap().stat;
            assert_eq!(stat.ephemeral_owner, reader.session());
        }
        assert_eq!(reader.fencing_token(), token, "those who wait have greater ones");
        let beside = soon(reading).await.unwrap();
        children(&other, PATH, 3 * nodes).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert!(!writing.is_finished() && reader.is_held() && beside.is_held());
        let line = mine.participants().await.unwrap();
        assert_eq!(line.iter().map(|one| one.admitted).collect::<Vec<_>>(), [true, true, false]);
        zk.create("/mark", "").await.unwrap();
        reader.transaction().unwrap().delete("/mark").commit().await.unwrap();
        assert_eq!(reader.release().await.unwrap(), Released::Deleted);
        beside.release().await.unwrap();
        let writer = soon(writing).await.unwrap();
        assert!(writer.fencing_token() > token);
        writer.release().await.unwrap();
        children(&other, PATH, 0).await;
    }
}

/// Curator's pair of names, digit for digit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_curators() {
    let server = server().await;
    let zk = client(&server).await;
    let writer = soon(RwLock::new(&zk, PATH).write()).await.unwrap();
    let shape = |node: &str| {
        let name = path::name(node);
        (name[..3].to_owned(), name[39..].to_owned())
    };
    assert_eq!(shape(writer.node()), ("_c_".into(), "-__WRIT__0000000000".into()));
    let old = writer.node().to_owned();
    let reader = soon(writer.downgrade()).await.unwrap();
    assert_eq!(shape(reader.node()), ("_c_".into(), "-__READ__0000000000".into()));
    assert_ne!(old[..60], reader.node()[..60], "an identity of its own");
    let kazoo = of(&zk, Dialect::Kazoo);
    let beside = soon(kazoo.read()).await.unwrap();
    assert_eq!(&path::name(beside.node())[32..41], "__rlock__");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_downgrade_of_what_is_lost_is_refused_and_leaves_nothing() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    for dialect in DIALECTS {
        let lock = RwLock::builder(&zk, PATH).dialect(dialect).loss_policy(LossPolicy::Session).build();
        // Deleted under its feet, whether it has heard of it or not.
        for heard in [true, false] {
            let writer = soon(lock.write()).await.unwrap();
            other.delete(writer.nodes().last().unwrap().as_str()).await.unwrap();
            if heard {
                soon(writer.lost()).await;
            }
            let error = soon(writer.downgrade()).await.unwrap_err();
            assert!(matches!(error, Error::Lost { reason: LossReason::NodeDeleted, .. }), "{error}");
            children(&other, PATH, 0).await;
        }
    }
    let lock = RwLock::new(&zk, PATH);
    let writer = soon(lock.write()).await.unwrap();
    let session = writer.session();
    assert!(server.expire_session(session).await);
    let error = soon(writer.downgrade()).await.unwrap_err();
    assert!(error.is_lost(), "{error}");
    children(&other, PATH, 0).await;
    soon(lock.write()).await.unwrap().release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_anywhere_it_leaves_nothing() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    for dialect in DIALECTS {
        let lock = of(&zk, dialect);
        let nodes = if dialect == Dialect::Both { 2 } else { 1 };
        // Free, and behind somebody.
        for polls in 0..8 {
            drop(dropped_after(polls, lock.read()).await);
            drop(dropped_after(polls, lock.write()).await);
            children(&other, PATH, 0).await;
            let holder = soon(of(&other, dialect).write()).await.unwrap();
            let moment = Duration::from_millis(20);
            assert!(!matches!(timeout(moment, dropped_after(polls, lock.read())).await, Ok(Some(_))));
            assert!(!matches!(timeout(moment, dropped_after(polls, lock.write())).await, Ok(Some(_))));
            children(&other, PATH, nodes).await;
            holder.release().await.unwrap();
        }
        // In the middle of a downgrade; somebody who waits gets in.
        for polls in 0..6 {
            let writer = soon(lock.write()).await.unwrap();
            let next = of(&other, dialect);
            let next = tokio::spawn(async move { next.write().await.unwrap() });
            children(&other, PATH, 2 * nodes).await;
            drop(dropped_after(polls, writer.downgrade()).await);
            let next = soon(next).await.unwrap();
            children(&other, PATH, nodes).await;
            assert_eq!(next.release().await.unwrap(), Released::Deleted);
            children(&other, PATH, 0).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_give_up_and_put_out() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let (lock, operator) = (RwLock::new(&zk, PATH), RwLock::new(&other, PATH));
    let reader = soon(lock.read()).await.unwrap();
    let revoked = reader.revoked();
    let line = operator.participants().await.unwrap();
    assert!(operator.revoke(&line[0]).await.unwrap());
    soon(revoked).await;
    assert!(reader.is_held());
    assert!(operator.evict(&line[0]).await.unwrap());
    assert_eq!(soon(reader.lost()).await, LossReason::NodeDeleted);
    assert!(!operator.evict(&line[0]).await.unwrap() && !operator.revoke(&line[0]).await.unwrap());
    assert_eq!(*reader.state().borrow(), LockState::Lost(LossReason::NodeDeleted));
}

/// Foreign names that only stock peers and operators make.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_for_stock_peers_and_for_kazoos_subclass() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    other.create(PATH, "").parents().await.unwrap();
    other.create(format!("{PATH}/0"), "").await.unwrap();
    other.create(format!("{PATH}/_c_x-lock-0000000000"), "").await.unwrap();
    let lock = RwLock::new(&zk, PATH);
    const H: &str = "2947c1dfc94b42a08d17b659fb24e72e";
    for (prefix, writes) in [
        (format!("{H}__lock__"), true),
        (format!("{H}__rlock__"), false),
        (format!("{H}__WRIT__"), true),
        (format!("{H}__READ__"), false),
        (format!("_c_{H}-__WRIT__"), true),
    ] {
        let path = format!("{PATH}/{prefix}");
        let foreign = other.create(path, "").mode(CreateMode::EphemeralSequential).await.unwrap();
        assert_eq!(lock.try_read().await.unwrap().is_none(), writes, "{prefix}");
        assert!(lock.try_write().await.unwrap().is_none(), "{prefix}");
        other.delete(foreign.path).await.unwrap();
        drop(soon(lock.write()).await.unwrap());
    }
}

/// Many tasks over several sessions, all dialects at once: readers xor a writer, counted in this process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_xor_writer_under_load() {
    let server = server().await;
    // Readers count up, a writer counts 1000.
    let inside = Arc::new(AtomicI64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..9 {
        let (zk, inside) = (client(&server).await, Arc::clone(&inside));
        tasks.spawn(async move {
            let lock = of(&zk, DIALECTS[n % 3]);
            for turn in 0..6 {
                if (n + turn) % 3 == 0 {
                    let writer = lock.write().await.unwrap();
                    assert_eq!(inside.fetch_add(1000, Ordering::SeqCst), 0);
                    tokio::task::yield_now().await;
                    assert_eq!(inside.fetch_add(1 - 1000, Ordering::SeqCst), 1000);
                    let reader = writer.downgrade().await.unwrap();
                    assert!(inside.load(Ordering::SeqCst) < 1000, "no writer in between");
                    inside.fetch_sub(1, Ordering::SeqCst);
                    reader.release().await.unwrap();
                } else {
                    let reader = lock.read().await.unwrap();
                    assert!(inside.fetch_add(1, Ordering::SeqCst) < 1000);
                    tokio::task::yield_now().await;
                    assert!(inside.fetch_sub(1, Ordering::SeqCst) < 1000);
                    reader.release().await.unwrap();
                }
            }
        });
    }
    while let Some(done) = soon(tasks.join_next()).await {
        done.unwrap();
    }
    children(&client(&server).await, PATH, 0).await;
}
