//! Leases on a real server, by clocks of the test's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

use support::{children, client, dropped_after, server, soon};
use zk_client::Client;
use zk_recipes::{Error, Lock, MultiNonBlockingLease, NonBlockingLease, NonBlockingLeaseBuilder};

const PATH: &str = "/leases/report";
const MINUTE: Duration = Duration::from_secs(60);

/// Milliseconds since 1970, set by the test.
#[derive(Clone)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn at(seconds: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seconds * 1000)))
    }

    fn pass(&self, span: Duration) {
        self.0.fetch_add(span.as_millis() as u64, Ordering::SeqCst);
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn lease(&self, zk: &Client, who: &str) -> NonBlockingLeaseBuilder {
        let clock = self.clone();
        NonBlockingLease::builder(zk, PATH, MINUTE).identifier(who).clock(move || clock.now())
    }
}

async fn record(zk: &Client) -> String {
    let node = zk.get(format!("{PATH}/lease_holder")).await.unwrap();
    assert_eq!(node.stat.ephemeral_owner.0, 0);
    String::from_utf8(node.data.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_holds_until_its_end() {
    let server = server().await;
    let zk = client(&server).await;
    let clock = Clock::at(1_795_386_098);
    clock.pass(Duration::from_millis(700));
    let (ada, ben) = (clock.lease(&zk, "idn").build(), clock.lease(&zk, "ben").build());
    assert_eq!(ada.holder().await.unwrap(), None);
    let mut lease = soon(ada.obtain()).await.unwrap().unwrap();
    assert_eq!(record(&zk).await, r#"{"version": 1, "holder": "idn", "end": "2026-11-22T22:22:38"}"#);
    assert_eq!(lease.remaining(), MINUTE - Duration::from_millis(700), "as the record says, to the second");
    children(&zk, PATH, 1).await;
    assert!(ben.obtain().await.unwrap().is_none());
    let holder = ben.holder().await.unwrap().unwrap();
    assert_eq!((holder.identifier.as_str(), holder.until), ("idn", lease.until()));

    clock.pass(MINUTE / 2);
    assert!(lease.renew().await.unwrap());
    clock.pass(MINUTE - Duration::from_millis(1001));
    assert!(lease.is_held() && ben.obtain().await.unwrap().is_none());
    clock.pass(Duration::from_millis(1001));
    assert!(!lease.is_held() && !holder.is_held_at(clock.now()));
    let bens = ben.obtain().await.unwrap().unwrap();
    assert!(!lease.renew().await.unwrap());
    assert!(!lease.relinquish().await.unwrap());
    assert!(bens.is_held() && bens.relinquish().await.unwrap());
    assert!(ada.obtain().await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_outlives_its_holders_session_and_is_one_for_all() {
    let server = server().await;
    let (one, two) = (client(&server).await, client(&server).await);
    let clock = Clock::at(1_000_000);
    assert!(clock.lease(&one, "ada").build().obtain().await.unwrap().is_some());
    one.close().await;
    assert!(clock.lease(&two, "ben").build().obtain().await.unwrap().is_none());
    assert!(clock.lease(&two, "ada").build().obtain().await.unwrap().is_some());

    clock.pass(MINUTE);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (zk, clock) = (client(&server).await, clock.clone());
        tasks.spawn(async move {
            let lease = clock.lease(&zk, &format!("worker-{n}")).build();
            lease.obtain().await.unwrap().is_some()
        });
    }
    let mut holders = 0;
    while let Some(done) = soon(tasks.join_next()).await {
        holders += usize::from(done.unwrap());
    }
    assert_eq!(holders, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoos_lock_is_waited_for_and_strange_records_are_refused() {
    let server = server().await;
    let zk = client(&server).await;
    let clock = Clock::at(1_000_000);
    let lease = clock.lease(&zk, "ada").build();
    let locked =
        Lock::builder(&zk, PATH).dialect(zk_recipes::Dialect::Kazoo).build().acquire().await.unwrap();
    let waiting = tokio::spawn({
        let lease = lease.clone();
        async move { lease.obtain().await }
    });
    children(&zk, PATH, 2).await;
    locked.release().await.unwrap();
    assert!(soon(waiting).await.unwrap().unwrap().is_some());

    let node = format!("{PATH}/lease_holder");
    zk.set(&node, r#"{"version": 2, "holder": "ada"}"#).await.unwrap();
    let error = lease.obtain().await.unwrap_err();
    assert!(matches!(&error, Error::Mismatch { path, .. } if *path == node), "{error}");
    zk.set(&node, "by hand").await.unwrap();
    let error = lease.holder().await.unwrap_err();
    assert!(matches!(&error, Error::Corrupted { path, .. } if *path == node), "{error}");
    zk.delete(&node).await.unwrap();
    assert!(lease.obtain().await.unwrap().is_some());
    let error = NonBlockingLease::new(&zk, "no-slash", MINUTE).obtain().await.unwrap_err();
    assert!(matches!(error, Error::Client { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_anywhere_no_lock_stays() {
    let server = server().await;
    let (zk, other) = (client(&server).await, client(&server).await);
    let clock = Clock::at(1_000_000);
    let (ada, ben) = (clock.lease(&zk, "ada").build(), clock.lease(&other, "ben").build());
    for polls in 0..14 {
        let obtained = timeout(Duration::from_secs(5), dropped_after(polls, ada.obtain())).await.unwrap();
        clock.pass(2 * MINUTE);
        // Whatever became of it: it ends, and others get in.
        let bens = soon(ben.obtain()).await.unwrap().unwrap();
        assert!(bens.relinquish().await.unwrap());
        if let Some(obtained) = obtained {
            assert!(obtained.unwrap().is_some());
        }
    }
    children(&other, PATH, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_hold_one_each() {
    let server = server().await;
    let zk = client(&server).await;
    let clock = Clock::at(1_000_000);
    let of = |who| MultiNonBlockingLease::of(2, &clock.lease(&zk, who));
    let (ada, ben, cyd) = (of("ada"), of("ben"), of("cyd"));
    let adas = ada.obtain().await.unwrap().unwrap();
    assert_eq!(adas.path(), "/leases/report/0");
    assert_eq!(ben.obtain().await.unwrap().unwrap().path(), "/leases/report/1");
    assert!(cyd.obtain().await.unwrap().is_none());
    assert!(adas.relinquish().await.unwrap());
    assert_eq!(ben.obtain().await.unwrap().unwrap().path(), "/leases/report/1", "what one has is renewed");
    assert_eq!(cyd.obtain().await.unwrap().unwrap().path(), "/leases/report/0");
    let holders = ada.holders().await.unwrap();
    let names: Vec<_> = holders.iter().flatten().map(|holder| holder.identifier.as_str()).collect();
    assert_eq!(names, ["cyd", "ben"]);
}
