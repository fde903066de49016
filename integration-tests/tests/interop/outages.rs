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
    tokio::try_join!(
        cut_off_while_holding(stage, Outage::Long),
        cut_off_while_holding(stage, Outage::Silent),
        cut_off_while_contending(stage)
    )?;
    servers_killed(stage).await
}

/// How one of ours is cut off.
#[derive(Clone, Copy, Debug)]
enum Outage {
    /// The connection breaks, and comes back at once.
    Broken,
    /// The network is gone for longer than the session lives.
    Long,
    /// The network swallows everything for longer than the session lives, and does not say so.
    Silent,
}

impl Outage {
    fn begin(self, proxy: &Proxy) {
        match self {
            Self::Broken => proxy.cut_all(),
            Self::Long => {
                proxy.refuse();
                proxy.cut_all();
            }
            Self::Silent => proxy.half_open(),
        }
    }
}

/// Ours holds, and hears nothing any more. By the time somebody else holds its guard says that it is lost, and it begins
/// no write.
async fn cut_off_while_holding(stage: &Stage, outage: Outage) -> Result<(), Failure> {
    let scene = stage.lasting_scene("cut").await?;
    let (path, log) = (&scene.path, scene.log());
    let proxy = Proxy::before(stage.hosts.clone()).await?;
    let ours = stage.ours.actor(&format!("ours-{outage:?}"), &proxy.hosts(), SHORT).await?;
    let held = ours.ask(&format!("hold mutex:both {path} {log}")).await?;
    let token: i64 = held.rsplit(' ').next().unwrap_or_default().parse()?;
    let cast = survivors(stage, &["mutex"]).await?;
    let contest = Contest::begin(stage, &scene, &cast, 10).await?;
    let cutting = async {
        note(&scene.log, "CUT", ours.name())?;
        outage.begin(&proxy);
        stage.overtaken(&scene, token).await?;
        assert_eq!(ours.ask(&format!("check mutex:both {path}")).await?, "held=false transaction=false");
        assert_eq!(ours.ask(&format!("leave mutex:both {path} {log}")).await?, "lost");
        proxy.heal();
        Ok(())
    };
    tokio::try_join!(contest.end(stage), cutting)?;
    let seen = critical_section::check(&scene.log)?;
    assert_eq!((seen.passages, seen.overtaken, seen.refused, seen.lost), (10 * cast.len(), 1, 0, 1));
    stage.tell(format_args!("mutex: ours cut off while holding, {outage:?}: {seen:?}"));
    Ok(())
}

/// Again and again, at whatever moment.
async fn cut_off_while_contending(stage: &Stage) -> Result<(), Failure> {
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
            outage.begin(&proxy);
            if !matches!(outage, Outage::Broken) {
                stage.only_of(&scene.path, &living).await?;
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
    stage.tell(format_args!("mutex: ours cut off {} times while contending: {seen:?}", OUTAGES.len()));
    Ok(())
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
