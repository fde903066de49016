//! Who takes part: the foreign classes and whom they see, and a contest of several for one path.

use integration_tests::critical_section::{self, Passages};
use integration_tests::recipe_peers::{Actor, RecipePeer};
use integration_tests::targets::Failure;

use crate::stage::{Scene, Stage};

/// Our dialects, as our peer calls them.
pub(crate) const DIALECTS: [&str; 3] = ["curator", "kazoo", "both"];

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

/// As [`contend`], without the log.
pub(crate) async fn perform(
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
