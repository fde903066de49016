//! What the driver shows to the handles besides the state: servers, the session's ticket, why attempts have failed.
//! The driver alone writes it.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zk_proto::Zxid;

use crate::hosts::Host;
use crate::limits::REASONS_MAX;
use crate::ticket::SessionTicket;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Board {
    shown: Mutex<Shown>,
    /// Apart from the rest: it changes with every write.
    last_zxid: AtomicI64,
}

#[derive(Debug, Default)]
struct Shown {
    hosts: Vec<Host>,
    server: Option<Host>,
    ticket: Option<SessionTicket>,
    detached: Option<SessionTicket>,
    /// The last failure of each server, the latest last.
    reasons: VecDeque<(Host, String)>,
}

impl Board {
    /// The servers that are listed.
    pub(crate) fn hosts(&self) -> Vec<Host> {
        self.lock().hosts.clone()
    }

    pub(crate) fn set_hosts(&self, hosts: Vec<Host>) {
        let mut shown = self.lock();
        shown.reasons.retain(|(host, _)| hosts.contains(host));
        shown.hosts = hosts;
    }

    /// The server where the session is established.
    pub(crate) fn server(&self) -> Option<Host> {
        self.lock().server.clone()
    }

    pub(crate) fn set_server(&self, server: Option<Host>) {
        let mut shown = self.lock();
        if server.is_some() {
            shown.reasons.clear();
        }
        shown.server = server;
    }

    pub(crate) fn ticket(&self) -> Option<SessionTicket> {
        let shown = self.lock();
        let last_zxid = Zxid(self.last_zxid.load(Ordering::Acquire));
        shown.ticket.clone().map(|ticket| SessionTicket { last_zxid, ..ticket })
    }

    pub(crate) fn set_ticket(&self, ticket: Option<SessionTicket>) {
        self.lock().ticket = ticket;
    }

    pub(crate) fn set_last_zxid(&self, zxid: Zxid) {
        self.last_zxid.store(zxid.0, Ordering::Release);
    }

    pub(crate) fn detach(&self, ticket: SessionTicket) {
        self.lock().detached = Some(ticket);
    }

    /// The session that was left alive. Handed out once: it has one owner.
    pub(crate) fn take_detached(&self) -> Option<SessionTicket> {
        self.lock().detached.take()
    }

    /// An attempt at `host` has failed, or its connection was lost.
    pub(crate) fn failed(&self, host: &Host, reason: String) {
        let mut shown = self.lock();
        shown.reasons.retain(|(other, _)| other != host);
        if shown.reasons.len() >= REASONS_MAX {
            shown.reasons.pop_front();
        }
        shown.reasons.push_back((host.clone(), reason));
    }

    /// The client's end is told by its state: older reasons would mislead.
    pub(crate) fn forget_failures(&self) {
        self.lock().reasons.clear();
    }

    /// `zk2:2181: connection refused; zk1:2181: ...`, the latest first; nothing when nothing has failed.
    pub(crate) fn reasons(&self) -> String {
        let mut text = String::new();
        for (host, reason) in self.lock().reasons.iter().rev() {
            let lead = if text.is_empty() { "" } else { "; " };
            let _ = write!(text, "{lead}{host}: {reason}");
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(port: u16) -> Host {
        Host { name: "zk".into(), port }
    }

    #[test]
    fn the_latest_reason_of_each_server_is_told_and_their_number_bounded() {
        let board = Board::default();
        assert_eq!(board.reasons(), "");
        board.failed(&host(1), "refused".into());
        board.failed(&host(2), "silent".into());
        board.failed(&host(1), "closed".into());
        assert_eq!(board.reasons(), "zk:1: closed; zk:2: silent");
        for port in 3..100 {
            board.failed(&host(port), "refused".into());
        }
        assert_eq!(board.lock().reasons.len(), REASONS_MAX);
        board.set_server(Some(host(1)));
        assert_eq!(board.reasons(), "");
    }
}
