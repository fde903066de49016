//! Killed and stopped while they hold, wait and contend, for a mutex and a read/write lock: our `Both`, stock Curator,
//! Kazoo's subclass, on one path. The network and the servers are in `outages`.

use integration_tests::critical_section;
use integration_tests::recipe_peers::{Actor, RecipePeer};
use integration_tests::targets::Failure;

use crate::cast::{Contest, Foreign, tokens_rise};
use crate::stage::{SHORT, Stage, turns};

/// A lock that those take who are killed or stopped, and what the others take beside it.
struct Play {
    lock: &'static str,
    beside: &'static [&'static str],
}

const MUTEX: Play = Play { lock: "mutex", beside: &["mutex"] };
const WRITERS: Play = Play { lock: "write", beside: &["read", "write"] };
const READERS: Play = Play { lock: "read", beside: &["read", "write"] };

/// Most of it is waiting for sessions to end, so several go on at once.
pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    tokio::try_join!(killed_while_holding(stage, &MUTEX), killed_while_contending(stage, &MUTEX))?;
    tokio::try_join!(killed_while_holding(stage, &WRITERS), killed_while_contending(stage, &WRITERS))?;
    killed_while_contending(stage, &READERS).await?;
    tokio::try_join!(
        ours_paused_while_holding(stage, &MUTEX),
        ours_paused_while_contending(stage, "mutex", &MUTEX),
        ours_paused_while_contending(stage, "election", &MUTEX),
        ours_paused_while_contending(stage, "selector", &MUTEX),
    )?;
    tokio::try_join!(
        ours_paused_while_holding(stage, &WRITERS),
        ours_paused_while_contending(stage, "write", &WRITERS),
        ours_paused_while_contending(stage, "read", &READERS),
    )?;
    tokio::try_join!(
        theirs_paused_while_waiting(stage, "mutex"),
        theirs_paused_while_waiting(stage, "write")
    )?;
    Ok(())
}

/// Three who exclude each other, in processes that a test may kill or stop: our `Both`, stock Curator, Kazoo's subclass.
async fn victims(
    stage: &Stage,
    lock: &str,
    timeout: std::time::Duration,
) -> Result<Vec<(RecipePeer, Actor, String)>, Failure> {
    let (version, _) = stage.curators.last().ok_or("no Curator")?;
    let processes = [
        (RecipePeer::curator(&stage.peers, *version)?, "curator", Foreign::Curator.kind(lock)),
        (RecipePeer::kazoo(&stage.peers)?, "kazoo", Foreign::KazooSubclass.kind(lock)),
        (Stage::another_of_ours()?, "ours", format!("{lock}:both")),
    ];
    let mut victims = Vec::new();
    for (peer, name, kind) in processes {
        let actor = stage.actor_for(&peer, name, timeout).await?;
        victims.push((peer, actor, kind));
    }
    Ok(victims)
}

/// The same three in processes that live on, with one of each lock.
pub(crate) async fn survivors(stage: &Stage, locks: &[&str]) -> Result<Vec<(Actor, String)>, Failure> {
    let (_, curator) = stage.curators.first().ok_or("no Curator")?;
    let mut cast = Vec::new();
    for lock in locks {
        cast.push((stage.actor(&stage.ours, "ours").await?, format!("{lock}:both")));
        cast.push((stage.actor(curator, "curator").await?, Foreign::Curator.kind(lock)));
        cast.push((stage.actor(&stage.kazoo, "kazoo").await?, Foreign::KazooSubclass.kind(lock)));
    }
    Ok(cast)
}

/// Killed while they hold, one after the other, each with the next waiting for it.
async fn killed_while_holding(stage: &Stage, play: &Play) -> Result<(), Failure> {
    let scene = stage.lasting_scene("killed").await?;
    let (path, log) = (&scene.path, scene.log());
    let victims = victims(stage, play.lock, SHORT).await?;
    // In line one behind the other: a request is answered when it holds, so the line is what shows that it waits.
    let mut holding = Vec::new();
    for (_, actor, kind) in &victims {
        let before = stage.names(path).await?.len();
        holding.push(actor.ask(&format!("hold {kind} {path} {log}")));
        stage
            .until("the next in line", async || Ok((stage.names(path).await?.len() > before).then_some(())))
            .await?;
    }
    let cast = survivors(stage, play.beside).await?;
    let contest = Contest::begin(stage, &scene, &cast, 10).await?;
    let killing = async {
        for ((peer, _, _), holding) in victims.iter().zip(holding) {
            holding.await?;
            peer.kill(&scene.log)?;
        }
        Ok(())
    };
    tokio::try_join!(contest.end(stage), killing)?;
    let seen = critical_section::check(&scene.log)?;
    assert_eq!((seen.passages, seen.overtaken), (10 * cast.len(), 3));
    stage.tell(format_args!("{}: killed while holding: {seen:?}", play.lock));
    Ok(())
}

/// Killed at whatever moment.
async fn killed_while_contending(stage: &Stage, play: &Play) -> Result<(), Failure> {
    let scene = stage.lasting_scene("killed").await?;
    let victims = victims(stage, play.lock, 2 * SHORT).await?;
    let log = scene.log();
    for (_, actor, kind) in &victims {
        // Nobody hears the answer.
        drop(actor.ask(&format!("contend {kind} {} 1000000 {log}", scene.path)));
    }
    for (_, actor, _) in &victims {
        stage.entered(&scene, actor.name(), 1).await?;
    }
    let cast = survivors(stage, play.beside).await?;
    let contest = Contest::begin(stage, &scene, &cast, turns()).await?;
    let killing = async {
        for (peer, actor, _) in &victims {
            stage.entered(&scene, actor.name(), 3).await?;
            peer.kill(&scene.log)?;
        }
        Ok(())
    };
    tokio::try_join!(contest.end(stage), killing)?;
    let seen = critical_section::check(&scene.log)?;
    stage.tell(format_args!("{}: killed while contending: {seen:?}", play.lock));
    Ok(())
}

