//! Who takes part: the foreign classes and whom they see, and a contest of several for one path.

use std::pin::Pin;

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
    /// Curator's mutex with a `LockInternalsDriver` that reads Kazoo's mark: sees both, writes its own.
    CuratorDriver,
    Kazoo,
    /// Kazoo's class with Curator's mark in `extra_lock_patterns`: sees both, writes its own.
    KazooExtra,
    /// Kazoo's class under Curator's mark: writes and sees that only.
    KazooSubclass,
}

impl Foreign {
    /// Whoever has a read/write lock.
    pub(crate) const ALL: [Self; 4] = [Self::Curator, Self::Kazoo, Self::KazooExtra, Self::KazooSubclass];
    /// Whoever has a mutex.
    pub(crate) const MUTEXES: [Self; 5] =
        [Self::Curator, Self::CuratorDriver, Self::Kazoo, Self::KazooExtra, Self::KazooSubclass];

    /// The kind of lock, as the peer calls it: `mutex`, `read` or `write`, as Curator and stock Kazoo call it.
    pub(crate) fn kind(self, lock: &str) -> String {
        match self {
            Self::Curator | Self::Kazoo => lock.to_owned(),
            Self::CuratorDriver => format!("{lock}:driver"),
            Self::KazooExtra => format!("{lock}:extra"),
            Self::KazooSubclass => format!("{lock}:curator"),
        }
    }

    /// Whether it waits for ours, under our dialect. We wait for all of them under every dialect.
    pub(crate) fn sees(self, dialect: &str) -> bool {
        match self {
            Self::Curator | Self::KazooSubclass => dialect != "kazoo",
            Self::Kazoo => dialect != "curator",
            Self::CuratorDriver | Self::KazooExtra => true,
        }
    }
}

/// The processes that have this class, and their names.
pub(crate) fn processes(stage: &Stage, foreign: Foreign) -> Vec<(String, &RecipePeer)> {
    match foreign {
        Foreign::Curator | Foreign::CuratorDriver => {
            let curators = stage.curators.iter();
            curators.map(|(version, peer)| (format!("Curator of ZooKeeper {version}"), peer)).collect()
        }
        _ => vec![("Kazoo".to_owned(), &stage.kazoo)],
    }
}

/// All contend for the scene's path, each until it held `turns` times; then they go, and the log is judged. They are all
/// in line before the first of them gets in.
pub(crate) async fn contend(
    stage: &Stage,
    scene: &Scene,
    cast: &[(Actor, String)],
    turns: usize,
) -> Result<Passages, Failure> {
    let gate = stage.actor(&stage.ours, "gate").await?;
    let alone = if cast.iter().all(|(_, kind)| kind.starts_with("mutex")) { "mutex" } else { "write" };
    gate.ask(&format!("acquire {alone}:both {} -1", scene.path)).await?;
    let contest = Contest::begin(stage, scene, cast, turns).await?;
    let nodes: usize = cast.iter().map(|(_, kind)| if kind.ends_with(":both") { 2 } else { 1 }).sum();
    stage.line_of(&scene.path, 2 + nodes).await?;
    gate.ask(&format!("release {alone}:both {}", scene.path)).await?;
    close([gate]).await?;
    contest.end(stage).await?;
    Ok(critical_section::check(&scene.log)?)
}

type Answer = Pin<Box<dyn Future<Output = Result<String, Failure>>>>;

/// Several that contend.
pub(crate) struct Contest {
    cast: Vec<Actor>,
    answers: Vec<Answer>,
    fence: String,
}

impl Contest {
    /// Tells them all to begin.
    pub(crate) async fn begin(
        stage: &Stage,
        scene: &Scene,
        cast: &[(Actor, String)],
        turns: usize,
    ) -> Result<Self, Failure> {
        Self::begin_at(stage, scene, &format!("{}-fence", scene.path), cast, turns).await
    }

    /// The same, where the path says nothing of where holders of ours may write.
    pub(crate) async fn begin_at(
        stage: &Stage,
        scene: &Scene,
        fence: &str,
        cast: &[(Actor, String)],
        turns: usize,
    ) -> Result<Self, Failure> {
        stage.zk.create(fence, "").await?;
        let (path, log) = (&scene.path, scene.log());
        let mut answers: Vec<Answer> = Vec::new();
        for (actor, kind) in cast {
            // Tokens of readers beside each other do not rise.
            let fences = actor.name().starts_with("ours") && !kind.starts_with(['r', 'd']);
            let fence = if fences { fence } else { "" };
            let request = format!("contend {kind} {path} {turns} {log} {fence}");
            answers.push(Box::pin(actor.ask(request.trim_end())));
        }
        Ok(Self {
            cast: cast.iter().map(|(actor, _)| actor.clone()).collect(),
            answers,
            fence: fence.to_owned(),
        })
    }

    /// Waits until all have had their turns.
    pub(crate) async fn end(self, stage: &Stage) -> Result<(), Failure> {
        for answer in self.answers {
            answer.await?;
        }
        close(self.cast).await?;
        tokens_rise(stage, &self.fence).await
    }
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
