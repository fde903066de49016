//! Several locks as one: our `MultiLock` and Curator's `InterProcessMultiLock` over the same paths, and single locks at
//! them. Curator takes them as they are named, ours by path; whoever shares names them in that order.

use integration_tests::critical_section;
use integration_tests::recipe_peers::{Actor, RecipePeer};
use integration_tests::targets::Failure;

use crate::cast::{Contest, close};
use crate::stage::{Scene, Stage, turns};

pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    for (version, curator) in &stage.curators {
        for dialect in ["curator", "both"] {
            let cell = format!("several as one: ours {dialect} x Curator of ZooKeeper {version}");
            all_or_none(stage, dialect, curator).await.map_err(|error| format!("{cell}: {error}"))?;
            let seen = contend(stage, dialect, curator).await.map_err(|error| format!("{cell}: {error}"))?;
            stage.tell(format_args!("{cell}: {seen}"));
        }
    }
    Ok(())
}

/// Three paths below a scene, with commas between.
async fn paths(stage: &Stage, scene: &Scene) -> Result<[String; 3], Failure> {
    let all = ["a", "b", "c"].map(|name| format!("{}/{name}", scene.path));
    for path in &all {
        stage.zk.create(path, "").await?;
    }
    Ok(all)
}

/// One that is somebody's keeps all of them from everybody else, who leaves nothing behind at the others.
async fn all_or_none(stage: &Stage, dialect: &str, curator: &RecipePeer) -> Result<(), Failure> {
    let (us, them) = (stage.actor(&stage.ours, "ours").await?, stage.actor(curator, "theirs").await?);
    let scene = stage.lasting_scene("together").await?;
    let each = paths(stage, &scene).await?;
    let all = each.join(",");
    let ours = format!("multi:{dialect}");
    for taken in &each {
        for (holder, single, other, several) in [
            (&us, format!("mutex:{dialect}"), &them, "multi"),
            (&them, "mutex".to_owned(), &us, ours.as_str()),
        ] {
            holder.ask(&format!("acquire {single} {taken} -1")).await?;
            let limit = if several == "multi" { 100 } else { 0 };
            assert_eq!(other.ask(&format!("acquire {several} {all} {limit}")).await?, "none");
            for path in each.iter().filter(|path| *path != taken) {
                stage.line_of(path, 0).await?;
            }
            holder.ask(&format!("release {single} {taken}")).await?;
        }
    }
    for (holder, several, other, single) in
        [(&us, ours.as_str(), &them, "mutex".to_owned()), (&them, "multi", &us, format!("mutex:{dialect}"))]
    {
        assert_ne!(holder.ask(&format!("acquire {several} {all} -1")).await?, "none");
        for path in &each {
            assert_eq!(other.ask(&format!("acquire {single} {path} 50")).await?, "none");
        }
        holder.ask(&format!("release {several} {all}")).await?;
    }
    close([us, them]).await
}

/// All contend for all of them, while others come and go at one.
async fn contend(stage: &Stage, dialect: &str, curator: &RecipePeer) -> Result<String, Failure> {
    let scene = stage.lasting_scene("together").await?;
    let each = paths(stage, &scene).await?;
    let several = Scene { path: each.join(","), log: scene.log.clone() };
    let mut cast: Vec<(Actor, String)> = Vec::new();
    for _ in 0..2 {
        cast.push((stage.actor(&stage.ours, "ours").await?, format!("multi:{dialect}")));
        cast.push((stage.actor(curator, "theirs").await?, "multi".to_owned()));
    }
    // In the middle, with a log of its own: who holds one and who holds all have no order by token.
    let aside = Scene { path: each[1].clone(), log: scene.log.with_extension("aside") };
    let single = vec![(stage.actor(&stage.ours, "ours").await?, format!("mutex:{dialect}"))];
    let fence = format!("{}/of-several", scene.path);
    let contest = Contest::begin_at(stage, &several, &fence, &cast, turns()).await?;
    let singles = Contest::begin(stage, &aside, &single, turns()).await?;
    tokio::try_join!(contest.end(stage), singles.end(stage))?;
    let seen = critical_section::check(&scene.log)?;
    assert_eq!(seen.passages, cast.len() * turns());
    assert!(seen.handoffs >= turns(), "they hardly contended: {seen:?}");
    for path in &each {
        stage.line_of(path, 0).await?;
    }
    Ok(format!("{seen:?}"))
}
