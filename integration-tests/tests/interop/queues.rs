//! Queues: put by one library and taken by another, every item once; requeued, and redelivered when a consumer is killed.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::recipe_peers::{Actor, RecipePeer};
use integration_tests::targets::Failure;

use crate::cast::close;
use crate::golden::FRAME;
use crate::stage::{SHORT, Scene, Stage};

/// Items by each who puts.
const ITEMS: usize = 30;

pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    what_we_put(stage).await?;
    for (version, curator) in &stage.curators {
        taken_once(stage, curator, "simple").await?;
        consumed_once(stage, curator, "-").await?;
        consumed_once(stage, curator, "lock").await?;
        requeued(stage, curator).await?;
        in_order(stage, curator).await?;
        stage.tell(format_args!("queues: Curator of ZooKeeper {version}"));
    }
    for kind in ["kazoo", "locking"] {
        taken_once(stage, &stage.kazoo, kind).await?;
    }
    stage.tell("queues: Kazoo");
    killed_consumers(stage).await?;
    killed_claimants(stage).await
}

/// The names and bytes of what we put are those of the libraries.
async fn what_we_put(stage: &Stage) -> Result<(), Failure> {
    let us = stage.actor(&stage.ours, "ours").await?;
    let puts = [
        ("queue", "-", "queue-0000000000", &FRAME[..]),
        ("id", "my/id", "queue-|my_id|0000000000", &FRAME),
        ("priority", "5", "queue-1000000050000000000", &FRAME),
        ("priority", "-5", "queue-0FFFFFFFB0000000000", &FRAME),
        ("delay", "1700000000000", "queue-|18BCFE56800|0000000000", &FRAME),
        ("simple", "-", "qn-0000000000", b"ab"),
        ("kazoo", "5", "entry-005-0000000000", b"ab"),
        ("kazoo", "-", "entry-100-0000000000", b"ab"),
        ("locking", "7", "entries/entry-007-0000000000", b"ab"),
    ];
    for (kind, ordinal, name, bytes) in puts {
        let scene = stage.scene("put");
        us.ask(&format!("put {kind} {} {ordinal} 6162", scene.path)).await?;
        let node = format!("{}/{name}", scene.path);
        assert_eq!(stage.zk.get(&node).await?.data, bytes, "{kind}: {node}");
    }
    close([us]).await
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Everybody puts items of its own. Returns all of them.
async fn put(scene: &Scene, kind: &str, cast: &[&Actor]) -> Result<BTreeSet<String>, Failure> {
    let mut all = BTreeSet::new();
    for number in 0..ITEMS {
        let mut answers = Vec::new();
        for one in cast {
            let item = hex(&format!("{}-{number}", one.name()));
            answers.push(one.ask(&format!("put {kind} {} - {item}", scene.path)));
            all.insert(item);
        }
        for answer in answers {
            answer.await?;
        }
    }
    Ok(all)
}

/// Two who put and two who take, of either library: every item is taken, once.
async fn taken_once(stage: &Stage, peer: &RecipePeer, kind: &str) -> Result<(), Failure> {
    let scene = stage.scene(kind);
    let (us, them) = (stage.actor(&stage.ours, "ours").await?, stage.actor(peer, "theirs").await?);
    let (we_put, they_put) = (stage.actor(&stage.ours, "ours").await?, stage.actor(peer, "theirs").await?);
    // Kazoo makes the path when it first looks.
    they_put.ask(&format!("put {kind} {} - 00", scene.path)).await?;
    let take = |taker: Actor| {
        let request = format!("take {kind} {} 1000", scene.path);
        async move {
            let mut taken = Vec::new();
            loop {
                match taker.ask(&request).await?.as_str() {
                    "none" => return Ok::<_, Failure>(taken),
                    item => taken.push(item.to_owned()),
                }
            }
        }
    };
    let mut all = put(&scene, kind, &[&we_put, &they_put]).await?;
    all.insert("00".to_owned());
    let (ours, theirs) = tokio::try_join!(take(us.clone()), take(them.clone()))?;
    let taken: Vec<_> = ours.iter().chain(&theirs).cloned().collect();
    assert_eq!(taken.len(), all.len(), "{kind}: {} by us and {} by them", ours.len(), theirs.len());
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), all);
    close([us, them, we_put, they_put]).await
}

