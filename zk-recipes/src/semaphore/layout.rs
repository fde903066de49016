//! The two layouts: where nodes are, what they are called, and the rule that tells from a listing whether there is
//! room. The only place that knows.

use zk_proto::path;

use crate::contender::Prefix;
use crate::dialect::Dialect;
use crate::identity::Uuid;
use crate::limits::FOREIGN_PER_LISTING_MAX;
use crate::sequence::{CURATOR_LEASE, Contender, curator_lease_prefix};

/// Whose nodes a semaphore is made of. The two have nothing in common: all who share a semaphore use one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Layout {
    /// Curator's `InterProcessSemaphoreV2`. The default.
    #[default]
    Curator,
    /// Kazoo's `Semaphore`.
    Kazoo,
}

/// What a listing says to the owner of some of the leases in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// One of its leases is not there.
    Gone,
    /// So many are out that count for it, its own aside.
    Taken(usize),
}

impl Layout {
    /// Where those who wait stand in line.
    pub(super) fn locks(self, path: &str) -> String {
        match self {
            Self::Curator => path::join(path, "locks"),
            Self::Kazoo => format!("{path}-__lock__"),
        }
    }

    /// Where the leases are.
    pub(super) fn leases(self, path: &str) -> String {
        match self {
            Self::Curator => path::join(path, "leases"),
            Self::Kazoo => path.to_owned(),
        }
    }

    /// The name in line, up to its number.
    pub(super) fn lock_name(self, identity: u128) -> String {
        let dialect = match self {
            Self::Curator => Dialect::Curator,
            Self::Kazoo => Dialect::Kazoo,
        };
        let names: Vec<Prefix> = dialect.mutex();
        names.first().map_or_else(String::new, |name| name(Uuid::from_random(identity)))
    }

    /// The names of so many leases: up to the number in Curator's layout, whole in Kazoo's, which has none.
    pub(super) fn lease_names(self, identity: u128, permits: usize) -> Vec<String> {
        // Names made together differ in their low bits.
        let ids = (0..permits as u128).map(|n| Uuid::from_random(identity.wrapping_add(n)));
        match self {
            Self::Curator => ids.map(curator_lease_prefix).collect(),
            Self::Kazoo => ids.map(Uuid::bare).collect(),
        }
    }

    /// Whether a lease's name carries a number, which orders leases.
    pub(super) const fn has_numbers(self) -> bool {
        matches!(self, Self::Curator)
    }

    /// Reads a listing of the leases as the owner of `own`.
    ///
    /// In Curator's layout those count that were made before ours. That is enough: of the permits that are out at any
    /// time, the one made last has counted all the others, or they were made by Curator, which counts everything.
    /// It needs no lock either, so a lease may be made before anybody stands in line; see the module's model.
    /// In Kazoo's, where nothing orders leases, all of them count, and only the head of the line makes new ones.
    pub(super) fn room(self, names: &[String], own: &[&str]) -> Room {
        match self {
            Self::Kazoo => {
                let mine = names.iter().filter(|name| own.contains(&name.as_str())).count();
                if mine < own.len() { Room::Gone } else { Room::Taken(names.len() - mine) }
            }
            Self::Curator => {
                let leases = || names.iter().filter_map(|name| Contender::parse(name, &[CURATOR_LEASE]));
                let is_mine = |lease: &Contender<'_>| own.contains(&lease.name);
                let mine = leases().filter(is_mine).count();
                if mine < own.len() {
                    return Room::Gone;
                }
                let last = leases().filter(is_mine).max_by(Contender::order);
                let counts = |lease: &Contender<'_>| {
                    !is_mine(lease) && last.as_ref().is_none_or(|last| lease.order(last).is_lt())
                };
                Room::Taken(leases().filter(counts).count())
            }
        }
    }

    /// Children of the leases' node that are none, as far as one can tell.
    pub(super) fn foreign(self, names: &[String]) -> Vec<String> {
        let is_foreign = |name: &&String| Contender::parse(name, &[CURATOR_LEASE]).is_none();
        match self {
            Self::Curator => names.iter().filter(is_foreign).take(FOREIGN_PER_LISTING_MAX).cloned().collect(),
            Self::Kazoo => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_are_those_of_the_libraries() {
        let curator = Layout::Curator;
        assert_eq!((curator.locks("/s"), curator.leases("/s")), ("/s/locks".into(), "/s/leases".into()));
        assert!(curator.lock_name(7).starts_with("_c_") && curator.lock_name(7).ends_with("-lock-"));
        assert!(curator.lease_names(7, 1)[0].ends_with("-lease-"));
        let kazoo = Layout::Kazoo;
        assert_eq!((kazoo.locks("/s"), kazoo.leases("/s")), ("/s-__lock__".into(), "/s".into()));
        assert!(kazoo.lock_name(7).ends_with("__lock__") && kazoo.lock_name(7).len() == 40);
        assert_eq!(kazoo.lease_names(7, 1)[0].len(), 32);
    }

    #[test]
    fn what_is_made_together_has_names_of_its_own() {
        for identity in [0, u128::MAX, u128::MAX << 60, 0xffff_ffff_ffff_fff0] {
            for layout in [Layout::Curator, Layout::Kazoo] {
                let mut all = layout.lease_names(identity, 100);
                all.sort();
                all.dedup();
                assert_eq!(all.len(), 100);
            }
        }
    }

    #[test]
    fn earlier_leases_count_and_later_ones_do_not() {
        let list = names(&[
            "a-lease-0000000003",
            "b-lease-0000000005",
            "c-lease-0000000004",
            "x",
            "d-lock-0000000001",
        ]);
        let room = |own: &[&str]| Layout::Curator.room(&list, own);
        assert_eq!(room(&["a-lease-0000000003"]), Room::Taken(0));
        assert_eq!(room(&["b-lease-0000000005"]), Room::Taken(2));
        assert_eq!(room(&["b-lease-0000000005", "c-lease-0000000004"]), Room::Taken(1));
        assert_eq!(room(&["e-lease-0000000009"]), Room::Gone);
        assert_eq!(room(&["b-lease-0000000005", "e-lease-0000000009"]), Room::Gone);
        assert_eq!(room(&[]), Room::Taken(3), "with nothing of our own, all count");
        assert_eq!(Layout::Curator.foreign(&list), ["x", "d-lock-0000000001"]);
    }

    #[test]
    fn the_order_holds_across_the_wrap() {
        let list = names(&["a-lease-2147483647", "b-lease--2147483648", "c-lease--2147483647"]);
        for (n, own) in list.iter().enumerate() {
            assert_eq!(Layout::Curator.room(&list, &[own]), Room::Taken(n));
        }
    }

    #[test]
    fn in_kazoos_layout_everything_counts() {
        let list = names(&["aa", "bb", "whatever"]);
        assert_eq!(Layout::Kazoo.room(&list, &[]), Room::Taken(3));
        assert_eq!(Layout::Kazoo.room(&list, &["bb"]), Room::Taken(2));
        assert_eq!(Layout::Kazoo.room(&list, &["cc"]), Room::Gone);
    }
}
