//! A library in a process of its own: told what to do by lines, killed when it does not answer.
//!
//! ```text
//! us                                     the player
//! run lock path=/p clients=10 ...
//!                                        ready
//! go
//!                                        ok count=930 seconds=2.01 cpu_us=123456 samples=812,790
//! clear
//!                                        cleared
//! ```
//!
//! Sessions are opened before `ready` and closed after `clear`. Instead of any line the player may say
//! `failed <why>`, and is then ready for the next order; `unsupported` answers an order.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use integration_tests::peers::{JavaVersion, Peers};

use crate::server::Server;
use crate::table::Measured;
use crate::{Arguments, Failure};

/// Who plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Library {
    Ours,
    /// Another build of ours.
    Before,
    Curator,
    Kazoo,
}

/// How a round ended.
#[derive(Debug, Clone)]
pub(crate) enum Round {
    Measured(Measured),
    /// It does not have this.
    Unsupported,
    /// It was killed.
    Hung,
    Failed(String),
}

/// Sessions are opened and closed within this.
const SETUP_MAX: Duration = Duration::from_secs(60);

impl Library {
    const ALL: [Self; 4] = [Self::Ours, Self::Before, Self::Curator, Self::Kazoo];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Before => "before",
            Self::Curator => "curator",
            Self::Kazoo => "kazoo",
        }
    }

    /// Those that were asked for; all that are there, unless some were named.
    pub(crate) fn chosen(arguments: &Arguments) -> Result<Vec<Self>, Failure> {
        let names = &arguments.only;
        if let Some(name) = names.iter().find(|name| Self::ALL.iter().all(|known| known.name() != *name)) {
            return Err(format!("no library {name}: ours, before, curator, kazoo").into());
        }
        let wanted = |library: &Self| match library {
            Self::Before => arguments.before.is_some(),
            _ => names.is_empty() || names.iter().any(|name| name == library.name()),
        };
        Ok(Self::ALL.into_iter().filter(wanted).collect())
    }

    /// The process that plays on these hosts.
    pub(crate) fn command(self, hosts: &str, arguments: &Arguments) -> io::Result<Command> {
        let find = || Peers::find().map_err(io::Error::other);
        let program = match &arguments.before {
            Some(before) if self == Self::Before => before.clone(),
            _ => std::env::current_exe()?,
        };
        match self {
            Self::Ours | Self::Before => {
                let mut command = Command::new(program);
                command.args(["--play", hosts, "--workers", &arguments.workers.to_string()]);
                Ok(command)
            }
            Self::Curator => {
                let peers = find()?;
                let class_path = peers.curator_class_path(JavaVersion::V3_9_5).map_err(io::Error::other)?;
                let quick = peers.java_command("BenchRecipes", class_path, &[hosts])?;
                // Speed counts here, not how soon it starts: with both of the JVM's compilers.
                let mut command = Command::new(quick.get_program());
                command.args(quick.get_args().filter(|arg| *arg != "-XX:TieredStopAtLevel=1"));
                // It complains of latches that are closed while they start.
                command.stderr(Stdio::null());
                Ok(command)
            }
            Self::Kazoo => find()?.python_command("bench_recipes.py", &[hosts]),
        }
    }
}

/// A library that plays, once it was asked to.
pub(crate) struct Player {
    library: Library,
    hosts: String,
    process: Option<Talking>,
}

impl Player {
    pub(crate) fn new(library: Library, hosts: &str) -> Self {
        Self { library, hosts: hosts.to_owned(), process: None }
    }

    pub(crate) const fn library(&self) -> Library {
        self.library
    }

    /// One order, from its sessions' begin to their end.
    pub(crate) fn play(
        &mut self,
        order: &str,
        server: &Server,
        arguments: &Arguments,
    ) -> Result<Round, Failure> {
        let mut process = match self.process.take() {
            Some(process) => process,
            None => Talking::start(self.library.command(&self.hosts, arguments)?)?,
        };
        let outcome = turn(&mut process, order, server, Duration::from_secs(arguments.patience));
        Ok(match outcome {
            Ok(round) => {
                self.process = Some(process);
                round
            }
            // It is killed by being dropped; the next order starts another one.
            Err(Silence::Hung) => Round::Hung,
            Err(Silence::Gone) => Round::Failed("the process has ended".to_owned()),
        })
    }
}

fn turn(process: &mut Talking, order: &str, server: &Server, patience: Duration) -> Result<Round, Silence> {
    let ready = process.ask(order, SETUP_MAX)?;
    if ready != "ready" {
        return Ok(refused(&ready));
    }
    let before = server.tally();
    let said = process.ask("go", patience)?;
    let after = server.tally();
    let Some(fields) = said.strip_prefix("ok ") else { return Ok(refused(&said)) };
    let round = match measured(fields) {
        Some(measured) => Round::Measured(measured.at_server(before, after)),
        None => Round::Failed(format!("not understood: {said}")),
    };
    match process.ask("clear", SETUP_MAX)?.as_str() {
        "cleared" => Ok(round),
        other => Ok(refused(other)),
    }
}

fn refused(said: &str) -> Round {
    match said {
        "unsupported" => Round::Unsupported,
        _ => Round::Failed(said.to_owned()),
    }
}

fn measured(fields: &str) -> Option<Measured> {
    let fields: BTreeMap<_, _> = fields.split(' ').filter_map(|field| field.split_once('=')).collect();
    let number = |key: &str| fields.get(key)?.parse::<f64>().ok();
    let samples = fields.get("samples").copied().unwrap_or_default();
    let samples = samples.split(',').filter_map(|us| us.parse::<f64>().ok()).collect();
    let early = number("early").unwrap_or_default();
    Some(Measured::new(number("count")?, number("seconds")?, number("cpu_us")?, samples, early))
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Silence {
    Hung,
    Gone,
}

/// A process that is talked to; killed when dropped.
pub(crate) struct Talking {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Talking {
    pub(crate) fn start(mut command: Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipes".into());
        };
        let (heard, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if heard.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, stdin, lines })
    }

    pub(crate) fn ask(&mut self, line: &str, limit: Duration) -> Result<String, Silence> {
        writeln!(self.stdin, "{line}").and_then(|()| self.stdin.flush()).map_err(|_| Silence::Gone)?;
        self.hear(limit)
    }

    pub(crate) fn hear(&self, limit: Duration) -> Result<String, Silence> {
        self.lines.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => Silence::Hung,
            RecvTimeoutError::Disconnected => Silence::Gone,
        })
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub(crate) fn kill9(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        // Gone already is as good.
        let _gone = self.kill9();
    }
}
