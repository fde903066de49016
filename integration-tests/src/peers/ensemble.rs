//! An ensemble of Java ZooKeeper servers: members started, stopped, killed and added one by one.
//!
//! Reconfiguration is on, and ACLs are off, so that anybody may reconfigure. Ticks are short.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use zk_proto::connect::{ConnectRequest, Password, ReadOnlyFlag};
use zk_proto::header::{ReplyHeader, RequestHeader};
use zk_proto::ops::reconfig::ReconfigRequest;
use zk_proto::{Encode as _, ErrorCode, OpCode, Reader, SessionId, Zxid, frame};

use super::{JavaServer, JavaServerOptions, JavaVersion, Peers, free_port};

/// For anything that takes seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Given to every member besides the settings of every server. The session timeouts do not follow the tick.
const CONFIG: [(&str, &str); 7] = [
    ("tickTime", "250"),
    ("initLimit", "60"),
    ("syncLimit", "20"),
    ("minSessionTimeout", "1000"),
    ("maxSessionTimeout", "60000"),
    ("standaloneEnabled", "false"),
    ("reconfigEnabled", "true"),
];

/// The members that run, or ran; those that are dropped are killed.
#[derive(Debug)]
pub struct JavaEnsemble {
    peers: Peers,
    version: JavaVersion,
    dir: tempfile::TempDir,
    config: Vec<(String, String)>,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    server: JavaServer,
    /// Its `server.N` line.
    line: (String, String),
}

