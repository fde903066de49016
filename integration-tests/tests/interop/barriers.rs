//! Barriers: one node that closes them for everybody, and double barriers entered and left by all libraries together.

use std::collections::BTreeMap;

use integration_tests::recipe_peers::Actor;
use integration_tests::targets::Failure;

use crate::cast::close;
use crate::stage::Stage;

/// Rounds of a double barrier.
const ROUNDS: usize = 40;

pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    barrier(stage).await?;
    for (version, curator) in &stage.curators {
        // Whoever is in leaves at once, while others are still on their way in.
        let cast = [
            stage.actor(curator, "curator").await?,
            stage.actor(curator, "curator").await?,
            stage.actor(&stage.ours, "ours").await?,
            stage.actor(&stage.ours, "ours").await?,
        ];
        double_barrier(stage, &cast, "hasty").await?;
        close(cast).await?;
        // Kazoo's deletes `ready` when it leaves. If another had seen the last one come and makes `ready` only then,
        // Kazoo takes it for a participant and waits for it to leave, for ever, while all others wait for Kazoo: seen
        // with Curator's. So here nobody leaves before all are in, and with that every `ready` has been made.
        let cast = [
            stage.actor(curator, "curator").await?,
            stage.actor(&stage.kazoo, "kazoo").await?,
            stage.actor(&stage.ours, "ours").await?,
        ];
        double_barrier(stage, &cast, "together").await?;
        close(cast).await?;
        stage.tell(format_args!(
            "double barrier: Curator of ZooKeeper {version} x ours, and x Kazoo: {ROUNDS} rounds each"
        ));
    }
    Ok(())
}

/// Set by each, removed by each, waited for by all the others.
async fn barrier(stage: &Stage) -> Result<(), Failure> {
    let mut cast = vec![stage.actor(&stage.kazoo, "kazoo").await?, stage.actor(&stage.ours, "ours").await?];
    for (_, curator) in &stage.curators {
        cast.push(stage.actor(curator, "curator").await?);
    }
    for at in 0..cast.len() {
        let scene = stage.scene("barrier");
        let path = &scene.path;
        let (sets, removes) = (&cast[at], &cast[(at + 1) % cast.len()]);
        sets.ask(&format!("barrier-set {path}")).await?;
        let waiters: Vec<&Actor> = cast.iter().filter(|one| one.name() != removes.name()).collect();
        // A session has one watch on a path, however often it looks.
        let before = stage.watches().await?;
        for waiter in &waiters {
            assert_eq!(waiter.ask(&format!("barrier-wait {path} 50")).await?, "false", "{}", waiter.name());
        }
        let waiting: Vec<_> =
            waiters.iter().map(|waiter| waiter.ask(&format!("barrier-wait {path} 60000"))).collect();
        stage.watched(before + waiters.len()).await?;
        removes.ask(&format!("barrier-remove {path}")).await?;
        for opened in waiting {
            assert_eq!(opened.await?, "true");
        }
        for one in &cast {
            assert_eq!(one.ask(&format!("barrier-wait {path} 60000")).await?, "true", "it is open");
        }
    }
    stage.tell(format_args!("barrier: set and removed by each of {}", cast.len()));
    close(cast).await
}

async fn double_barrier(stage: &Stage, cast: &[Actor], way: &str) -> Result<(), Failure> {
    let scene = stage.scene("rounds");
    let (path, log, size) = (&scene.path, scene.log(), cast.len());
    let answers: Vec<_> =
        cast.iter().map(|one| one.ask(&format!("rounds {path} {size} {ROUNDS} {log} {way}"))).collect();
    for answer in answers {
        if let Err(error) = answer.await {
            let log = std::fs::read_to_string(&scene.log)?;
            let (steps, mut inside) = (log.lines().count(), String::new());
            for round in 0..ROUNDS {
                for name in stage.names(&format!("{path}-{round}")).await? {
                    let data = stage.zk.get(format!("{path}-{round}/{name}")).await?.data;
                    inside += &format!("{round}/{name}: {}\n", String::from_utf8_lossy(&data));
                }
            }
            let last: Vec<&str> = log.lines().skip(steps.saturating_sub(3 * 4 * size)).collect();
            return Err(format!("{error}\n{}\n{inside}", last.join("\n")).into());
        }
    }
    let strict = way == "hasty";
    let rounds = check_rounds(&std::fs::read_to_string(&scene.log)?, size, strict)?;
    assert_eq!(rounds, ROUNDS);
    Ok(())
}

/// Nobody is in before all have come, and nobody out before all want to leave. Returns the rounds that all finished.
///
/// Of Curator beside Kazoo the latter is too much to ask: when Kazoo deletes `ready` it wakes Curator, which then goes
/// if it sees one node left, whoever's that is. So only if it is strict that is asked of others than ours.
fn check_rounds(log: &str, size: usize, strict: bool) -> Result<usize, Failure> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut finished = 0;
    for line in log.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [step, who, round] = words[..] else { return Err(format!("not a step: {line}").into()) };
        *counts.entry((step, round)).or_default() += 1;
        let needs = match step {
            "IN" => "COMES",
            "OUT" => "LEAVES",
            _ => continue,
        };
        let asked = step == "IN" || strict || who.starts_with("ours");
        if asked && counts.get(&(needs, round)) != Some(&size) {
            return Err(format!("too early: {line}\n{log}").into());
        }
        finished += usize::from(step == "OUT" && counts.get(&(step, round)) == Some(&size));
    }
    Ok(finished)
}

#[test]
fn who_is_early_is_found() {
    let fine = "COMES a 0\nCOMES b 0\nIN a 0\nLEAVES a 0\nIN b 0\nLEAVES b 0\nOUT a 0\nOUT b 0\n";
    assert_eq!(check_rounds(fine, 2, true).unwrap(), 1);
    assert!(check_rounds("COMES a 0\nIN a 0\n", 2, false).is_err());
    assert!(check_rounds("COMES a 0\nCOMES b 0\nIN a 0\nLEAVES a 0\nOUT a 0\n", 2, true).is_err());
}
