//! The network between one of ours and the servers is cut, and servers are killed, while our `Both`, stock Curator and
//! Kazoo's subclass contend for one mutex.

use std::sync::PoisonError;

use integration_tests::critical_section::{self, note};
use integration_tests::proxy::Proxy;
use integration_tests::recipe_peers::Actor;
use integration_tests::targets::Failure;

use crate::cast::Contest;
use crate::faults::survivors;
use crate::stage::{SHORT, Scene, Stage, turns};

pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    cut_off(stage).await?;
    servers_killed(stage).await
}

/// One of ours is cut off again and again: by a connection that breaks and comes back at once, by an outage longer than
/// its session, and by a network that swallows everything and does not say so.
async fn cut_off(stage: &Stage) -> Result<(), Failure> {
    const OUTAGES: [Outage; 5] =
        [Outage::Broken, Outage::Long, Outage::Broken, Outage::Silent, Outage::Broken];
    let scene = stage.lasting_scene("cut").await?;
    let proxy = Proxy::before(stage.hosts.clone()).await?;
    let ours = stage.ours.actor("ours-behind-a-proxy", &proxy.hosts(), SHORT).await?;
    let mut cast = survivors(stage, &["mutex"]).await?;
    let living: Vec<_> = cast.iter().map(|(actor, _)| actor.session()).collect();
    cast.push((ours.clone(), "mutex:both".to_owned()));
    let contest = Contest::begin(stage, &scene, &cast, 2 * turns()).await?;
    let cutting = async {
        for outage in OUTAGES {
            stage.entered(&scene, ours.name(), entries(&scene, &ours) + 3).await?;
            note(&scene.log, "CUT", ours.name())?;
            let before = entries(&scene, &ours);
            match outage {
                Outage::Broken => proxy.cut_all(),
                Outage::Long => {
                    proxy.refuse();
                    proxy.cut_all();
                    stage.only_of(&scene.path, &living).await?;
                }
                Outage::Silent => {
                    proxy.half_open();
                    stage.only_of(&scene.path, &living).await?;
                }
            }
            proxy.heal();
            // The first of them may have been on its way when the network went.
            stage.entered(&scene, ours.name(), before + 2).await?;
            note(&scene.log, "MEND", ours.name())?;
        }
        Ok(())
    };
    tokio::try_join!(contest.end(stage), cutting)?;
    let seen = critical_section::check(&scene.log)?;
    // What was lost on the way does not count, and was done again.
    assert!(seen.passages >= cast.len() * 2 * turns(), "{seen:?}");
    stage.tell(format_args!("mutex: ours cut off {} times: {seen:?}", OUTAGES.len()));
    Ok(())
}

#[derive(Clone, Copy)]
enum Outage {
    Broken,
    Long,
    Silent,
}

/// How often it has entered.
fn entries(scene: &Scene, who: &Actor) -> usize {
    let mark = format!("ENTER {} ", who.name());
    let text = std::fs::read_to_string(&scene.log).unwrap_or_default();
    text.lines().filter(|line| line.starts_with(&mark)).count()
}

/// The server, or an ensemble's leader, is killed in the middle of it and started again on what it had written; all
/// sessions live on. Ours lose what they hold when the connection goes, and say so; theirs do not know and go on, with
/// nodes that are still there.
pub(crate) async fn servers_killed(stage: &Stage) -> Result<(), Failure> {
    let scene = stage.lasting_scene("server").await?;
    let mut cast = survivors(stage, &["mutex"]).await?;
    cast.push((stage.actor(&stage.ours, "ours").await?, "mutex:curator".to_owned()));
    let ours: Vec<_> =
        cast.iter().map(|(actor, _)| actor.name()).filter(|name| name.starts_with("ours")).collect();
    let contest = Contest::begin(stage, &scene, &cast, 2 * turns()).await?;
    let killing = async {
        for time in 1..=2 {
            stage.entered(&scene, ours[0], 20 * time).await?;
            ours.iter().try_for_each(|who| note(&scene.log, "CUT", who))?;
            tokio::task::block_in_place(|| {
                stage.server.lock().unwrap_or_else(PoisonError::into_inner).restart()
            })?;
            ours.iter().try_for_each(|who| note(&scene.log, "MEND", who))?;
        }
        Ok(())
    };
    tokio::try_join!(contest.end(stage), killing)?;
    let seen = critical_section::check(&scene.log)?;
    assert_eq!(seen.passages, cast.len() * 2 * turns());
    stage.tell(format_args!("mutex: servers killed twice: {seen:?}"));
    Ok(())
}
