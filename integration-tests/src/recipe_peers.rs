//! Peers that take part in recipes: one process of Curator, Kazoo or our own recipes, with several participants in it,
//! told over a pipe what to do, killed and stopped.
//!
//! `peers/README.md` has the requests. A request is written when it is made, and its answer may be awaited at leisure;
//! dropping a peer kills its process.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use zk_proto::SessionId;

use crate::critical_section::note;
use crate::peers::{JavaVersion, Peers};
use crate::targets::Failure;

/// For any one answer: this long means that it hangs.
const ANSWER_MAX: Duration = Duration::from_secs(90);
/// From the signal until the kernel says that the process stands still.
const STOP_MAX: Duration = Duration::from_secs(10);

type Waiting = Arc<Mutex<Option<BTreeMap<u64, oneshot::Sender<Result<String, String>>>>>>;

/// A process, and those in it.
#[derive(Debug)]
pub struct RecipePeer {
    name: &'static str,
    child: Mutex<Child>,
    pid: u32,
    shared: Arc<Pipe>,
    actors: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct Pipe {
    input: Mutex<(u64, ChildStdin)>,
    waiting: Waiting,
    complaints: Arc<Mutex<String>>,
}

/// One participant: a session, and one thing done at a time.
#[derive(Debug, Clone)]
pub struct Actor {
    name: String,
    session: SessionId,
    pipe: Arc<Pipe>,
}

impl RecipePeer {
    /// A JVM with the Curator that goes with this ZooKeeper.
    ///
    /// # Errors
    /// When it does not start.
    pub fn curator(peers: &Peers, version: JavaVersion) -> io::Result<Self> {
        let class_path = peers.curator_class_path(version).map_err(io::Error::other)?;
        Self::start("Curator", peers.java_command("RecipePeer", class_path, &[])?)
    }

    /// A Python with Kazoo.
    ///
    /// # Errors
    /// When it does not start.
    pub fn kazoo(peers: &Peers) -> io::Result<Self> {
        Self::start("Kazoo", peers.python_command("recipe_peer.py", &[])?)
    }

    /// Our own program, `recipe-peer`, at this path.
    ///
    /// # Errors
    /// When it does not start.
    pub fn ours(program: &str) -> io::Result<Self> {
        Self::start("ours", Command::new(program))
    }

