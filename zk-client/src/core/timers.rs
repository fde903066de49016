//! When to ping, and when silence is too long. Owns arithmetic on times it is told; reads no clock.

use std::collections::VecDeque;
use std::time::Duration;

/// The clockwork of one live connection.
#[derive(Debug, Default)]
pub(super) struct Timers {
    timeout: Duration,
    last_sent: Duration,
    last_heard: Duration,
    /// A ping has come due and is not sent yet.
    ping_due: bool,
    /// Send times of pings without answer.
    pings: VecDeque<Duration>,
}

impl Timers {
    /// A connection whose session was just established.
    pub(super) fn start(now: Duration, timeout: Duration) -> Self {
        Self { timeout, last_sent: now, last_heard: now, ping_due: false, pings: VecDeque::new() }
    }

    pub(super) fn sent(&mut self, now: Duration) {
        self.last_sent = now;
    }

    pub(super) fn heard(&mut self, now: Duration) {
        self.last_heard = now;
    }

    pub(super) fn ping_due(&self) -> bool {
        self.ping_due
    }

    pub(super) fn ping_sent(&mut self, now: Duration) {
        self.ping_due = false;
        self.pings.push_back(now);
        self.sent(now);
    }

    /// The send time of the ping that is answered; `None` when none was sent.
    pub(super) fn pong(&mut self) -> Option<Duration> {
        self.pings.pop_front()
    }

    /// Whether nothing was heard for too long; notes a ping that has come due.
    pub(super) fn tick(&mut self, now: Duration) -> bool {
        if now >= self.ping_at() {
            self.ping_due = true;
        }
        now >= self.silent_at()
    }

    /// A server that is only written to must not look idle to us, nor we to it: a third of the timeout after the
    /// last bytes sent.
    fn ping_at(&self) -> Duration {
        self.last_sent + self.timeout / 3
    }

    /// Leaves a third of the timeout to find another server.
    fn silent_at(&self) -> Duration {
        self.last_heard + self.timeout * 2 / 3
    }

    pub(super) fn deadline(&self) -> Duration {
        if self.ping_due { self.silent_at() } else { self.silent_at().min(self.ping_at()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn pings_at_a_third_and_gives_up_at_two_thirds() {
        let mut timers = Timers::start(s(0), s(9));
        assert_eq!(timers.deadline(), s(3));
        assert!(!timers.tick(s(3)) && timers.ping_due());
        // A due ping that cannot be written must not make the deadline stand still.
        assert_eq!(timers.deadline(), s(6));
        timers.ping_sent(s(3));
        assert!(!timers.tick(s(5)));
        assert!(timers.tick(s(6)));
        timers.heard(s(5));
        assert!(!timers.tick(s(6)));
        assert_eq!(timers.pong(), Some(s(3)));
        assert_eq!(timers.pong(), None);
    }
}