/// What the log says of each item: how often it was taken, and how often dealt with.
fn tally(log: &str) -> BTreeMap<String, (usize, usize)> {
    let mut items: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for line in log.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["TOOK", _, item] => items.entry(item.to_owned()).or_default().0 += 1,
            ["DONE", _, item] => items.entry(item.to_owned()).or_default().1 += 1,
            _ => {}
        }
    }
    items
}

/// A consumer of each library at one DistributedQueue, with or without locks.
async fn consumed_once(stage: &Stage, peer: &RecipePeer, lock: &str) -> Result<(), Failure> {
    let scene = stage.scene("consumed");
    let (us, them) = (stage.actor(&stage.ours, "ours").await?, stage.actor(peer, "theirs").await?);
    let (we_put, they_put) = (stage.actor(&stage.ours, "ours").await?, stage.actor(peer, "theirs").await?);
    let lock = if lock == "-" { lock.to_owned() } else { format!("{}-locks", scene.path) };
    for one in [&us, &them] {
        one.ask(&format!("consume queue {} {lock} {} run", scene.path, scene.log())).await?;
    }
    let all = put(&scene, "queue", &[&we_put, &they_put]).await?;
    stage.lines(&scene, "DONE ", all.len()).await?;
    stage.line_of(&scene.path, 0).await?;
    let items = tally(&std::fs::read_to_string(&scene.log)?);
    assert_eq!(items.keys().cloned().collect::<BTreeSet<_>>(), all);
    assert!(items.values().all(|counts| *counts == (1, 1)), "{items:?}");
    close([us, them, we_put, they_put]).await
}

/// What one of them gives back is taken by the other, or by itself again.
async fn requeued(stage: &Stage, peer: &RecipePeer) -> Result<(), Failure> {
    for ours_fails in [true, false] {
        let scene = stage.scene("requeued");
        let (us, them) = (stage.actor(&stage.ours, "ours").await?, stage.actor(peer, "theirs").await?);
        let (fails, other) = if ours_fails { (&us, &them) } else { (&them, &us) };
        other.ask(&format!("put queue {} - 6162", scene.path)).await?;
        let consume = |way: &str| format!("consume queue {0} {0}-locks {1} {way}", scene.path, scene.log());
        fails.ask(&consume("fail")).await?;
        let text = stage.lines(&scene, "TOOK ", 1).await?;
        assert!(text.starts_with(&format!("TOOK {} ", fails.name())), "{text}");
        other.ask(&consume("run")).await?;
        stage.lines(&scene, "DONE ", 1).await?;
        stage.line_of(&scene.path, 0).await?;
        let items = tally(&std::fs::read_to_string(&scene.log)?);
        assert_eq!(items, BTreeMap::from([("6162".to_owned(), (2, 1))]));
        close([us, them]).await?;
    }
    Ok(())
}

/// Priorities and times of one library are obeyed by the other.
async fn in_order(stage: &Stage, peer: &RecipePeer) -> Result<(), Failure> {
    let puts = [
        ("priority", ["7", "-5", "0", "3"], ["-5", "0", "3", "7"]),
        // Long due.
        (
            "delay",
            ["1700000007000", "1700000000000", "1700000003000", "5"],
            ["5", "1700000000000", "1700000003000", "1700000007000"],
        ),
        ("id", ["c", "a/b", "b|c", "d"], ["c", "a/b", "b|c", "d"]),
    ];
    for (kind, ordinals, expected) in puts {
        for we_put in [true, false] {
            let scene = stage.scene(kind);
            let (us, them) = (stage.actor(&stage.ours, "ours").await?, stage.actor(peer, "theirs").await?);
            let (puts, takes) = if we_put { (&us, &them) } else { (&them, &us) };
            for ordinal in ordinals {
                puts.ask(&format!("put {kind} {} {ordinal} {}", scene.path, hex(ordinal))).await?;
            }
            takes.ask(&format!("consume {kind} {} - {} run", scene.path, scene.log())).await?;
            let text = stage.lines(&scene, "DONE ", ordinals.len()).await?;
            let done = text.lines().filter_map(|line| line.strip_prefix(&format!("DONE {} ", takes.name())));
            let expected = expected.map(hex);
            assert!(done.eq(expected.iter().map(String::as_str)), "{kind}, put by {}: {text}", puts.name());
            stage.line_of(&scene.path, 0).await?;
            close([us, them]).await?;
        }
    }
    Ok(())
}

