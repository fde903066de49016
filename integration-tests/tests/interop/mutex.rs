//! The mutex: each of our dialects beside each foreign class, and all of them at once.

use integration_tests::critical_section;
use integration_tests::recipe_peers::RecipePeer;
use integration_tests::targets::Failure;

use crate::cast::{Contest, DIALECTS, Foreign, close, contend, processes};
use crate::stage::{Scene, Stage, turns};

pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    for dialect in DIALECTS {
        for foreign in Foreign::MUTEXES {
            for (library, peer) in processes(stage, foreign) {
                let cell = format!("mutex: ours {dialect} x {library} {foreign:?}");
                let done = cell_of(stage, dialect, foreign, peer).await;
                stage.tell(format_args!("{cell}: {}", done.map_err(|error| format!("{cell}: {error}"))?));
            }
        }
    }
    everybody_at_once(stage).await?;
    revocation(stage).await
}

async fn cell_of(
    stage: &Stage,
    dialect: &str,
    foreign: Foreign,
    peer: &RecipePeer,
) -> Result<String, Failure> {
    let scene = stage.lasting_scene("mutex").await?;
    let (ours, theirs) = (format!("mutex:{dialect}"), foreign.kind("mutex"));
    if !foreign.sees(dialect) {
        return one_way(stage, &scene, &ours, &theirs, peer).await;
    }
    let mut cast = vec![(stage.actor(&stage.ours, "ours").await?, ours)];
    for _ in 0..2 {
        cast.push((stage.actor(peer, "theirs").await?, theirs.clone()));
    }
    let seen = contend(stage, &scene, &cast, turns()).await?;
    assert_eq!(seen.passages, cast.len() * turns());
    assert!(seen.handoffs >= turns(), "they hardly contended: {seen:?}");
    assert!(stage.names(&scene.path).await?.is_empty(), "somebody left a node behind");
    Ok(format!("{seen:?}"))
}

/// What cannot exclude: we wait for them, they do not wait for us.
async fn one_way(
    stage: &Stage,
    scene: &Scene,
    ours: &str,
    theirs: &str,
    peer: &RecipePeer,
) -> Result<String, Failure> {
    let (us, them) = (stage.actor(&stage.ours, "ours").await?, stage.actor(peer, "theirs").await?);
    let path = &scene.path;
    assert_ne!(them.ask(&format!("acquire {theirs} {path} -1")).await?, "none");
    assert_eq!(us.ask(&format!("acquire {ours} {path} 0")).await?, "none", "we wait for them");
    let waiting = us.ask(&format!("acquire {ours} {path} -1"));
    them.ask(&format!("release {theirs} {path}")).await?;
    assert_ne!(waiting.await?, "none");
    assert_ne!(them.ask(&format!("acquire {theirs} {path} -1")).await?, "none", "they do not wait for us");
    them.ask(&format!("release {theirs} {path}")).await?;
    us.ask(&format!("release {ours} {path}")).await?;
    close([us, them]).await?;
    Ok("one way, as documented: we wait for them, they do not wait for us".to_owned())
}

/// Stock Curator in every version, Kazoo's subclass and our `Both` on one path, where each excludes each; then stock
/// Kazoo instead of the subclass, where Curator and Kazoo do not exclude each other but each excludes us.
async fn everybody_at_once(stage: &Stage) -> Result<(), Failure> {
    for foreign in [Foreign::KazooSubclass, Foreign::Kazoo] {
        let scene = stage.lasting_scene("everybody").await?;
        let mut cast = Vec::new();
        for _ in 0..2 {
            cast.push((stage.actor(&stage.ours, "ours").await?, "mutex:both".to_owned()));
        }
        cast.push((stage.actor(&stage.kazoo, "kazoo").await?, foreign.kind("mutex")));
        for (_, curator) in &stage.curators {
            cast.push((stage.actor(curator, "curator").await?, "mutex".to_owned()));
        }
        let all = cast.len() * turns();
        if foreign == Foreign::KazooSubclass {
            let seen = contend(stage, &scene, &cast, turns()).await?;
            assert_eq!(seen.passages, all);
            stage.tell(format_args!("mutex: ours both x Curator x Kazoo {foreign:?}, on one path: {seen:?}"));
            continue;
        }
        // The whole log would show Curator and Kazoo beside each other; without one of them it must not.
        Contest::begin(stage, &scene, &cast, turns()).await?.end(stage).await?;
        let text = std::fs::read_to_string(&scene.log)?;
        for absent in ["kazoo", "curator"] {
            let part = scene.log.with_extension(absent);
            let without = text.lines().filter(|line| !line.contains(&format!(" {absent}-")));
            std::fs::write(&part, without.fold(String::new(), |text, line| text + line + "\n"))?;
            let seen = critical_section::check(&part)?;
            let rest = cast.iter().filter(|(actor, _)| !actor.name().starts_with(absent)).count();
            assert_eq!(seen.passages, rest * turns());
            stage.tell(format_args!(
                "mutex: ours both x Curator x Kazoo, on one path, without {absent}: {seen:?}"
            ));
        }
    }
    Ok(())
}

/// Whoever holds is asked to let go, across libraries.
async fn revocation(stage: &Stage) -> Result<(), Failure> {
    for (version, curator) in &stage.curators {
        let scene = stage.scene("revoked");
        let path = &scene.path;
        let (us, them) = (stage.actor(&stage.ours, "ours").await?, stage.actor(curator, "curator").await?);
        let held = them.ask(&format!("acquire revocable {path} -1")).await?;
        let node = held.split(' ').next().unwrap_or_default();
        assert!(stage.zk.get(node).await?.data.is_empty(), "Curator's revocable node has no data");
        assert_eq!(us.ask(&format!("revoke mutex {path} {node}")).await?, "true");
        assert_eq!(&stage.zk.get(node).await?.data[..], b"__REVOKE__");
        assert_eq!(them.ask("await-revoked 10000").await?, "true");
        them.ask(&format!("release revocable {path}")).await?;

        let held = us.ask(&format!("acquire mutex:curator {path} -1")).await?;
        let node = held.split(' ').next().unwrap_or_default();
        them.ask(&format!("revoke {node}")).await?;
        assert_eq!(us.ask(&format!("await-revoked mutex:curator {path} 10000")).await?, "true");
        close([us, them]).await?;
        stage.tell(format_args!("mutex: revoked both ways with Curator of ZooKeeper {version}"));
    }
    Ok(())
}
