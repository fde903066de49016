//! Queues: put, taken, consumed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use integration_tests::critical_section::append;
use integration_tests::targets::Failure;
use tokio::task::JoinHandle;
use zk_client::Client;
use zk_recipes::Error;
use zk_recipes::queue::{
    DelayQueue, Delivery, IdQueue, PriorityQueue, QueueBuilder, SimpleQueue, Taker, WorkQueue, kazoo,
};

use crate::actor::Arguments;

/// Consumers that run, by path.
#[derive(Default)]
pub(crate) struct Queues {
    consumers: HashMap<String, JoinHandle<()>>,
}

impl Queues {
    pub(crate) async fn perform(
        &mut self,
        who: &str,
        client: &Client,
        verb: &str,
        arguments: Arguments<'_>,
    ) -> Result<String, Failure> {
        match verb {
            "put" => put(client, arguments).await,
            "take" => take(client, arguments).await,
            "consume" => {
                let (kind, path, lock) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
                let options = |builder: QueueBuilder| match lock {
                    "-" => builder.at_most_once(),
                    lock => builder.claims(lock),
                };
                let consumer = Consumer {
                    who: who.to_owned(),
                    log: arguments.text(3)?.into(),
                    way: arguments.text(4)?.to_owned(),
                };
                let running = match kind {
                    "queue" => consumer.start(WorkQueue::with(options(WorkQueue::builder(client, path)))),
                    "id" => consumer.start(IdQueue::with(options(IdQueue::builder(client, path)))),
                    "priority" => {
                        consumer.start(PriorityQueue::with(options(PriorityQueue::builder(client, path))))
                    }
                    "delay" => consumer.start(DelayQueue::with(options(DelayQueue::builder(client, path)))),
                    _ => return Err(format!("no such kind: {kind}").into()),
                };
                self.consumers.insert(path.to_owned(), running);
                Ok(String::new())
            }
            "consume-stop" => {
                let consumer = self.consumers.remove(arguments.text(0)?).ok_or("no consumer runs")?;
                consumer.abort();
                Ok(String::new())
            }
            _ => Err(format!("no such verb: {verb}").into()),
        }
    }

    /// Stops all consumers.
    pub(crate) fn stop(&mut self) {
        self.consumers.drain().for_each(|(_, consumer)| consumer.abort());
    }

    pub(crate) fn runs(&self, path: &str) -> bool {
        self.consumers.contains_key(path)
    }
}

async fn put(client: &Client, arguments: Arguments<'_>) -> Result<String, Failure> {
    let (kind, path, ordinal) = (arguments.text(0)?, arguments.text(1)?, arguments.text(2)?);
    let mut items = Vec::new();
    while let Ok(item) = arguments.text(3 + items.len()) {
        items.push(unhex(item)?);
    }
    let item = items.first().cloned().ok_or("nothing to put")?;
    // As Kazoo's default.
    let priority = if ordinal == "-" { 100 } else { ordinal.parse().unwrap_or(100) };
    match kind {
        "queue" => WorkQueue::new(client, path).put(item).await?,
        "id" => IdQueue::new(client, path).put(ordinal, item).await?,
        "priority" => PriorityQueue::new(client, path).put(ordinal.parse()?, item).await?,
        "delay" => DelayQueue::new(client, path).put_at(ordinal.parse()?, item).await?,
        "simple" => SimpleQueue::new(client, path).put(item).await?,
        "kazoo" => kazoo::Queue::new(client, path).put(item, priority).await?,
        "locking" => kazoo::LockingQueue::new(client, path).put(item, priority).await?,
        _ => return Err(format!("no such kind: {kind}").into()),
    };
    Ok(String::new())
}

async fn take(client: &Client, arguments: Arguments<'_>) -> Result<String, Failure> {
    let (kind, path) = (arguments.text(0)?, arguments.text(1)?);
    let limit = Duration::from_millis(arguments.number(2)?);
    match kind {
        "simple" => taken(&SimpleQueue::new(client, path), limit).await,
        "kazoo" => taken(&kazoo::Queue::new(client, path), limit).await,
        "locking" => taken(&kazoo::LockingQueue::new(client, path), limit).await,
        _ => Err(format!("no such kind: {kind}").into()),
    }
}

async fn taken(queue: &Taker, limit: Duration) -> Result<String, Failure> {
    match queue.take_within(limit).await {
        Ok(delivery) => {
            let item = hex(&delivery.data());
            delivery.ack().await?;
            Ok(item)
        }
        Err(Error::Timeout { .. }) => Ok("none".to_owned()),
        Err(error) => Err(error.into()),
    }
}

struct Consumer {
    who: String,
    log: PathBuf,
    way: String,
}

impl Consumer {
    /// Takes and deals with items until it is stopped. What goes wrong is a line of the log, where no test wants it.
    fn start(self, queue: impl std::ops::Deref<Target = Taker> + Send + Sync + 'static) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut first = true;
            loop {
                let done = match queue.take().await {
                    Ok(delivery) => self.deal_with(delivery, std::mem::take(&mut first)).await,
                    Err(error) => Err(error.into()),
                };
                if let Err(problem) = done {
                    // Nobody is left to tell of a log that cannot be written.
                    let _untold = append(&self.log, &format!("PROBLEM {} {problem}", self.who));
                    return;
                }
            }
        })
    }

    async fn deal_with(&self, delivery: Delivery, first: bool) -> Result<(), Failure> {
        let item = hex(&delivery.data());
        append(&self.log, &format!("TOOK {} {item}", self.who))?;
        match (first, self.way.as_str()) {
            (true, "hang") => std::future::pending().await,
            (true, "fail") => delivery.nack().await?,
            _ => {
                append(&self.log, &format!("DONE {} {item}", self.who))?;
                delivery.ack().await?;
            }
        }
        Ok(())
    }
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    let digits = if text == "-" { "" } else { text };
    let pair = |at| digits.get(at..at + 2).ok_or("half a byte");
    (0..digits.len()).step_by(2).map(|at| Ok(u8::from_str_radix(pair(at)?, 16)?)).collect()
}
