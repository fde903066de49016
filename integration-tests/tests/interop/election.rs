//! Elections: Curator's LeaderSelector and Kazoo's Election are a mutex around a function, and so are our two.

use integration_tests::critical_section;
use integration_tests::targets::Failure;

use crate::cast::{DIALECTS, Foreign, close, processes};
use crate::stage::{Stage, turns};

pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    for dialect in DIALECTS {
        for foreign in Foreign::ALL {
            if !foreign.sees(dialect) {
                continue;
            }
            for (library, peer) in processes(stage, foreign) {
                let scene = stage.lasting_scene("election").await?;
                let (path, log, turns) = (&scene.path, scene.log(), turns());
                let mut answers = Vec::new();
                let mut cast = Vec::new();
                for kind in ["election", "selector"] {
                    let us = stage.actor(&stage.ours, "ours").await?;
                    answers.push(us.ask(&format!("lead {path} {turns} {log} {kind}:{dialect}")));
                    cast.push(us);
                }
                for _ in 0..2 {
                    let them = stage.actor(peer, "theirs").await?;
                    let kind =
                        if foreign == Foreign::Curator { String::new() } else { foreign.kind("mutex") };
                    answers.push(them.ask(format!("lead {path} {turns} {log} {kind}").trim_end()));
                    cast.push(them);
                }
                for answer in answers {
                    answer.await?;
                }
                close(cast).await?;
                let seen = critical_section::check(&scene.log)?;
                // Curator's selector stands for election again until it is closed, and so does ours.
                assert!(seen.passages >= 4 * turns, "{seen:?}");
                assert!(seen.handoffs >= turns, "they hardly contended: {seen:?}");
                stage.tell(format_args!("election: ours {dialect} x {library} {foreign:?}: {seen:?}"));
            }
        }
    }
    Ok(())
}
