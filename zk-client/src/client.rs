//! The handle: cheap to clone, shared by every task of an application. Owns the way to the driver; the driver
//! owns everything else.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use zk_proto::{Acl, SessionId};

use crate::board::Board;
use crate::builder::Builder;
use crate::chroot::Chroot;
use crate::core::{Core, Request, Terms};
use crate::driver::{Driver, Servers};
use crate::error::{Error, ErrorKind};
use crate::ops::{
    AddAuth, AddWatch, Create, Delete, DeleteRecursive, Draft, EnsurePath, Exists, Get, GetAcl,
    GetAllChildrenNumber, GetChildren, GetConfig, GetEphemerals, MultiRead, Reconfig, RemoveWatches, Set,
    SetAcl, Sync, Transaction, Upsert, Walk, WhoAmI,
};
use crate::seen::RequestSeen;
use crate::state::SessionState;
use crate::submit::{Command, Line, Ticket};

mod follow;
mod servers;

use follow::{Follower, run_beside};

/// A ZooKeeper client: one logical client over many connections and, unless expiry is made terminal, many
/// sessions.
///
/// Clones share one session. Operations of all of them are sent in the order in which they became futures, and
/// answered in that order. When the last clone is dropped the session is closed in the background;
/// [`Client::close`] also waits for that.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    line: Arc<Line>,
    inbox: mpsc::UnboundedSender<Command>,
    board: Arc<Board>,
    chroot: Chroot,
    frame_limit: usize,
    /// What [`Client::random_bits`] are drawn from; the system if there is none.
    chance: Option<Mutex<StdRng>>,
    driver: Mutex<Option<JoinHandle<()>>>,
    /// Closes when the driver has ended.
    ended: watch::Receiver<()>,
}

impl Client {
    /// Connects with default options; see [`Builder::connect`].
    ///
    /// # Errors
    /// As [`Builder::connect`].
    pub async fn connect(servers: &str) -> Result<Self, Error> {
        Self::builder().connect(servers).await
    }

    /// Options first.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts the client's task. With `follow`, it keeps the list of servers up to date.
    pub(crate) fn start(
        core: Core,
        frame_limit: usize,
        servers: Servers,
        chroot: Chroot,
        follow: bool,
        seed: Option<u64>,
    ) -> Self {
        let (inbox, commands) = mpsc::unbounded_channel();
        let (state, state_seen) = watch::channel(SessionState::Connecting);
        let (alive, ended) = watch::channel(());
        let line = Arc::new(Line::new(state_seen));
        let board = servers.board();
        let follower = follow.then(|| Follower {
            line: Arc::clone(&line),
            board: Arc::clone(&board),
            inbox: inbox.downgrade(),
            given: board.hosts(),
        });
        let driver =
            Driver::new(core, servers, frame_limit, Arc::clone(&line), commands, inbox.downgrade(), state);
        let task = tokio::spawn(async move {
            run_beside(driver.run(), follower.map(Follower::run)).await;
            drop(alive);
        });
        Self(Arc::new(Inner {
            line,
            inbox,
            board,
            chroot,
            frame_limit,
            chance: seed.map(|seed| Mutex::new(StdRng::seed_from_u64(seed))),
            driver: Mutex::new(Some(task)),
            ended,
        }))
    }

    pub(crate) async fn first_session(&self, limit: Duration) -> Result<(), Error> {
        let mut state = self.session_state();
        let unsettled = |state: &SessionState| {
            matches!(state, SessionState::Connecting | SessionState::Suspended(_) | SessionState::Expired(_))
        };
        let settled = state.wait_for(|state| !unsettled(state));
        let outcome = match tokio::time::timeout(limit, settled).await {
            Err(_) => Err(ErrorKind::Timeout),
            // A session taken over may be gone, and with it the client.
            Ok(Err(_)) => Err(self.0.line.end()),
            Ok(Ok(state)) => match *state {
                SessionState::AuthFailed => Err(ErrorKind::AuthFailed),
                SessionState::Closed => Err(ErrorKind::Closed),
                _ => Ok(()),
            },
        };
        outcome.map_err(|kind| {
            let error = Error::new(kind, "connect");
            let reasons = self.0.board.reasons();
            match kind {
                ErrorKind::Timeout if reasons.is_empty() => {
                    error.with_detail(format_args!("no server established a session within {limit:?}"))
                }
                ErrorKind::Timeout => error.with_detail(format_args!(
                    "no server established a session within {limit:?}; last: {reasons}"
                )),
                ErrorKind::AuthFailed if !reasons.is_empty() => error.with_detail(reasons),
                _ => error,
            }
        })
    }

    pub(crate) fn chroot(&self) -> &Chroot {
        &self.0.chroot
    }

    pub(crate) fn frame_limit(&self) -> usize {
        self.0.frame_limit
    }

