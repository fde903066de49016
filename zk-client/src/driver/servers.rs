//! The driver's side of the servers: numbers become names, attempts become connections, and what has become of
//! them is shown on the board. Decides nothing.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use zk_proto::Zxid;

use super::Driver;
use super::link::Link;
use super::probe::Probe;
use crate::board::Board;
use crate::connect::Dialer;
use crate::core::DropReason;
use crate::hosts::{Directory, Host};
use crate::sasl::SaslMechanism;
use crate::state::SessionState;
use crate::ticket::SessionTicket;

/// The servers by name, the way to them, and the way past their door.
pub(crate) struct Servers {
    directory: Directory,
    dialer: Arc<dyn Dialer>,
    sasl: Option<Arc<dyn SaslMechanism>>,
    board: Arc<Board>,
    /// The server of the connection, or of the attempt at one.
    target: Option<usize>,
    probe: Probe,
    /// As shown.
    last_zxid: Zxid,
}

impl Servers {
    pub(crate) fn new(
        hosts: Vec<Host>,
        dialer: Arc<dyn Dialer>,
        sasl: Option<Arc<dyn SaslMechanism>>,
    ) -> Self {
        let board = Arc::new(Board::default());
        board.set_hosts(hosts.clone());
        let directory = Directory::new(hosts);
        Self { directory, dialer, sasl, board, target: None, probe: Probe::default(), last_zxid: Zxid::ZERO }
    }

    pub(crate) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    pub(super) fn mechanism(&self) -> Option<Arc<dyn SaslMechanism>> {
        self.sasl.clone()
    }

    pub(super) fn detach(&self, ticket: SessionTicket) {
        self.board.detach(ticket);
    }

    pub(super) fn target(&self) -> Option<&Host> {
        self.directory.get(self.target?)
    }
}

impl Driver {
    pub(super) fn update_servers(&mut self, hosts: Vec<Host>, now: Duration) {
        tracing::debug!(target: "zk_client::connect", servers = ?hosts, "list of servers");
        let servers = &mut self.servers;
        let numbers = servers.directory.update(hosts.clone(), servers.target);
        servers.board.set_hosts(hosts);
        self.core.update_hosts(now, &numbers);
    }

    pub(super) fn dial(&mut self, number: usize, now: Duration) {
        self.servers.target = Some(number);
        let Some(host) = self.servers.directory.get(number) else { return };
        self.journal.dialing(now, host);
        self.link = Link::dial(Arc::clone(&self.servers.dialer), host.clone());
    }

    pub(super) fn ask(&mut self, number: usize) {
        let Some(host) = self.servers.directory.get(number) else { return };
        self.servers.probe = Probe::ask(number, Arc::clone(&self.servers.dialer), host.clone());
    }

    pub(super) fn poll_probe(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        let Poll::Ready((number, writable)) = self.servers.probe.poll(cx) else { return false };
        self.core.probed(now, number, writable);
        true
    }

    /// The connection has failed by itself. To be called while it is still known in which state it was.
    pub(super) fn note_failure(&self, error: &io::Error) {
        let Some(host) = self.servers.target() else { return };
        // An error that tells more than its kind, as those of TLS do, is not to be said in other words.
        let closed = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
            && error.get_ref().is_none();
        let reason = if closed && matches!(self.link, Link::Up(_)) && self.servers.board.server().is_none() {
            // What a server does that is behind, has no quorum, or has too many connections from here.
            "closed the connection instead of opening a session".to_owned()
        } else {
            error.to_string()
        };
        self.servers.board.failed(host, reason);
    }

    /// The core has dropped the connection; `reason` says why in more words.
    pub(super) fn note_drop(&self, why: DropReason, reason: String) {
        match (why, self.servers.target()) {
            (DropReason::Ended, _) => self.servers.board.forget_failures(),
            (DropReason::Rebalanced | DropReason::WritableFound, _) | (_, None) => {}
            (_, Some(host)) => self.servers.board.failed(host, reason),
        }
    }

    /// The connection is gone, and with it the search that was made beside it.
    pub(super) fn leave_server(&mut self) {
        self.servers.probe = Probe::default();
        self.servers.board.set_server(None);
    }

    /// Before the state is told: who has heard it finds the server and the ticket that belong to it.
    pub(super) fn show_session(&mut self, state: SessionState) {
        if state.is_connected() {
            self.servers.board.set_server(self.servers.target().cloned());
        }
        let ticket = self.core.ticket().filter(|_| state.session().is_some());
        self.servers.board.set_ticket(ticket);
    }

    /// Before answers are handed out: a ticket must not be older than what its holder has seen.
    pub(super) fn show_last_zxid(&mut self) {
        let last_zxid = self.core.last_zxid();
        if last_zxid != self.servers.last_zxid {
            self.servers.last_zxid = last_zxid;
            self.servers.board.set_last_zxid(last_zxid);
        }
    }
}
