//! Our `zk-server` as a process of its own, with an ordinary `zoo.cfg`: started, killed, restarted.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::peers::free_port;

/// How long a start may take before it counts as failed.
const START_MAX: Duration = Duration::from_secs(20);

/// A running `zk-server`; killed when dropped.
#[derive(Debug)]
pub struct OurServer {
    config: PathBuf,
    address: SocketAddr,
    child: Child,
}

impl OurServer {
    /// Starts one on a free port with its data in `dir`; `extra` lines are added to its `zoo.cfg`. Returns when
    /// it answers.
    ///
    /// # Errors
    /// When it cannot be built or started, or does not answer in time.
    pub fn start(dir: &Path, extra: &str) -> io::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let config = dir.join("zoo.cfg");
        let text = format!(
            "dataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\ntickTime=2000\nmaxClientCnxns=0\n\
             4lw.commands.whitelist=*\n{extra}\n",
            dir.join("data").display(),
            address.port()
        );
        fs::write(&config, text)?;
        let child = spawn(&config)?;
        let mut server = Self { config, address, child };
        server.wait_serving()?;
        Ok(server)
    }

    /// `host:port`, as clients take it.
    #[must_use]
    pub fn hosts(&self) -> String {
        self.address.to_string()
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// What the system says.
    pub fn kill9(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }

    /// Starts it again after [`OurServer::kill9`], on the same port and data.
    ///
    /// # Errors
    /// As [`OurServer::start`].
    pub fn restart(&mut self) -> io::Result<()> {
        self.child = spawn(&self.config)?;
        self.wait_serving()
    }

    /// Sends a four-letter word and returns what it says.
    ///
    /// # Errors
    /// What the socket says.
    pub fn four_letter(&self, word: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(word.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    fn wait_serving(&mut self) -> io::Result<()> {
        let until = Instant::now() + START_MAX;
        while Instant::now() < until {
            if self.four_letter("ruok").is_ok_and(|text| text == "imok") {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("zk-server ended at once: {status}")));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, "zk-server does not answer"))
    }
}

impl Drop for OurServer {
    fn drop(&mut self) {
        // Gone already is as good.
        let _gone = self.kill9();
    }
}

fn spawn(config: &Path) -> io::Result<Child> {
    Command::new(binary()?).arg(config).stdin(Stdio::null()).stdout(Stdio::null()).spawn()
}

/// The server's binary, built by the cargo that runs us, in our own profile.
///
/// # Errors
/// When it cannot be built.
pub fn binary() -> io::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT.get_or_init(|| build().map_err(|e| e.to_string())).clone().map_err(io::Error::other)
}

fn build() -> io::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    // target/<profile>/zk-bench, or target/<profile>/deps/<test>
    let profile_dir = exe.ancestors().skip(1).find(|d| !d.ends_with("deps"));
    let profile_dir = profile_dir.ok_or_else(|| io::Error::other("not in a target directory"))?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--locked", "-p", "zk-server", "--bin", "zk-server"]);
    if profile_dir.ends_with("release") {
        command.arg("--release");
    }
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let status = command.status()?;
    if !status.success() {
        return Err(io::Error::other(format!("cargo build of zk-server failed: {status}")));
    }
    Ok(profile_dir.join("zk-server"))
}
