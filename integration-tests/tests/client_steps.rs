//! Operations of several steps when they are given up anywhere, and when answers are lost: nothing is left behind,
//! nothing happens twice. On the embedded server, on every Apache ZooKeeper that is installed, and on the server that
//! `ZK_CONNECT` names.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures::TryStreamExt as _;
use futures::future::join_all;
use integration_tests::targets::{Failure, Place};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zk_client::{Client, ErrorCode, RetryPolicy, WalkedNode};

type Outcome = Result<(), Failure>;

integration_tests::scenarios!(
    steps_may_be_dropped_anywhere,
    protected_nodes_are_made_once_through_cuts,
    steps_go_on_when_answers_are_lost,
);

/// Creates these without waiting for each.
async fn plant(zk: &Client, paths: impl Iterator<Item = String>) -> Outcome {
    let planted: Vec<_> = paths.map(|path| zk.create(path, "").send()).collect();
    for node in planted {
        node.await?;
    }
    Ok(())
}

/// Polls a future until it is ready, and drops it once it was not for more than `polls` times.
async fn at_most<F: Future>(future: F, mut polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if polls == 0 => Poll::Ready(None),
        Poll::Pending => {
            polls -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Runs what `make` makes again and again, dropped one await point later each time, until it ends. After each drop
/// the session's order and answers are as they should be.
async fn dropped_everywhere<T, F>(zk: &Client, mut make: impl FnMut(usize) -> F) -> Result<usize, Failure>
where
    F: Future<Output = Result<T, zk_client::Error>>,
{
    for polls in 0.. {
        if let Some(outcome) = at_most(make(polls), polls).await {
            outcome?;
            return Ok(polls);
        }
        let (before, after) = (zk.exists("/").send(), zk.get("/").send());
        assert!(after.await.is_ok() && before.await?.is_some());
    }
    unreachable!("a future ends")
}

async fn steps_may_be_dropped_anywhere(place: Place) -> Outcome {
    let zk = place.client().await?;
    dropped_everywhere(&zk, |_| zk.create("/c/d/e", "").parents().send()).await.or_else(there)?;
    let tries = dropped_everywhere(&zk, |_| {
        zk.create("/p/q/n-", "").ephemeral().sequential().parents().protected().send()
    })
    .await?;
    // Each left one node at most.
    let names = zk.get_children("/p/q").await?.names;
    let distinct: BTreeSet<&str> = names.iter().map(|name| &name[..39]).collect();
    assert!(names.len() <= tries + 1 && distinct.len() == names.len(), "{names:?}");
    dropped_everywhere(&zk, |_| zk.ensure_path("/x/y/z").send()).await?;
    dropped_everywhere(&zk, |_| zk.upsert("/u/v", "").parents().send()).await?;
    zk.create("/s", "").await?;
    let stat = zk.exists("/s").await?.unwrap();
    dropped_everywhere(&zk, |_| zk.set("/s", "1").version(stat.version).idempotent().send())
        .await
        .or_else(other_version)?;
    dropped_everywhere(&zk, |_| zk.delete("/s").idempotent().send()).await?;
    zk.create("/t", "").await?;
    plant(&zk, (0..10).map(|n| format!("/t/{n}"))).await?;
    plant(&zk, (0..200).map(|n| format!("/t/{}/{n}", n % 10))).await?;
    dropped_everywhere(&zk, |_| async {
        let mut walk = zk.walk("/t").in_flight(50);
        while walk.next().await.transpose()?.is_some() {}
        Ok(())
    })
    .await?;
    dropped_everywhere(&zk, |_| zk.delete_recursive("/t").send()).await.or_else(not_there)?;
    assert_eq!(zk.exists("/t").await?, None);
    zk.close().await;
    Ok(())
}

/// The one before was dropped after it was sent, and happened all the same.
fn there(e: Failure) -> Result<usize, Failure> {
    refused(e, ErrorCode::NodeExists)
}

fn not_there(e: Failure) -> Result<usize, Failure> {
    refused(e, ErrorCode::NoNode)
}

fn other_version(e: Failure) -> Result<usize, Failure> {
    refused(e, ErrorCode::BadVersion)
}

fn refused(e: Failure, code: ErrorCode) -> Result<usize, Failure> {
    let found = e.downcast_ref::<zk_client::Error>().and_then(zk_client::Error::code);
    if found == Some(code) { Ok(0) } else { Err(e) }
}

/// Forwards connections to `server`. Of each it passes on so many bytes of answers, a few more or less than the one
/// before, and cuts it in the midst of the next: what was asked has been done, and the answer is lost. After `cuts`
/// of them it lets everything pass.
async fn answers_are_lost(server: String, cuts: usize) -> Result<String, Failure> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        for cut in 0.. {
            let Ok((mut near, _)) = listener.accept().await else { return };
            let Ok(mut far) = TcpStream::connect(&server).await else { return };
            let (mut asking, mut answered) = near.split();
            let (mut answering, mut asked) = far.split();
            // A handshake's answer, and a few of others.
            let mut left = if cut < cuts { 42 + cut * 61 % 700 } else { usize::MAX };
            let passing = async {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = answering.read(&mut buffer).await {
                    let passed = read.min(left);
                    if answered.write_all(&buffer[..passed]).await.is_err() || passed < read {
                        return;
                    }
                    left -= passed;
                }
            };
            tokio::select! {
                () = passing => {}
                _ = tokio::io::copy(&mut asking, &mut asked) => {}
            }
        }
    });
    Ok(address)
}

