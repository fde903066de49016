//! Our library as a player: its sessions and the lines it is told by. What it does is in the other rooms, one for
//! each recipe.

mod barriers;
mod counters;
mod leaders;
mod locks;
mod order;
mod queues;
mod semaphores;

use std::io::BufRead as _;

use crate::Failure;
use order::Order;

/// Plays until standard input ends.
pub(crate) fn run(hosts: &str, workers: usize) -> Result<(), Failure> {
    let mut builder = match workers {
        0 => tokio::runtime::Builder::new_current_thread(),
        workers => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
    };
    let runtime = builder.enable_all().build()?;
    loop {
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(());
        }
        let Some(order) = Order::parse(hosts, line.trim()) else {
            println!("failed to understand {line}");
            continue;
        };
        match runtime.block_on(play(&order)) {
            Ok(true) => println!("cleared"),
            Ok(false) => println!("unsupported"),
            Err(error) => println!("failed {error}"),
        }
    }
}

/// Whether there is such a row.
async fn play(order: &Order) -> Result<bool, Failure> {
    match order.row.as_str() {
        "lock" => locks::lock(order).await?,
        "semaphore" => semaphores::acquire(order).await?,
        "try-lock" => locks::try_lock(order).await?,
        "barrier" | "barriers" => barriers::double(order).await?,
        "counter" => counters::increment(order).await?,
        "latch" => leaders::closed(order).await?,
        "latch-stand" => leaders::stand(order).await?,
        "queue-put" => queues::put(order).await?,
        "queue-put-many" | "queue-put-multi" => queues::put_many(order).await?,
        "queue-take" => queues::take(order).await?,
        "work-queue" => queues::work(order).await?,
        _ => return Ok(false),
    }
    Ok(true)
}
