//! Bytes: what the foreign libraries write, against what is written down of them, and what we write against the same.

use integration_tests::peers::JavaVersion;
use integration_tests::recipe_peers::Actor;
use integration_tests::targets::Failure;

use crate::cast::close;
use crate::stage::{Scene, Stage};

pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    for (version, curator) in &stage.curators {
        let actor = stage.actor(curator, "golden").await?;
        locks_of_curator(stage, *version, &actor).await?;
        numbers_of_curator(stage, &actor).await?;
        queues_of_curator(stage, &actor).await?;
        close([actor]).await?;
        stage.tell(format_args!("golden: Curator of ZooKeeper {version}"));
    }
    let actor = stage.actor(&stage.kazoo, "golden").await?;
    kazoo(stage, &actor).await?;
    close([actor]).await?;
    let actor = stage.actor(&stage.ours, "golden").await?;
    ours(stage, &actor).await?;
    close([actor]).await
}

/// The data of a node.
async fn data(stage: &Stage, path: &str) -> Result<Vec<u8>, Failure> {
    Ok(stage.zk.get(path).await?.data.to_vec())
}

/// The names under a path with what no test can foresee replaced: `U` a UUID with dashes, `H` one without, `N` a
/// number of ten digits.
pub(crate) async fn shapes(stage: &Stage, path: &str) -> Result<Vec<String>, Failure> {
    Ok(stage.names(path).await?.iter().map(|name| shape(name)).collect())
}

pub(crate) fn shape(name: &str) -> String {
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut shape = String::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let dashed = rest.get(..36).filter(|text| {
            let parts: Vec<_> = text.split('-').collect();
            parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| is_hex(part))
        });
        if dashed.is_some() {
            shape.push('U');
            rest = &rest[36..];
        } else if rest.get(..32).is_some_and(is_hex) {
            shape.push('H');
            rest = &rest[32..];
        } else if rest.len() == 10 && rest.bytes().all(|byte| byte.is_ascii_digit()) {
            shape.push('N');
            rest = "";
        } else {
            shape.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    shape
}

async fn take(actor: &Actor, kind: &str, scene: &Scene) -> Result<String, Failure> {
    let held = actor.ask(&format!("acquire {kind} {} 10000", scene.path)).await?;
    Ok(held.split(' ').next().unwrap_or_default().to_owned())
}

/// The text of this host's address, which Curator writes when it is given nothing.
fn is_address(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok())
}

async fn locks_of_curator(stage: &Stage, version: JavaVersion, actor: &Actor) -> Result<(), Failure> {
    let scene = stage.scene("mutex");
    let node = take(actor, "mutex", &scene).await?;
    assert_eq!(shapes(stage, &scene.path).await?, ["_c_U-lock-N"]);
    assert!(is_address(&data(stage, &node).await?));

    let scene = stage.scene("downgrade");
    let node = take(actor, "write", &scene).await?;
    assert_eq!(shapes(stage, &scene.path).await?, ["_c_U-__WRIT__N"]);
    assert!(is_address(&data(stage, &node).await?));
    actor.ask(&format!("release write {}", scene.path)).await?;
    take(actor, "read", &scene).await?;
    assert_eq!(shapes(stage, &scene.path).await?, ["_c_U-__READ__N"]);

    let scene = stage.scene("downgrade");
    let node = take(actor, "downgrade", &scene).await?;
    // The writer's number, in a node that is not sequential. Curator 5.4 does not do that yet, and lets in a writer
    // who queues behind a downgrade (CURATOR-621).
    let number = if version == JavaVersion::V3_8 { "0000000001" } else { "0000000000" };
    assert!(node.ends_with(&format!("-__READ__{number}")), "{version}: {node}");

    let scene = stage.scene("semaphore");
    let node = take(actor, "semaphore:2", &scene).await?;
    assert_eq!(shapes(stage, &format!("{}/leases", scene.path)).await?, ["_c_U-lease-N"]);
    assert_eq!(shapes(stage, &scene.path).await?, ["leases", "locks"]);
    assert_eq!(data(stage, &node).await?, actor.name().as_bytes());

    let scene = stage.scene("latch");
    actor.ask(&format!("latch-start {}", scene.path)).await?;
    actor.ask(&format!("latch-await {} 10000", scene.path)).await?;
    assert_eq!(shapes(stage, &scene.path).await?, ["_c_U-latch-N"]);
    let name = stage.names(&scene.path).await?.remove(0);
    assert_eq!(data(stage, &format!("{}/{name}", scene.path)).await?, actor.name().as_bytes());

    let scene = stage.scene("barrier");
    actor.ask(&format!("barrier-set {}", scene.path)).await?;
    assert!(is_address(&data(stage, &scene.path).await?));
    Ok(())
}

