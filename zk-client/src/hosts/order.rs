//! The order of attempts. Servers are numbers here, which keep their meaning when the list changes; nobody else
//! decides which one is next.

use rand::Rng;
use rand::seq::SliceRandom as _;
use std::collections::VecDeque;

use super::rebalance::{Plan, plan};

/// Every server once in a shuffled round, then the same round again; before that, those that a change of the
/// list or a search has put first.
#[derive(Debug)]
pub struct Order {
    round: Vec<usize>,
    next: usize,
    /// To be tried before the round goes on.
    first: VecDeque<usize>,
    /// Attempts since a session was last established.
    tried: usize,
}

impl Order {
    /// A shuffled round over the servers `0..hosts`; at least one is assumed.
    #[must_use]
    pub fn shuffled(hosts: usize, rng: &mut impl Rng) -> Self {
        let mut round: Vec<usize> = (0..hosts.max(1)).collect();
        round.shuffle(rng);
        Self { round, next: 0, first: VecDeque::new(), tried: 0 }
    }

    /// The server to try now.
    pub fn next_host(&mut self) -> usize {
        self.tried = self.tried.saturating_add(1);
        let host = self.first.pop_front().unwrap_or_else(|| self.round[self.next]);
        self.go_on_after(host);
        host
    }

    /// A session is established: the search is over, and the next one tries every server anew.
    pub fn settle(&mut self) {
        self.first.clear();
        self.tried = 0;
    }

    /// Whether some server may not have been tried since a session was last established.
    #[must_use]
    pub fn is_first_round(&self) -> bool {
        self.tried < self.round.len()
    }

    /// All servers, in the order of the round, beginning with the one that is next.
    pub fn servers(&self) -> impl Iterator<Item = usize> + '_ {
        self.round[self.next..].iter().chain(&self.round[..self.next]).copied()
    }

    /// How many servers there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.round.len()
    }

    /// Puts one server first.
    pub fn prefer(&mut self, host: usize) {
        self.first.retain(|other| *other != host);
        self.first.push_front(host);
    }

    /// The server that was put first and is not tried yet.
    #[must_use]
    pub fn preferred(&self) -> Option<usize> {
        self.first.front().copied()
    }

    /// Takes another list of servers; an empty one changes nothing. `current` is the server that this client is
    /// connected to, or was last. True when it is to be left, for the sake of an even load or because it is no
    /// longer listed: the servers to go to have then been put first.
    pub fn update(&mut self, hosts: &[usize], current: Option<usize>, rng: &mut impl Rng) -> bool {
        if hosts.is_empty() {
            return false;
        }
        let mut round = hosts.to_vec();
        round.sort_unstable();
        round.dedup();
        round.shuffle(rng);
        let plan = current.map_or(Plan::Stay, |current| plan(&self.round, &round, current, rng));
        self.round = round;
        self.next = 0;
        self.tried = 0;
        self.first.clear();
        match plan {
            Plan::Stay => {
                if let Some(current) = current {
                    self.go_on_after(current);
                }
                false
            }
            Plan::Move(first) => {
                self.first = first.into();
                true
            }
        }
    }

    fn go_on_after(&mut self, host: usize) {
        if let Some(at) = self.round.iter().position(|other| *other == host) {
            self.next = (at + 1) % self.round.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    fn order(hosts: usize) -> (Order, StdRng) {
        let mut rng = StdRng::seed_from_u64(1);
        (Order::shuffled(hosts, &mut rng), rng)
    }

    fn take(order: &mut Order, n: usize) -> Vec<usize> {
        (0..n).map(|_| order.next_host()).collect()
    }

    #[test]
    fn every_host_is_tried_once_in_a_round() {
        let (mut order, _) = order(5);
        let first = take(&mut order, 5);
        assert!(!order.is_first_round());
        assert_eq!(first, take(&mut order, 5));
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4]);
        order.settle();
        assert!(order.is_first_round());
    }

    #[test]
    fn a_preferred_host_comes_first_and_the_round_goes_on_behind_it() {
        let (mut order, _) = order(4);
        let round: Vec<usize> = order.servers().collect();
        order.prefer(round[2]);
        assert_eq!(take(&mut order, 3), [round[2], round[3], round[0]]);
    }

    #[test]
    fn who_stays_goes_on_behind_the_current_server() {
        let (mut order, mut rng) = order(3);
        let current = order.next_host();
        order.settle();
        assert!(!order.update(&[0, 1, 2], Some(current), &mut rng));
        let round = take(&mut order, 3);
        assert_eq!(round[2], current, "the current server is the last to be tried again");
        assert!(!order.update(&[], Some(current), &mut rng));
        assert_eq!(order.len(), 3);
    }

    #[test]
    fn whose_server_is_gone_tries_every_other_first() {
        let (mut order, mut rng) = order(3);
        assert!(order.update(&[1, 2, 3], Some(0), &mut rng));
        assert!(order.preferred().is_some());
        let mut tried = take(&mut order, 3);
        tried.sort_unstable();
        assert_eq!(tried, [1, 2, 3]);
        assert!(order.preferred().is_none());
    }

    #[test]
    fn who_was_never_connected_takes_the_list_as_it_is() {
        let (mut order, mut rng) = order(1);
        assert!(!order.update(&[5, 6, 5], None, &mut rng));
        let mut tried = take(&mut order, 2);
        tried.sort_unstable();
        assert_eq!(tried, [5, 6]);
    }
}
