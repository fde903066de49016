//! What several holdings are together, as pure rules: their common state, the order in which they are taken, and
//! what is done when one is lost while others are waited for.

use std::collections::{BTreeMap, BTreeSet};

use crate::loss::{LockState, LossReason};

/// The state of all: lost if one is, in doubt if one is, held if all are.
pub(super) fn combined(states: impl IntoIterator<Item = LockState>) -> LockState {
    let mut all = LockState::Held;
    for state in states {
        all = match (all, state) {
            (LockState::Lost(_), _) | (_, LockState::Held) => all,
            (_, LockState::Lost(_)) | (LockState::Held, _) => state,
            (
                LockState::Suspect { since, deadline },
                LockState::Suspect { since: other_since, deadline: other_deadline },
            ) => LockState::Suspect { since: since.min(other_since), deadline: deadline.min(other_deadline) },
        };
    }
    all
}

/// What is to be taken, by path and whether alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted<T> {
    pub(super) path: String,
    /// Whether it excludes everybody: a lock or a writer, not a reader.
    pub(super) alone: bool,
    pub(super) what: T,
}

/// The order in which they are taken: by path, so that nobody who does likewise waits for us while we wait for
/// them, or as they came. The `same` lock at a path is taken once; who wants to read and to write it writes. Another
/// lock at that path does not fit, and stays for [`twice`] to be found.
pub(super) fn in_order<T>(
    wanted: Vec<Wanted<T>>,
    keep_order: bool,
    same: impl Fn(&Wanted<T>, &Wanted<T>) -> bool,
) -> Vec<Wanted<T>> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut taken: Vec<Wanted<T>> = Vec::with_capacity(wanted.len());
    for one in wanted {
        match places.get(&one.path).and_then(|at| taken.get_mut(*at)) {
            None => {
                places.insert(one.path.clone(), taken.len());
                taken.push(one);
            }
            Some(known) if !same(known, &one) => taken.push(one),
            Some(known) if one.alone && !known.alone => *known = one,
            Some(_) => {}
        }
    }
    if !keep_order {
        taken.sort_by(|a, b| a.path.cmp(&b.path));
    }
    taken
}

/// A path at which two different locks are wanted.
pub(super) fn twice<T>(wanted: &[Wanted<T>]) -> Option<&str> {
    let mut paths = BTreeSet::new();
    wanted.iter().map(|one| one.path.as_str()).find(|path| !paths.insert(*path))
}

/// What to do when one that was taken is lost while another is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterLoss {
    /// Take all anew, from the first: the session ended, or the connection.
    Again,
    /// Say so: somebody has put us out, or the client has ended.
    End,
}

pub(super) const fn after_loss(reason: LossReason) -> AfterLoss {
    match reason {
        LossReason::Disconnected | LossReason::DeadlineReached | LossReason::SessionExpired => {
            AfterLoss::Again
        }
        LossReason::NodeDeleted
        | LossReason::TakenOver
        | LossReason::ClientClosed
        | LossReason::AuthFailed
        | LossReason::Released => AfterLoss::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn one_doubt_is_everybodys_and_so_is_one_loss() {
        let now = Instant::now();
        let suspect = |since, deadline| LockState::Suspect {
            since: now + Duration::from_secs(since),
            deadline: now + Duration::from_secs(deadline),
        };
        let (held, lost) = (LockState::Held, LockState::Lost(LossReason::NodeDeleted));
        assert_eq!(combined([held, held]), held);
        assert_eq!(combined([held, suspect(1, 9), held]), suspect(1, 9));
        assert_eq!(combined([suspect(2, 9), suspect(1, 10)]), suspect(1, 9), "the earliest of each");
        assert_eq!(combined([suspect(2, 9), held, lost, suspect(1, 2)]), lost);
        let second = LockState::Lost(LossReason::SessionExpired);
        assert_eq!(combined([held, lost, second]), lost, "the first one's reason");
    }

    fn wanted(list: &[(&str, bool)]) -> Vec<Wanted<usize>> {
        let one = |(what, (path, alone)): (usize, &(&str, bool))| Wanted {
            path: (*path).to_owned(),
            alone: *alone,
            what,
        };
        list.iter().enumerate().map(one).collect()
    }

    #[test]
    fn each_path_once_in_order() {
        let list = [("/c", true), ("/a", false), ("/b", true), ("/a", true), ("/c", true)];
        let order =
            |keep| in_order(wanted(&list), keep, |_, _| true).iter().map(|one| one.what).collect::<Vec<_>>();
        assert_eq!(order(false), [3, 2, 0], "sorted; who reads and writes, writes");
        assert_eq!(order(true), [0, 3, 2], "as they came");
    }

    #[test]
    fn only_what_a_new_session_mends_is_tried_again() {
        assert_eq!(after_loss(LossReason::SessionExpired), AfterLoss::Again);
        assert_eq!(after_loss(LossReason::Disconnected), AfterLoss::Again);
        assert_eq!(after_loss(LossReason::NodeDeleted), AfterLoss::End);
        assert_eq!(after_loss(LossReason::ClientClosed), AfterLoss::End);
    }

    proptest! {
        /// Whoever sorts takes what they share in one order, so no ring of waiters can close.
        #[test]
        fn two_who_sort_agree(a in proptest::collection::vec(0u8..12, 0..8), b in proptest::collection::vec(0u8..12, 0..8)) {
            let order = |list: &[u8]| {
                let one = |n: &u8| Wanted { path: format!("/{n}"), alone: true, what: *n };
                in_order(list.iter().map(one).collect(), false, |_, _| true).iter().map(|one| one.what).collect::<Vec<_>>()
            };
            let (one, two) = (order(&a), order(&b));
            let mut unique = one.clone();
            unique.dedup();
            prop_assert_eq!(unique.len(), a.iter().collect::<BTreeSet<_>>().len());
            let shared = |list: &[u8], other: &[u8]| {
                list.iter().copied().filter(|n| other.contains(n)).collect::<Vec<_>>()
            };
            prop_assert_eq!(shared(&one, &two), shared(&two, &one));
        }
    }
}
