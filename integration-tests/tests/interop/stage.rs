//! What every cell finds ready: a server, one process of each library, a client to look with.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use integration_tests::critical_section;
use integration_tests::our_server::OurServer;
use integration_tests::peers::{JavaEnsemble, JavaServer, JavaVersion, Peers};
use integration_tests::recipe_peers::{Actor, RecipePeer};
use integration_tests::targets::{Failure, PATIENCE};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zk_client::Client;
use zk_proto::SessionId;

/// Of sessions that should live: far more than a busy machine takes away from a process.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// Of sessions that are to end.
pub(crate) const SHORT: Duration = Duration::from_secs(3);

/// The server, as a process that may be killed.
pub(crate) enum Server {
    Ours(OurServer),
    Java(JavaServer),
    Ensemble(JavaEnsemble),
}

impl Server {
    fn hosts(&self) -> String {
        match self {
            Self::Ours(server) => server.hosts(),
            Self::Java(server) => server.hosts(),
            Self::Ensemble(servers) => servers.hosts(),
        }
    }

    /// Kills it, or an ensemble's leader, and starts it again on what it had written.
    pub(crate) fn restart(&mut self) -> std::io::Result<()> {
        match self {
            Self::Ours(server) => {
                server.kill9()?;
                server.restart()
            }
            Self::Java(server) => server.restart(),
            Self::Ensemble(servers) => {
                let leader = servers.leader()?;
                servers.server(leader).restart()
            }
        }
    }
}

/// A server and those who play on it.
pub(crate) struct Stage {
    pub(crate) server: Mutex<Server>,
    pub(crate) peers: Peers,
    pub(crate) hosts: String,
    /// Looks, and writes what nobody of the cell writes.
    pub(crate) zk: Client,
    pub(crate) curators: Vec<(JavaVersion, RecipePeer)>,
    pub(crate) kazoo: RecipePeer,
    pub(crate) ours: RecipePeer,
    dir: TempDir,
    next: AtomicUsize,
    began: Instant,
}

/// Where one cell plays: a path of its own, and a log.
pub(crate) struct Scene {
    pub(crate) path: String,
    pub(crate) log: PathBuf,
}

impl Scene {
    /// The log, as requests name it.
    pub(crate) fn log(&self) -> &str {
        self.log.to_str().unwrap()
    }
}

impl Stage {
    pub(crate) async fn set(peers: &Peers, server: Server) -> Result<Self, Failure> {
        let hosts = server.hosts();
        let versions = peers.versions().filter(|version| peers.curator_class_path(*version).is_ok());
        let curators = versions.map(|version| Ok((version, RecipePeer::curator(peers, version)?)));
        Ok(Self {
            server: Mutex::new(server),
            peers: peers.clone(),
            zk: Client::builder().session_timeout(LONG).connect(&hosts).await?,
            curators: curators.collect::<Result<_, Failure>>()?,
            kazoo: RecipePeer::kazoo(peers)?,
            ours: Self::another_of_ours()?,
            dir: tempfile::tempdir()?,
            next: AtomicUsize::new(0),
            began: Instant::now(),
            hosts,
        })
    }

    /// One more process of our own.
    pub(crate) fn another_of_ours() -> Result<RecipePeer, Failure> {
        Ok(RecipePeer::ours(env!("CARGO_BIN_EXE_recipe-peer"))?)
    }