async fn protected_nodes_are_made_once_through_cuts(place: Place) -> Outcome {
    let relay = answers_are_lost(place.server.clone(), 80).await?;
    let retry = RetryPolicy::default().initial(Duration::from_millis(1)).max(Duration::from_millis(5));
    let zk = Client::builder().retry(retry).connect(&format!("{relay}{}", place.root)).await?;
    let watching = place.client().await?;
    let mut made = Vec::new();
    for n in 0..60 {
        let create = zk.create(format!("/n-{n}-"), "").sequential().protected();
        made.push(if n % 2 == 0 { create.ephemeral() } else { create }.await?.path);
    }
    let names = watching.get_children("/").await?.names;
    let there: BTreeSet<String> = names.into_iter().map(|name| format!("/{name}")).collect();
    assert_eq!(there, made.into_iter().collect());
    watching.create("/counter", "0").await?;
    for version in 0..60 {
        let stat = zk.set("/counter", (version + 1).to_string()).version(version).idempotent().await?;
        assert_eq!(stat.version, version + 1);
    }
    for path in there {
        zk.delete(path).idempotent().await?;
    }
    assert_eq!(watching.get_children("/").without_stat().await?, ["counter"]);
    join_all([zk.close(), watching.close()]).await;
    Ok(())
}

async fn steps_go_on_when_answers_are_lost(place: Place) -> Outcome {
    let relay = answers_are_lost(place.server.clone(), 60).await?;
    let retry = RetryPolicy::default().initial(Duration::from_millis(1)).max(Duration::from_millis(5));
    let retry = retry.resend_reads(false);
    let zk = Client::builder().retry(retry).connect(&format!("{relay}{}", place.root)).await?;
    let watching = place.client().await?;
    for n in 0..10 {
        let deep = format!("/{n}/a/b/c");
        zk.ensure_path(&deep).await?;
        zk.create(format!("{deep}/d/e"), "").parents().protected().await?;
        plant(&watching, (0..5).map(|child| format!("{deep}/{child}"))).await?;
        let walked: Vec<WalkedNode> = zk.walk(format!("/{n}")).in_flight(2).try_collect().await?;
        assert_eq!(walked.len(), 4 + 2 + 5);
        assert_eq!(zk.delete_recursive(format!("/{n}")).await?, walked.len());
        assert_eq!(watching.exists(format!("/{n}")).await?, None);
    }
    join_all([zk.close(), watching.close()]).await;
    Ok(())
}
