//! What a recorder of the `metrics` facade is told by a client.
#![cfg(feature = "metrics")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod fake;

use fake::{Server, data};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zk_client::{Client, ErrorCode, EventType, RetryPolicy, SessionState};

const TABLE: &str = include_str!("../src/seen/mod.rs");

/// Remembers by name and labels: counters and gauges as their value, histograms as how many they took.
#[derive(Clone, Default)]
struct Remembered(Arc<Mutex<BTreeMap<String, f64>>>);

struct Entry {
    name: String,
    all: Remembered,
}

impl Remembered {
    fn entry(&self, key: &Key) -> Arc<Entry> {
        let labels: Vec<String> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
        let name = if labels.is_empty() {
            key.name().to_owned()
        } else {
            format!("{}{{{}}}", key.name(), labels.join(","))
        };
        Arc::new(Entry { name, all: self.clone() })
    }

    fn add(&self, name: &str, value: f64) {
        *self.0.lock().unwrap().entry(name.to_owned()).or_default() += value;
    }

    fn get(&self, name: &str) -> f64 {
        self.0.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

impl CounterFn for Entry {
    fn increment(&self, value: u64) {
        self.all.add(&self.name, value as f64);
    }
    fn absolute(&self, _: u64) {
        panic!("counters only go up");
    }
}

impl GaugeFn for Entry {
    fn increment(&self, value: f64) {
        self.all.add(&self.name, value);
    }
    fn decrement(&self, value: f64) {
        self.all.add(&self.name, -value);
    }
    fn set(&self, _: f64) {
        panic!("several clients share a gauge");
    }
}

impl HistogramFn for Entry {
    fn record(&self, value: f64) {
        assert!(value > 0.0 && value < 60.0, "seconds");
        self.all.add(&self.name, 1.0);
    }
}

impl Recorder for Remembered {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.entry(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.entry(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.entry(key))
    }
}

#[tokio::test]
async fn everything_in_the_table_is_counted() {
    let seen = Remembered::default();
    let _recording = metrics::set_default_local_recorder(&seen);
    let server = Server::start().await;
    let builder = Client::builder().retry(RetryPolicy::default().initial(Duration::from_millis(1)));
    let address = server.address();
    let (zk, mut peer) = tokio::join!(builder.connect(&address), async {
        server.accept().await.greeting().await;
        server.welcome().await.0
    });
    let zk = zk.unwrap();
    let watched = zk.get("/a").watch().send();
    let (xid, _) = peer.expect().await;
    assert!(seen.get("zk_client_queue_units") > 0.0);
    peer.ok(xid, &data("a")).await;
    let (_, changed) = watched.await.unwrap();
    let missing = zk.exists("/b").watch().send();
    let (xid, _) = peer.expect().await;
    peer.err(xid, ErrorCode::NoNode).await;
    let (_, missing) = missing.await.unwrap();
    peer.event(EventType::NodeDataChanged, "/a").await;
    changed.await.unwrap();
    let write = zk.set("/a", "x").send();
    peer.expect().await;
    assert!(seen.get("zk_client_watches") > 0.0);
    drop(peer);
    write.await.unwrap_err();
    let mut again = server.accept().await;
    again.greeting().await;
    again.refuse().await;
    missing.await.unwrap_err();
    drop(zk.get("/c").send());
    let (peer, _) = server.welcome().await;
    zk.session_state().wait_for(SessionState::is_connected).await.unwrap();
    tokio::join!(zk.close(), peer.serve());
    drop(zk);

    let expected = [
        ("zk_client_requests_total{operation=get,outcome=ok}", 1.0),
        ("zk_client_requests_total{operation=exists,outcome=refused}", 1.0),
        ("zk_client_requests_total{operation=set,outcome=connection_loss}", 1.0),
        ("zk_client_requests_total{operation=get,outcome=cancelled}", 1.0),
        ("zk_client_request_duration_seconds{operation=get}", 1.0),
        ("zk_client_request_duration_seconds{operation=exists}", 1.0),
        ("zk_client_connect_failures_total{reason=closed_by_server}", 1.0),
        ("zk_client_connection_losses_total{reason=closed_by_server}", 1.0),
        ("zk_client_reconnects_total", 1.0),
        ("zk_client_session_expirations_total", 1.0),
        ("zk_client_watch_events_total{event=data_changed}", 1.0),
        ("zk_client_queue_units", 0.0),
        ("zk_client_watches", 0.0),
    ];
    for (name, value) in expected {
        assert_eq!(seen.get(name), value, "{name} in {:?}", seen.0.lock().unwrap());
    }
    // Four handshakes and six requests out; answers in.
    assert!(seen.get("zk_client_sent_bytes_total") > 4.0 * 49.0);
    assert!(seen.get("zk_client_received_bytes_total") > 3.0 * 41.0);

    let base = |name: &String| name.split('{').next().unwrap().to_owned();
    let told: BTreeSet<String> = seen.0.lock().unwrap().keys().map(base).collect();
    let rows = TABLE.lines().filter_map(|line| line.strip_prefix("//! | `zk_client_"));
    let documented: BTreeSet<String> =
        rows.map(|row| format!("zk_client_{}", row.split('`').next().unwrap())).collect();
    assert_eq!(told, documented);
}
