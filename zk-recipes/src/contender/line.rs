//! Who is before whom: the rule that decides, from one listing, whether a contender is admitted or whom it waits
//! for. The only place that knows; locks, semaphores and latches differ in their rule alone.

use std::cmp::Reverse;

use crate::limits::FOREIGN_PER_LISTING_MAX;
use crate::sequence::Contender;

/// Who counts, and how many are admitted.
///
/// | recipe | `counts` | `blocks` | `seats` |
/// |---|---|---|---|
/// | mutex, latch | its markers | the same | 1 |
/// | write lock | readers' and writers' markers | the same | 1 |
/// | read lock | readers' and writers' markers | writers' markers | 1 |
/// | leases in line | its marker | the same | leases |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Markers of the nodes that belong to this line. Every other child is foreign.
    pub counts: Vec<&'static str>,
    /// Markers of those that we wait for when they came before us.
    pub blocks: Vec<&'static str>,
    /// Admitted are those with fewer than this many blockers before them. At least 1.
    pub seats: usize,
}

/// What one listing says.
#[derive(Debug, PartialEq, Eq)]
pub struct Survey<'a> {
    /// Where we stand.
    pub standing: Standing<'a>,
    /// How many are before us whom we wait for.
    pub ahead: usize,
    /// Children that belong to nobody in this line; at most [`FOREIGN_PER_LISTING_MAX`].
    pub foreign: Vec<&'a str>,
}

/// Where a contender stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Its node is not in the list.
    Absent,
    /// It is admitted.
    Admitted,
    /// It waits until this child is gone: the only one whose going can admit it.
    Behind(&'a str),
}

