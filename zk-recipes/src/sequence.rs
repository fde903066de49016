//! Names of nodes that wait in line, in every dialect, and their order.
//!
//! One parser reads them all: a name is a contender's when a *marker* stands immediately before the sequence
//! number. Which markers count is the recipe's choice.
//!
//! | dialect | mutex | marker |
//! |---|---|---|
//! | Curator | `_c_<uuid>-lock-<n>` | [`CURATOR_LOCK`] |
//! | Kazoo | `<32 hex>__lock__<n>` | [`KAZOO_LOCK`] |
//! | go-zk | `_c_<32 hex>-lock-<n>` | [`CURATOR_LOCK`] |
//!
//! The number is the parent's 32-bit counter, printed by Java's `%010d`. It goes on below zero after 2^31
//! creations, and the order across that point is serial-number arithmetic; Curator and Kazoo compare text there
//! and go wrong.

use std::cmp::Ordering;

use crate::identity::Uuid;

/// What Curator, go-zk and kezhuw's client write before the number of a mutex.
pub const CURATOR_LOCK: &str = "-lock-";

/// What Kazoo writes before the number of a mutex, and of a write lock.
pub const KAZOO_LOCK: &str = "__lock__";

/// The markers of a mutex, whoever made it.
pub const MUTEX: [&str; 2] = [CURATOR_LOCK, KAZOO_LOCK];

/// What Curator writes before the number of a leader latch.
pub const CURATOR_LATCH: &str = "-latch-";

/// What Curator writes before the number of a semaphore's lease.
pub const CURATOR_LEASE: &str = "-lease-";

/// What Curator, and Kazoo's subclass for it, write before the number of a read lock.
pub const CURATOR_READ: &str = "__READ__";

/// What Curator, and Kazoo's subclass for it, write before the number of a write lock.
pub const CURATOR_WRITE: &str = "__WRIT__";

/// What Kazoo writes before the number of a read lock. Its write lock is [`KAZOO_LOCK`].
pub const KAZOO_READ: &str = "__rlock__";

/// The markers of readers, whoever made them.
pub const READERS: [&str; 2] = [CURATOR_READ, KAZOO_READ];

/// The markers of writers, whoever made them.
pub const WRITERS: [&str; 2] = [CURATOR_WRITE, KAZOO_LOCK];

/// What a revoker writes to the node of a holder who should give it up (Curator's `Revoker`).
pub const REVOKE: &[u8] = b"__REVOKE__";

/// The prefix of a lock node in Curator's layout, to which the server appends the number.
#[must_use]
pub fn curator_lock_prefix(id: Uuid) -> String {
    format!("_c_{id}{CURATOR_LOCK}")
}

/// The prefix of a lock node in Kazoo's layout; also of its write lock.
#[must_use]
pub fn kazoo_lock_prefix(id: Uuid) -> String {
    format!("{}{KAZOO_LOCK}", id.bare())
}

/// The prefix of a latch node in Curator's layout.
#[must_use]
pub fn curator_latch_prefix(id: Uuid) -> String {
    format!("_c_{id}{CURATOR_LATCH}")
}

/// The prefix of a semaphore's lease in Curator's layout.
#[must_use]
pub fn curator_lease_prefix(id: Uuid) -> String {
    format!("_c_{id}{CURATOR_LEASE}")
}

/// The prefix of a read lock in Curator's layout.
#[must_use]
pub fn curator_read_prefix(id: Uuid) -> String {
    format!("_c_{id}-{CURATOR_READ}")
}

/// The prefix of a write lock in Curator's layout.
#[must_use]
pub fn curator_write_prefix(id: Uuid) -> String {
    format!("_c_{id}-{CURATOR_WRITE}")
}

/// The prefix of a read lock in Kazoo's layout.
#[must_use]
pub fn kazoo_read_prefix(id: Uuid) -> String {
    format!("{}{KAZOO_READ}", id.bare())
}

/// A sequence number: a signed 32-bit counter that wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sequence(pub i32);