/// A consumer is killed over an item; the other library's consumer deals with it when the session is over.
async fn killed_consumers(stage: &Stage) -> Result<(), Failure> {
    let (version, survivor) = stage.curators.last().ok_or("no Curator")?;
    for ours_dies in [true, false] {
        let scene = stage.scene("killed");
        let victim =
            if ours_dies { Stage::another_of_ours()? } else { RecipePeer::curator(&stage.peers, *version)? };
        let dies = stage.actor_for(&victim, "dies", SHORT).await?;
        let lives = stage.actor(if ours_dies { survivor } else { &stage.ours }, "lives").await?;
        let consume = |way: &str| format!("consume queue {0} {0}-locks {1} {way}", scene.path, scene.log());
        let mut all = BTreeSet::new();
        for number in 0..ITEMS {
            let item = hex(&format!("item-{number}"));
            lives.ask(&format!("put queue {} - {item}", scene.path)).await?;
            all.insert(item);
        }
        dies.ask(&consume("hang")).await?;
        stage.lines(&scene, &format!("TOOK {} ", dies.name()), 1).await?;
        lives.ask(&consume("run")).await?;
        victim.kill(&scene.log)?;
        if ours_dies {
            // Curator does not watch claims: it tries the item again when something else is put.
            stage.lines(&scene, "DONE ", all.len() - 1).await?;
            stage.line_of(&format!("{}-locks", scene.path), 0).await?;
            lives.ask(&format!("put queue {} - 00", scene.path)).await?;
            all.insert("00".to_owned());
        }
        stage.lines(&scene, "DONE ", all.len()).await?;
        stage.line_of(&scene.path, 0).await?;
        let items = tally(&std::fs::read_to_string(&scene.log)?);
        assert_eq!(items.keys().cloned().collect::<BTreeSet<_>>(), all);
        assert!(items.values().all(|(_, done)| *done == 1), "{items:?}");
        let twice = items.values().filter(|(taken, _)| *taken == 2).count();
        assert_eq!(twice, 1, "the item that the victim had in hand: {items:?}");
        stage.tell(format_args!("queues: a consumer killed over an item, ours: {ours_dies}"));
        close([lives]).await?;
    }
    Ok(())
}

/// The same with a LockingQueue.
async fn killed_claimants(stage: &Stage) -> Result<(), Failure> {
    let scene = stage.scene("claimed");
    let path = &scene.path;
    let victim = RecipePeer::kazoo(&stage.peers)?;
    let dies = stage.actor_for(&victim, "dies", SHORT).await?;
    let us = stage.actor(&stage.ours, "ours").await?;
    us.ask(&format!("put locking {path} - 6162")).await?;
    assert_eq!(dies.ask(&format!("claim {path} 30000")).await?, "6162");
    assert_eq!(us.ask(&format!("take locking {path} 100")).await?, "none", "it is claimed");
    let waiting = us.ask(&format!("take locking {path} 60000"));
    victim.kill(&scene.log)?;
    assert_eq!(waiting.await?, "6162");
    stage.line_of(&format!("{path}/entries"), 0).await?;
    stage.line_of(&format!("{path}/taken"), 0).await?;
    stage.tell("queues: a claimant of Kazoo killed over an item");
    close([us]).await
}