/// Our process stands still while it holds, past its session; others hold meanwhile. When it goes on its guard says
/// that it is lost, begins no write, and leaves no stale line.
async fn ours_paused_while_holding(stage: &Stage, play: &Play) -> Result<(), Failure> {
    let scene = stage.lasting_scene("paused").await?;
    let (path, log, kind) = (&scene.path, scene.log(), format!("{}:both", play.lock));
    let peer = Stage::another_of_ours()?;
    let actor = stage.actor_for(&peer, "ours", SHORT).await?;
    let held = actor.ask(&format!("hold {kind} {path} {log}")).await?;
    let token: i64 = held.rsplit(' ').next().unwrap_or_default().parse()?;
    let cast = survivors(stage, play.beside).await?;
    let contest = Contest::begin(stage, &scene, &cast, 10).await?;
    let pausing = async {
        peer.pause(&scene.log)?;
        stage.overtaken(&scene, token).await?;
        // Asked before it goes on: the first thing it does is to look at its guard.
        let said = actor.ask(&format!("check {kind} {path}"));
        let left = actor.ask(&format!("leave {kind} {path} {log}"));
        let again = actor.ask(&format!("contend {kind} {path} 5 {log}"));
        peer.resume(&scene.log)?;
        assert_eq!(said.await?, "held=false transaction=false");
        assert_eq!(left.await?, "lost");
        again.await
    };
    let ((), again) = tokio::try_join!(contest.end(stage), pausing)?;
    assert_eq!(again, "5 0");
    let seen = critical_section::check(&scene.log)?;
    assert_eq!((seen.passages, seen.overtaken, seen.refused, seen.lost), (10 * cast.len() + 5, 1, 0, 1));
    stage.tell(format_args!("{}: ours paused while holding: {seen:?}", play.lock));
    Ok(())
}

/// The same at whatever moment: between the grant and the first line, between two lines, while it waits.
async fn ours_paused_while_contending(stage: &Stage, what: &str, play: &Play) -> Result<(), Failure> {
    let scene = stage.lasting_scene("paused").await?;
    let (path, log) = (&scene.path, scene.log());
    let peer = Stage::another_of_ours()?;
    let actor = stage.actor_for(&peer, "ours", SHORT / 3).await?;
    let cast = survivors(stage, play.beside).await?;
    let living: Vec<_> = cast.iter().map(|(actor, _)| actor.session()).collect();
    let fence = format!("{path}-its-fence");
    stage.zk.create(&fence, "").await?;
    let pauses = 4;
    let its_turns = 8 * pauses;
    let its = actor.ask(&match what {
        "mutex" | "write" => format!("contend {what}:both {path} {its_turns} {log} {fence}"),
        // Tokens of readers beside each other do not rise.
        "read" => format!("contend read:both {path} {its_turns} {log}"),
        _ => format!("lead {path} {its_turns} {log} {what}:both"),
    });
    let contest = Contest::begin(stage, &scene, &cast, turns().max(its_turns)).await?;
    let pausing = async {
        for pause in 1..=pauses {
            stage.entered(&scene, actor.name(), 4 * pause).await?;
            peer.pause(&scene.log)?;
            stage.only_of(path, &living).await?;
            peer.resume(&scene.log)?;
        }
        its.await
    };
    // The log is judged when all are done.
    let ((), its) = tokio::try_join!(contest.end(stage), pausing)?;
    stage.tell(format_args!("{what}: ours paused while contending, whole sections and lost ones: {its}"));
    let seen = critical_section::check(&scene.log)?;
    tokens_rise(stage, &fence).await?;
    stage.tell(format_args!("{what}: ours paused while contending: {seen:?}"));
    Ok(())
}

/// Curator and Kazoo stand still while they wait for us; their sessions end, and when they go on they wait again.
async fn theirs_paused_while_waiting(stage: &Stage, lock: &str) -> Result<(), Failure> {
    let scene = stage.lasting_scene("paused").await?;
    let (path, log) = (&scene.path, scene.log());
    let holder = stage.actor(&stage.ours, "ours").await?;
    holder.ask(&format!("hold {lock}:both {path} {log}")).await?;
    let mut victims = victims(stage, lock, SHORT).await?;
    victims.truncate(2);
    let answers: Vec<_> =
        victims.iter().map(|(_, actor, kind)| actor.ask(&format!("contend {kind} {path} 5 {log}"))).collect();
    stage.line_of(path, 4).await?;
    for (peer, actor, _) in &victims {
        peer.pause(&scene.log)?;
        stage.session_gone(path, actor.session()).await?;
        peer.resume(&scene.log)?;
    }
    stage.line_of(path, 4).await?;
    assert_eq!(holder.ask(&format!("leave {lock}:both {path} {log}")).await?, "left");
    for answer in answers {
        answer.await?;
    }
    let seen = critical_section::check(&scene.log)?;
    assert_eq!(seen.passages, 11);
    stage.tell(format_args!("{lock}: theirs paused while waiting: {seen:?}"));
    Ok(())
}
