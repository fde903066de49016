//! Applications that work while connections are cut: each keeps a ledger of what it was told, and every answer is
//! held against what only the answer to that very request can say.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use zk_client::{Client, Error, ErrorKind, EventType};

use crate::soon;

/// Nodes that nobody changes; the data of each is its path.
pub(crate) const FIXED: usize = 64;

/// What an application was told of one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// It was done: the node's path.
    Done(String),
    /// It may or may not have been done.
    Unknown,
    /// It was not done.
    Not,
}

/// What one application was told, by the data that only that write had.
pub(crate) type Ledger = BTreeMap<String, Told>;

#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) reads: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) watches: AtomicU64,
}

pub(crate) struct Worker {
    pub(crate) zk: Client,
    pub(crate) name: usize,
    pub(crate) totals: Arc<Totals>,
    rng: StdRng,
    ledger: Ledger,
    next: u64,
    /// Of its own node: the version, and the data that version has.
    own: (i32, String),
}

pub(crate) fn own_node(worker: usize) -> String {
    format!("/own-{worker}")
}

impl Worker {
    pub(crate) fn new(zk: Client, name: usize, seed: u64, totals: Arc<Totals>) -> Self {
        let rng = StdRng::seed_from_u64(seed ^ (name as u64) << 32);
        Self { zk, name, totals, rng, ledger: Ledger::new(), next: 0, own: (0, String::new()) }
    }

    /// Works until it is told to stop, and hands its ledger over.
    pub(crate) async fn run(mut self, stop: Arc<AtomicBool>) -> Ledger {
        while !stop.load(Ordering::Relaxed) {
            match self.rng.random_range(0..10) {
                0..4 => self.read().await,
                4..7 => self.create().await,
                7 => self.transaction().await,
                8 => self.set().await,
                _ => self.give_up(),
            }
        }
        self.ledger
    }

    fn name_next(&mut self) -> String {
        self.next += 1;
        format!("w{}-{}-", self.name, self.next)
    }

    /// Several reads at once, each of a node that knows its name, and one that is not there.
    async fn read(&mut self) {
        let paths: Vec<String> = (0..self.rng.random_range(1..12))
            .map(|_| format!("/r-{}", self.rng.random_range(0..FIXED)))
            .collect();
        let reads: Vec<_> = paths.iter().map(|path| self.zk.get(path).send()).collect();
        let nothing = self.zk.get("/nothing").send();
        for (path, read) in paths.iter().zip(soon(join_all(reads)).await.unwrap()) {
            assert_eq!(read.unwrap().data, path, "the answer to another question");
        }
        let error = soon(nothing).await.unwrap().unwrap_err();
        assert!(error.is_no_node() && error.path() == Some("/nothing"), "{error}");
        self.totals.reads.fetch_add(paths.len() as u64 + 1, Ordering::Relaxed);
    }

    /// Several sequential nodes at once.
    async fn create(&mut self) {
        let names: Vec<String> = (0..self.rng.random_range(1..8)).map(|_| self.name_next()).collect();
        let creates: Vec<_> = names
            .iter()
            .map(|name| self.zk.create(format!("/made/{name}"), name.clone()).sequential().send())
            .collect();
        for (name, outcome) in names.into_iter().zip(soon(join_all(creates)).await.unwrap()) {
            if let Ok(made) = &outcome {
                assert!(made.path.starts_with(&format!("/made/{name}")), "{} for {name}", made.path);
            }
            self.enter(name, outcome.map(|made| made.path));
        }
    }

    /// Two nodes, or none.
    async fn transaction(&mut self) {
        let (a, b) = (self.name_next(), self.name_next());
        let (path_a, path_b) = (format!("/made/{a}"), format!("/made/{b}"));
        let both = self.zk.transaction().create(&path_a, a.clone()).create(&path_b, b.clone()).commit();
        let outcome = soon(both).await.unwrap().map(|results| {
            let made: Vec<_> = results.iter().map(|r| r.created_path().unwrap_or_default()).collect();
            assert_eq!(made, [&path_a, &path_b]);
        });
        self.enter(a, outcome.clone().map(|()| path_a));
        self.enter(b, outcome.map(|()| path_b));
    }

    /// Writes its own node with the version it must have, watched.
    async fn set(&mut self) {
        let path = own_node(self.name);
        let (version, data) = self.own.clone();
        let (node, watch) = soon(self.zk.get(&path).watch().send()).await.unwrap().unwrap();
        assert_eq!((node.stat.version, &node.data[..]), (version, data.as_bytes()), "a write came late");
        let fresh = self.name_next();
        let outcome = soon(self.zk.set(&path, fresh.clone()).version(version).send()).await.unwrap();
        self.totals.writes.fetch_add(1, Ordering::Relaxed);
        let done = match outcome {
            Ok(stat) => {
                assert_eq!(stat.version, version + 1);
                true
            }
            Err(error) => {
                self.assert_lost(&error);
                let node = soon(self.zk.get(&path).send()).await.unwrap().unwrap();
                node.stat.version != version
            }
        };
        if done {
            self.own = (version + 1, fresh);
            let event = soon(watch).await.map_err(|_| "the event was lost").unwrap().unwrap();
            assert_eq!((event.event_type, &event.path), (EventType::NodeDataChanged, &path));
            self.totals.watches.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks and does not wait for the answer.
    fn give_up(&mut self) {
        for _ in 0..4 {
            let path = format!("/r-{}", self.rng.random_range(0..FIXED));
            let mut read = self.zk.get(path).send();
            if self.rng.random() {
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                let _ = std::pin::Pin::new(&mut read).poll(&mut cx);
            }
        }
        // The node must not come to be twice; whether it does at all is not ours to know.
        let name = self.name_next();
        drop(self.zk.create(format!("/made/{name}"), name.clone()).sequential().send());
        self.ledger.insert(name, Told::Unknown);
    }

    fn enter(&mut self, name: String, outcome: Result<String, Error>) {
        self.totals.writes.fetch_add(1, Ordering::Relaxed);
        let told = match outcome {
            Ok(path) => Told::Done(path),
            Err(error) => {
                self.assert_lost(&error);
                if error.outcome_unknown() { Told::Unknown } else { Told::Not }
            }
        };
        self.ledger.insert(name, told);
    }

    fn assert_lost(&self, error: &Error) {
        assert_eq!(error.kind(), ErrorKind::ConnectionLoss, "{error}");
        assert!(error.outcome_unknown(), "a write was sent: {error}");
        self.totals.unknown.fetch_add(1, Ordering::Relaxed);
    }
}
