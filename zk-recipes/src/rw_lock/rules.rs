//! Readers and writers in one line, as pure rules: who waits for whom, who is in, and what a reader is called that
//! was a writer before.

use zk_proto::path;

use crate::contender::Rule;
use crate::identity::Uuid;
use crate::participants::Participant;
use crate::sequence::{Contender, KAZOO_LOCK, READERS, WRITERS, curator_read_prefix, kazoo_read_prefix};

/// Everybody in the line, of every dialect.
fn markers() -> Vec<&'static str> {
    READERS.into_iter().chain(WRITERS).collect()
}

/// A reader waits for the nearest writer before it.
pub(crate) fn reader() -> Rule {
    Rule { counts: markers(), blocks: WRITERS.to_vec(), seats: 1 }
}

/// A writer waits for whoever is next before it.
pub(crate) fn writer() -> Rule {
    Rule::exclusive(&markers())
}

/// Marks those who are in, of a line in its order: a reader with no writer before it, a writer with nobody. The
/// reader that a writer is becoming stands where that writer does.
pub(super) fn admit(line: &mut [Participant]) {
    let (mut readers, mut writers) = (0, 0);
    let mut last_writer = None;
    for participant in line {
        if participant.writes() {
            participant.admitted = readers == 0 && writers == 0;
            last_writer = Some((participant.sequence, participant.admitted));
            writers += 1;
        } else {
            let becoming = matches!(last_writer, Some((sequence, true)) if sequence == participant.sequence);
            participant.admitted = writers == 0 || becoming;
            readers += 1;
        }
    }
}

/// The nodes by which a writer goes on as a reader, as Curator names them: its own place in line, a new identity,
/// and a reader's marker. One for each of its nodes, in the same dialect. `None` if one of them is no writer's.
pub(crate) fn read_nodes(write_nodes: &[String], id: Uuid) -> Option<Vec<String>> {
    let read_node = |node: &String| {
        let (parent, name) = path::split(node)?;
        let Contender { marker, .. } = Contender::parse(name, &WRITERS)?;
        let (_, digits) = name.rsplit_once(marker)?;
        let prefix = if marker == KAZOO_LOCK { kazoo_read_prefix(id) } else { curator_read_prefix(id) };
        Some(path::join(parent, &format!("{prefix}{digits}")))
    };
    write_nodes.iter().map(read_node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contender::Standing;
    use crate::fence::FencingToken;
    use crate::sequence::Sequence;
    use bytes::Bytes;
    use zk_proto::{SessionId, Zxid};

    const LINE: [&str; 7] = [
        "a__READ__0000000001",
        "b__rlock__0000000002",
        "c__WRIT__0000000003",
        "d__READ__0000000004",
        "e__READ__0000000005",
        "f__lock__0000000006",
        "g__lock__0000000007",
    ];

    fn behind(rule: &Rule, own: usize, gone: &[usize]) -> Option<usize> {
        let there = |n: &usize| !gone.contains(n);
        let names: Vec<String> = (0..LINE.len()).filter(there).map(|n| LINE[n].to_owned()).collect();
        match rule.survey(&names, &[LINE[own]]).standing {
            Standing::Absent => panic!("{own} is not in the line"),
            Standing::Admitted => None,
            Standing::Behind(name) => LINE.iter().position(|other| *other == name),
        }
    }

    #[test]
    fn readers_wait_for_the_nearest_writer_and_writers_for_whoever_is_next() {
        let (reader, writer) = (reader(), writer());
        assert_eq!([0, 1].map(|n| behind(&reader, n, &[])), [None, None], "before any writer");
        assert_eq!(behind(&writer, 2, &[]), Some(1));
        assert_eq!(behind(&writer, 2, &[1]), Some(0));
        assert_eq!(behind(&writer, 2, &[0, 1]), None);
        assert_eq!([3, 4].map(|n| behind(&reader, n, &[0, 1])), [Some(2), Some(2)], "no overtaking");
        assert_eq!([3, 4].map(|n| behind(&reader, n, &[2])), [None, None], "let in together");
        assert_eq!(behind(&writer, 5, &[2]), Some(4));
        assert_eq!(behind(&writer, 6, &[2]), Some(5));
    }

    /// Curator's downgrade leaves two nodes of one number for a moment.
    #[test]
    fn the_reader_that_was_a_writer_stands_right_behind_it() {
        for (write, read) in [("z", "a"), ("a", "z")] {
            let names = [
                format!("_c_{write}-__WRIT__0000000003"),
                format!("_c_{read}-__READ__0000000003"),
                "q__lock__0000000004".to_owned(),
                "r__rlock__0000000005".to_owned(),
            ];
            let (writer, reader) = (writer(), reader());
            let standing =
                |rule: &Rule, names: &[String], own: &str| match rule.survey(names, &[own]).standing {
                    Standing::Behind(name) => Some(name.to_owned()),
                    _ => None,
                };
            assert_eq!(standing(&writer, &names, &names[2]), Some(names[1].clone()), "no second wake");
            assert_eq!(standing(&writer, &names[1..], &names[2]), Some(names[1].clone()));
            assert_eq!(standing(&writer, &names[..3], &names[0]), None, "the writer is before its reader");
            assert_eq!(standing(&reader, &names[1..], &names[1]), None);
            assert_eq!(standing(&reader, &names, &names[3]), Some(names[2].clone()));
        }
    }

    fn line(nodes: &[(&str, i32)]) -> Vec<Participant> {
        let participant = |(marker, sequence): &(&str, i32)| Participant {
            nodes: vec![format!("/p/x{marker}{sequence:010}")],
            data: Bytes::new(),
            session: SessionId(1),
            sequence: Sequence(*sequence),
            token: FencingToken::from_zxid(Zxid(1)),
            since_ms: 0,
            marker: (*marker).to_owned(),
            admitted: false,
        };
        nodes.iter().map(participant).collect()
    }

    fn admitted(nodes: &[(&str, i32)]) -> Vec<bool> {
        let mut line = line(nodes);
        admit(&mut line);
        line.iter().map(|participant| participant.admitted).collect()
    }

    #[test]
    fn who_is_in() {
        let (read, write) = ("__READ__", "__WRIT__");
        assert_eq!(
            admitted(&[(read, 1), ("__rlock__", 2), (write, 3), (read, 4)]),
            [true, true, false, false]
        );
        assert_eq!(admitted(&[("__lock__", 1), (read, 2), (write, 3)]), [true, false, false]);
        assert_eq!(admitted(&[(write, 1), (read, 1), (write, 2), (read, 3)]), [true, true, false, false]);
        assert_eq!(admitted(&[(read, 0), (write, 1), (read, 1)]), [true, false, false], "made by hand");
    }

    /// The pair printed by Curator itself, and Kazoo's names alike.
    #[test]
    fn a_downgraded_writer_keeps_its_digits() {
        let id = Uuid::from_random(0x2947_c1df_c94b_42a0_8d17_b659_fb24_e72e);
        let nodes = ["/rw/_c_x-__WRIT__0000000000", "/rw/y__lock__-999999999"].map(ToOwned::to_owned);
        let expected = [
            "/rw/_c_2947c1df-c94b-42a0-8d17-b659fb24e72e-__READ__0000000000",
            "/rw/2947c1dfc94b42a08d17b659fb24e72e__rlock__-999999999",
        ];
        assert_eq!(read_nodes(&nodes, id).unwrap(), expected);
        assert_eq!(read_nodes(&["/rw/_c_x-lock-0000000000".to_owned()], id), None);
    }
}