    /// Takes a place in line. `chroot` is that of the request's paths: none if they are the server's own.
    pub(crate) fn submit(&self, request: Request, terms: Terms, chroot: &Chroot) -> Ticket {
        let seen = RequestSeen::begin(&request, chroot);
        self.0.line.submit(&self.0.inbox, request, terms, seen)
    }

    /// Creates a node; see [`Create`] for its modes. Answers with the path and the stat.
    pub fn create(&self, path: impl Into<String>, data: impl Into<Bytes>) -> Create<'_> {
        Create::new(Draft::new(self, "create"), path.into(), data.into())
    }

    /// Reads a node's data and stat.
    pub fn get(&self, path: impl Into<String>) -> Get<'_> {
        Get::new(Draft::new(self, "get"), path.into())
    }

    /// Asks for a node's stat; `None` when there is no such node.
    pub fn exists(&self, path: impl Into<String>) -> Exists<'_> {
        Exists::new(Draft::new(self, "exists"), path.into())
    }

    /// Lists a node's children.
    pub fn get_children(&self, path: impl Into<String>) -> GetChildren<'_> {
        GetChildren::new(Draft::new(self, "get_children"), path.into())
    }

    /// Replaces a node's data.
    pub fn set(&self, path: impl Into<String>, data: impl Into<Bytes>) -> Set<'_> {
        Set::new(Draft::new(self, "set"), path.into(), data.into())
    }

    /// Deletes a node that has no children.
    pub fn delete(&self, path: impl Into<String>) -> Delete<'_> {
        Delete::new(Draft::new(self, "delete"), path.into())
    }

    /// Reads a node's ACL and stat.
    pub fn get_acl(&self, path: impl Into<String>) -> GetAcl<'_> {
        GetAcl::new(Draft::new(self, "get_acl"), path.into())
    }

    /// Replaces a node's ACL.
    pub fn set_acl(&self, path: impl Into<String>, acl: Vec<Acl>) -> SetAcl<'_> {
        SetAcl::new(Draft::new(self, "set_acl"), path.into(), acl)
    }

    /// Waits until the server has applied everything committed before. The path matters little: the whole server
    /// is brought up to date.
    pub fn sync(&self, path: impl Into<String>) -> Sync<'_> {
        Sync::new(Draft::new(self, "sync"), path.into())
    }

    /// Adds credentials, for now and after every reconnect.
    pub fn add_auth(&self, scheme: impl Into<String>, credentials: impl AsRef<[u8]>) -> AddAuth<'_> {
        let credentials = Bytes::copy_from_slice(credentials.as_ref());
        AddAuth::new(Draft::new(self, "add_auth"), scheme.into(), credentials)
    }

    /// Several writes, applied all together or not at all.
    pub fn transaction(&self) -> Transaction<'_> {
        Transaction::new(Draft::new(self, "transaction"))
    }

    /// Several reads in one request, each for itself.
    ///
    /// ```no_run
    /// # async fn example(zk: zk_client::Client) -> Result<(), zk_client::Error> {
    /// for read in zk.multi_read().get("/app/a").get_children("/app/b").await? {
    ///     match read {
    ///         Ok(found) => println!("{found:?}"),
    ///         Err(error) if error.is_no_node() => println!("{:?} is not there", error.path()),
    ///         Err(error) => return Err(error),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn multi_read(&self) -> MultiRead<'_> {
        MultiRead::new(Draft::new(self, "multi_read"))
    }

    /// Counts all nodes below one, at any depth.
    pub fn get_all_children_number(&self, path: impl Into<String>) -> GetAllChildrenNumber<'_> {
        GetAllChildrenNumber::new(Draft::new(self, "get_all_children_number"), path.into())
    }

    /// Lists this session's ephemeral nodes whose paths begin with `prefix`, which need not end where a name ends;
    /// `/` is all of them (within the chroot).
    pub fn get_ephemerals(&self, prefix: impl Into<String>) -> GetEphemerals<'_> {
        GetEphemerals::new(Draft::new(self, "get_ephemerals"), prefix.into())
    }

    /// Asks as whom the server knows this client's connection.
    pub fn who_am_i(&self) -> WhoAmI<'_> {
        WhoAmI::new(Draft::new(self, "who_am_i"))
    }

    /// Reads the configuration of the ensemble, whatever the chroot.
    pub fn get_config(&self) -> GetConfig<'_> {
        GetConfig::new(Draft::new(self, "get_config"))
    }

    /// Changes who is in the ensemble.
    ///
    /// ```no_run
    /// # async fn example(zk: zk_client::Client) -> Result<(), zk_client::Error> {
    /// let now = zk.get_config().await?.config;
    /// let version = now.version.unwrap_or(-1);
    /// zk.reconfig().join(4, "zk4:2888:3888;2181").leave(1).version(version).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconfig(&self) -> Reconfig<'_> {
        Reconfig::new(Draft::new(self, "reconfig").absolute())
    }

    /// Makes sure that a node and all above it exist, as `mkdir -p` does.
    pub fn ensure_path(&self, path: impl Into<String>) -> EnsurePath<'_> {
        EnsurePath::new(Draft::new(self, "ensure_path").absolute(), path.into())
    }

    /// Replaces a node's data, or creates the node with it.
    pub fn upsert(&self, path: impl Into<String>, data: impl Into<Bytes>) -> Upsert<'_> {
        Upsert::new(Draft::new(self, "upsert"), path.into(), data.into())
    }

    /// Deletes a node and everything below it. Answers with the number of nodes.
    pub fn delete_recursive(&self, path: impl Into<String>) -> DeleteRecursive<'_> {
        DeleteRecursive::new(Draft::new(self, "delete_recursive"), path.into())
    }

    /// A node and everything below it, as a stream.
    ///
    /// ```no_run
    /// # async fn example(zk: zk_client::Client) -> Result<(), zk_client::Error> {
    /// let mut nodes = zk.walk("/app").with_data();
    /// while let Some(node) = nodes.next().await.transpose()? {
    ///     println!("{} {:?}", node.path, node.data);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn walk(&self, path: impl Into<String>) -> Walk {
        Walk::new(Draft::new(self, "walk").owned(), path.into())
    }

    /// Watches a node for good, or, with [`AddWatch::recursive`], everything below it: a stream of events that
    /// survives reconnects and says when it may have missed something.
    pub fn watch(&self, path: impl Into<String>) -> AddWatch<'_> {
        AddWatch::new(Draft::new(self, "watch"), path.into())
    }

    /// Takes every watch of this client at `path` off the server; whoever waits for one hears
    /// [`ErrorKind::WatchRemoved`]. Seldom needed: dropping a watch or a stream is enough, and the last interest
    /// in a path takes the server's watch along.
    ///
    /// Fails with [`zk_proto::ErrorCode::NoWatcher`] when there is none. Needs ZooKeeper 3.5.
    pub fn remove_watches(&self, path: impl Into<String>) -> RemoveWatches<'_> {
        RemoveWatches::new(Draft::new(self, "remove_watches"), path.into())
    }

    /// The session's state and its changes. A slow receiver sees the latest state only.
    #[must_use]
    pub fn session_state(&self) -> watch::Receiver<SessionState> {
        self.0.line.state().clone()
    }

    /// The live session, connected or suspended; `None` when there is none.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.0.line.state().borrow().session().map(|info| info.id)
    }

    /// Until when `session` is safe: the time the last answered request or ping was sent, and the negotiated
    /// timeout. `None` when that session is over.
    ///
    /// The server that answers has heard from us since that time. A single server, and the leader of an ensemble,
    /// cannot have expired the session before. A follower passes on what it has heard twice in a tick; one that
    /// is cut off from its leader goes on answering for up to `syncLimit` ticks and does not, and the leader may
    /// then expire the session earlier. What must not happen even then belongs behind a fencing token
    /// ([`Stat::czxid`](zk_proto::Stat::czxid)) or into a transaction that checks for the owner's node.
    #[must_use]
    pub fn session_deadline(&self, session: SessionId) -> Option<Instant> {
        self.0.line.alive().filter(|(id, _)| *id == session).map(|(_, deadline)| deadline)
    }

    /// Random bits: the system's, or the next of a fixed row if [`Builder::seed`] was said. What is built on a client
    /// draws its names and pauses from here, so that one seed fixes all of them.
    #[must_use]
    pub fn random_bits(&self) -> u128 {
        match &self.0.chance {
            Some(chance) => chance.lock().unwrap_or_else(PoisonError::into_inner).random(),
            None => rand::random(),
        }
    }

    /// Closes the session and waits until it is closed, for at most
    /// [`CLOSE_MAX`](crate::limits::CLOSE_MAX), and until the client's task has ended. Operations submitted
    /// before are still sent; later ones fail with [`ErrorKind::Closed`]. May be called again.
    ///
    /// While no server is connected each is tried once more, without a pause. When none takes the session the
    /// client ends at once: the servers then end the session by its timeout.
    ///
    /// # Cancellation
    /// The session is closed all the same.
    pub async fn close(&self) {
        let _ = self.0.inbox.send(Command::Close);
        self.ended().await;
    }

    /// Until the client's task is gone.
    async fn ended(&self) {
        let mut ended = self.0.ended.clone();
        while ended.changed().await.is_ok() {}
        let task = self.0.driver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("state", &*self.0.line.state().borrow()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Node, Pending, Watch};

    #[test]
    fn handles_and_futures_go_between_threads() {
        fn shared<T: Send + std::marker::Sync + Clone + 'static>() {}
        fn sent<T: Send + Unpin + 'static>() {}
        shared::<Client>();
        sent::<Pending<Node>>();
        sent::<Watch>();
        sent::<Error>();
    }
}