    fn start(name: &'static str, mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let input = Mutex::new((0, child.stdin.take().ok_or_else(missing)?));
        let output = child.stdout.take().ok_or_else(missing)?;
        let mut errors = child.stderr.take().ok_or_else(missing)?;
        let waiting: Waiting = Arc::new(Mutex::new(Some(BTreeMap::new())));
        let answers = Arc::clone(&waiting);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                resolve(&answers, &line);
            }
            // Whoever still waits is told that there will be no answer.
            drop(answers.lock().unwrap_or_else(PoisonError::into_inner).take());
        });
        let complaints = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&complaints);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = errors.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        let pid = child.id();
        let shared = Arc::new(Pipe { input, waiting, complaints });
        Ok(Self { name, child: Mutex::new(child), pid, shared, actors: Mutex::default() })
    }

    /// A new participant with a session of its own.
    ///
    /// # Errors
    /// When the session cannot be opened.
    pub async fn actor(&self, name: &str, hosts: &str, session_timeout: Duration) -> Result<Actor, Failure> {
        let pipe = Arc::clone(&self.shared);
        let mut actor = Actor { name: name.to_owned(), session: SessionId::NONE, pipe };
        let id = actor.ask(&format!("open {hosts} {}", session_timeout.as_millis())).await?;
        actor.session = SessionId(id.parse()?);
        self.actors.lock().unwrap_or_else(PoisonError::into_inner).push(name.to_owned());
        Ok(actor)
    }

    /// Which library it is.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Kills it with SIGKILL, having written so to the log.
    ///
    /// # Errors
    /// When the log cannot be written, or the process was gone.
    pub fn kill(&self, log: &Path) -> io::Result<()> {
        self.note(log, "KILL")?;
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.kill()?;
        child.wait().map(drop)
    }

    /// Stops it where it is, having written so to the log. When this returns it stands still.
    ///
    /// # Errors
    /// When the log cannot be written, or the process does not stop.
    pub fn pause(&self, log: &Path) -> io::Result<()> {
        self.note(log, "PAUSE")?;
        self.signal("STOP")?;
        let start = Instant::now();
        while !self.stands_still()? {
            if start.elapsed() > STOP_MAX {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the process does not stop"));
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Lets it go on, having written so to the log.
    ///
    /// # Errors
    /// When the log cannot be written, or the process is gone.
    pub fn resume(&self, log: &Path) -> io::Result<()> {
        self.note(log, "RESUME")?;
        self.signal("CONT")
    }

    fn note(&self, log: &Path, step: &str) -> io::Result<()> {
        let actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        actors.iter().try_for_each(|who| note(log, step, who))
    }

    fn signal(&self, name: &str) -> io::Result<()> {
        // The shell's own kill: a slim container has no other.
        let pid = self.pid.to_string();
        let status =
            Command::new("bash").args(["-c", r#"kill -s "$1" "$2""#, "kill", name, &pid]).status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill -s {name}: {status}"))) }
    }

    /// Every thread of it, not the first alone.
    fn stands_still(&self) -> io::Result<bool> {
        for task in std::fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let stat = std::fs::read_to_string(task?.path().join("stat"))?;
            if !stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T')) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Drop for RecipePeer {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Gone already is as good.
        let _gone = child.kill().and_then(|()| child.wait());
    }
}

impl Actor {
    /// Its name, as in the log.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The session it was opened with.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Sends a request, now; the answer comes when it is awaited.
    ///
    /// # Errors
    /// The future fails when the request did, when the process is gone, and when no answer comes.
    pub fn ask(
        &self,
        request: &str,
    ) -> impl Future<Output = Result<String, Failure>> + Send + use<> + 'static {
        let request = format!("{} {}", self.name, request);
        let answer = self.pipe.send(&request);
        let complaints = Arc::clone(&self.pipe.complaints);
        async move {
            let answer = match answer {
                Ok(answer) => tokio::time::timeout(ANSWER_MAX, answer).await,
                Err(error) => return Err(format!("{request}: {error}").into()),
            };
            let why = match answer {
                Ok(Ok(Ok(words))) => return Ok(words),
                Ok(Ok(Err(why))) => why,
                Ok(Err(_)) => "the process ended".to_owned(),
                Err(_) => format!("no answer after {ANSWER_MAX:?}"),
            };
            let complaints = complaints.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let start = complaints.len().saturating_sub(2000);
            let tail = complaints.get(start..).unwrap_or_default();
            Err(format!("{request}: {why}\n{tail}").into())
        }
    }
}

impl Pipe {
    fn send(&self, request: &str) -> io::Result<oneshot::Receiver<Result<String, String>>> {
        let (tell, told) = oneshot::channel();
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        input.0 += 1;
        let id = input.0;
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = || io::Error::new(io::ErrorKind::BrokenPipe, "the process ended");
            waiting.as_mut().ok_or_else(ended)?.insert(id, tell);
        }
        input.1.write_all(format!("{id} {request}\n").as_bytes())?;
        Ok(told)
    }
}

fn resolve(waiting: &Waiting, line: &str) {
    let mut words = line.splitn(3, ' ');
    let (id, outcome) = (words.next().and_then(|id| id.parse().ok()), words.next());
    let text = words.next().unwrap_or_default().to_owned();
    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let asker = id.and_then(|id: u64| waiting.as_mut().and_then(|waiting| waiting.remove(&id)));
    if let Some(asker) = asker {
        // Whoever asked may have lost interest.
        let _untold = asker.send(if outcome == Some("ok") { Ok(text) } else { Err(text) });
    }
}
