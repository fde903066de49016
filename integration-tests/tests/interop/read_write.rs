//! Readers and writers: each of our dialects beside each foreign class, a downgrade of Curator's in between.

use integration_tests::peers::JavaVersion;
use integration_tests::recipe_peers::RecipePeer;
use integration_tests::targets::Failure;

use crate::cast::{DIALECTS, Foreign, close, contend, processes};
use crate::stage::{Stage, turns};

pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    for dialect in DIALECTS {
        for foreign in Foreign::ALL {
            for (library, peer) in processes(stage, foreign) {
                let cell = format!("read/write: ours {dialect} x {library} {foreign:?}");
                let done = cell_of(stage, dialect, foreign, peer).await;
                let seen = done.map_err(|error| format!("{cell}: {error}"))?;
                stage.tell(format_args!("{cell}: {seen}"));
            }
        }
    }
    downgrades(stage).await
}

async fn cell_of(
    stage: &Stage,
    dialect: &str,
    foreign: Foreign,
    peer: &RecipePeer,
) -> Result<String, Failure> {
    if !foreign.sees(dialect) {
        return one_way(stage, dialect, foreign, peer).await;
    }
    let scene = stage.lasting_scene("rw").await?;
    let mut cast = Vec::new();
    for lock in ["read", "write"] {
        cast.push((stage.actor(&stage.ours, "ours").await?, format!("{lock}:{dialect}")));
        cast.push((stage.actor(peer, "theirs").await?, foreign.kind(lock)));
    }
    cast.push((stage.actor(peer, "theirs").await?, foreign.kind("read")));
    let seen = contend(stage, &scene, &cast, turns()).await?;
    assert_eq!(seen.passages, cast.len() * turns());
    assert!(seen.handoffs >= turns(), "they hardly contended: {seen:?}");
    assert!(stage.names(&scene.path).await?.is_empty(), "somebody left a node behind");
    Ok(format!("{seen:?}"))
}

/// What cannot exclude: we wait for them, they do not wait for us.
async fn one_way(
    stage: &Stage,
    dialect: &str,
    foreign: Foreign,
    peer: &RecipePeer,
) -> Result<String, Failure> {
    let (us, them) = (stage.actor(&stage.ours, "ours").await?, stage.actor(peer, "theirs").await?);
    let scene = stage.lasting_scene("rw").await?;
    let path = &scene.path;
    for (their_lock, our_lock) in [("write", "read"), ("write", "write"), ("read", "write")] {
        let (theirs, ours) = (foreign.kind(their_lock), format!("{our_lock}:{dialect}"));
        assert_ne!(them.ask(&format!("acquire {theirs} {path} -1")).await?, "none");
        assert_eq!(us.ask(&format!("acquire {ours} {path} 0")).await?, "none", "we wait for them");
        let waiting = us.ask(&format!("acquire {ours} {path} -1"));
        them.ask(&format!("release {theirs} {path}")).await?;
        assert_ne!(waiting.await?, "none");
        assert_ne!(
            them.ask(&format!("acquire {theirs} {path} -1")).await?,
            "none",
            "they do not wait for us"
        );
        them.ask(&format!("release {theirs} {path}")).await?;
        us.ask(&format!("release {ours} {path}")).await?;
    }
    close([us, them]).await?;
    Ok("one way, as documented: we wait for them, they do not wait for us".to_owned())
}

/// Curator turns a writer into a reader under the writer's number, and nobody of ours slips in between. (5.4 gives the
/// reader a number of its own behind the writers in line, and then lets the first of them in: CURATOR-621.) Ours is
/// turned into a reader the same way, and no writer of Curator's slips in.
async fn downgrades(stage: &Stage) -> Result<(), Failure> {
    for (version, curator) in &stage.curators {
        for dialect in ["curator", "both"] {
            let scene = stage.scene("downgrade");
            let mut cast = Vec::new();
            cast.push((stage.actor(&stage.ours, "ours").await?, format!("downgrade:{dialect}")));
            cast.push((stage.actor(&stage.ours, "ours").await?, format!("write:{dialect}")));
            let theirs = if *version == JavaVersion::V3_8 { "read" } else { "downgrade" };
            cast.push((stage.actor(curator, "theirs").await?, theirs.to_owned()));
            cast.push((stage.actor(curator, "theirs").await?, "write".to_owned()));
            let seen = contend(stage, &scene, &cast, turns()).await?;
            assert_eq!(seen.passages, cast.len() * turns());
            stage.tell(format_args!(
                "read/write: downgrades, {dialect} x Curator of ZooKeeper {version}: {seen:?}"
            ));
        }
    }
    Ok(())
}
