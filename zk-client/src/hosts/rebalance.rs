//! Whether a client moves when the list of servers changes. Every client decides for itself, by chance, with
//! probabilities that leave all servers evenly loaded while no more clients move than must (ZOOKEEPER-1355).

use rand::{Rng, RngExt as _};

/// What a client does about another list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nothing.
    Stay,
    /// It leaves its server and tries these in turn: every server of the new list.
    Move(Vec<usize>),
}

/// Decides for a client that is connected to `current`, or would be next, when `old` becomes `new`. Both without
/// repetition; `new` in the order in which equals are to be tried.
///
/// With `n` servers before and `m` after, each of which had its equal share:
///
/// - more servers, ours among them: it keeps `n` of `m` of its clients, the others go to servers that are new;
/// - more servers, ours not among them: to a new one, the old ones have enough;
/// - as many or fewer, ours among them: stay, it needs more clients;
/// - as many or fewer, ours not among them: the servers that stay lack `1/m - 1/n` of all clients each, and the
///   rest of those who must move goes to the new ones.
pub fn plan(old: &[usize], new: &[usize], current: usize, rng: &mut impl Rng) -> Plan {
    let (stayed, added): (Vec<usize>, Vec<usize>) = new.iter().partition(|host| old.contains(host));
    let (n, m) = (count(old.len()), count(new.len()));
    let listed = new.contains(&current);
    let (to_stayed, of) = if m > n {
        if listed && !rng.random_ratio(m - n, m) {
            return Plan::Stay;
        }
        (0, 1)
    } else if listed {
        return Plan::Stay;
    } else {
        (count(stayed.len()) * (n - m), m * n.saturating_sub(count(stayed.len())))
    };
    Plan::Move(mixed(stayed, added, |rng| of == 0 || rng.random_ratio(to_stayed, of), rng))
}

/// Both lists in their own order, the next one from `stayed` when `from_stayed` says so and as long as there is
/// a choice.
fn mixed<R: Rng>(
    stayed: Vec<usize>,
    added: Vec<usize>,
    from_stayed: impl Fn(&mut R) -> bool,
    rng: &mut R,
) -> Vec<usize> {
    let mut first = Vec::with_capacity(stayed.len() + added.len());
    let (mut stayed, mut added) = (stayed.into_iter().peekable(), added.into_iter().peekable());
    while stayed.peek().is_some() || added.peek().is_some() {
        let take_stayed = added.peek().is_none() || (stayed.peek().is_some() && from_stayed(rng));
        first.extend(if take_stayed { stayed.next() } else { added.next() });
    }
    first
}

/// Products of two counts must fit.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX).min(u32::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use rand::seq::SliceRandom as _;
    use std::collections::{BTreeMap, BTreeSet};

    const CLIENTS: usize = 20_000;

    /// Where each client is after the list has changed from `old` to `new`, if every server answers.
    fn change(at: &[usize], old: &[usize], new: &[usize], rng: &mut StdRng) -> Vec<usize> {
        let decide = |current: &usize| {
            let mut shuffled = new.to_vec();
            shuffled.shuffle(rng);
            match plan(old, &shuffled, *current, rng) {
                Plan::Stay => *current,
                Plan::Move(first) => {
                    assert_eq!(BTreeSet::from_iter(&first), BTreeSet::from_iter(new));
                    first[0]
                }
            }
        };
        at.iter().map(decide).collect()
    }

    /// Five standard deviations of a binomial distribution around an equal share.
    fn assert_even(at: &[usize], servers: &[usize]) {
        let mut load: BTreeMap<usize, usize> = servers.iter().map(|server| (*server, 0)).collect();
        for server in at {
            *load.get_mut(server).unwrap() += 1;
        }
        let share = at.len() as f64 / servers.len() as f64;
        let deviation = (share * (1.0 - 1.0 / servers.len() as f64)).sqrt();
        for (server, clients) in &load {
            assert!((*clients as f64 - share).abs() <= 5.0 * deviation + 1.0, "{server}: {load:?}");
        }
    }

    fn moved(before: &[usize], after: &[usize]) -> usize {
        before.iter().zip(after).filter(|(a, b)| a != b).count()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Three changes in a row, each of any size: the load stays even, and nobody moves who need not.
        #[test]
        fn clients_stay_evenly_spread_and_few_move(
            lists in proptest::collection::vec(proptest::collection::btree_set(0_usize..9, 1..8), 4),
            seed: u64,
        ) {
            let mut rng = StdRng::seed_from_u64(seed);
            let lists: Vec<Vec<usize>> = lists.into_iter().map(|list| list.into_iter().collect()).collect();
            let mut at: Vec<usize> = (0..CLIENTS).map(|client| lists[0][client % lists[0].len()]).collect();
            for pair in lists.windows(2) {
                let [old, new] = pair else { unreachable!() };
                let after = change(&at, old, new, &mut rng);
                assert_even(&after, new);
                for (before, after) in at.iter().zip(&after).filter(|(before, after)| before != after) {
                    let must = !new.contains(before);
                    prop_assert!(must || new.len() > old.len(), "moved off {before} without need");
                    prop_assert!(must || !old.contains(after), "moved between servers that were there");
                }
                // Whoever moves, moves to where load is missing: no server that was there gets more than its share,
                // so the number of moves is the least that makes the load even.
                let missing: f64 = new.iter().map(|server| {
                    let had = at.iter().filter(|host| *host == server).count() as f64;
                    (CLIENTS as f64 / new.len() as f64 - had).max(0.0)
                }).sum();
                let slack = 5.0 * (CLIENTS as f64).sqrt();
                prop_assert!(moved(&at, &after) as f64 <= missing + slack);
                at = after;
            }
        }
    }

    #[test]
    fn an_unchanged_list_moves_nobody() {
        let mut rng = StdRng::seed_from_u64(3);
        for current in 0..3 {
            assert_eq!(plan(&[0, 1, 2], &[2, 0, 1], current, &mut rng), Plan::Stay);
        }
    }

    #[test]
    fn a_server_that_was_never_listed_is_left() {
        let mut rng = StdRng::seed_from_u64(4);
        assert_eq!(plan(&[0, 1], &[1, 0], 7, &mut rng), Plan::Move(vec![1, 0]));
        assert!(matches!(plan(&[0], &[1], 0, &mut rng), Plan::Move(first) if first == [1]));
    }
}