impl JavaEnsemble {
    /// Starts `size` members and waits until all of them serve.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start(peers: &Peers, version: JavaVersion, size: usize) -> io::Result<Self> {
        let mut ensemble = Self::spawn_part(peers, version, size, size, &[])?;
        ensemble.wait_serving()?;
        Ok(ensemble)
    }

    /// Starts one that serves read-only without a quorum, which also needs local sessions (ZOOKEEPER-1147): a
    /// session is then known to its server alone until it creates an ephemeral node. The first `running` of `size`
    /// members are started; returns at once.
    ///
    /// # Errors
    /// When a process does not start.
    pub fn spawn_read_only(
        peers: &Peers,
        version: JavaVersion,
        size: usize,
        running: usize,
    ) -> io::Result<Self> {
        let local = [("localSessionsEnabled", "true"), ("localSessionsUpgradingEnabled", "true")];
        Self::spawn_part(peers, version, size, running, &local)
    }

    /// Waits until every member serves.
    ///
    /// # Errors
    /// When one does not in time.
    pub fn wait_serving(&mut self) -> io::Result<()> {
        self.members.iter_mut().try_for_each(|member| member.server.wait_serving())
    }

    fn spawn_part(
        peers: &Peers,
        version: JavaVersion,
        size: usize,
        running: usize,
        extra: &[(&str, &str)],
    ) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let config = CONFIG.iter().chain(extra);
        let config = config.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut ensemble = Self { peers: peers.clone(), version, dir, config, members: Vec::new() };
        let planned = (1..=size).map(Planned::new).collect::<io::Result<Vec<_>>>()?;
        let lines: Vec<_> = planned.iter().map(|planned| planned.line("participant")).collect();
        for planned in planned.into_iter().take(running) {
            ensemble.spawn(&planned, &lines)?;
        }
        Ok(ensemble)
    }

    /// Starts one more server, which joins only when it is added with [`JavaEnsemble::line`] by a reconfiguration.
    /// Returns its index at once.
    ///
    /// # Errors
    /// When the process does not start.
    pub fn spawn_joiner(&mut self) -> io::Result<usize> {
        let joiner = Planned::new(self.members.len() + 1)?;
        let mut lines: Vec<_> = self.members.iter().map(|member| member.line.clone()).collect();
        lines.push(joiner.line("observer"));
        self.spawn(&joiner, &lines)?;
        Ok(self.members.len() - 1)
    }

    fn spawn(&mut self, planned: &Planned, lines: &[(String, String)]) -> io::Result<()> {
        let data_dir = self.dir.path().join(planned.id.to_string());
        write_id(&data_dir, planned.id)?;
        let options = JavaServerOptions {
            version: self.version,
            data_dir,
            port: planned.client,
            config: self.config.iter().chain(lines).cloned().collect(),
            jvm_flags: vec!["-Dreadonlymode.enabled=true".to_owned(), "-Dzookeeper.skipACL=yes".to_owned()],
        };
        let server = JavaServer::spawn(&self.peers, options)?;
        self.members.push(Member { server, line: planned.line("participant") });
        Ok(())
    }

    /// The connect string of all members.
    #[must_use]
    pub fn hosts(&self) -> String {
        self.members.iter().map(|member| member.server.hosts()).collect::<Vec<_>>().join(",")
    }

    /// How many members there are, running or not.
    #[must_use]
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// The member of this index, from 0.
    ///
    /// # Panics
    /// When there is none.
    pub fn server(&mut self, index: usize) -> &mut JavaServer {
        &mut self.members[index].server
    }

    /// The index of the member with this client port.
    #[must_use]
    pub fn index_of(&self, port: u16) -> Option<usize> {
        self.members.iter().position(|member| member.server.options().port == port)
    }

    /// The number that a reconfiguration knows the member by.
    #[must_use]
    pub fn id(&self, index: usize) -> usize {
        index + 1
    }

    /// The member as a reconfiguration adds it: `server.N=...`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn line(&self, index: usize) -> String {
        let (key, value) = &self.members[index].line;
        format!("{key}={value}")
    }

    /// Adds servers (`server.N=...` lines) and removes others (numbers), both comma separated, through the member
    /// `via`.
    ///
    /// # Errors
    /// When the ensemble refuses.
    pub fn reconfigure(&mut self, via: usize, joining: &str, leaving: &str) -> io::Result<()> {
        let list = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let request = ReconfigRequest {
            joining_servers: list(joining),
            leaving_servers: list(leaving),
            new_members: None,
            cur_config_id: -1,
        };
        let start = Instant::now();
        loop {
            // A server that is about to join has to catch up first, and a leader that removes itself hangs up.
            let said = match ask(self.members[via].server.address(), &request) {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(code)) => code.to_string(),
                Err(error) => error.to_string(),
            };
            if start.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("reconfig: {said}\n{}", self.server(via).output())));
            }
            thread::sleep(POLL);
        }
    }

    /// The index of the member that leads.
    ///
    /// # Errors
    /// When none does in time.
    pub fn leader(&mut self) -> io::Result<usize> {
        let start = Instant::now();
        loop {
            let leads = |member: &Member| {
                member.server.four_letter("srvr").is_ok_and(|answer| answer.contains("Mode: leader"))
            };
            if let Some(leader) = self.members.iter().position(leads) {
                return Ok(leader);
            }
            if start.elapsed() > PATIENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no leader after {PATIENCE:?}")));
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until the member says that it is in this mode: `leader`, `follower`, `read-only`.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_mode(&mut self, index: usize, mode: &str) -> io::Result<()> {
        let start = Instant::now();
        let wanted = format!("Mode: {mode}");
        let server = self.server(index);
        loop {
            let answer = server.four_letter("srvr").unwrap_or_default();
            if answer.contains(&wanted) {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                let text = format!("not {mode} after {PATIENCE:?}: {answer}\n{}", server.output());
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            thread::sleep(POLL);
        }
    }
}

/// One request in a session of its own.
fn ask(server: SocketAddr, request: &ReconfigRequest) -> io::Result<Result<(), ErrorCode>> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let greeting = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: 10_000,
        session_id: SessionId::NONE,
        password: Password::default(),
        read_only: ReadOnlyFlag::Present(false),
    };
    let mut out = BytesMut::new();
    frame::put(&mut out, |out| greeting.encode(out));
    stream.write_all(&out)?;
    read_frame(&mut stream)?;
    for (xid, op) in [(1, OpCode::Reconfig), (2, OpCode::CloseSession)] {
        out.clear();
        frame::put(&mut out, |out| {
            RequestHeader { xid, op: op.code() }.encode(out);
            if op == OpCode::Reconfig {
                request.encode(out);
            }
        });
        stream.write_all(&out)?;
    }
    let reply = read_frame(&mut stream)?;
    let header: ReplyHeader = Reader::new(reply).read().map_err(io::Error::other)?;
    Ok(header.outcome)
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Bytes> {
    let mut prefix = [0; 4];
    stream.read_exact(&mut prefix)?;
    let mut frame = vec![0; usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(0)];
    stream.read_exact(&mut frame)?;
    Ok(frame.into())
}

/// A member before its start.
struct Planned {
    id: usize,
    client: u16,
    quorum: u16,
    election: u16,
}

impl Planned {
    fn new(id: usize) -> io::Result<Self> {
        Ok(Self { id, client: free_port()?, quorum: free_port()?, election: free_port()? })
    }

    fn line(&self, role: &str) -> (String, String) {
        let Self { id, client, quorum, election } = self;
        (format!("server.{id}"), format!("127.0.0.1:{quorum}:{election}:{role};127.0.0.1:{client}"))
    }
}

fn write_id(data_dir: &Path, id: usize) -> io::Result<()> {
    fs::create_dir_all(data_dir)?;
    fs::write(data_dir.join("myid"), id.to_string())
}
