//! Barriers, numbers, leases: what is shared without anybody holding it.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use integration_tests::critical_section::append;
use integration_tests::targets::Failure;
use zk_client::Client;
use zk_recipes::counter::{Atomic, KazooCounter, Number, Text};
use zk_recipes::{
    AtomicI32, AtomicI64, Barrier, DoubleBarrier, Error, MultiNonBlockingLease, NonBlockingLease, SharedCount,
};

use crate::actor::Arguments;

/// Counts that are looked at, by path.
#[derive(Default)]
pub(crate) struct Shared {
    counts: HashMap<String, SharedCount>,
}

impl Shared {
    pub(crate) async fn perform(
        &mut self,
        who: &str,
        client: &Client,
        verb: &str,
        arguments: Arguments<'_>,
    ) -> Result<String, Failure> {
        let path = arguments.text(0)?;
        match verb {
            "barrier-set" => {
                Barrier::new(client, path).set().await?;
                Ok(String::new())
            }
            "barrier-remove" => Ok(Barrier::new(client, path).remove().await?.to_string()),
            "barrier-wait" => {
                let limit = Duration::from_millis(arguments.number(1)?);
                match Barrier::new(client, path).wait_within(limit).await {
                    Ok(()) => Ok("true".to_owned()),
                    Err(Error::Timeout { .. }) => Ok("false".to_owned()),
                    Err(error) => Err(error.into()),
                }
            }
            "rounds" => {
                let (size, count, log) = (arguments.number(1)?, arguments.number(2)?, arguments.text(3)?);
                let together = arguments.text(4)? == "together";
                rounds(client, who, path, size, count, Path::new(log), together).await
            }
            "count-start" => {
                let count = SharedCount::open(client, path, arguments.number(1)?).await?;
                let seen = count.get().count.ok_or("no count")?;
                self.counts.insert(path.to_owned(), count);
                Ok(seen.to_string())
            }
            "count-set" => {
                self.count(path)?.set(arguments.number(1)?).await?;
                Ok(String::new())
            }
            "count-add" => add_to_count(self.count(path)?, arguments.number(1)?, arguments.number(2)?).await,
            "count-await" => {
                let (wanted, limit) =
                    (arguments.number::<i32>(1)?, Duration::from_millis(arguments.number(2)?));
                let count = self.count(path)?;
                let mut changes = count.changes();
                let seen = async {
                    while count.get().count != Some(wanted) {
                        changes.changed().await?;
                    }
                    Ok::<_, Failure>(wanted.to_string())
                };
                tokio::time::timeout(limit, seen).await.unwrap_or_else(|_| Ok("none".to_owned()))
            }
            "count-stop" => {
                self.counts.remove(path);
                Ok(String::new())
            }
            "lease" => {
                let length = Duration::from_secs(arguments.number(1)?);
                let lease = NonBlockingLease::builder(client, path, length).identifier(arguments.text(2)?);
                Ok(lease.build().obtain().await?.is_some().to_string())
            }
            "multi-lease" => {
                let length = Duration::from_secs(arguments.number(2)?);
                let lease = NonBlockingLease::builder(client, path, length).identifier(arguments.text(3)?);
                let obtained = MultiNonBlockingLease::of(arguments.number(1)?, &lease).obtain().await?;
                Ok(obtained.is_some().to_string())
            }
            _ => Err(format!("no such verb: {verb}").into()),
        }
    }

    pub(crate) fn runs(&self, path: &str) -> bool {
        self.counts.contains_key(path)
    }

    fn count(&self, path: &str) -> Result<&SharedCount, Failure> {
        Ok(self.counts.get(path).ok_or("no count is looked at")?)
    }
}

/// Each round says when it comes, is in, wants to leave (when all are in, if together) and is out.
async fn rounds(
    client: &Client,
    who: &str,
    path: &str,
    size: usize,
    count: usize,
    log: &Path,
    together: bool,
) -> Result<String, Failure> {
    for round in 0..count {
        let barrier = DoubleBarrier::new(client, format!("{path}-{round}"), size);
        append(log, &format!("COMES {who} {round}"))?;
        let ticket = barrier.enter().await?;
        append(log, &format!("IN {who} {round}"))?;
        while together && inside(log, round)? < size {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        append(log, &format!("LEAVES {who} {round}"))?;
        ticket.leave().await?;
        append(log, &format!("OUT {who} {round}"))?;
    }
    Ok(count.to_string())
}

fn inside(log: &Path, round: usize) -> Result<usize, Failure> {
    let end = format!(" {round}");
    let text = std::fs::read_to_string(log)?;
    Ok(text.lines().filter(|line| line.starts_with("IN ") && line.ends_with(&end)).count())
}

async fn add_to_count(count: &SharedCount, delta: i32, times: usize) -> Result<String, Failure> {
    let mut left = times;
    let mut changes = count.changes();
    while left > 0 {
        let seen = count.get();
        let next = seen.count.ok_or("no count")? + delta;
        if count.try_set(&seen, next).await? {
            left -= 1;
        } else if count.get() == seen {
            // Somebody was faster, and we have yet to hear of it.
            changes.changed().await?;
        }
    }
    Ok(format!("{:?}", count.get().count))
}

/// `long`, `integer`, `counter`: adds delta, several times, and returns the last sum; with no times reads.
pub(crate) async fn number(client: &Client, verb: &str, arguments: Arguments<'_>) -> Result<String, Failure> {
    let (kind, path) = (arguments.text(0)?, arguments.text(1)?);
    match kind {
        "long" => change(&AtomicI64::builder(client, path).tries(1000).build(), verb, arguments, |n| n).await,
        "integer" => {
            let number = AtomicI32::builder(client, path).tries(1000).build();
            change(&number, verb, arguments, |n| i32::try_from(n).unwrap_or(i32::MAX)).await
        }
        "counter" => {
            let number = KazooCounter::builder(client, path).tries(1000).build();
            change(&number, verb, arguments, Text).await
        }
        _ => Err(format!("no such kind: {kind}").into()),
    }
}

async fn change<N: Number>(
    number: &Atomic<N>,
    verb: &str,
    arguments: Arguments<'_>,
    of: impl Fn(i64) -> N,
) -> Result<String, Failure> {
    let value = of(arguments.number(2)?);
    if verb == "force-set" {
        number.force_set(value).await?;
        return Ok(String::new());
    }
    for _ in 0..arguments.number(3)? {
        number.add(value).await?;
    }
    // Numbers of all kinds are written as Kazoo writes them.
    let now = number.get().await?;
    Ok(format!("{now:?}").trim_start_matches("Text(").trim_end_matches(')').to_owned())
}
