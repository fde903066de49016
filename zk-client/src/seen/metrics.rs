//! The meters behind the `metrics` facade. They are found once for each client, so that a count costs one atomic
//! addition and no look-up.

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
};
use metrics::{gauge, histogram};
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use super::request::{Operation, Outcome};

const OUTCOMES: usize = Outcome::ALL.len();

/// The meters of one client.
pub(crate) struct Meters {
    /// In the order of `Operation::ALL`. Registered at first use: what never happened does not show.
    operations: Vec<OfOperation>,
    reconnects: Counter,
    expirations: Counter,
    received: Counter,
    sent: Counter,
}

#[derive(Default)]
struct OfOperation {
    ended: [OnceLock<Counter>; OUTCOMES],
    duration: OnceLock<Histogram>,
}

impl Meters {
    pub(super) const WANT_LATENCY: bool = true;

    /// Those of the recorder that is installed now.
    pub(crate) fn find() -> Self {
        describe();
        Self {
            operations: Operation::ALL.iter().map(|_| OfOperation::default()).collect(),
            reconnects: counter!("zk_client_reconnects_total"),
            expirations: counter!("zk_client_session_expirations_total"),
            received: counter!("zk_client_received_bytes_total"),
            sent: counter!("zk_client_sent_bytes_total"),
        }
    }

    pub(super) fn request(&self, operation: Operation, outcome: Outcome, latency: Duration) {
        let Some(meters) = self.operations.get(operation as usize) else { return };
        let name = operation.name();
        if let Some(ended) = meters.ended.get(outcome as usize) {
            let register =
                || counter!("zk_client_requests_total", "operation" => name, "outcome" => outcome.word());
            ended.get_or_init(register).increment(1);
        }
        if matches!(outcome, Outcome::Ok | Outcome::Refused) {
            let register = || histogram!("zk_client_request_duration_seconds", "operation" => name);
            meters.duration.get_or_init(register).record(latency.as_secs_f64());
        }
    }

    pub(super) fn connect_failure(&self, reason: &'static str) {
        counter!("zk_client_connect_failures_total", "reason" => reason).increment(1);
    }

    pub(super) fn connection_loss(&self, reason: &'static str) {
        counter!("zk_client_connection_losses_total", "reason" => reason).increment(1);
    }

    pub(super) fn reconnect(&self) {
        self.reconnects.increment(1);
    }

    pub(super) fn expiration(&self) {
        self.expirations.increment(1);
    }

    pub(super) fn watch_event(&self, event: &'static str) {
        counter!("zk_client_watch_events_total", "event" => event).increment(1);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received.increment(bytes as u64);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.increment(bytes as u64);
    }

    pub(super) fn levels() -> Levels {
        Levels {
            units: Level { gauge: gauge!("zk_client_queue_units"), shown: 0 },
            watches: Level { gauge: gauge!("zk_client_watches"), shown: 0 },
        }
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

/// What goes up and down.
pub(super) struct Levels {
    units: Level,
    watches: Level,
}

impl Levels {
    pub(super) fn show(&mut self, units: usize, watches: usize) {
        self.units.show(units);
        self.watches.show(watches);
    }
}

impl fmt::Debug for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Levels").finish_non_exhaustive()
    }
}

/// One client's share of a gauge, which goes with it.
struct Level {
    gauge: Gauge,
    shown: usize,
}

impl Level {
    fn show(&mut self, level: usize) {
        if level != self.shown {
            self.gauge.increment(level as f64 - self.shown as f64);
            self.shown = level;
        }
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        self.show(0);
    }
}

fn describe() {
    describe_counter!("zk_client_requests_total", "requests, by operation and outcome");
    describe_histogram!(
        "zk_client_request_duration_seconds",
        Unit::Seconds,
        "from the place in line to the server's answer"
    );
    describe_counter!("zk_client_connect_failures_total", "attempts that established no session, by reason");
    describe_counter!("zk_client_connection_losses_total", "established connections lost, by reason");
    describe_counter!("zk_client_reconnects_total", "connections established after the first");
    describe_counter!("zk_client_session_expirations_total", "sessions that the server expired");
    describe_gauge!("zk_client_watches", "watches registered now");
    describe_counter!("zk_client_watch_events_total", "events that fired a watch, by type");
    describe_gauge!("zk_client_queue_units", "weight of what is submitted and not yet answered");
    describe_counter!("zk_client_received_bytes_total", Unit::Bytes, "bytes read from servers");
    describe_counter!("zk_client_sent_bytes_total", Unit::Bytes, "bytes written to servers");
}
