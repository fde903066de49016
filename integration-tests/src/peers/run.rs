//! Runs the programs in `integration-tests/peers`: compiles the Java ones once, and bounds how long any may take.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::Peers;

/// How long a peer program may take. A JVM on a busy two-core machine needs seconds: this long means it hangs.
const DEADLINE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

/// Where the peer programs' sources are.
pub(super) fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/peers"))
}

/// A program that ran to its end.
#[derive(Clone, Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Finished {
    /// What it printed, or an error that shows all of its output when it did not exit with 0.
    pub fn success(self) -> io::Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        Err(io::Error::other(format!("{}\n{}\n{}", self.status, self.stdout, self.stderr)))
    }
}

impl Peers {
    /// Compiles `peers/<class>.java` if need be and runs it to its end.
    pub fn java(&self, class: &str, class_path: &str, args: &[&str]) -> io::Result<Finished> {
        run(self.java_command(class, class_path, args)?)
    }

    /// The same, not yet started: for a test that talks to the program or kills it.
    pub fn java_command(&self, class: &str, class_path: &str, args: &[&str]) -> io::Result<Command> {
        let classes = self.compiled(class, class_path)?;
        let mut command = Command::new(self.get("ZK_PEER_JAVA").map_err(io::Error::other)?);
        command
            .args([
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            ])
            .arg(format!("-Dlog4j2.configurationFile={}", sources().join("log4j2.properties").display()))
            .arg("-cp")
            .arg(format!("{}:{class_path}", classes.display()))
            .arg(class)
            .args(args);
        Ok(command)
    }

    /// Runs `peers/<script>` with the Python that has Kazoo, to its end.
    pub fn python(&self, script: &str, args: &[&str]) -> io::Result<Finished> {
        run(self.python_command(script, args)?)
    }

    /// The same, not yet started.
    pub fn python_command(&self, script: &str, args: &[&str]) -> io::Result<Command> {
        let mut command = Command::new(self.get("ZK_PEER_PYTHON").map_err(io::Error::other)?);
        command.arg(sources().join(script)).args(args);
        Ok(command)
    }

    /// Runs the shell script `peers/<script>` to its end.
    pub fn shell(&self, script: &str, args: &[&str]) -> io::Result<Finished> {
        run(self.shell_command(script, args))
    }

    /// The same, not yet started.
    #[must_use]
    pub fn shell_command(&self, script: &str, args: &[&str]) -> Command {
        let mut command = Command::new("bash");
        command.arg(sources().join(script)).args(args).envs(self.variables());
        command
    }

    /// The directory with the compiled class. Kept between runs under a name made from all that went in.
    fn compiled(&self, class: &str, class_path: &str) -> io::Result<PathBuf> {
        let source = sources().join(class).with_extension("java");
        let mut hasher = DefaultHasher::new();
        fs::read(&source)?.hash(&mut hasher);
        class_path.hash(&mut hasher);
        let classes = self.dir().join("classes");
        let wanted = classes.join(format!("{class}-{:016x}", hasher.finish()));
        if wanted.exists() {
            return Ok(wanted);
        }
        fs::create_dir_all(&classes)?;
        let fresh = tempfile::tempdir_in(&classes)?;
        let mut javac = Command::new(self.get("ZK_PEER_JAVAC").map_err(io::Error::other)?);
        javac.args(["-encoding", "UTF-8", "-nowarn", "-cp", class_path, "-d"]).arg(fresh.path()).arg(&source);
        run(javac)?.success()?;
        match fs::rename(fresh.path(), &wanted) {
            // Another test was faster, with the same result.
            Err(_) if wanted.exists() => Ok(wanted),
            Err(error) => Err(error),
            Ok(()) => {
                // It is no longer where its guard would delete it.
                let _ = fresh.keep();
                Ok(wanted)
            }
        }
    }
}

/// Runs a command to its end and collects its output; kills it when it takes longer than a peer program may.
pub fn run(mut command: Command) -> io::Result<Finished> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(
            |error| io::Error::new(error.kind(), format!("{}: {error}", command.get_program().display())),
        )?;
    // Both pipes are drained while the program runs, or it would block once one is full.
    let stdout = child.stdout.take().map(drain);
    let stderr = child.stderr.take().map(drain);
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if start.elapsed() > DEADLINE {
            child.kill()?;
            child.wait()?;
            break None;
        }
        thread::sleep(POLL);
    };
    let [stdout, stderr] =
        [stdout, stderr].map(|reader| reader.and_then(|r| r.join().ok()).unwrap_or_default());
    match status {
        Some(status) => Ok(Finished { status, stdout, stderr }),
        None => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{} killed after {DEADLINE:?}\n{stdout}\n{stderr}", command.get_program().display()),
        )),
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before a read error is still worth showing.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