impl Rule {
    /// One at a time, in order.
    #[must_use]
    pub fn exclusive(markers: &[&'static str]) -> Self {
        Self { counts: markers.to_vec(), blocks: markers.to_vec(), seats: 1 }
    }

    /// Reads a listing as the owner of the children `own`, who stands where the first of them does. With one of
    /// them missing it stands nowhere.
    #[must_use]
    pub fn survey<'a>(&'a self, names: &'a [String], own: &[&str]) -> Survey<'a> {
        let mut foreign = Vec::new();
        let mut line = Vec::with_capacity(names.len());
        let mut mine = Vec::with_capacity(own.len());
        for name in names {
            match Contender::parse(name, &self.counts) {
                Some(contender) if own.contains(&name.as_str()) => mine.push(contender),
                Some(contender) => line.push(contender),
                None if foreign.len() < FOREIGN_PER_LISTING_MAX => foreign.push(name.as_str()),
                None => {}
            }
        }
        let me = mine.iter().min_by(|a, b| a.order(b)).filter(|_| mine.len() == own.len());
        let Some(me) = me else { return Survey { standing: Standing::Absent, ahead: 0, foreign } };
        line.retain(|other| self.blocks.contains(&other.marker) && other.order(me).is_lt());
        let ahead = line.len();
        Survey { standing: self.standing(*me, line), ahead, foreign }
    }

    /// Behind whom, of those before us that block.
    fn standing<'a>(&self, me: Contender<'_>, mut line: Vec<Contender<'a>>) -> Standing<'a> {
        let Some(nth) = self.seats.max(1).checked_sub(1).filter(|nth| *nth < line.len()) else {
            return Standing::Admitted;
        };
        // Nearest first. Of `seats` or more before us, the nearest but `seats - 1` must go first.
        let rank = |c: &Contender<'a>| (me.sequence.distance_behind(c.sequence), Reverse(c.within_number()));
        let (_, blocker, _) = line.select_nth_unstable_by_key(nth, rank);
        Standing::Behind(blocker.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::MUTEX;
    use proptest::prelude::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_mutex_waits_for_its_nearest_predecessor_of_any_dialect() {
        let rule = Rule::exclusive(&MUTEX);
        let list = names(&[
            "b-lock-0000000007",
            "ff__lock__0000000005",
            "0",
            "_c_x-lock-0000000003",
            "a-lock-0000000009",
            "ff__rlock__0000000006",
        ]);
        let standing = |own| rule.survey(&list, &[own]).standing;
        assert_eq!(standing("_c_x-lock-0000000003"), Standing::Admitted);
        assert_eq!(standing("ff__lock__0000000005"), Standing::Behind("_c_x-lock-0000000003"));
        assert_eq!(standing("b-lock-0000000007"), Standing::Behind("ff__lock__0000000005"));
        assert_eq!(standing("a-lock-0000000009"), Standing::Behind("b-lock-0000000007"));
        assert_eq!(standing("c-lock-0000000001"), Standing::Absent);
        assert_eq!(rule.survey(&list, &[]).foreign, ["0", "ff__rlock__0000000006"]);
    }

    #[test]
    fn the_line_goes_on_across_the_wrap() {
        let rule = Rule::exclusive(&MUTEX);
        let list = names(&["a-lock-2147483647", "b-lock--2147483648", "c-lock--2147483647"]);
        assert_eq!(rule.survey(&list, &[&list[0]]).standing, Standing::Admitted);
        assert_eq!(rule.survey(&list, &[&list[1]]).standing, Standing::Behind("a-lock-2147483647"));
        assert_eq!(rule.survey(&list, &[&list[2]]).standing, Standing::Behind("b-lock--2147483648"));
    }

    #[test]
    fn a_reader_waits_for_the_nearest_writer_only() {
        let read = Rule { counts: vec!["__READ__", "__WRIT__"], blocks: vec!["__WRIT__"], seats: 1 };
        let list = names(&["a__WRIT__0000000001", "b__READ__0000000002", "c__READ__0000000003"]);
        assert_eq!(read.survey(&list, &[&list[2]]).standing, Standing::Behind("a__WRIT__0000000001"));
        assert_eq!(read.survey(&list[1..], &[&list[2]]).standing, Standing::Admitted);
    }

    #[test]
    fn seats_admit_that_many() {
        let rule = Rule { seats: 2, ..Rule::exclusive(&["-lease-"]) };
        let list =
            names(&["a-lease-0000000001", "b-lease-0000000002", "c-lease-0000000003", "d-lease-0000000004"]);
        assert_eq!(rule.survey(&list, &[&list[1]]).standing, Standing::Admitted);
        assert_eq!(rule.survey(&list, &[&list[2]]).standing, Standing::Behind("a-lease-0000000001"));
        assert_eq!(rule.survey(&list, &[&list[3]]).standing, Standing::Behind("b-lease-0000000002"));
    }

    #[test]
    fn a_flood_of_foreign_children_is_cut_short() {
        let list: Vec<String> = (0..100).map(|n| format!("foreign-{n}")).collect();
        assert_eq!(Rule::exclusive(&MUTEX).survey(&list, &[]).foreign.len(), FOREIGN_PER_LISTING_MAX);
    }

    proptest! {
        /// Wherever the counter stands: exactly one is admitted, and following the line from anybody leads there
        /// past everybody else once.
        #[test]
        fn the_line_is_one_chain(start: i32, gaps in proptest::collection::vec(1u16..1000, 1..20)) {
            let mut counter = start;
            let mut list: Vec<String> = Vec::new();
            for gap in gaps {
                list.push(zk_proto::path::sequential("_c_x-lock-", counter));
                counter = counter.wrapping_add(i32::from(gap));
            }
            let rule = Rule::exclusive(&MUTEX);
            for (n, own) in list.iter().enumerate() {
                let expected = if n == 0 { Standing::Admitted } else { Standing::Behind(&list[n - 1]) };
                let mut shuffled = list.clone();
                shuffled.reverse();
                prop_assert_eq!(rule.survey(&shuffled, &[own]).standing, expected);
            }
        }
    }
}
