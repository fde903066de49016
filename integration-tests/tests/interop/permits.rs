//! Semaphores: Curator's layout and Kazoo's, each with a number of permits that nobody exceeds; a killed holder's come
//! back.

use integration_tests::critical_section;
use integration_tests::recipe_peers::{Actor, RecipePeer};
use integration_tests::targets::Failure;

use crate::cast::close;
use crate::stage::{SHORT, Scene, Stage, turns};

/// Permits.
const SIZE: usize = 2;

pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    for (version, curator) in &stage.curators {
        let library = format!("Curator of ZooKeeper {version}");
        shared(stage, curator, "curator", &library).await?;
        sized_by_a_count(stage, curator).await?;
        a_semaphore_of_one(stage, curator, &library).await?;
    }
    shared(stage, &stage.kazoo, "kazoo", "Kazoo").await?;
    sizes_of_kazoo_must_agree(stage).await?;
    let (version, _) = stage.curators.last().ok_or("no Curator")?;
    let (curator, kazoo) = (RecipePeer::curator(&stage.peers, *version)?, RecipePeer::kazoo(&stage.peers)?);
    tokio::try_join!(killed(stage, &curator, "curator"), killed(stage, &kazoo, "kazoo"))?;
    Ok(())
}

fn kind(actor: &Actor, layout: &str) -> String {
    let ours = if actor.name().starts_with("ours") { format!(":{layout}") } else { String::new() };
    format!("semaphore:{SIZE}{ours}")
}

async fn contend(scene: &Scene, cast: &[Actor], layout: &str, turns: usize) -> Result<(), Failure> {
    let ask = |one: &Actor| {
        one.ask(&format!("contend {} {} {turns} {}", kind(one, layout), scene.path, scene.log()))
    };
    let answers: Vec<_> = cast.iter().map(ask).collect();
    for answer in answers {
        answer.await?;
    }
    Ok(())
}

async fn shared(stage: &Stage, peer: &RecipePeer, layout: &str, library: &str) -> Result<(), Failure> {
    let scene = stage.scene("permits");
    let mut cast = Vec::new();
    for _ in 0..2 {
        cast.push(stage.actor(&stage.ours, "ours").await?);
        cast.push(stage.actor(peer, "theirs").await?);
    }
    contend(&scene, &cast, layout, turns()).await?;
    let seen = critical_section::check_permits(&scene.log, SIZE)?;
    assert_eq!(seen.passages, cast.len() * turns());
    // Both permits, held by one of us and one of them, leave none.
    for holder in &cast[..2] {
        let held = holder.ask(&format!("acquire {} {} 30000", kind(holder, layout), scene.path)).await?;
        assert_ne!(held, "none");
    }
    for late in &cast[2..] {
        assert_eq!(late.ask(&format!("acquire {} {} 100", kind(late, layout), scene.path)).await?, "none");
    }
    close(cast).await?;
    stage.tell(format_args!("semaphore: ours x {library}: {seen:?}"));
    Ok(())
}

/// Curator's InterProcessSemaphoreMutex is a semaphore of one permit, and so is ours of that size.
async fn a_semaphore_of_one(stage: &Stage, curator: &RecipePeer, library: &str) -> Result<(), Failure> {
    let scene = stage.scene("one");
    let cast = [
        (stage.actor(&stage.ours, "ours").await?, "semaphore:1:curator"),
        (stage.actor(curator, "theirs").await?, "semaphore-mutex"),
        (stage.actor(curator, "theirs").await?, "semaphore:1"),
    ];
    let ask = |(one, kind): &(Actor, &str)| {
        one.ask(&format!("contend {kind} {} {} {}", scene.path, turns(), scene.log()))
    };
    let answers: Vec<_> = cast.iter().map(ask).collect();
    for answer in answers {
        answer.await?;
    }
    let seen = critical_section::check_permits(&scene.log, 1)?;
    assert_eq!(seen.passages, cast.len() * turns());
    stage.tell(format_args!(
        "semaphore: one permit, ours x {library}'s semaphore and semaphore mutex: {seen:?}"
    ));
    close(cast.into_iter().map(|(one, _)| one)).await
}

/// A size that a SharedCount says, and that is raised while somebody waits.
async fn sized_by_a_count(stage: &Stage, curator: &RecipePeer) -> Result<(), Failure> {
    let scene = stage.scene("sized");
    let (path, size) = (&scene.path, format!("{}-size", scene.path));
    let (us, them) = (stage.actor(&stage.ours, "ours").await?, stage.actor(curator, "theirs").await?);
    them.ask(&format!("count-start {size} 1")).await?;
    let kind = format!("semaphore-count:{size}");
    assert_ne!(them.ask(&format!("acquire {kind} {path} 30000")).await?, "none");
    let waiting = us.ask(&format!("acquire {kind} {path} 60000"));
    stage.line_of(&format!("{path}/locks"), 1).await?;
    them.ask(&format!("count-set {size} 2")).await?;
    assert_ne!(waiting.await?, "none", "there are two now");
    close([us, them]).await
}

/// Kazoo writes the size down, and refuses another.
async fn sizes_of_kazoo_must_agree(stage: &Stage) -> Result<(), Failure> {
    for we_are_first in [true, false] {
        let scene = stage.scene("sized");
        let (us, them) =
            (stage.actor(&stage.ours, "ours").await?, stage.actor(&stage.kazoo, "theirs").await?);
        let path = &scene.path;
        let (ours, theirs) = ("semaphore:2:kazoo", "semaphore:2");
        let (first, kind, second, other) = if we_are_first {
            (&us, ours, &them, "semaphore:3")
        } else {
            (&them, theirs, &us, "semaphore:3:kazoo")
        };
        first.ask(&format!("acquire {kind} {path} 30000")).await?;
        assert_eq!(&stage.zk.get(path).await?.data[..], b"2");
        let refused = second.ask(&format!("acquire {other} {path} 30000")).await;
        assert!(refused.is_err(), "{refused:?}");
        close([us, them]).await?;
    }
    Ok(())
}

/// Who waits for a permit of one that was killed gets it when its session is over.
async fn killed(stage: &Stage, victim: &RecipePeer, layout: &str) -> Result<(), Failure> {
    let scene = stage.scene("permits");
    let dies = stage.actor_for(victim, "dies", SHORT).await?;
    dies.ask(&format!("hold semaphore:{SIZE} {} {}", scene.path, scene.log())).await?;
    let cast = [stage.actor(&stage.ours, "ours").await?, stage.actor(&stage.ours, "ours").await?];
    let held =
        cast[0].ask(&format!("hold {} {} {}", kind(&cast[0], layout), scene.path, scene.log())).await?;
    assert_ne!(held, "none");
    let waiting = cast[1].ask(&format!("hold {} {} {}", kind(&cast[1], layout), scene.path, scene.log()));
    victim.kill(&scene.log)?;
    waiting.await?;
    for one in &cast {
        let left = one.ask(&format!("leave {} {} {}", kind(one, layout), scene.path, scene.log())).await?;
        assert_eq!(left, "left");
    }
    let seen = critical_section::check_permits(&scene.log, SIZE)?;
    assert_eq!((seen.passages, seen.overtaken), (2, 1));
    close(cast).await?;
    stage.tell(format_args!("semaphore: a holder of {} killed: {seen:?}", victim.name()));
    Ok(())
}
