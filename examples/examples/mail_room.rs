//! A mail room with a queue for every kind of letter. Urgent ones go first; reminders are due at their time; one that
//! its sender takes back is found by its number; a newsletter goes out through several queues, so that none grows too
//! long; and postcards are taken by whoever comes first and are gone then.
//!
//! `cargo run --release -p examples --example mail_room` starts a server of its own; `--connect HOSTS` or
//! `ZK_CONNECT` names another, such as an Apache ZooKeeper.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use examples::{Failure, Narrator, Playground};
use zk_client::Client;
use zk_recipes::queue::{
    DelayQueue, Delivery, IdQueue, PriorityQueue, ShardedQueue, SimpleQueue, Taker, kazoo::LockingQueue,
};

const URGENT: i32 = 0;
const ORDINARY: i32 = 10;
/// When a reminder is due.
const REMIND_AFTER: Duration = Duration::from_millis(150);
/// Letters in a queue of the newsletter before another one is begun, and such queues at most.
const BAG: usize = 4;
const BAGS_MAX: usize = 3;

#[tokio::main]
async fn main() -> ExitCode {
    examples::told("mail_room", tell()).await
}

async fn tell() -> Result<(), Failure> {
    let playground = Playground::from_command_line().await?;
    let hosts = playground.connect_string();
    let narrator = Narrator::begin();
    narrator.say(format_args!("a ZooKeeper at {hosts}"));
    let (sender, postman) = (Client::connect(&hosts).await?, Client::connect(&hosts).await?);
    let root = sender.create("/mail-room/run-", "").sequential().parents().await?.path;
    by_priority(&sender, &postman, &root, narrator).await?;
    in_time(&sender, &postman, &root, narrator).await?;
    taken_back(&sender, &postman, &root, narrator).await?;
    newsletter(&sender, &postman, &root, narrator).await?;
    postcards(&sender, &postman, &root, narrator).await?;
    with_python(&sender, &postman, &root, narrator).await?;
    narrator.say("done");
    Ok(())
}

fn text(letter: &Delivery) -> String {
    String::from_utf8_lossy(&letter.data()).into_owned()
}

/// Takes and delivers so many letters.
async fn deliver(queue: &Taker, count: usize) -> Result<Vec<String>, Failure> {
    let mut delivered = Vec::new();
    for _ in 0..count {
        let letter = queue.take().await?;
        delivered.push(text(&letter));
        letter.ack().await?;
    }
    Ok(delivered)
}

fn expect(what: &str, found: &[String], expected: &[&str]) -> Result<(), Failure> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}").into()) }
}

async fn by_priority(
    sender: &Client,
    postman: &Client,
    root: &str,
    narrator: Narrator,
) -> Result<(), Failure> {
    let path = format!("{root}/letters");
    let letters = PriorityQueue::new(sender, &path);
    letters.put_many(ORDINARY, ["a bill", "a card"]).await?;
    letters.put(URGENT, "a summons").await?;
    let delivered = deliver(&PriorityQueue::new(postman, &path), 3).await?;
    narrator.say(format_args!("delivered: {}", delivered.join(", ")));
    expect("the order of letters", &delivered, &["a summons", "a bill", "a card"])
}

async fn in_time(sender: &Client, postman: &Client, root: &str, narrator: Narrator) -> Result<(), Failure> {
    let path = format!("{root}/reminders");
    let (reminders, inbox) = (DelayQueue::new(sender, &path), DelayQueue::new(postman, &path));
    let put = Instant::now();
    reminders.put_after(REMIND_AFTER, "pay the bill").await?;
    let delivered = deliver(&inbox, 1).await?;
    let after = put.elapsed();
    // Due times are whole milliseconds.
    if after + Duration::from_millis(1) < REMIND_AFTER {
        return Err("a reminder came too early".into());
    }
    narrator.say(format_args!("a reminder, after {} ms: {}", after.as_millis(), delivered.join(", ")));
    expect("reminders", &delivered, &["pay the bill"])
}

async fn taken_back(
    sender: &Client,
    postman: &Client,
    root: &str,
    narrator: Narrator,
) -> Result<(), Failure> {
    let path = format!("{root}/registered");
    let registered = IdQueue::new(sender, &path);
    for (number, letter) in [("RR-1", "a yes"), ("RR-2", "a no"), ("RR-3", "a maybe")] {
        registered.put(number, letter).await?;
    }
    let taken_back = registered.remove("RR-2").await?;
    narrator.say(format_args!("letters taken back by their sender: {taken_back}"));
    let delivered = deliver(&IdQueue::new(postman, &path), 2).await?;
    expect("registered letters", &delivered, &["a yes", "a maybe"])
}

async fn newsletter(
    sender: &Client,
    postman: &Client,
    root: &str,
    narrator: Narrator,
) -> Result<(), Failure> {
    const READERS: usize = 10;
    let path = format!("{root}/newsletter");
    let out = ShardedQueue::with_limits(sender, &path, BAG, BAGS_MAX);
    for reader in 0..READERS {
        out.put(format!("to reader {reader}")).await?;
    }
    let bags = sender.get_children(&path).await?.names.len();
    narrator.say(format_args!("{READERS} newsletters are in {bags} bags"));
    if bags != BAGS_MAX {
        return Err("that is not how they were to be spread".into());
    }
    let bag = ShardedQueue::with_limits(postman, &path, BAG, BAGS_MAX);
    let mut delivered = Vec::new();
    for _ in 0..READERS {
        let letter = bag.take().await?;
        delivered.push(text(&letter));
        letter.ack().await?;
    }
    delivered.sort();
    delivered.dedup();
    if delivered.len() != READERS || !out.is_empty().await? {
        return Err(format!("newsletters: {delivered:?}").into());
    }
    Ok(())
}

/// Taken is gone: a postman who stumbles loses the card, and nobody minds.
async fn postcards(sender: &Client, postman: &Client, root: &str, narrator: Narrator) -> Result<(), Failure> {
    let path = format!("{root}/postcards");
    SimpleQueue::new(sender, &path).put_many(["from Rome", "from Riga"]).await?;
    let cards = SimpleQueue::new(postman, &path);
    drop(cards.take().await?);
    let delivered = deliver(&cards, 1).await?;
    narrator.say(format_args!("one postcard is lost, one is delivered: {}", delivered.join(", ")));
    expect("postcards", &delivered, &["from Riga"])
}

/// The same nodes that Kazoo's `LockingQueue` makes: the other end may be a Python process. What is not delivered
/// goes back.
async fn with_python(
    sender: &Client,
    postman: &Client,
    root: &str,
    narrator: Narrator,
) -> Result<(), Failure> {
    let path = format!("{root}/abroad");
    LockingQueue::new(sender, &path).put("a parcel", 100).await?;
    let abroad = LockingQueue::new(postman, &path);
    abroad.take().await?.nack().await?;
    narrator.say("nobody is at home: the parcel goes back to the mail room");
    let delivered = deliver(&abroad, 1).await?;
    expect("parcels", &delivered, &["a parcel"])
}
