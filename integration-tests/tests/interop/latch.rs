//! Leader latches: ours and Curator's on one path are one election, also when leaders are killed.

use integration_tests::recipe_peers::{Actor, RecipePeer};
use integration_tests::targets::Failure;

use crate::cast::close;
use crate::stage::{SHORT, Stage};

pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    for (version, curator) in &stage.curators {
        one_leader(stage, curator).await?;
        let (theirs, ours) = (RecipePeer::curator(&stage.peers, *version)?, Stage::another_of_ours()?);
        tokio::try_join!(killed(stage, &theirs, &stage.ours), killed(stage, &ours, curator))?;
        stage.tell(format_args!("latch: ours x Curator of ZooKeeper {version}"));
    }
    Ok(())
}

/// Starts a latch, and waits until it stands in line.
async fn start(stage: &Stage, path: &str, one: &Actor) -> Result<(), Failure> {
    let before = stage.names(path).await?.len();
    one.ask(&format!("latch-start {path}")).await?;
    stage.line_of(path, before + 1).await
}

/// In the order in which they came each is leader, sees the others, and goes.
async fn one_leader(stage: &Stage, curator: &RecipePeer) -> Result<(), Failure> {
    let scene = stage.scene("latch");
    let path = &scene.path;
    let mut cast = Vec::new();
    for _ in 0..2 {
        for (peer, name) in [(&stage.ours, "ours"), (curator, "theirs")] {
            let one = stage.actor(peer, name).await?;
            start(stage, path, &one).await?;
            cast.push(one);
        }
    }
    let mut names: Vec<_> = cast.iter().map(|one| one.name().to_owned()).collect();
    let mut before = 0;
    while let Some(leader) = cast.first().cloned() {
        let token: i64 = leader.ask(&format!("latch-await {path} 60000")).await?.parse()?;
        assert!(token > before, "{token} follows {before}");
        before = token;
        for one in &cast {
            assert_eq!(one.ask(&format!("latch-leader {path}")).await?, leader.name());
            names.sort();
            assert_eq!(one.ask(&format!("latch-participants {path}")).await?, names.join(" "));
            if one.name() != leader.name() {
                assert_eq!(one.ask(&format!("latch-await {path} 20")).await?, "none", "one leader");
            }
        }
        leader.ask(&format!("stop {path}")).await?;
        names.retain(|name| name != leader.name());
        close([cast.remove(0)]).await?;
    }
    Ok(())
}

async fn killed(stage: &Stage, victim: &RecipePeer, survivor: &RecipePeer) -> Result<(), Failure> {
    let scene = stage.scene("latch");
    let path = &scene.path;
    let dies = stage.actor_for(victim, "dies", SHORT).await?;
    let lives = stage.actor(survivor, "lives").await?;
    start(stage, path, &dies).await?;
    start(stage, path, &lives).await?;
    assert_ne!(dies.ask(&format!("latch-await {path} 60000")).await?, "none");
    victim.kill(&scene.log)?;
    assert_ne!(lives.ask(&format!("latch-await {path} 60000")).await?, "none");
    assert_eq!(lives.ask(&format!("latch-leader {path}")).await?, lives.name());
    close([lives]).await
}
