//! Killed and stopped while they hold, wait and contend: our `Both`, stock Curator, Kazoo's subclass, on one path.

use std::sync::PoisonError;

use integration_tests::critical_section;
use integration_tests::recipe_peers::{Actor, RecipePeer};
use integration_tests::targets::Failure;

use crate::cast::{Contest, tokens_rise};
use crate::stage::{SHORT, Stage, turns};

/// Most of it is waiting for sessions to end, so several go on at once.
pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    tokio::try_join!(killed_while_holding(stage), killed_while_contending(stage))?;
    tokio::try_join!(
        ours_paused_while_holding(stage),
        ours_paused_while_contending(stage, "mutex"),
        ours_paused_while_contending(stage, "election"),
        ours_paused_while_contending(stage, "selector"),
    )?;
    theirs_paused_while_waiting(stage).await?;
    server_killed(stage).await
}

/// Three who exclude each other, in processes that a test may kill or stop: our `Both`, stock Curator, Kazoo's subclass.
async fn victims(
    stage: &Stage,
    timeout: std::time::Duration,
) -> Result<Vec<(RecipePeer, Actor, &'static str)>, Failure> {
    let (version, _) = stage.curators.last().ok_or("no Curator")?;
    let processes = [
        (RecipePeer::curator(&stage.peers, *version)?, "curator", "mutex"),
        (RecipePeer::kazoo(&stage.peers)?, "kazoo", "mutex:curator"),
        (Stage::another_of_ours()?, "ours", "mutex:both"),
    ];
    let mut victims = Vec::new();
    for (peer, name, kind) in processes {
        let actor = stage.actor_for(&peer, name, timeout).await?;
        victims.push((peer, actor, kind));
    }
    Ok(victims)
}

/// The same three in processes that live on, each contending for `count` turns.
async fn survivors(stage: &Stage) -> Result<Vec<(Actor, String)>, Failure> {
    let (_, curator) = stage.curators.first().ok_or("no Curator")?;
    Ok(vec![
        (stage.actor(&stage.ours, "ours").await?, "mutex:both".to_owned()),
        (stage.actor(curator, "curator").await?, "mutex".to_owned()),
        (stage.actor(&stage.kazoo, "kazoo").await?, "mutex:curator".to_owned()),
    ])
}

/// Killed while they hold, one after the other, each with the next waiting for it.
async fn killed_while_holding(stage: &Stage) -> Result<(), Failure> {
    let scene = stage.lasting_scene("killed").await?;
    let (path, log) = (&scene.path, scene.log());
    let victims = victims(stage, SHORT).await?;
    // In line one behind the other: a request is answered when it holds, so the line is what shows that it waits.
    let mut holding = Vec::new();
    for (_, actor, kind) in &victims {
        let before = stage.names(path).await?.len();
        holding.push(actor.ask(&format!("hold {kind} {path} {log}")));
        stage
            .until("the next in line", async || Ok((stage.names(path).await?.len() > before).then_some(())))
            .await?;
    }
    let cast = survivors(stage).await?;
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
    assert_eq!((seen.passages, seen.overtaken), (30, 3));
    stage.tell(format_args!("mutex: killed while holding: {seen:?}"));
    Ok(())
}

/// Killed at whatever moment.
async fn killed_while_contending(stage: &Stage) -> Result<(), Failure> {
    let scene = stage.lasting_scene("killed").await?;
    let victims = victims(stage, 2 * SHORT).await?;
    let log = scene.log();
    for (_, actor, kind) in &victims {
        // Nobody hears the answer.
        drop(actor.ask(&format!("contend {kind} {} 1000000 {log}", scene.path)));
    }
    for (_, actor, _) in &victims {
        stage.entered(&scene, actor.name(), 1).await?;
    }
    let cast = survivors(stage).await?;
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
    stage.tell(format_args!("mutex: killed while contending: {seen:?}"));
    Ok(())
}

