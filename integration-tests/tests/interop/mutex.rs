//! The mutex: each of our dialects beside each foreign class, and all of them at once; killed and stopped.

use integration_tests::critical_section::{self, Passages};
use integration_tests::recipe_peers::{Actor, RecipePeer};
use integration_tests::targets::Failure;

use crate::stage::{SHORT, Scene, Stage, turns};

/// Those who write and read other marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    Curator,
    Kazoo,
    /// Kazoo's class with Curator's mark in `extra_lock_patterns`: sees both, writes its own.
    KazooExtra,
    /// Kazoo's class under Curator's mark: writes and sees that only.
    KazooSubclass,
}

impl Foreign {
    pub(crate) const ALL: [Self; 4] = [Self::Curator, Self::Kazoo, Self::KazooExtra, Self::KazooSubclass];

    /// The kind of lock, as the peer calls it: `mutex`, `read` or `write`, as Curator and stock Kazoo call it.
    pub(crate) fn kind(self, lock: &str) -> String {
        match self {
            Self::Curator | Self::Kazoo => lock.to_owned(),
            Self::KazooExtra => format!("{lock}:extra"),
            Self::KazooSubclass => format!("{lock}:curator"),
        }
    }

    /// Whether it waits for ours, under our dialect. We wait for all of them under every dialect.
    pub(crate) fn sees(self, dialect: &str) -> bool {
        match self {
            Self::Curator | Self::KazooSubclass => dialect != "kazoo",
            Self::Kazoo => dialect != "curator",
            Self::KazooExtra => true,
        }
    }
}

pub(crate) const DIALECTS: [&str; 3] = ["curator", "kazoo", "both"];

pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    for dialect in DIALECTS {
        for foreign in Foreign::ALL {
            for (library, peer) in processes(stage, foreign) {
                let cell = format!("mutex: ours {dialect} x {library} {foreign:?}");
                let done = cell_of(stage, dialect, foreign, peer).await;
                println!("{cell}: {}", done.map_err(|error| format!("{cell}: {error}"))?);
            }
        }
    }
    everybody_at_once(stage).await?;
    killed(stage).await?;
    ours_paused_while_holding(stage).await?;
    ours_paused_while_contending(stage).await?;
    theirs_paused_while_waiting(stage).await?;
    revocation(stage).await
}

/// The processes that have this class, and their names.
pub(crate) fn processes(stage: &Stage, foreign: Foreign) -> Vec<(String, &RecipePeer)> {
    match foreign {
        Foreign::Curator => {
            let curators = stage.curators.iter();
            curators.map(|(version, peer)| (format!("Curator of ZooKeeper {version}"), peer)).collect()
        }
        _ => vec![("Kazoo".to_owned(), &stage.kazoo)],
    }
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
    let seen = contend(stage, &scene, &cast, &scene.path, turns()).await?;
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

/// All contend for `path`, each until it held `turns` times; then they go, and the log is judged.
pub(crate) async fn contend(
    stage: &Stage,
    scene: &Scene,
    cast: &[(Actor, String)],
    path: &str,
    turns: usize,
) -> Result<Passages, Failure> {
    perform(stage, scene, cast, path, turns).await?;
    Ok(critical_section::check(&scene.log)?)
}

async fn perform(
    stage: &Stage,
    scene: &Scene,
    cast: &[(Actor, String)],
    path: &str,
    turns: usize,
) -> Result<(), Failure> {
    let fence = format!("{}-fence", scene.path);
    stage.zk.create(&fence, "").await?;
    let log = scene.log();
    let ask = |(actor, kind): &(Actor, String)| {
        let own = if kind.contains(':') && actor.name().starts_with("ours") { fence.as_str() } else { "" };
        actor.ask(format!("contend {kind} {path} {turns} {log} {own}").trim_end())
    };
    let answers: Vec<_> = cast.iter().map(ask).collect();
    for answer in answers {
        answer.await?;
    }
    close(cast.iter().map(|(actor, _)| actor.clone())).await?;
    tokens_rise(stage, &fence).await
}

pub(crate) async fn close(actors: impl IntoIterator<Item = Actor>) -> Result<(), Failure> {
    for actor in actors {
        actor.ask("close").await?;
    }
    Ok(())
}

/// What holders of ours wrote into ZooKeeper is in the order of their tokens: nobody wrote who was not the holder.
pub(crate) async fn tokens_rise(stage: &Stage, fence: &str) -> Result<(), Failure> {
    let mut before = 0;
    for name in stage.names(fence).await? {
        let data = stage.zk.get(format!("{fence}/{name}")).await?.data;
        let token: i64 = std::str::from_utf8(&data)?.parse()?;
        assert!(token > before, "{fence}/{name} was written by the holder {token}, after {before}");
        before = token;
    }
    Ok(())
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
            let seen = contend(stage, &scene, &cast, &scene.path, turns()).await?;
            assert_eq!(seen.passages, all);
            println!("mutex: ours both x Curator x Kazoo {foreign:?}, on one path: {seen:?}");
            continue;
        }
        // The whole log would show Curator and Kazoo beside each other; without one of them it must not.
        perform(stage, &scene, &cast, &scene.path, turns()).await?;
        let text = std::fs::read_to_string(&scene.log)?;
        for absent in ["kazoo", "curator"] {
            let part = scene.log.with_extension(absent);
            let without = text.lines().filter(|line| !line.contains(&format!(" {absent}-")));
            std::fs::write(&part, without.fold(String::new(), |text, line| text + line + "\n"))?;
            let seen = critical_section::check(&part)?;
            let rest = cast.iter().filter(|(actor, _)| !actor.name().starts_with(absent)).count();
            assert_eq!(seen.passages, rest * turns());
            println!("mutex: ours both x Curator x Kazoo, on one path, without {absent}: {seen:?}");
        }
    }
    Ok(())
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

