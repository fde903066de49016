//! When to pass a double barrier, and whom to wait for: the decisions alone, from what was read.
//!
//! A round is opened by the node `ready`, which is made after all have come. So whoever belongs to a round has a
//! node older than its `ready`; and a `ready` older than every node there is belongs to a round that is over, or
//! that died with its participants.

use zk_proto::Zxid;

/// The node that opens a round.
pub(super) const READY: &str = "ready";

/// How the names end of those who have come to a round after it was opened.
pub(super) const LATE: &str = "-late";

/// Whether a child of the barrier counts for the round that is to be opened.
pub(super) fn counts(name: &str) -> bool {
    name != READY && !name.ends_with(LATE)
}

/// What one who enters does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entering {
    /// The round is open.
    In,
    /// All have come: open the round.
    Open,
    /// Somebody is missing.
    Wait,
    /// The round was opened before we came: whether it still goes on is told by the others' ages.
    Weigh,
}

/// Decides from a look at `ready` and a later listing, both later than our own node.
pub(super) fn entering(own: Zxid, ready: Option<Zxid>, members: usize, quantity: usize) -> Entering {
    match ready {
        Some(ready) if ready > own => Entering::In,
        Some(_) => Entering::Weigh,
        None if members >= quantity => Entering::Open,
        None => Entering::Wait,
    }
}

/// Whether a round that was opened at `ready` still goes on, given the ages of those that are there: if one of
/// them belongs to it. If not, its `ready` was left behind.
pub(super) fn goes_on(ready: Zxid, members: &[Zxid]) -> bool {
    members.iter().any(|member| *member < ready)
}

/// What one who leaves does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving<'a> {
    /// All have left.
    Gone,
    /// We are the last: delete our node and `ready` with it.
    CloseRound,
    /// We are the lowest, who leaves last: wait until this one, the highest, is gone.
    WaitFor(&'a str),
    /// We are not the lowest: delete our node, and wait until the lowest is gone.
    GoAndWaitFor(&'a str),
    /// Our node is gone; wait until the lowest of the others is.
    Linger(&'a str),
}

/// Decides from a listing of those who belong to the round, in any order.
pub(super) fn leaving<'a>(own: &str, members: &'a [String]) -> Leaving<'a> {
    let present = members.iter().any(|name| name == own);
    let others = || members.iter().map(String::as_str).filter(|name| *name != own);
    let (Some(lowest), Some(highest)) = (others().min(), others().max()) else {
        return if present { Leaving::CloseRound } else { Leaving::Gone };
    };
    if !present {
        Leaving::Linger(lowest)
    } else if own < lowest {
        Leaving::WaitFor(highest)
    } else {
        Leaving::GoAndWaitFor(lowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_round_opens_when_all_have_come_and_never_by_an_older_ready() {
        let own = Zxid(5);
        assert_eq!(entering(own, None, 2, 3), Entering::Wait);
        assert_eq!(entering(own, None, 3, 3), Entering::Open);
        assert_eq!(entering(own, None, 4, 3), Entering::Open, "more than asked for");
        assert_eq!(entering(own, Some(Zxid(6)), 1, 3), Entering::In, "others may have left already");
        assert_eq!(entering(own, Some(Zxid(4)), 3, 3), Entering::Weigh);
    }

    #[test]
    fn a_ready_without_anybody_of_its_round_was_left_behind() {
        assert!(goes_on(Zxid(4), &[Zxid(5), Zxid(3)]));
        assert!(!goes_on(Zxid(4), &[Zxid(5), Zxid(6)]));
        assert!(!goes_on(Zxid(4), &[]));
    }

    #[test]
    fn the_lowest_leaves_last_and_closes() {
        assert_eq!(leaving("b", &names(&["c", "a", "b"])), Leaving::GoAndWaitFor("a"));
        assert_eq!(leaving("b", &names(&["c", "a"])), Leaving::Linger("a"));
        assert_eq!(leaving("a", &names(&["c", "a", "b"])), Leaving::WaitFor("c"));
        assert_eq!(leaving("a", &names(&["a"])), Leaving::CloseRound);
        assert_eq!(leaving("a", &[]), Leaving::Gone);
    }
}
