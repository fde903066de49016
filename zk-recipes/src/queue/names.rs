//! Names of items in every kind of queue, and their order. Pure.
//!
//! | kind | name up to the number | order |
//! |---|---|---|
//! | Curator, plain | `queue-` | by number |
//! | Curator, priority | `queue-` `1` or `0` (negative) and 8 hex digits of the priority | lowest first, then by number |
//! | Curator, delay | `queue-\|<epoch in ms, hex>\|` | by time, then by number |
//! | Curator, id | `queue-\|<id>\|` | by number |
//! | Curator, simple | `qn-` | by number |
//! | Kazoo | `entry-<ppp>-` | lowest first, then by number |
//!
//! Items of Curator's plain names may be in any of its queues: Curator requeues so. In a priority queue they come
//! before every other that is not negative, in a delay queue they are due, as they are to Curator.

use crate::sequence::{Contender, Sequence};

/// The kinds of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Priority,
    Delay,
    Id,
    Simple,
    Kazoo,
}

/// Where an item stands; the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    major: i64,
    /// Distance from the oldest number there is.
    minor: u32,
}

const CURATOR: &str = "queue-";
const SIMPLE: &str = "qn-";
const KAZOO: &str = "entry-";

pub(super) fn plain() -> String {
    CURATOR.to_owned()
}

pub(super) fn simple() -> String {
    SIMPLE.to_owned()
}

pub(super) fn priority(priority: i32) -> String {
    let sign = if priority < 0 { '0' } else { '1' };
    format!("{CURATOR}{sign}{priority:08X}")
}

pub(super) fn delay(epoch_ms: u64) -> String {
    format!("{CURATOR}|{epoch_ms:08X}|")
}

/// Curator replaces what cannot be in a name.
pub(super) fn id(id: &str) -> String {
    format!("{CURATOR}|{}|", id.replace(['/', '|'], "_"))
}

/// Three digits; lower is sooner.
pub(super) fn kazoo(priority: u16) -> String {
    format!("{KAZOO}{:03}-", priority.min(999))
}

/// The items that may be taken at `now_ms`, in order, and when the next one becomes due.
pub(super) fn in_order(kind: Kind, names: &[String], now_ms: u64) -> (Vec<String>, Option<u64>) {
    let mut next_due: Option<u64> = None;
    let mut items: Vec<(i64, Sequence, &String)> = Vec::with_capacity(names.len());
    for name in names {
        let Some((major, number)) = parse(kind, name) else { continue };
        if kind == Kind::Delay && u64::try_from(major).is_ok_and(|due| due > now_ms) {
            let due = major.unsigned_abs();
            next_due = Some(next_due.map_or(due, |next| next.min(due)));
            continue;
        }
        items.push((major, number, name));
    }
    // Numbers wrap: their order is that of their distances from the oldest.
    let oldest = items
        .iter()
        .map(|(_, number, _)| *number)
        .reduce(|oldest, number| if oldest.distance_behind(number).is_some() { number } else { oldest });
    let rank = |(major, number, _): &(i64, Sequence, &String)| {
        let minor = oldest.and_then(|oldest| number.distance_behind(oldest)).unwrap_or(0);
        Rank { major: *major, minor }
    };
    items.sort_by_cached_key(|item| (rank(item), item.2.as_str()));
    (items.into_iter().map(|(_, _, name)| name.clone()).collect(), next_due)
}

/// The order's first part, and the number.
fn parse(kind: Kind, name: &str) -> Option<(i64, Sequence)> {
    let number = |markers: &[&str]| Contender::parse(name, markers).map(|item| item.sequence);
    match kind {
        Kind::Simple => number(&[SIMPLE]).map(|number| (0, number)),
        Kind::Kazoo => {
            let (digits, _) = name.strip_prefix(KAZOO)?.split_once('-')?;
            let priority: i64 = digits.parse().ok()?;
            number(&[name.get(..=KAZOO.len() + digits.len())?]).map(|number| (priority, number))
        }
        Kind::Plain => {
            // Any of Curator's: another kind of queue may have been here.
            let number = if name.starts_with(CURATOR) { last_number(name) } else { None };
            number.map(|number| (0, number))
        }
        Kind::Id => name.strip_prefix(CURATOR).and_then(|_| last_number(name)).map(|number| (0, number)),
        Kind::Priority => {
            let rest = name.strip_prefix(CURATOR)?;
            match rest.get(..9).filter(|_| rest.len() > 11) {
                Some(coded) => {
                    let bits = u32::from_str_radix(coded.get(1..)?, 16).ok()?;
                    last_number(name).map(|number| (i64::from(bits.cast_signed()), number))
                }
                // Requeued by Curator without its priority; text order puts it before all that are not negative.
                None => last_number(name).map(|number| (-1, number)),
            }
        }
        Kind::Delay => {
            let rest = name.strip_prefix(CURATOR)?;
            match rest.strip_prefix('|').and_then(|rest| rest.split_once('|')) {
                Some((epoch, _)) => {
                    let epoch = i64::from_str_radix(epoch, 16).ok()?;
                    last_number(name).map(|number| (epoch, number))
                }
                None => last_number(name).map(|number| (0, number)),
            }
        }
    }
}

