//! Connections cut at random places, between frames and within, under pipelined load: answers go to their questions,
//! acknowledged writes are there once, what was not sent was not done, nothing hangs and nothing is left over.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures::future::join_all;
use integration_tests::proxy::{Direction, Proxy, eager};
use integration_tests::targets::{Failure, Place, Target};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;
use zk_client::Client;
use zk_client::limits::{QUEUE_UNITS_MAX, READ_LOSSES_MAX};
use zk_proto::OpCode;

use crate::load::{FIXED, Ledger, Told, Totals, Worker, own_node};
use crate::{Outcome, only_tasks, soon, tasks};

const WORKERS: usize = 8;
/// After so many cuts something gets through.
const PROGRESS_AFTER: usize = 3;
const _: () = assert!(PROGRESS_AFTER < READ_LOSSES_MAX as usize);

integration_tests::scenarios!(a_hundred_cuts);

async fn a_hundred_cuts(place: Place) -> Outcome {
    cut_at_random(&place, 1, 100).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cuts_seed_1() -> Outcome {
    a_thousand_cuts(1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cuts_seed_2() -> Outcome {
    a_thousand_cuts(2).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cuts_seed_3() -> Outcome {
    a_thousand_cuts(3).await
}

/// More of them: `ZK_CUT_SEEDS=100` runs that many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cuts_more_seeds() -> Outcome {
    let seeds = std::env::var("ZK_CUT_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    for seed in 4..4 + seeds {
        a_thousand_cuts(seed).await.map_err(|e| format!("seed {seed}: {e}"))?;
    }
    Ok(())
}

async fn a_thousand_cuts(seed: u64) -> Outcome {
    let target = Target::embedded().await?;
    cut_at_random(&target.place("cuts").await?, seed, 1000).await
}

async fn cut_at_random(place: &Place, seed: u64, cuts: usize) -> Outcome {
    let begin = Instant::now();
    let direct = place.client().await?;
    direct.create("/made", "").await?;
    for n in 0..FIXED {
        let path = format!("/r-{n}");
        direct.create(&path, path.clone()).await?;
    }
    for n in 0..WORKERS {
        direct.create(own_node(n), "").await?;
    }
    let before = tasks();
    let proxy = place.proxy().await?;
    let zk = eager().seed(seed).connect(&place.through(&[&proxy])).await?;
    let totals = Arc::new(Totals::default());
    let stop = Arc::new(AtomicBool::new(false));
    let mut workers = JoinSet::new();
    for n in 0..WORKERS {
        let worker = Worker::new(zk.clone(), n, seed, Arc::clone(&totals));
        workers.spawn(worker.run(Arc::clone(&stop)));
    }
    let mut rng = StdRng::seed_from_u64(seed);
    for cut in 0..cuts {
        tokio::select! {
            outcome = cut_once(&proxy, &mut rng) => outcome.map_err(|e| format!("cut {cut}: {e}"))?,
            Some(surprise) = workers.join_next() => panic!("a worker stopped: {surprise:?}"),
        }
        // A read that was in front of too many losses in a row is given up, and rightly.
        if cut % PROGRESS_AFTER == 0 {
            soon(zk.exists("/").send()).await??;
        }
        // Nobody looks at it here.
        proxy.take_record();
    }
    stop.store(true, Ordering::Relaxed);
    let mut ledger = Ledger::new();
    while let Some(worker) = soon(workers.join_next()).await? {
        ledger.extend(worker?);
    }
    check(&direct, &ledger).await?;
    no_room_is_lost(&proxy, &zk).await?;
    let connections = proxy.connections();
    soon(zk.close()).await?;
    drop(zk);
    proxy.close().await;
    only_tasks(before).await?;
    direct.close().await;
    println!("seed {seed}: {cuts} cuts, {connections} connections, {totals:?}, {:?}", begin.elapsed());
    Ok(())
}

/// One cut, drawn; returns when it is made.
async fn cut_once(proxy: &Proxy, rng: &mut StdRng) -> Outcome {
    if rng.random_ratio(1, 20) {
        proxy.cut_all();
        return Ok(());
    }
    let direction = if rng.random() { Direction::ToServer } else { Direction::ToClient };
    // The handshake and the re-arming are among the first frames.
    let nth = if rng.random_ratio(1, 4) { rng.random_range(1..4) } else { rng.random_range(1..60) };
    let mut pick = proxy.on_any(direction).nth(nth);
    if rng.random_ratio(1, 8) {
        pick = pick.by_reset();
    }
    let rule = match rng.random_range(0..4) {
        0 => pick.cut_before(),
        1 => pick.cut_after(),
        // Within the prefix, the header, the body.
        2 => pick.cut_at(rng.random_range(1..20)),
        _ => pick.cut_at(rng.random_range(20..90)),
    };
    soon(rule.acted()).await?;
    Ok(())
}

/// What the ledgers say against what the server holds.
async fn check(direct: &Client, ledger: &Ledger) -> Outcome {
    direct.sync("/").await?;
    let names = direct.get_children("/made").await?.names;
    let reads: Vec<_> = names.iter().map(|name| direct.get(format!("/made/{name}")).send()).collect();
    let mut there: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, node) in names.iter().zip(join_all(reads).await) {
        let data = String::from_utf8(node?.data.to_vec())?;
        there.entry(data).or_default().push(format!("/made/{name}"));
    }
    for (name, paths) in &there {
        assert_eq!(paths.len(), 1, "{name} was made more than once: {paths:?}");
        assert!(ledger.contains_key(name), "nobody made {name}");
    }
    for (name, told) in ledger {
        match (told, there.get(name)) {
            (Told::Done(path), found) => assert_eq!(found, Some(&vec![path.clone()]), "{name}"),
            (Told::Not, found) => assert_eq!(found, None, "{name} was not sent, and is there"),
            (Told::Unknown, _) => {}
        }
    }
    Ok(())
}

/// The queue takes all it ever took: while answers are held back, exactly its size is sent and no more.
pub(crate) async fn no_room_is_lost(proxy: &Proxy, zk: &Client) -> Outcome {
    zk.exists("/").await?;
    proxy.clear_rules();
    proxy.take_record();
    let held = proxy.on_reply(OpCode::Exists).every().hold();
    let reads: Vec<_> = (0..QUEUE_UNITS_MAX + 1).map(|_| zk.exists("/").send()).collect();
    let asked = |m: &integration_tests::proxy::Message| m.requested() == Some(OpCode::Exists);
    let full = soon(proxy.seen(QUEUE_UNITS_MAX, asked)).await;
    full.map_err(|_| Failure::from(format!("room is lost: {} passed", proxy.count(asked))))?;
    assert_eq!(proxy.count(asked), QUEUE_UNITS_MAX, "the queue is larger than it was");
    held.withdraw();
    held.release();
    for read in soon(join_all(reads)).await? {
        read?;
    }
    Ok(())
}
