//! The recipes beside Curator's and Kazoo's, on one server, in one run.
//!
//! ```text
//! cargo run --release -p integration-tests --bin recipe-bench -- lock-10 lock-50
//! ```
//!
//! Each library plays in a process of its own: this program again, `peers/BenchRecipes.java`, and
//! `peers/bench_recipes.py`. They are told what to do line by line, take turns round by round after one turn to warm
//! up, and the median of the rounds is printed: how many a second, milliseconds each, CPU time of the library's
//! process and of the server for each operation, and how many requests the server counted for it. Whoever does not
//! come to an end is killed, and said to hang. The server is Java's 3.9.5; `--server ours` or `--server HOST:PORT`
//! is another one.

mod killed;
mod play;
mod player;
mod rows;
mod server;
mod table;

use std::path::PathBuf;

use clap::Parser;
use player::{Library, Player, Round};
use rows::{Kind, Row};
use server::Server;
use table::Results;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Compares recipes.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Which rows: by name, or by how their names begin; all of them when none is named. `list` lists them.
    rows: Vec<String>,
    /// `java`, `ours`, or the connect string of one that runs.
    #[arg(long, default_value = "java")]
    server: String,
    /// Measurements of each library; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of one measurement, where it is not counted in turns.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Seconds to warm up each library before a row; Java's compilers need more than one.
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds after which a measurement that is counted in turns hangs.
    #[arg(long, default_value_t = 60)]
    patience: u64,
    /// Only these libraries: ours, curator, kazoo.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Where the server's data is; in a temporary place unless said. In memory, for a profile without the disk.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Another build of this program, which plays beside this one: what a change has brought.
    #[arg(long)]
    before: Option<PathBuf>,
    /// Worker threads of our runtime; 0 runs everything on one thread.
    #[arg(long, default_value_t = 0)]
    workers: usize,
    /// Plays our library on this server, told by standard input.
    #[arg(long, hide = true)]
    play: Option<String>,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    if let Some(hosts) = &arguments.play {
        return play::run(hosts, arguments.workers);
    }
    let rows = rows::chosen(&arguments.rows)?;
    if rows.is_empty() {
        rows::list();
        return Ok(());
    }
    let libraries = Library::chosen(&arguments)?;
    let mut server = Server::start(&arguments)?;
    println!(
        "server: {}; {} rounds of {} s after {} s to warm up; our workers: {}",
        server.name(),
        arguments.rounds,
        arguments.seconds,
        arguments.warm_up,
        arguments.workers
    );
    let mut players: Vec<Player> =
        libraries.iter().map(|library| Player::new(*library, server.hosts())).collect();
    table::head();
    for row in rows {
        let results = match row.kind {
            Kind::Killed => killed::compare(&libraries, &mut server, &arguments, row)?,
            _ => compare(&mut players, &mut server, &arguments, row)?,
        };
        results.print(row);
    }
    Ok(())
}

/// Who hangs so often in one row is not asked again.
const HUNG_MAX: usize = 2;

/// All libraries in one row, in turns. Another one begins in each round.
fn compare(
    players: &mut [Player],
    server: &mut Server,
    arguments: &Arguments,
    row: &Row,
) -> Result<Results, Failure> {
    let mut results = Results::default();
    for player in players.iter_mut() {
        let order = row.order(arguments.warm_up, true, &server.fresh_path(row.name));
        player.play(&order, server, arguments)?;
    }
    for round in 0..arguments.rounds {
        players.rotate_left(usize::from(round > 0).min(players.len()));
        for player in players.iter_mut() {
            if results.hung(player.library()) >= HUNG_MAX {
                continue;
            }
            let order = row.order(arguments.seconds, false, &server.fresh_path(row.name));
            let outcome = player.play(&order, server, arguments)?;
            if let Round::Failed(why) = &outcome {
                eprintln!("{} {}: {why}", row.name, player.library().name());
            }
            results.push(player.library(), outcome);
        }
    }
    players.sort_by_key(Player::library);
    Ok(results)
}