/// What may stand before the number in Curator's names: a minus never does.
const BEFORE: [&str; 18] =
    [CURATOR, "|", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F"];

/// The number at the end of one of Curator's names.
fn last_number(name: &str) -> Option<Sequence> {
    Contender::parse(name, &BEFORE).map(|item| item.sequence)
}

/// What stands before the number: what an item is put under again.
pub(super) fn prefix(kind: Kind, name: &str) -> &str {
    // A name that was taken apart ends with its number.
    let digits = parse(kind, name).map_or(0, |(_, number)| zk_proto::path::sequential("", number.0).len());
    name.get(..name.len().saturating_sub(digits)).unwrap_or(name)
}

/// Whether an item was put under this id.
pub(super) fn has_id(name: &str, wanted: &str) -> bool {
    prefix(Kind::Id, name) == id(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zk_proto::path::sequential;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Printed by Curator 5.9 and Kazoo 2.11.
    #[test]
    fn the_names_of_the_other_libraries() {
        assert_eq!(sequential(&plain(), 0), "queue-0000000000");
        assert_eq!(sequential(&id("my/id"), 0), "queue-|my_id|0000000000");
        assert_eq!(sequential(&priority(5), 0), "queue-1000000050000000000");
        assert_eq!(sequential(&priority(-5), 1), "queue-0FFFFFFFB0000000001");
        assert_eq!(sequential(&delay(1_700_000_000_000), 0), "queue-|18BCFE56800|0000000000");
        assert_eq!(sequential(&simple(), 0), "qn-0000000000");
        assert_eq!(sequential(&kazoo(5), 0), "entry-005-0000000000");
    }

    #[test]
    fn each_kind_in_its_order() {
        let order = |kind, list: &[&str]| in_order(kind, &names(list), 0).0;
        assert_eq!(
            order(Kind::Plain, &["queue-0000000002", "x", "queue-0000000001", "lock"]),
            ["queue-0000000001", "queue-0000000002"]
        );
        assert_eq!(
            order(
                Kind::Priority,
                &[
                    "queue-1000000070000000000",
                    "queue-1000000050000000002",
                    "queue-1000000050000000001",
                    "queue-0FFFFFFFB0000000003",
                    "queue-0000000009",
                ]
            ),
            [
                "queue-0FFFFFFFB0000000003",
                "queue-0000000009",
                "queue-1000000050000000001",
                "queue-1000000050000000002",
                "queue-1000000070000000000",
            ]
        );
        assert_eq!(
            order(Kind::Kazoo, &["entry-100-0000000000", "entry-005-0000000001", "entry-x-0000000002"]),
            ["entry-005-0000000001", "entry-100-0000000000"]
        );
        assert_eq!(
            order(Kind::Id, &["queue-|b|0000000001", "queue-|a|0000000002"]),
            ["queue-|b|0000000001", "queue-|a|0000000002"],
            "ids do not count"
        );
    }

    #[test]
    fn what_is_not_due_is_not_there_yet() {
        let list = names(&["queue-|0000000A|0000000000", "queue-|00000014|0000000001", "queue-0000000002"]);
        assert_eq!(in_order(Kind::Delay, &list, 9).0, ["queue-0000000002"]);
        assert_eq!(in_order(Kind::Delay, &list, 9).1, Some(10));
        let (due, next) = in_order(Kind::Delay, &list, 10);
        assert_eq!((due.len(), next), (2, Some(20)));
        assert_eq!(
            in_order(Kind::Delay, &list, 20),
            (vec![due[0].clone(), due[1].clone(), list[1].clone()], None)
        );
    }

    #[test]
    fn numbers_go_on_below_zero() {
        let list = [i32::MAX, i32::MIN, i32::MIN + 1].map(|n| sequential("queue-", n)).to_vec();
        let reversed: Vec<String> = list.iter().rev().cloned().collect();
        assert_eq!(in_order(Kind::Plain, &reversed, 0).0, list);
    }

    #[test]
    fn an_item_is_put_again_under_what_it_had() {
        let kinds = [
            (Kind::Priority, priority(-7)),
            (Kind::Priority, priority(7)),
            (Kind::Delay, delay(77)),
            (Kind::Id, id("a")),
            (Kind::Plain, plain()),
            (Kind::Simple, simple()),
            (Kind::Kazoo, kazoo(5)),
        ];
        for (kind, before) in kinds {
            for number in [0, 1, 1_000_000_000, i32::MAX, i32::MIN, -1_000_000_000, -4] {
                assert_eq!(prefix(kind, &sequential(&before, number)), before, "{kind:?} {number}");
            }
        }
        assert!(has_id(&sequential(&id("my/id"), 4), "my/id") && !has_id("queue-|my|0000000001", "m"));
    }

    proptest! {
        #[test]
        fn priorities_are_ordered_as_numbers(a: i32, b: i32) {
            let list = [sequential(&priority(a), 1), sequential(&priority(b), 2)];
            let first = &in_order(Kind::Priority, &list, 0).0[0];
            prop_assert_eq!(first, &list[usize::from(b < a)]);
        }

        #[test]
        fn any_name_is_read_without_harm(before in "(queue-|queue-\\||qn-|entry-)?", rest in ".{0,40}") {
            let name = before + &rest;
            for kind in [Kind::Plain, Kind::Priority, Kind::Delay, Kind::Id, Kind::Simple, Kind::Kazoo] {
                let _ = in_order(kind, std::slice::from_ref(&name), 5);
                let _ = prefix(kind, &name);
            }
        }
    }
}