impl Sequence {
    /// How far `self` lies behind `earlier`, if it does: `Some(0)` for the same number, `None` when `self` came
    /// first. Right while the two are less than 2^31 apart; exactly that far apart, the negative one is taken to
    /// be the later, so that two peers never both believe to be first.
    #[must_use]
    pub const fn distance_behind(self, earlier: Self) -> Option<u32> {
        let distance = self.0.wrapping_sub(earlier.0);
        if distance >= 0 || (distance == i32::MIN && self.0 < 0) { Some(distance as u32) } else { None }
    }
}

/// A contender's name, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contender<'a> {
    /// The whole name.
    pub name: &'a str,
    /// Which of the markers it carries.
    pub marker: &'a str,
    /// Its number.
    pub sequence: Sequence,
}

impl<'a> Contender<'a> {
    /// Takes a name apart; `None` when no marker stands before a sequence number at its end.
    #[must_use]
    pub fn parse(name: &'a str, markers: &'a [impl AsRef<str>]) -> Option<Self> {
        // Ten digits; or a minus with nine (`%010d` counts the sign) or ten of them.
        [(10, false), (11, true), (10, true)].into_iter().find_map(|(width, negative)| {
            let at = name.len().checked_sub(width)?;
            let (before, number) = (name.get(..at)?, name.get(at..)?);
            let digits = if negative { number.strip_prefix('-')? } else { number };
            if !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let marker = markers.iter().map(AsRef::as_ref).find(|marker| before.ends_with(marker))?;
            Some(Self { name, marker, sequence: Sequence(number.parse().ok()?) })
        })
    }

    /// Where it stands among those of its number: a reader that was a writer (see [`READERS`]) right behind the
    /// node it was a writer by; the rest, which only hand-made names are, by name.
    #[must_use]
    pub fn within_number(&self) -> (bool, &'a str) {
        (READERS.contains(&self.marker), self.name)
    }

    /// Orders two contenders: by number, and those of one number by [`Contender::within_number`].
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        if self.sequence == other.sequence {
            return self.within_number().cmp(&other.within_number());
        }
        if self.sequence.distance_behind(other.sequence).is_some() {
            Ordering::Greater
        } else {
            Ordering::Less
        }
    }
}

