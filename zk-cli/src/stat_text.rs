//! A node's stat as text: in full, and as one row of a list.

use zk_client::{SessionId, Stat};

use crate::timestamp::utc;

/// The heading of [`row`]s.
pub(crate) const HEADING: &str =
    "VERSION CHILDREN      BYTES MODIFIED                 OWNER              NAME";

/// One row of a list.
pub(crate) fn row(name: &str, stat: &Stat) -> String {
    format!(
        "{:>7} {:>8} {:>10} {:<24} {:<18} {name}",
        stat.version,
        stat.num_children,
        stat.data_length,
        utc(stat.mtime),
        owner(stat.ephemeral_owner)
    )
}

/// Everything, one field a line.
pub(crate) fn full(stat: &Stat) -> String {
    let fields = [
        ("created", format!("{} in {}", utc(stat.ctime), stat.czxid)),
        ("modified", format!("{} in {}", utc(stat.mtime), stat.mzxid)),
        ("version", stat.version.to_string()),
        ("bytes", stat.data_length.to_string()),
        ("children", stat.num_children.to_string()),
        ("children_changed", format!("in {}", stat.pzxid)),
        ("children_version", stat.cversion.to_string()),
        ("acl_version", stat.aversion.to_string()),
        ("owner", owner(stat.ephemeral_owner)),
    ];
    fields.map(|(name, value)| format!("{name:<17}{value}")).join("\n")
}

fn owner(session: SessionId) -> String {
    if session == SessionId::NONE { "-".to_owned() } else { session.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zk_client::Zxid;

    #[test]
    fn rows_stand_under_their_heading() {
        let stat = Stat { ephemeral_owner: SessionId(i64::MAX), data_length: 12, ..Stat::default() };
        let row = row("job-1", &stat);
        assert_eq!(row.find("job-1"), HEADING.find("NAME"));
        assert_eq!(row.find("1970"), HEADING.find("MODIFIED"));
    }

    #[test]
    fn every_field_is_there() {
        let stat = Stat { czxid: Zxid(0x1f), version: 3, ..Stat::default() };
        let text = full(&stat);
        assert!(text.contains("created          1970-01-01T00:00:00.000Z in 0x1f\n"), "{text}");
        assert!(text.contains("\nversion          3\n") && text.ends_with("owner            -"), "{text}");
    }
}
