//! The leader's process is killed, and another one leads: measured from the kill to the successor's word.

use std::time::{Duration, Instant};

use crate::player::{Library, Round, Talking};
use crate::rows::Row;
use crate::server::Server;
use crate::table::{Measured, Results};
use crate::{Arguments, Failure};

/// From the start of a process to its place in line, and from a leader's death to the next one.
const PATIENCE: Duration = Duration::from_secs(60);
/// A candidate has its place, and its watch on the one before it, this long after it said so.
const SETTLED: Duration = Duration::from_millis(300);

pub(crate) fn compare(
    libraries: &[Library],
    server: &mut Server,
    arguments: &Arguments,
    row: &Row,
) -> Result<Results, Failure> {
    let mut results = Results::default();
    let mut stands: Vec<(Library, Stand<'_>)> = Vec::new();
    for library in libraries {
        let path = server.fresh_path(row.name);
        match Stand::open(*library, server.hosts(), &path, arguments) {
            Ok(stand) => stands.push((*library, stand)),
            Err(why) if why.to_string() == "unsupported" => results.push(*library, Round::Unsupported),
            Err(why) => return Err(why),
        }
    }
    let mut samples = vec![Vec::new(); stands.len()];
    for _ in 0..row.count {
        for ((_, stand), samples) in stands.iter_mut().zip(&mut samples) {
            samples.push(stand.kill()?.as_secs_f64() * 1e6);
        }
    }
    for ((library, _), samples) in stands.into_iter().zip(samples) {
        let seconds = samples.iter().sum::<f64>() / 1e6;
        results.push(library, Round::Measured(Measured::new(row.count as f64, seconds, 0.0, samples, 0.0)));
    }
    Ok(results)
}

/// A leader and one that stands by.
struct Stand<'a> {
    library: Library,
    hosts: String,
    order: String,
    arguments: &'a Arguments,
    leader: Talking,
    next: Talking,
}

impl<'a> Stand<'a> {
    fn open(library: Library, hosts: &str, path: &str, arguments: &'a Arguments) -> Result<Self, Failure> {
        let order = format!("run latch-stand path={path} clients=1 seconds=0 count=0");
        let leader = candidate(library, hosts, &order, arguments)?;
        leads(&leader)?;
        let next = candidate(library, hosts, &order, arguments)?;
        Ok(Self { library, hosts: hosts.to_owned(), order, arguments, leader, next })
    }

    fn kill(&mut self) -> Result<Duration, Failure> {
        std::thread::sleep(SETTLED);
        let begun = Instant::now();
        self.leader.kill9()?;
        leads(&self.next)?;
        let took = begun.elapsed();
        let new = candidate(self.library, &self.hosts, &self.order, self.arguments)?;
        self.leader = std::mem::replace(&mut self.next, new);
        Ok(took)
    }
}

/// Starts one that stands in line.
fn candidate(library: Library, hosts: &str, order: &str, arguments: &Arguments) -> Result<Talking, Failure> {
    let mut process = Talking::start(library.command(hosts, arguments)?)?;
    match process.ask(order, PATIENCE) {
        Ok(line) if line == "ready" => Ok(process),
        Ok(line) => Err(line.into()),
        Err(silence) => Err(format!("{} does not stand in line: {silence:?}", library.name()).into()),
    }
}

fn leads(process: &Talking) -> Result<(), Failure> {
    match process.hear(PATIENCE) {
        Ok(line) if line == "leads" => Ok(()),
        Ok(line) => Err(line.into()),
        Err(silence) => Err(format!("nobody leads: {silence:?}").into()),
    }
}