async fn numbers_of_curator(stage: &Stage, actor: &Actor) -> Result<(), Failure> {
    let scene = stage.scene("numbers");
    stage.zk.create(&scene.path, "").await?;
    // An empty node is a zero.
    actor.ask(&format!("add long {} 1 1", scene.path)).await?;
    assert_eq!(data(stage, &scene.path).await?, [0, 0, 0, 0, 0, 0, 0, 1]);

    let scene = stage.scene("numbers");
    actor.ask(&format!("force-set integer {} -2", scene.path)).await?;
    assert_eq!(data(stage, &scene.path).await?, [0xff, 0xff, 0xff, 0xfe]);

    let scene = stage.scene("numbers");
    actor.ask(&format!("count-start {} 5", scene.path)).await?;
    assert_eq!(data(stage, &scene.path).await?, [0, 0, 0, 5]);
    actor.ask(&format!("stop {}", scene.path)).await?;
    Ok(())
}

/// `ab` in Curator's frame.
pub(crate) const FRAME: [u8; 12] = *b"\x00\x01\x00\x01\x01\x00\x00\x00\x02ab\x02";

async fn queues_of_curator(stage: &Stage, actor: &Actor) -> Result<(), Failure> {
    let puts = [
        ("queue", "-", "queue-0000000000", &FRAME[..]),
        ("id", "my/id", "queue-|my_id|0000000000", &FRAME),
        ("priority", "5", "queue-1000000050000000000", &FRAME),
        ("priority", "-5", "queue-0FFFFFFFB0000000000", &FRAME),
        ("delay", "1700000000000", "queue-|18BCFE56800|0000000000", &FRAME),
        ("simple", "-", "qn-0000000000", b"ab"),
    ];
    for (kind, ordinal, name, bytes) in puts {
        let scene = stage.scene("queue");
        actor.ask(&format!("put {kind} {} {ordinal} 6162", scene.path)).await?;
        assert_eq!(stage.names(&scene.path).await?, [name], "{kind}");
        assert_eq!(data(stage, &format!("{}/{name}", scene.path)).await?, bytes, "{kind}");
    }
    let scene = stage.scene("queue");
    actor.ask(&format!("put queue {} - 61 6263", scene.path)).await?;
    let several = b"\x00\x01\x00\x01\x01\x00\x00\x00\x01a\x01\x00\x00\x00\x02bc\x02";
    assert_eq!(data(stage, &format!("{}/queue-0000000000", scene.path)).await?, several);
    Ok(())
}

