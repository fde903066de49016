//! Connections cut at random under load from several threads: every read is answered with its own data, no write
//! happens twice or is reported as not sent when it was, nothing hangs, nothing is left over.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod fake;

use fake::{Empty, Peer, Server, data};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zk_client::{Client, ErrorKind, RetryPolicy};
use zk_proto::Request;
use zk_proto::header::{XID_PING, XID_SET_WATCHES};

const CUTS: u64 = 200;
const TASKS: u64 = 16;

/// How often each write was seen by the server.
type Writes = Arc<Mutex<BTreeMap<String, u32>>>;

/// SplitMix64: where to cut need not be random, only various.
fn various(n: u64) -> u64 {
    let z = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z ^ (z >> 27)
}

/// Serves `requests` of them, then cuts: between a request and its answer, or after an answer.
async fn serve_some(mut peer: Peer, requests: u64, answer_last: bool, writes: &Writes) -> bool {
    for n in 0..requests {
        let Some((xid, request)) = peer.request().await else { return false };
        if let Request::SetData(r) = &request {
            *writes.lock().unwrap().entry(r.path.clone()).or_default() += 1;
        }
        if n + 1 == requests && !answer_last {
            return false;
        }
        match request {
            Request::GetData(r) => peer.ok(xid, &data(&r.path)).await,
            Request::SetData(_) => {
                peer.ok(xid, &zk_proto::ops::data::StatResponse { stat: zk_client::Stat::default() }).await;
            }
            Request::SetWatches(_) => peer.ok(XID_SET_WATCHES, &Empty).await,
            Request::Ping => peer.ok(XID_PING, &Empty).await,
            Request::RemoveWatches(_) => peer.ok(xid, &Empty).await,
            Request::CloseSession => {
                peer.ok(xid, &Empty).await;
                return true;
            }
            other => panic!("{other:?}"),
        }
    }
    false
}

/// One application task: reads, watches, writes and gives up, until the server says that it has cut enough.
async fn work(zk: Client, task: u64, done: Arc<Mutex<bool>>, writes: Writes) -> u64 {
    let mut operations = 0;
    while !*done.lock().unwrap() {
        let n = operations;
        operations += 1;
        let path = format!("/{task}/{n}");
        match various(task * 1_000_003 + n) % 8 {
            0 => drop(zk.get(&path).send()),
            1 => {
                // Dropped at any point of its life.
                let _ = tokio::time::timeout(Duration::from_micros(200), zk.get(&path)).await;
            }
            2 => {
                let (node, watch) = zk.get(&path).watch().await.unwrap();
                assert_eq!(node.data, path);
                drop(watch);
            }
            3 | 4 => match zk.set(&path, "x").await {
                Ok(_) => assert_eq!(writes.lock().unwrap().get(&path), Some(&1)),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::ConnectionLoss, "{error}");
                    assert!(error.outcome_unknown());
                    assert!(writes.lock().unwrap().get(&path).is_none_or(|seen| *seen == 1));
                }
            },
            _ => {
                let both = [zk.get(&path).send(), zk.get(format!("{path}-b")).send()];
                let [a, b] = both;
                assert_eq!(b.await.unwrap().data, format!("{path}-b"));
                assert_eq!(a.await.unwrap().data, path);
            }
        }
    }
    operations
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_at_random_under_load() {
    let server = Server::start().await;
    let writes = Writes::default();
    let done = Arc::new(Mutex::new(false));
    let retry = RetryPolicy::default().initial(Duration::from_millis(1)).max(Duration::from_millis(1));
    let address = server.address();
    let serving = {
        let (writes, done) = (Arc::clone(&writes), Arc::clone(&done));
        tokio::spawn(async move {
            for cut in 0..CUTS {
                let (peer, _) = server.welcome().await;
                let requests = 1 + various(cut) % 60;
                serve_some(peer, requests, cut % 2 == 0, &writes).await;
            }
            *done.lock().unwrap() = true;
            let (peer, _) = server.welcome().await;
            assert!(serve_some(peer, u64::MAX, true, &writes).await, "the session was not closed");
        })
    };
    let zk = Client::builder().retry(retry).seed(1).connect(&address).await.unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(work(zk.clone(), task, Arc::clone(&done), Arc::clone(&writes))))
        .collect();
    for task in tasks {
        assert!(task.await.unwrap() > 0);
    }
    zk.close().await;
    serving.await.unwrap();
    assert!(writes.lock().unwrap().values().all(|seen| *seen == 1), "a write was sent twice");
    drop(zk);
    while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
}
