//! Leases by the clock: Kazoo's record, written and read by both.

use integration_tests::targets::Failure;

use crate::cast::close;
use crate::stage::Stage;

pub(crate) async fn all(stage: &Stage) -> Result<(), Failure> {
    let (us, them) = (stage.actor(&stage.ours, "ours").await?, stage.actor(&stage.kazoo, "kazoo").await?);
    for (first, second) in [(&us, &them), (&them, &us)] {
        let scene = stage.scene("lease");
        let path = &scene.path;
        assert_eq!(first.ask(&format!("lease {path} 3600 first")).await?, "true");
        let record = stage.zk.get(format!("{path}/lease_holder")).await?.data;
        let text = std::str::from_utf8(&record)?;
        let end = text.strip_prefix(r#"{"version": 1, "holder": "first", "end": ""#);
        let end = end.and_then(|rest| rest.strip_suffix(r#""}"#));
        assert_eq!(end.map(str::len), Some("2026-11-22T22:22:38".len()), "{text}");
        assert_eq!(second.ask(&format!("lease {path} 3600 second")).await?, "false", "it is held");
        // The same holder may renew it, from wherever; a time of nothing ends it.
        assert_eq!(second.ask(&format!("lease {path} 0 first")).await?, "true");
        assert_eq!(second.ask(&format!("lease {path} 3600 second")).await?, "true");
        assert_eq!(first.ask(&format!("lease {path} 3600 first")).await?, "false");

        let scene = stage.scene("leases");
        let path = &scene.path;
        assert_eq!(first.ask(&format!("multi-lease {path} 2 3600 a")).await?, "true");
        assert_eq!(second.ask(&format!("multi-lease {path} 2 3600 b")).await?, "true");
        assert_eq!(stage.names(path).await?, ["0", "1"]);
        for one in [first, second] {
            assert_eq!(one.ask(&format!("multi-lease {path} 2 3600 c")).await?, "false", "both are taken");
        }
    }
    stage.tell("leases: Kazoo and ours");
    close([us, them]).await
}