async fn kazoo(stage: &Stage, actor: &Actor) -> Result<(), Failure> {
    for (kind, name) in [("mutex", "H__lock__N"), ("read", "H__rlock__N"), ("write", "H__lock__N")] {
        let scene = stage.scene("lock");
        let node = take(actor, kind, &scene).await?;
        assert_eq!(shapes(stage, &scene.path).await?, [name]);
        assert_eq!(data(stage, &node).await?, actor.name().as_bytes());
    }
    let scene = stage.scene("semaphore");
    take(actor, "semaphore:2", &scene).await?;
    assert_eq!(shapes(stage, &scene.path).await?, ["H"]);
    assert_eq!(data(stage, &scene.path).await?, b"2");
    // Who waits for a lease stands in line beside it, under the text that Python prints for bytes.
    let other = stage.actor(&stage.kazoo, "golden").await?;
    let third = stage.actor(&stage.kazoo, "golden").await?;
    take(&other, "semaphore:2", &scene).await?;
    let waiting = third.ask(&format!("acquire semaphore:2 {} -1", scene.path));
    let line = format!("{}-__lock__", scene.path);
    stage.line_of(&line, 1).await?;
    let name = stage.names(&line).await?.remove(0);
    assert_eq!(shape(&name), "H__lock__N");
    assert_eq!(data(stage, &format!("{line}/{name}")).await?, format!("b'{}'", third.name()).as_bytes());
    other.ask(&format!("release semaphore:2 {}", scene.path)).await?;
    waiting.await?;
    close([other, third]).await?;

    for (kind, delta, bytes) in [
        ("counter:curator", "5", &[0, 0, 0, 5][..]),
        ("counter", "5", b"5"),
        ("counter:float", "1.5", b"1.5"),
    ] {
        let scene = stage.scene("counter");
        actor.ask(&format!("add {kind} {} {delta} 0", scene.path)).await?;
        assert!(data(stage, &scene.path).await?.is_empty(), "nothing is written before the first change");
        actor.ask(&format!("add {kind} {} {delta} 1", scene.path)).await?;
        assert_eq!(data(stage, &scene.path).await?, bytes, "{kind}");
    }

    let scene = stage.scene("queue");
    actor.ask(&format!("put kazoo {} 5 6162", scene.path)).await?;
    actor.ask(&format!("put kazoo {} - 6162", scene.path)).await?;
    assert_eq!(stage.names(&scene.path).await?, ["entry-005-0000000000", "entry-100-0000000001"]);
    assert_eq!(data(stage, &format!("{}/entry-005-0000000000", scene.path)).await?, b"ab");

    let scene = stage.scene("locking");
    actor.ask(&format!("put locking {} 7 6162", scene.path)).await?;
    assert_eq!(actor.ask(&format!("claim {} 10000", scene.path)).await?, "6162");
    for room in ["entries", "taken"] {
        assert_eq!(stage.names(&format!("{}/{room}", scene.path)).await?, ["entry-007-0000000000"]);
    }
    let claim = data(stage, &format!("{}/taken/entry-007-0000000000", scene.path)).await?;
    assert_eq!(shape(std::str::from_utf8(&claim)?), "H");

    let scene = stage.scene("lease");
    assert_eq!(actor.ask(&format!("lease {} 3600 idn", scene.path)).await?, "true");
    let record = data(stage, &format!("{}/lease_holder", scene.path)).await?;
    let text = std::str::from_utf8(&record)?;
    let end = text
        .strip_prefix(r#"{"version": 1, "holder": "idn", "end": ""#)
        .and_then(|rest| rest.strip_suffix(r#""}"#));
    assert_eq!(end.map(str::len), Some("2026-11-22T22:22:38".len()), "{text}");
    stage.tell(format_args!("golden: Kazoo"));
    Ok(())
}

/// Ours are held against the same table; the others' tests show that they are read.
async fn ours(stage: &Stage, actor: &Actor) -> Result<(), Failure> {
    let held: [(&str, &[&str]); 8] = [
        ("mutex:curator", &["_c_U-lock-N"]),
        ("mutex:kazoo", &["H__lock__N"]),
        ("mutex:both", &["H__lock__N", "_c_U-lock-N"]),
        ("read:curator", &["_c_U-__READ__N"]),
        ("write:curator", &["_c_U-__WRIT__N"]),
        ("read:kazoo", &["H__rlock__N"]),
        ("write:kazoo", &["H__lock__N"]),
        ("semaphore:2:kazoo", &["H"]),
    ];
    for (kind, names) in held {
        let scene = stage.scene("ours");
        let node = take(actor, kind, &scene).await?;
        let mut shapes = shapes(stage, &scene.path).await?;
        shapes.sort();
        assert_eq!(shapes, names, "{kind}");
        assert_eq!(data(stage, &node).await?, actor.name().as_bytes(), "{kind}");
        if kind.starts_with("semaphore") {
            assert_eq!(data(stage, &scene.path).await?, b"2");
        }
    }

    let scene = stage.scene("ours");
    let node = take(actor, "downgrade:curator", &scene).await?;
    assert!(node.ends_with("-__READ__0000000000"), "the writer's number: {node}");

    let scene = stage.scene("ours");
    let node = take(actor, "semaphore:2:curator", &scene).await?;
    assert_eq!(shapes(stage, &format!("{}/leases", scene.path)).await?, ["_c_U-lease-N"]);
    assert_eq!(shapes(stage, &scene.path).await?, ["leases", "locks"]);
    assert_eq!(data(stage, &node).await?, actor.name().as_bytes());

    let scene = stage.scene("ours");
    actor.ask(&format!("latch-start {}", scene.path)).await?;
    actor.ask(&format!("latch-await {} 10000", scene.path)).await?;
    let name = stage.names(&scene.path).await?.remove(0);
    assert_eq!(shape(&name), "_c_U-latch-N");
    assert_eq!(data(stage, &format!("{}/{name}", scene.path)).await?, actor.name().as_bytes());

    let numbers = [
        ("long", "1", &[0, 0, 0, 0, 0, 0, 0, 1][..]),
        ("integer", "-2", &[0xff, 0xff, 0xff, 0xfe]),
        ("counter", "5", b"5"),
    ];
    for (kind, delta, bytes) in numbers {
        let scene = stage.scene("ours");
        stage.zk.create(&scene.path, "").await?;
        actor.ask(&format!("add {kind} {} {delta} 1", scene.path)).await?;
        assert_eq!(data(stage, &scene.path).await?, bytes, "{kind}");
    }
    stage.tell("golden: ours");
    Ok(())
}