    /// Says what a cell has shown, and when.
    pub(crate) fn tell(&self, what: impl std::fmt::Display) {
        println!("{:6.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    /// A path that nobody has used. Its parent is there; the path is not.
    pub(crate) fn scene(&self, name: &str) -> Scene {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Scene { path: format!("/{name}-{number}"), log: self.dir.path().join(format!("{name}-{number}.log")) }
    }

    /// A scene whose path is a persistent node. Kazoo makes the parent of a lock once per object and is lost when a
    /// container is then taken away (K#563), so whoever shares with it had better have one that stays.
    pub(crate) async fn lasting_scene(&self, name: &str) -> Result<Scene, Failure> {
        let scene = self.scene(name);
        self.zk.create(&scene.path, "").await?;
        Ok(scene)
    }

    /// Somebody of this process, with a session that lasts.
    pub(crate) async fn actor(&self, peer: &RecipePeer, name: &str) -> Result<Actor, Failure> {
        self.actor_for(peer, name, LONG).await
    }

    pub(crate) async fn actor_for(
        &self,
        peer: &RecipePeer,
        name: &str,
        session_timeout: Duration,
    ) -> Result<Actor, Failure> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        peer.actor(&format!("{name}-{number}"), &self.hosts, session_timeout).await
    }

    /// Waits until something is so.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        mut probe: impl AsyncFnMut() -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        loop {
            if let Some(found) = probe().await? {
                return Ok(found);
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("{what}: not after {PATIENCE:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The names under a path; none when it is not there.
    pub(crate) async fn names(&self, path: &str) -> Result<Vec<String>, Failure> {
        match self.zk.get_children(path).await {
            Ok(children) => {
                let mut names = children.names;
                names.sort();
                Ok(names)
            }
            Err(error) if error.is_no_node() => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until this many stand in line at a path.
    pub(crate) async fn line_of(&self, path: &str, size: usize) -> Result<(), Failure> {
        let what = format!("{size} nodes under {path}");
        self.until(&what, async || Ok((self.names(path).await?.len() == size).then_some(()))).await
    }

    /// Waits until nothing of a session is under a path any more.
    pub(crate) async fn session_gone(&self, path: &str, session: SessionId) -> Result<(), Failure> {
        self.until(&format!("nodes of {session} are gone"), async || {
            for name in self.names(path).await? {
                let stat = self.zk.exists(format!("{path}/{name}")).await?;
                if stat.is_some_and(|stat| stat.ephemeral_owner == session) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    }

    /// Waits until there are nodes of these sessions alone under a path.
    pub(crate) async fn only_of(&self, path: &str, sessions: &[SessionId]) -> Result<(), Failure> {
        self.until("the others' sessions end", async || {
            for name in self.names(path).await? {
                let stat = self.zk.exists(format!("{path}/{name}")).await?;
                if stat.is_some_and(|stat| !sessions.contains(&stat.ephemeral_owner)) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    }

    /// Waits until `who` has entered `times` times.
    pub(crate) async fn entered(&self, scene: &Scene, who: &str, times: usize) -> Result<(), Failure> {
        let mark = format!("ENTER {who} ");
        self.until(&format!("{who} enters"), async || {
            let text = std::fs::read_to_string(&scene.log).unwrap_or_default();
            Ok((text.lines().filter(|line| line.starts_with(&mark)).count() >= times).then_some(()))
        })
        .await
    }

    /// Waits until somebody with a later token than the last holder's has entered.
    pub(crate) async fn overtaken(&self, scene: &Scene, token: i64) -> Result<(), Failure> {
        self.until("a later holder", async || {
            let latest = critical_section::latest_holder(&scene.log)?;
            Ok(latest.is_some_and(|(_, latest)| latest > token).then_some(()))
        })
        .await
    }

    /// How many watches the server has.
    pub(crate) async fn watches(&self) -> Result<usize, Failure> {
        let mut stream = TcpStream::connect(&self.hosts).await?;
        stream.write_all(b"wchs").await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        let total = said.lines().find_map(|line| line.strip_prefix("Total watches:"));
        Ok(total.ok_or("wchs has no total")?.trim().parse()?)
    }

    /// Waits until the server has this many watches.
    pub(crate) async fn watched(&self, watches: usize) -> Result<(), Failure> {
        self.until(&format!("{watches} watches"), async || {
            Ok((self.watches().await? >= watches).then_some(()))
        })
        .await
    }

    /// Waits until a file has this many lines that begin so.
    pub(crate) async fn lines(&self, scene: &Scene, start: &str, count: usize) -> Result<String, Failure> {
        self.until(&format!("{count} lines '{start}'"), async || {
            let text = std::fs::read_to_string(&scene.log).unwrap_or_default();
            let found = text.lines().filter(|line| line.starts_with(start)).count();
            Ok((found >= count).then_some(text))
        })
        .await
    }
}

/// How often each contender of a cell holds.
pub(crate) fn turns() -> usize {
    std::env::var("ZK_INTEROP_TURNS").ok().and_then(|turns| turns.parse().ok()).unwrap_or(60)
}
