//! The server under all libraries, and what it says of itself.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use integration_tests::our_server::OurServer;
use integration_tests::peers::{Extra, JavaServer, JavaVersion, Peers};
use integration_tests::process::cpu_time;

use crate::{Arguments, Failure};

/// One server, and its directory.
pub(crate) struct Server {
    running: Running,
    hosts: String,
    paths: usize,
    _dir: tempfile::TempDir,
}

enum Running {
    Java(JavaServer),
    Ours(OurServer),
    Elsewhere,
}

/// What it has done so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Requests, of all sessions.
    pub(crate) received: u64,
    /// CPU time.
    pub(crate) cpu: Duration,
}

/// As a server in service is run, and not as one of many under test.
const JVM: [&str; 5] = ["-XX:TieredStopAtLevel=4", "-XX:-UseSerialGC", "-XX:+UseG1GC", "-Xms1g", "-Xmx1g"];

impl Server {
    pub(crate) fn start(arguments: &Arguments) -> Result<Self, Failure> {
        let which = arguments.server.as_str();
        let dir = match &arguments.data {
            Some(parent) => tempfile::tempdir_in(parent)?,
            None => tempfile::tempdir()?,
        };
        let running = match which {
            "java" => {
                let peers = Peers::find()?;
                // Sessions end soon after their process: see the row latch-killed.
                let extra = Extra { config: &["tickTime=500", "maxSessionTimeout=40000"], jvm: &JVM };
                let version = JavaVersion::V3_9_5;
                Running::Java(JavaServer::start_with(&peers, version, dir.path(), extra)?)
            }
            "ours" => Running::Ours(OurServer::start(dir.path(), "minSessionTimeout=1000")?),
            _ => Running::Elsewhere,
        };
        let hosts = match &running {
            Running::Java(server) => server.hosts(),
            Running::Ours(server) => server.hosts(),
            Running::Elsewhere => which.to_owned(),
        };
        Ok(Self { running, hosts, paths: 0, _dir: dir })
    }

    pub(crate) fn name(&self) -> String {
        let name = match &self.running {
            Running::Java(_) => "Apache ZooKeeper 3.9.5",
            Running::Ours(_) => "zk-server",
            Running::Elsewhere => "",
        };
        format!("{name} {}", self.hosts)
    }

    pub(crate) fn hosts(&self) -> &str {
        &self.hosts
    }

    /// A path that nothing was made at.
    pub(crate) fn fresh_path(&mut self, row: &str) -> String {
        self.paths += 1;
        format!("/recipe-bench/{}/{row}-{}", std::process::id(), self.paths)
    }

    /// What it has done so far, as far as it tells.
    pub(crate) fn tally(&self) -> Tally {
        let pid = match &self.running {
            Running::Java(server) => server.pid(),
            Running::Ours(server) => server.pid(),
            Running::Elsewhere => 0,
        };
        let cpu = if pid == 0 { Duration::ZERO } else { cpu_time(pid).unwrap_or_default() };
        Tally { received: self.received().unwrap_or_default(), cpu }
    }

    fn received(&self) -> Option<u64> {
        let mut socket = TcpStream::connect(&self.hosts).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        socket.write_all(b"srvr").ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        let line = answer.lines().find_map(|line| line.strip_prefix("Received: "))?;
        line.trim().parse().ok()
    }
}
