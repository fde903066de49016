//! One Java ZooKeeper server as a child process: started on a data directory, asked, killed, started again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{JavaVersion, Peers};

/// From the start of the JVM to the first answer; a server alone takes about a second.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// For one four-letter word.
const WORD_TIMEOUT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
/// How often a server without a fixed port may lose its port to another process before it has bound it.
const PORT_ATTEMPTS: usize = 3;

/// What to start. `peers/java_server.sh` has the settings that every server gets.
#[derive(Clone, Debug)]
pub struct JavaServerOptions {
    /// Which ZooKeeper.
    pub version: JavaVersion,
    /// Its `dataDir`, made if absent. Output goes to `server.out` in it.
    pub data_dir: PathBuf,
    /// Its client port.
    pub port: u16,
    /// Further lines of `zoo.cfg`; `server.N` lines make it a member of an ensemble and write no `myid`.
    pub config: Vec<(String, String)>,
    /// Further flags of the JVM, such as `-Dzookeeper.snapCount=50`.
    pub jvm_flags: Vec<String>,
}

/// What a server gets besides the usual.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extra<'a> {
    /// Lines of `zoo.cfg`, each `key=value`.
    pub config: &'a [&'a str],
    /// Flags of the JVM; none may hold a blank.
    pub jvm: &'a [&'a str],
}

/// A running (or killed) server. Dropping it kills the process and leaves the data directory.
#[derive(Debug)]
pub struct JavaServer {
    peers: Peers,
    options: JavaServerOptions,
    child: Option<Child>,
}

impl JavaServer {
    /// Starts a standalone server and waits until it serves. Without a port it takes a free one.
    pub fn start(
        peers: &Peers,
        version: JavaVersion,
        data_dir: &Path,
        port: Option<u16>,
    ) -> io::Result<Self> {
        Self::start_on(peers, version, data_dir, port, Extra::default())
    }

    /// [`JavaServer::start`] on a free port, with settings of its own.
    pub fn start_with(
        peers: &Peers,
        version: JavaVersion,
        data_dir: &Path,
        extra: Extra<'_>,
    ) -> io::Result<Self> {
        Self::start_on(peers, version, data_dir, None, extra)
    }

    fn start_on(
        peers: &Peers,
        version: JavaVersion,
        data_dir: &Path,
        port: Option<u16>,
        extra: Extra<'_>,
    ) -> io::Result<Self> {
        let pair = |line: &&str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut attempt = 1;
        loop {
            let options = JavaServerOptions {
                version,
                data_dir: data_dir.to_owned(),
                port: port.map_or_else(free_port, Ok)?,
                config: extra.config.iter().filter_map(pair).collect(),
                jvm_flags: extra.jvm.iter().map(ToString::to_string).collect(),
            };
            let mut server = Self::spawn(peers, options)?;
            match server.wait_serving() {
                Ok(()) => return Ok(server),
                // A free port is not ours until the JVM binds it.
                Err(error) if port.is_none() && attempt < PORT_ATTEMPTS && lost_port(&error) => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts the process and returns at once: the members of an ensemble serve only when enough of them run.
    pub fn spawn(peers: &Peers, options: JavaServerOptions) -> io::Result<Self> {
        peers.zookeeper_class_path(options.version).map_err(io::Error::other)?;
        let mut server = Self { peers: peers.clone(), options, child: None };
        server.launch()?;
        Ok(server)
    }

    /// Waits until the server answers `srvr` as one that serves.
    pub fn wait_serving(&mut self) -> io::Result<()> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                self.child = None;
                return Err(io::Error::other(format!("the Java server exited, {status}\n{}", self.output())));
            }
            if self.four_letter("srvr").is_ok_and(|answer| answer.contains("Mode: ")) {
                return Ok(());
            }
            if start.elapsed() > START_DEADLINE {
                let text =
                    format!("the Java server does not serve after {START_DEADLINE:?}\n{}", self.output());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            thread::sleep(POLL);
        }
    }

    /// The connect string.
    #[must_use]
    pub fn hosts(&self) -> String {
        self.address().to_string()
    }

    /// The client port's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.options.port).into()
    }

    /// What it was started with.
    #[must_use]
    pub const fn options(&self) -> &JavaServerOptions {
        &self.options
    }

    /// Asks a four-letter word and returns the answer.
    pub fn four_letter(&self, word: &str) -> io::Result<String> {
        let mut socket = TcpStream::connect_timeout(&self.address(), WORD_TIMEOUT)?;
        socket.set_read_timeout(Some(WORD_TIMEOUT))?;
        socket.write_all(word.as_bytes())?;
        socket.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Kills the process with SIGKILL: what it had not written is gone.
    pub fn kill9(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Its process id; 0 when it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Sends another signal, by name: `STOP` and `CONT` pause it, `TERM` asks it to shut down.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        let Some(child) = &self.child else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the server is not running"));
        };
        // The shell's own kill: a slim container has no other.
        let pid = child.id().to_string();
        let status =
            Command::new("bash").args(["-c", r#"kill -s "$1" "$2""#, "kill", name, &pid]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -s {name}: {status}"))) }
    }

    /// Kills it if it runs, starts it again on the same directory and port, and waits until it serves.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill9()?;
        self.launch()?;
        self.wait_serving()
    }

    /// What it has written to its standard output and error.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read_to_string(self.output_path()).unwrap_or_default()
    }

    fn output_path(&self) -> PathBuf {
        self.options.data_dir.join("server.out")
    }

    fn launch(&mut self) -> io::Result<()> {
        let JavaServerOptions { version, data_dir, port, config, jvm_flags } = &self.options;
        fs::create_dir_all(data_dir)?;
        let out: File = OpenOptions::new().create(true).append(true).open(self.output_path())?;
        let mut command = self.peers.shell_command("java_server.sh", &[version.name()]);
        command
            .arg(data_dir)
            .arg(port.to_string())
            .args(config.iter().map(|(key, value)| format!("{key}={value}")))
            .env("ZK_PEER_JVM_FLAGS", jvm_flags.join(" "))
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out);
        self.child = Some(command.spawn()?);
        Ok(())
    }
}

impl Drop for JavaServer {
    fn drop(&mut self) {
        // Nothing can be done about a process that cannot be killed.
        let _ = self.kill9();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn lost_port(error: &io::Error) -> bool {
    error.to_string().contains("BindException")
}
