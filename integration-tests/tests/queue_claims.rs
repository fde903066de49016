//! A claim that comes late: the item it is for may be done with by then.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use integration_tests::proxy::Proxy;
use integration_tests::targets::{Failure, PATIENCE};
use zk_client::Client;
use zk_proto::OpCode;
use zk_recipes::queue::WorkQueue;
use zk_server::EmbeddedServer;

const PATH: &str = "/app/queues/mail";

/// The first claim is refused, for nothing is there to put it under; until it is asked for again, another consumer
/// takes the item and is done with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_that_was_done_before_the_claim_is_not_handed_over() -> Result<(), Failure> {
    let server = EmbeddedServer::start().await?;
    let proxy = Proxy::before(server.connect_string()).await?;
    let direct = Client::connect(&server.connect_string()).await?;
    let zk = Client::connect(&proxy.hosts()).await?;
    let theirs = WorkQueue::new(&direct, PATH);
    theirs.put("to alice").await?;
    // The claim is refused, the item is read, and nobody knows yet.
    let held = proxy.on_reply(OpCode::Create2).hold();
    let ours = WorkQueue::new(&zk, PATH);
    let slow = tokio::spawn(async move { ours.try_take().await });
    tokio::time::timeout(PATIENCE, held.acted()).await?;
    // The read went out with it, and is answered by now.
    direct.sync("/").await?;
    theirs.take().await?.ack().await?;
    held.release();
    let delivery = tokio::time::timeout(PATIENCE, slow).await???;
    assert!(delivery.is_none(), "done before: {delivery:?}");
    assert!(theirs.is_empty().await?);
    Ok(())
}
