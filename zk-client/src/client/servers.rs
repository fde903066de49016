//! What a handle says of servers and sessions: which server is connected, another list of them, and the session
//! handed over.

use super::Client;
use crate::error::{Error, ErrorKind};
use crate::hosts::{ConnectString, Host};
use crate::submit::Command;
use crate::ticket::SessionTicket;

impl Client {
    /// The server where the session is established now; `None` while there is none.
    #[must_use]
    pub fn server(&self) -> Option<Host> {
        self.0.board.server()
    }

    /// The servers that the client chooses from: those of the connect string, or of the last update.
    #[must_use]
    pub fn servers(&self) -> Vec<Host> {
        self.0.board.hosts()
    }

    /// Replaces the list of servers: `host[:port][,host[:port]...]`, as in a connect string, without a chroot.
    ///
    /// The client leaves its server when that is no longer listed. When servers were added, some clients leave
    /// theirs for a new one, each by chance, so that in the end all servers have equally many and no more clients
    /// move than must ([`crate::hosts::plan`], ZOOKEEPER-1355). What was sent is answered before, and the session
    /// goes on: a move costs no operation.
    ///
    /// Returns at once; with [`Builder::follow_ensemble`](crate::Builder::follow_ensemble) the next change of the
    /// ensemble replaces the list again.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the list is not valid or names a chroot, [`ErrorKind::Closed`] after the client's
    /// end.
    pub fn update_servers(&self, servers: &str) -> Result<(), Error> {
        const OPERATION: &str = "update_servers";
        let ConnectString { hosts, chroot } = servers.parse()?;
        if !chroot.is_empty() {
            let why = "a list of servers has no chroot: the client keeps the one it was opened with";
            return Err(Error::new(ErrorKind::Config, OPERATION).with_detail(why));
        }
        let sent = self.0.inbox.send(Command::Servers(hosts));
        sent.map_err(|_| Error::new(ErrorKind::Closed, OPERATION))
    }

    /// What it takes to carry on the session elsewhere, for [`Builder::resume`](crate::Builder::resume): kept in
    /// time, it lets a process that was killed come back to its session.
    ///
    /// `None` while no session is connected or suspended, and of one that only a server without quorum knows. A
    /// secret; see [`SessionTicket`]. While this client lives, whoever resumes the session takes its connection
    /// away, and both would fight over it: [`Client::detach`] hands it over.
    #[must_use]
    pub fn session_ticket(&self) -> Option<SessionTicket> {
        self.0.board.ticket()
    }

    /// Ends the client and leaves its session alive, to be carried on with
    /// [`Builder::resume`](crate::Builder::resume) within the session timeout: ephemeral nodes stay, watches and
    /// credentials do not go along. Every clone of this handle is closed with it.
    ///
    /// While a server is connected, what was submitted before is sent and answered first, for at most
    /// [`CLOSE_MAX`](crate::limits::CLOSE_MAX). `None` when there is no session to hand over, or when the client
    /// was closed or detached before.
    ///
    /// # Cancellation
    /// The client is detached all the same; calling again returns the ticket.
    pub async fn detach(&self) -> Option<SessionTicket> {
        let _ = self.0.inbox.send(Command::Detach);
        self.ended().await;
        self.0.board.take_detached()
    }
}