/// Our process stands still while it holds, past its session; others hold meanwhile. When it goes on its guard says
/// that it is lost, begins no write, and leaves no stale line.
async fn ours_paused_while_holding(stage: &Stage) -> Result<(), Failure> {
    let scene = stage.lasting_scene("paused").await?;
    let (path, log) = (&scene.path, scene.log());
    let peer = Stage::another_of_ours()?;
    let actor = stage.actor_for(&peer, "ours", SHORT).await?;
    let held = actor.ask(&format!("hold mutex:both {path} {log}")).await?;
    let token: i64 = held.rsplit(' ').next().unwrap_or_default().parse()?;
    let cast = survivors(stage).await?;
    let contest = Contest::begin(stage, &scene, &cast, 10).await?;
    let pausing = async {
        peer.pause(&scene.log)?;
        stage.overtaken(&scene, token).await?;
        // Asked before it goes on: the first thing it does is to look at its guard.
        let said = actor.ask(&format!("check mutex:both {path}"));
        let left = actor.ask(&format!("leave mutex:both {path} {log}"));
        let again = actor.ask(&format!("contend mutex:both {path} 5 {log}"));
        peer.resume(&scene.log)?;
        assert_eq!(said.await?, "held=false transaction=false");
        assert_eq!(left.await?, "lost");
        again.await
    };
    let ((), again) = tokio::try_join!(contest.end(stage), pausing)?;
    assert_eq!(again, "5 0");
    let seen = critical_section::check(&scene.log)?;
    assert_eq!((seen.passages, seen.overtaken, seen.refused, seen.lost), (35, 1, 0, 1));
    stage.tell(format_args!("mutex: ours paused while holding: {seen:?}"));
    Ok(())
}

/// The same at whatever moment: between the grant and the first line, between two lines, while it waits.
async fn ours_paused_while_contending(stage: &Stage, what: &str) -> Result<(), Failure> {
    let scene = stage.lasting_scene("paused").await?;
    let (path, log) = (&scene.path, scene.log());
    let peer = Stage::another_of_ours()?;
    let actor = stage.actor_for(&peer, "ours", SHORT / 3).await?;
    let cast = survivors(stage).await?;
    let living: Vec<_> = cast.iter().map(|(actor, _)| actor.session()).collect();
    let fence = format!("{path}-its-fence");
    stage.zk.create(&fence, "").await?;
    let pauses = 4;
    let its_turns = 8 * pauses;
    let its = actor.ask(&match what {
        "mutex" => format!("contend mutex:both {path} {its_turns} {log} {fence}"),
        _ => format!("lead {path} {its_turns} {log} {what}:both"),
    });
    let contest = Contest::begin(stage, &scene, &cast, turns().max(its_turns)).await?;
    let pausing = async {
        for pause in 1..=pauses {
            stage.entered(&scene, actor.name(), 4 * pause).await?;
            peer.pause(&scene.log)?;
            stage
                .until("its session ends", async || {
                    for name in stage.names(path).await? {
                        let stat = stage.zk.exists(format!("{path}/{name}")).await?;
                        if stat.is_some_and(|stat| !living.contains(&stat.ephemeral_owner)) {
                            return Ok(None);
                        }
                    }
                    Ok(Some(()))
                })
                .await?;
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
async fn theirs_paused_while_waiting(stage: &Stage) -> Result<(), Failure> {
    let scene = stage.lasting_scene("paused").await?;
    let (path, log) = (&scene.path, scene.log());
    let holder = stage.actor(&stage.ours, "ours").await?;
    holder.ask(&format!("hold mutex:both {path} {log}")).await?;
    let mut victims = victims(stage, SHORT).await?;
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
    assert_eq!(holder.ask(&format!("leave mutex:both {path} {log}")).await?, "left");
    for answer in answers {
        answer.await?;
    }
    let seen = critical_section::check(&scene.log)?;
    assert_eq!(seen.passages, 11);
    stage.tell(format_args!("mutex: theirs paused while waiting: {seen:?}"));
    Ok(())
}

/// The server is killed in the middle of it and started again on what it had written; all sessions live on. Ours lose
/// what they hold when the connection goes, and say so; theirs do not know and go on, with nodes that are still there.
async fn server_killed(stage: &Stage) -> Result<(), Failure> {
    let scene = stage.lasting_scene("server").await?;
    let mut cast = survivors(stage).await?;
    cast.push((stage.actor(&stage.ours, "ours").await?, "mutex:curator".to_owned()));
    let ours: Vec<_> =
        cast.iter().map(|(actor, _)| actor.name()).filter(|name| name.starts_with("ours")).collect();
    let contest = Contest::begin(stage, &scene, &cast, 2 * turns()).await?;
    let killing = async {
        for time in 1..=2 {
            stage.entered(&scene, ours[0], 20 * time).await?;
            ours.iter().try_for_each(|who| critical_section::note(&scene.log, "CUT", who))?;
            tokio::task::block_in_place(|| {
                stage.server.lock().unwrap_or_else(PoisonError::into_inner).restart()
            })?;
            ours.iter().try_for_each(|who| critical_section::note(&scene.log, "MEND", who))?;
        }
        Ok(())
    };
    tokio::try_join!(contest.end(stage), killing)?;
    let seen = critical_section::check(&scene.log)?;
    assert_eq!(seen.passages, cast.len() * 2 * turns());
    stage.tell(format_args!("mutex: the server killed twice: {seen:?}"));
    Ok(())
}