/// Killed while they hold, one after the other, each with the next waiting for it; and killed while they contend.
async fn killed(stage: &Stage) -> Result<(), Failure> {
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
    let contending = perform(stage, &scene, &cast, path, 10);
    let killing = async {
        for ((peer, _, _), holding) in victims.iter().zip(holding) {
            holding.await?;
            peer.kill(&scene.log)?;
        }
        Ok(())
    };
    tokio::try_join!(contending, killing)?;
    let seen = critical_section::check(&scene.log)?;
    assert_eq!((seen.passages, seen.overtaken), (30, 3));
    println!("mutex: killed while holding: {seen:?}");

    let scene = stage.lasting_scene("killed").await?;
    let victims = self::victims(stage, 3 * SHORT).await?;
    let log = scene.log();
    for (_, actor, kind) in &victims {
        // Nobody hears the answer.
        drop(actor.ask(&format!("contend {kind} {} 1000000 {log}", scene.path)));
    }
    for (_, actor, _) in &victims {
        stage.entered(&scene, actor.name(), 1).await?;
    }
    let cast = survivors(stage).await?;
    let contending = perform(stage, &scene, &cast, &scene.path, turns());
    let killing = async {
        for (peer, actor, _) in &victims {
            stage.entered(&scene, actor.name(), 3).await?;
            peer.kill(&scene.log)?;
        }
        Ok(())
    };
    tokio::try_join!(contending, killing)?;
    let seen = critical_section::check(&scene.log)?;
    println!("mutex: killed while contending: {seen:?}");
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
    let contending = perform(stage, &scene, &cast, path, 10);
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
    let ((), again) = tokio::try_join!(contending, pausing)?;
    assert_eq!(again, "5 0");
    let seen = critical_section::check(&scene.log)?;
    assert_eq!((seen.passages, seen.overtaken, seen.refused, seen.lost), (35, 1, 0, 1));
    println!("mutex: ours paused while holding: {seen:?}");
    Ok(())
}

/// The same at whatever moment: between the grant and the first line, between two lines, while it waits.
async fn ours_paused_while_contending(stage: &Stage) -> Result<(), Failure> {
    let scene = stage.lasting_scene("paused").await?;
    let (path, log) = (&scene.path, scene.log());
    let peer = Stage::another_of_ours()?;
    let actor = stage.actor_for(&peer, "ours", SHORT / 2).await?;
    let cast = survivors(stage).await?;
    let living: Vec<_> = cast.iter().map(|(actor, _)| actor.session()).collect();
    let fence = format!("{path}-its-fence");
    stage.zk.create(&fence, "").await?;
    let pauses = 5;
    let its_turns = 8 * pauses;
    let its = actor.ask(&format!("contend mutex:both {path} {its_turns} {log} {fence}"));
    let contending = perform(stage, &scene, &cast, path, turns().max(its_turns));
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
    let ((), its) = tokio::try_join!(contending, pausing)?;
    println!("mutex: ours paused while contending, whole sections and lost ones: {its}");
    let seen = critical_section::check(&scene.log)?;
    tokens_rise(stage, &fence).await?;
    println!("mutex: ours paused while contending: {seen:?}");
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
    println!("mutex: theirs paused while waiting: {seen:?}");
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
        println!("mutex: revoked both ways with Curator of ZooKeeper {version}");
    }
    Ok(())
}
