//! Numbers that several libraries change at once: no change is lost, whoever makes it.

use integration_tests::targets::Failure;

use crate::cast::close;
use crate::stage::Stage;

/// Changes by each.
const TIMES: i64 = 60;

pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    shared_count(stage).await?;
    an_empty_count(stage).await?;
    atomic(stage, "long").await?;
    atomic(stage, "integer").await?;
    text(stage).await
}

/// Curator's SharedCount, Kazoo's Counter with `support_curator`, ours.
async fn shared_count(stage: &Stage) -> Result<(), Failure> {
    let scene = stage.scene("count");
    let path = &scene.path;
    let (us, kazoo) = (stage.actor(&stage.ours, "ours").await?, stage.actor(&stage.kazoo, "kazoo").await?);
    assert_eq!(us.ask(&format!("count-start {path} 7")).await?, "7");
    assert_eq!(&stage.zk.get(path).await?.data[..], [0, 0, 0, 7]);
    let mut curators = Vec::new();
    for (_, curator) in &stage.curators {
        let them = stage.actor(curator, "curator").await?;
        assert_eq!(them.ask(&format!("count-start {path} 0")).await?, "7", "the seed is ours");
        curators.push(them);
    }
    let mut sum = 7 + 101 * TIMES;
    let mut answers = vec![
        us.ask(&format!("count-add {path} 1 {TIMES}")),
        kazoo.ask(&format!("add counter:curator {path} 100 {TIMES}")),
    ];
    for them in &curators {
        answers.push(them.ask(&format!("count-add {path} -3 {TIMES}")));
        sum -= 3 * TIMES;
    }
    for answer in answers {
        answer.await?;
    }
    assert_eq!(kazoo.ask(&format!("add counter:curator {path} 0 0")).await?, sum.to_string());
    // A change is told to everybody who looks on.
    for (from, to) in [(&us, &curators[0]), (&curators[0], &us)] {
        sum += 1;
        let told = to.ask(&format!("count-await {path} {sum} 30000"));
        from.ask(&format!("count-set {path} {sum}")).await?;
        assert_eq!(told.await?, sum.to_string());
    }
    stage.tell(format_args!(
        "shared count: {} libraries, {TIMES} changes each, sum {sum}",
        2 + curators.len()
    ));
    curators.extend([us, kazoo]);
    close(curators).await
}

/// Kazoo leaves the node empty until the first change: to Curator that is an error, to us it is the seed.
async fn an_empty_count(stage: &Stage) -> Result<(), Failure> {
    let scene = stage.scene("empty");
    let path = &scene.path;
    let (us, kazoo) = (stage.actor(&stage.ours, "ours").await?, stage.actor(&stage.kazoo, "kazoo").await?);
    kazoo.ask(&format!("add counter:curator {path} 0 0")).await?;
    assert!(stage.zk.get(path).await?.data.is_empty());
    for (version, curator) in &stage.curators {
        let them = stage.actor(curator, "curator").await?;
        let refused = them.ask(&format!("count-start {path} 5")).await.unwrap_err().to_string();
        assert!(refused.contains("BufferUnderflow"), "{version}: {refused}");
        close([them]).await?;
    }
    assert_eq!(us.ask(&format!("count-start {path} 5")).await?, "5");
    assert_eq!(&stage.zk.get(path).await?.data[..], [0, 0, 0, 5], "the seed is written");
    for (_, curator) in &stage.curators {
        let them = stage.actor(curator, "curator").await?;
        assert_eq!(them.ask(&format!("count-start {path} 0")).await?, "5");
        close([them]).await?;
    }
    close([us, kazoo]).await
}

/// Curator's DistributedAtomicLong and DistributedAtomicInteger, and ours.
async fn atomic(stage: &Stage, kind: &str) -> Result<(), Failure> {
    let scene = stage.scene(kind);
    let path = &scene.path;
    let mut cast = vec![stage.actor(&stage.ours, "ours").await?];
    for (_, curator) in &stage.curators {
        cast.push(stage.actor(curator, "curator").await?);
    }
    let answers: Vec<_> = cast.iter().map(|one| one.ask(&format!("add {kind} {path} -2 {TIMES}"))).collect();
    for answer in answers {
        answer.await?;
    }
    let sum = -2 * TIMES * i64::try_from(cast.len())?;
    for one in &cast {
        assert_eq!(one.ask(&format!("add {kind} {path} 0 0")).await?, sum.to_string());
    }
    let data = stage.zk.get(path).await?.data;
    let golden =
        if kind == "long" { sum.to_be_bytes().to_vec() } else { i32::try_from(sum)?.to_be_bytes().to_vec() };
    assert_eq!(data, golden);
    cast[0].ask(&format!("force-set {kind} {path} -2")).await?;
    assert_eq!(cast[1].ask(&format!("add {kind} {path} 0 0")).await?, "-2");
    stage.tell(format_args!("atomic {kind}: {} at once, sum {sum}", cast.len()));
    close(cast).await
}

/// Kazoo's Counter as text, and ours.
async fn text(stage: &Stage) -> Result<(), Failure> {
    let scene = stage.scene("text");
    let path = &scene.path;
    let (us, kazoo) = (stage.actor(&stage.ours, "ours").await?, stage.actor(&stage.kazoo, "kazoo").await?);
    let theirs = kazoo.ask(&format!("add counter {path} 5 {TIMES}"));
    us.ask(&format!("add counter {path} -2 {TIMES}")).await?;
    theirs.await?;
    let sum = (3 * TIMES).to_string();
    for one in [&us, &kazoo] {
        assert_eq!(one.ask(&format!("add counter {path} 0 0")).await?, sum);
    }
    assert_eq!(stage.zk.get(path).await?.data, sum.as_bytes());
    stage.tell(format_args!("text counter: Kazoo and ours, sum {sum}"));
    close([us, kazoo]).await
}
