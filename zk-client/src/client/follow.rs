//! Follows the ensemble's configuration: reads `/zookeeper/config` under a watch, and tells the driver the servers
//! it lists.
//!
//! Lives beside the driver in its task and ends with it. Holds no handle, so it does not keep the client alive.

use bytes::Bytes;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::sleep;
use zk_proto::ops::data::{GetDataRequest, GetDataResponse};

use crate::board::Board;
use crate::chroot::Chroot;
use crate::core::{Request, Terms};
use crate::ensemble::{CONFIG_PATH, EnsembleConfig};
use crate::error::{Error, ErrorKind};
use crate::hosts::{Host, keep_names};
use crate::limits::FOLLOW_RETRY;
use crate::pending::{About, Answered, Pending};
use crate::seen::RequestSeen;
use crate::submit::{Command, Line};
use crate::watch::Watch;

pub(super) struct Follower {
    pub(super) line: Arc<Line>,
    pub(super) board: Arc<Board>,
    pub(super) inbox: mpsc::WeakUnboundedSender<Command>,
    /// The servers of the connect string.
    pub(super) given: Vec<Host>,
}

impl Follower {
    /// Follows until the client is gone.
    pub(super) async fn run(self) {
        loop {
            let Some(read) = self.read() else { return };
            match read.await {
                Ok((data, changed)) => {
                    self.apply(&data).await;
                    // Changed, or another session, which needs another watch.
                    let end = changed.await.err().map(|error| error.kind());
                    if matches!(end, Some(ErrorKind::Closed | ErrorKind::AuthFailed)) {
                        return;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::Closed | ErrorKind::AuthFailed) => return,
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionLoss | ErrorKind::SessionExpired) => {}
                Err(error) => {
                    // Before 3.5 there is no such node, and its ACL may forbid to read it: a restart changes both.
                    tracing::warn!(target: "zk_client::connect", %error, "the ensemble's configuration cannot be followed");
                    sleep(FOLLOW_RETRY).await;
                }
            }
        }
    }

    /// `None` when every handle is gone.
    fn read(&self) -> Option<Pending<(Option<Bytes>, Watch)>> {
        let inbox = self.inbox.upgrade()?;
        let request = Request::GetData(GetDataRequest { path: CONFIG_PATH.to_owned(), watch: true });
        // The path is the server's own.
        let chroot = Chroot::default();
        let seen = RequestSeen::begin(&request, &chroot);
        let ticket = self.line.submit(&inbox, request, Terms::default(), seen);
        let about = About { operation: "follow_ensemble", chroot, write: false };
        Some(Pending::in_line(ticket, about, decode))
    }

    async fn apply(&self, data: &Option<Bytes>) {
        let text = String::from_utf8_lossy(data.as_deref().unwrap_or_default());
        let config: EnsembleConfig = match text.parse() {
            Ok(config) => config,
            Err(error) => {
                return tracing::warn!(target: "zk_client::connect", %error, "the ensemble's configuration cannot be followed");
            }
        };
        let mut hosts: Vec<Host> = Vec::new();
        // Servers whose client port stands in a file of their own are known by the connect string alone.
        let given = self.given.iter().filter(|_| !config.is_complete()).cloned();
        for host in config.client_hosts().chain(given) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        if hosts.is_empty() {
            return;
        }
        let listed = self.board.hosts();
        let hosts = keep_names(&listed, hosts).await;
        if !(hosts.len() == listed.len() && hosts.iter().all(|host| listed.contains(host)))
            && let Some(inbox) = self.inbox.upgrade()
        {
            tracing::info!(target: "zk_client::connect", servers = %Names(&hosts), "the ensemble has changed");
            let _ = inbox.send(Command::Servers(hosts));
        }
    }
}

fn decode(answered: Answered<'_>) -> Result<(Option<Bytes>, Watch), Error> {
    let operation = answered.operation();
    let (reply, rest): (GetDataResponse, _) = answered.read()?;
    Ok((reply.data, rest.watch(operation)?))
}

/// `zk1:2181,zk2:2181`
struct Names<'a>(&'a [Host]);

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, host) in self.0.iter().enumerate() {
            write!(f, "{}{host}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Runs `main` to its end, and `beside` for as long as that lasts.
pub(super) async fn run_beside<T>(
    main: impl Future<Output = T>,
    beside: Option<impl Future<Output = ()>>,
) -> T {
    let mut main = pin!(main);
    let mut beside = pin!(async move {
        if let Some(beside) = beside {
            beside.await;
        }
    });
    let mut beside_runs = true;
    poll_fn(|cx| {
        if beside_runs {
            beside_runs = beside.as_mut().poll(cx).is_pending();
        }
        main.as_mut().poll(cx)
    })
    .await
}
