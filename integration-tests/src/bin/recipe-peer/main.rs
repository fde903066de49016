//! Our recipes at the far end of a pipe: `RecipePeer.java` in Rust, with the same requests, answers and log lines.
//!
//! Each line of the standard input is a request, `ID ACTOR VERB ARGUMENTS...`; each is answered by one line, `ID ok
//! WORDS...` or `ID failed TEXT`. An actor has a session of its own, and does its requests one after the other. The
//! process ends, without closing anything, when its input does. `peers/README.md` has the table of verbs.

mod actor;
mod guard;
mod leaders;
mod locks;
mod queues;
mod shared;

use std::collections::HashMap;
use std::io::Write as _;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::mpsc;

use actor::Actor;

/// One request: its number, its verb and what follows.
type Request = (String, String, Vec<String>);

/// Requests that one actor has not begun: tests send a handful.
const REQUESTS_MAX: usize = 64;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> std::io::Result<()> {
    let mut actors: HashMap<String, mpsc::Sender<Request>> = HashMap::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let mut words = line.split(' ').map(str::to_owned);
        let (Some(id), Some(name), Some(verb)) = (words.next(), words.next(), words.next()) else { continue };
        let actor = actors.entry(name.clone()).or_insert_with(|| {
            let (requests, queue) = mpsc::channel(REQUESTS_MAX);
            tokio::spawn(serve(Actor::new(name), queue));
            requests
        });
        if actor.send((id, verb, words.collect())).await.is_err() {
            return Err(std::io::Error::other("an actor ended"));
        }
    }
    std::process::exit(0);
}

async fn serve(mut actor: Actor, mut queue: mpsc::Receiver<Request>) {
    while let Some((id, verb, arguments)) = queue.recv().await {
        let answer = match actor.perform(&verb, &arguments).await {
            Ok(words) if words.is_empty() => format!("{id} ok\n"),
            Ok(words) => format!("{id} ok {words}\n"),
            Err(problem) => format!("{id} failed {}\n", problem.to_string().replace('\n', " ")),
        };
        let mut out = std::io::stdout().lock();
        // Nobody is there to read that nobody is there.
        let _unread = out.write_all(answer.as_bytes()).and_then(|()| out.flush());
    }
}
