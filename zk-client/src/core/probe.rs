//! The search for a writable server while the session is read-only: when to ask, and whom.

use rand::{Rng, RngExt as _};
use std::time::Duration;

use super::machine::{Core, Phase};
use super::output::{DropReason, Output};
use crate::limits::{SEARCH_MAX, SEARCH_MIN};

/// The search of one read-only connection. All servers are asked one after the other, then it rests, for longer
/// each time: from [`SEARCH_MIN`] to [`SEARCH_MAX`].
#[derive(Debug)]
pub(super) struct Search {
    /// The longest the next rest may be.
    step: Duration,
    /// When the next round begins.
    due: Duration,
    /// Servers still to be asked in this round, the next one last.
    left: Vec<usize>,
    /// The server that is being asked.
    asking: Option<usize>,
}

impl Search {
    pub(super) fn start(now: Duration, rng: &mut impl Rng) -> Self {
        let mut search = Self { step: SEARCH_MIN, due: now, left: Vec::new(), asking: None };
        search.rest(now, rng);
        search
    }

    /// Rests for half to all of the step, so that those who lost their quorum together do not ask together.
    fn rest(&mut self, now: Duration, rng: &mut impl Rng) {
        let micros = u64::try_from(self.step.as_micros()).unwrap_or(u64::MAX);
        self.due = now + Duration::from_micros(rng.random_range(micros / 2..=micros));
        self.step = (self.step * 2).min(SEARCH_MAX);
    }

    /// Begins a round over `servers` if one is due.
    fn tick(&mut self, now: Duration, servers: impl Iterator<Item = usize>) -> Option<usize> {
        if now < self.due || self.asking.is_some() || !self.left.is_empty() {
            return None;
        }
        self.left = servers.collect();
        self.left.reverse();
        self.next()
    }

    fn next(&mut self) -> Option<usize> {
        self.asking = self.left.pop();
        self.asking
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.asking.is_none().then_some(self.due)
    }
}

impl Core {
    /// Asks the next server, if it is time.
    pub(super) fn search(&mut self, now: Duration) {
        if !matches!(self.phase, Phase::Live(_)) || self.leaving.is_some() || self.closing.is_some() {
            return;
        }
        let Some(search) = &mut self.search else { return };
        if let Some(host) = search.tick(now, self.order.servers()) {
            self.push(Output::Probe { host });
        }
    }

    /// The server of a [`Output::Probe`] has answered, or could not be asked, which is not writable. A writable
    /// one is moved to.
    pub fn probed(&mut self, now: Duration, host: usize, writable: bool) {
        let Some(search) = self.search.as_mut().filter(|search| search.asking == Some(host)) else { return };
        search.asking = None;
        if writable && self.order.servers().any(|listed| listed == host) {
            self.order.prefer(host);
            self.search = None;
            self.leave(now, DropReason::WritableFound);
        } else if let Some(next) = search.next() {
            self.push(Output::Probe { host: next });
        } else {
            search.rest(now, &mut self.rng);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    #[test]
    fn every_server_is_asked_in_a_round_and_rests_double_up_to_a_minute() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut now = Duration::from_secs(5);
        let mut search = Search::start(now, &mut rng);
        let mut longest = SEARCH_MIN;
        for _ in 0..15 {
            assert_eq!(search.tick(now, [1, 2].into_iter()), None);
            let rest = search.deadline().unwrap() - now;
            assert!(rest >= longest / 2 && rest <= longest, "{rest:?} of {longest:?}");
            now += rest;
            assert_eq!(search.tick(now, [1, 2].into_iter()), Some(1));
            assert_eq!((search.deadline(), search.tick(now, [1, 2].into_iter())), (None, None));
            assert_eq!((search.next(), search.next()), (Some(2), None));
            search.rest(now, &mut rng);
            longest = (longest * 2).min(SEARCH_MAX);
        }
        assert_eq!(longest, SEARCH_MAX);
    }
}