/// The child that was created with `prefix`, if it is there.
#[must_use]
pub fn find<'a>(names: &'a [String], prefix: &str) -> Option<&'a str> {
    let markers = [prefix];
    names
        .iter()
        .map(String::as_str)
        .find(|name| name.starts_with(prefix) && Contender::parse(name, &markers).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use zk_proto::path::sequential;

    const U: &str = "2947c1df-c94b-42a0-8d17-b659fb24e72e";
    const H: &str = "2947c1dfc94b42a08d17b659fb24e72e";

    fn mutex(name: &str) -> Option<i32> {
        Contender::parse(name, &MUTEX).map(|c| c.sequence.0)
    }

    /// The names of the dialect table, and those printed by the real libraries.
    #[test]
    fn names_of_every_dialect() {
        assert_eq!(mutex("_c_2947c1df-c94b-42a0-8d17-b659fb24e72e-lock-0000000001"), Some(1));
        assert_eq!(mutex(&format!("_c_{U}-lock-0000000007")), Some(7), "Curator, kezhuw");
        assert_eq!(mutex(&format!("_c_{H}-lock-0000000007")), Some(7), "go-zk");
        assert_eq!(mutex(&format!("{H}__lock__0000000007")), Some(7), "Kazoo");
        assert_eq!(mutex(&format!("{H}-lock-0000000007")), Some(7), "Kazoo's documented subclass");
        assert_eq!(mutex("-lock-0000000007"), Some(7), "no id at all");
    }

    #[test]
    fn foreign_names_are_nobody() {
        for name in [
            format!("_c_{U}-latch-0000000007"),
            format!("_c_{U}-lease-0000000000"),
            format!("_c_{U}-__WRIT__0000000000"),
            format!("_c_{U}-__READ__0000000000"),
            format!("{H}__rlock__0000000007"),
            format!("{H}__party__0000000007"),
            "n_0000000007".into(),
            "x-72057594037927936-0000000007".into(),
            "0".into(),
            String::new(),
            "0000000007".into(),
            format!("_c_{U}-lock-"),
            format!("_c_{U}-lock-7"),
            format!("_c_{U}-lock-000000007"),
            format!("_c_{U}-lock-00000000007"),
            format!("_c_{U}-lock-+000000007"),
            format!("_c_{U}-lock-9999999999"),
            format!("_c_{U}-lock-0000000007x"),
            "-lock-漢字漢".into(),
            "漢-lock-000000000七".into(),
        ] {
            assert_eq!(mutex(&name), None, "{name}");
        }
    }

    #[test]
    fn markers_are_the_recipes_choice() {
        let write = ["__WRIT__", "__lock__"];
        let read = ["__READ__", "__rlock__"];
        let name = format!("_c_{U}-__WRIT__0000000000");
        assert_eq!(Contender::parse(&name, &write).map(|c| c.marker), Some("__WRIT__"));
        assert_eq!(Contender::parse(&name, &read), None);
        let name = format!("{H}__rlock__0000000003");
        assert_eq!(Contender::parse(&name, &write), None);
        assert_eq!(Contender::parse(&name, &read).map(|c| c.sequence.0), Some(3));
    }

    #[test]
    fn numbers_go_on_below_zero() {
        // Java's `%010d`: eleven characters down to -1000000000, ten from there on.
        assert_eq!(mutex("_c_x-lock--2147483648"), Some(i32::MIN));
        assert_eq!(mutex("_c_x-lock--1000000000"), Some(-1_000_000_000));
        assert_eq!(mutex("_c_x-lock--999999999"), Some(-999_999_999));
        assert_eq!(mutex("_c_x-lock--000000001"), Some(-1));
        assert_eq!(mutex("x__lock__-2147483648"), Some(i32::MIN));
        assert_eq!(mutex("x__lock__-000000001"), Some(-1));
        assert_eq!(mutex("x__lock__-2147483649"), None);
        assert_eq!(mutex("x__lock__2147483647"), Some(i32::MAX));
    }

    #[test]
    fn the_order_holds_across_the_wrap() {
        let names: Vec<String> =
            [2_147_483_646, i32::MAX, i32::MIN, i32::MIN + 1].map(|n| sequential("a-lock-", n)).into();
        for pair in names.windows(2) {
            let of = |name| Contender::parse(name, &MUTEX).unwrap();
            assert_eq!(of(&pair[0]).order(&of(&pair[1])), Ordering::Less, "{pair:?}");
            assert_eq!(of(&pair[1]).order(&of(&pair[0])), Ordering::Greater, "{pair:?}");
        }
        let far = (Sequence(0), Sequence(i32::MIN));
        assert!(far.0.distance_behind(far.1).is_none() && far.1.distance_behind(far.0).is_some());
    }

    #[test]
    fn found_by_its_own_prefix_only() {
        let names: Vec<String> =
            [format!("_c_{U}-latch-0000000001"), format!("{H}__lock__0000000002")].into();
        let prefix = format!("_c_{U}-lock-");
        assert_eq!(find(&names, &prefix), None);
        let mine = format!("{prefix}0000000003");
        assert_eq!(find(&[names[0].clone(), mine.clone()], &prefix), Some(mine.as_str()));
    }

    proptest! {
        #[test]
        fn every_number_the_server_prints_is_read_back(n: i32, kazoo: bool) {
            let prefix = if kazoo { format!("{H}{KAZOO_LOCK}") } else { format!("_c_{U}{CURATOR_LOCK}") };
            prop_assert_eq!(mutex(&sequential(&prefix, n)), Some(n));
        }

        #[test]
        fn any_text_is_read_without_harm(name in ".{0,40}") {
            let _ = mutex(&name);
        }

        #[test]
        fn exactly_one_of_two_is_first(a: i32, b: i32) {
            let (a, b) = (Sequence(a), Sequence(b));
            let both = (a.distance_behind(b).is_some(), b.distance_behind(a).is_some());
            prop_assert_eq!(both.0 == both.1, a == b);
        }
    }
}
