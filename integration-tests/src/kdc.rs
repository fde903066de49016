//! A Kerberos realm of a test's own: MIT's KDC on a free port of loopback, with all of its files in one directory.
//!
//! `.ci/peers.sh` with `ZK_PEERS_KERBEROS=1` installs it (`krb5-kdc`, `krb5-admin-server`, `krb5-user`). Nothing of the
//! system's Kerberos is read or written: every program gets this realm's `krb5.conf` by [`Kdc::environment`].

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

use crate::peers::{free_port, run};

/// The realm.
pub const REALM: &str = "ZK.TEST";

const START_DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);
/// How often the KDC may lose its port to another process before it has bound it.
const PORT_ATTEMPTS: usize = 3;
/// Where Debian keeps what administrators run.
const PROGRAMS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];

/// A running (or killed) KDC. Dropping it kills the process and removes the realm.
#[derive(Debug)]
pub struct Kdc {
    dir: TempDir,
    child: Option<Child>,
}

impl Kdc {
    /// Whether the programs are here; if not, the first that is not.
    ///
    /// # Errors
    /// The program's name.
    pub fn installed() -> Result<(), &'static str> {
        ["krb5kdc", "kdb5_util", "kadmin.local", "kinit"]
            .into_iter()
            .try_for_each(|name| program(name).map(|_| ()).ok_or(name))
    }

    /// A new realm, and its KDC.
    ///
    /// # Errors
    /// When a program is missing or does not do its work.
    pub fn start() -> io::Result<Self> {
        let mut attempt = 1;
        loop {
            let mut kdc = Self { dir: tempfile::tempdir()?, child: None };
            kdc.configure(free_port()?)?;
            kdc.tool("kdb5_util", &["create", "-s", "-r", REALM, "-P", "the master key of a test"])?;
            match kdc.launch() {
                Err(_) if attempt < PORT_ATTEMPTS => attempt += 1,
                started => return started.map(|()| kdc),
            }
        }
    }

    /// Adds a principal with a random key, and returns a keytab that holds it.
    ///
    /// # Errors
    /// When `kadmin.local` fails.
    pub fn keytab(&self, principal: &str) -> io::Result<PathBuf> {
        let keytab = self.dir.path().join(format!("{}.keytab", principal.replace('/', "-")));
        self.tool("kadmin.local", &["-q", &format!("addprinc -randkey {principal}")])?;
        self.tool("kadmin.local", &["-q", &format!("ktadd -k {} {principal}", keytab.display())])?;
        if !keytab.exists() {
            return Err(io::Error::other(format!("no keytab for {principal}")));
        }
        Ok(keytab)
    }

    /// Fetches a ticket for `principal` with its keytab, and returns the cache it is in, for `KRB5CCNAME`.
    ///
    /// # Errors
    /// When `kinit` fails.
    pub fn ticket(&self, principal: &str, keytab: &Path) -> io::Result<String> {
        let cache = format!("FILE:{}", self.dir.path().join("tickets").display());
        self.tool("kinit", &["-k", "-t", &keytab.display().to_string(), "-c", &cache, principal])?;
        Ok(cache)
    }

    /// Where things of this realm may be kept.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The realm's `krb5.conf`.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("krb5.conf")
    }

    /// What makes a program live in this realm, with no ticket and no keytab.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let file = |name: &str| self.dir.path().join(name).display().to_string();
        vec![
            ("KRB5_CONFIG", file("krb5.conf")),
            ("KRB5_KDC_PROFILE", file("kdc.conf")),
            ("KRB5CCNAME", format!("FILE:{}", file("no-tickets"))),
            ("KRB5_CLIENT_KTNAME", format!("FILE:{}", file("no-keytab"))),
            ("KRB5RCACHEDIR", file("")),
        ]
    }

    /// Kills the KDC.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn kill9(&mut self) -> io::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Starts the KDC, on the port it had, and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn launch(&mut self) -> io::Result<()> {
        let mut command = self.command("krb5kdc")?;
        command.arg("-n").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let start = Instant::now();
        let port = self.port()?;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = child.try_wait()?;
            if ended.is_some() || start.elapsed() > START_DEADLINE {
                let _ = child.kill();
                let log = fs::read_to_string(self.dir.path().join("kdc.log")).unwrap_or_default();
                return Err(io::Error::other(format!("the KDC does not answer, {ended:?}\n{log}")));
            }
            thread::sleep(POLL);
        }
        self.child = Some(child);
        Ok(())
    }

    fn port(&self) -> io::Result<u16> {
        let text = fs::read_to_string(self.dir.path().join("port"))?;
        text.parse().map_err(io::Error::other)
    }

    fn configure(&self, port: u16) -> io::Result<()> {
        let dir = self.dir.path();
        let at = |name: &str| dir.join(name).display().to_string();
        fs::write(dir.join("port"), port.to_string())?;
        // TCP alone: a lost datagram would be asked again after a second. No name server is asked.
        let krb5 = format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n \
             dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n\
             [realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n\
             [domain_realm]\n localhost = {REALM}\n\
             [logging]\n default = FILE:{}\n kdc = FILE:{}\n",
            at("other.log"),
            at("kdc.log"),
        );
        let kdc = format!(
            "[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n\
             [realms]\n {REALM} = {{\n  database_name = {}\n  key_stash_file = {}\n  acl_file = {}\n  \
             max_renewable_life = 7d\n }}\n",
            at("principals"),
            at("stash"),
            at("acl"),
        );
        fs::write(dir.join("krb5.conf"), krb5)?;
        fs::write(dir.join("kdc.conf"), kdc)
    }

    fn tool(&self, name: &'static str, args: &[&str]) -> io::Result<String> {
        let mut command = self.command(name)?;
        command.args(args);
        run(command)?.success()
    }

    fn command(&self, name: &'static str) -> io::Result<Command> {
        let program = program(name).ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("{name} is not installed; see .ci/peers.sh"))
        })?;
        let mut command = Command::new(program);
        command.envs(self.environment());
        Ok(command)
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        // Nothing can be done about a process that cannot be killed.
        let _ = self.kill9();
    }
}

fn program(name: &str) -> Option<PathBuf> {
    PROGRAMS.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists())
}
