//! The model's connections: frames in order, both ways, until one breaks.

use rand::RngExt as _;
use std::collections::BTreeSet;
use zk_proto::SessionId;

use super::tree::Wire;
use super::{Back, TIMEOUT, World};
use crate::contender::{Refusal, RequestId};
use crate::loss::LossReason;
use crate::semaphore::messages::{Answer, Input, Request};

impl World {
    /// The server takes in the next request of a connection.
    pub(super) fn serve(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        let Some(session) = peer.session.filter(|_| peer.up) else { return };
        if !self.tree.sessions.contains_key(&session) {
            return self.disconnect(at);
        }
        let Some((sent, wire)) = peer.to_server.pop_front() else { return };
        self.tree.sessions.insert(session, self.now + TIMEOUT);
        let (answer, events) = self.tree.serve(session, &wire);
        if let (Wire::Core(id, _), Some(watch)) = (&wire, wire.watch())
            && matches!(answer, Some(Answer::Listed(Ok(_)) | Answer::Sized(Ok(_)) | Answer::Seen(Ok(_))))
        {
            let seen = self.tree.version(&watch);
            self.peers[at].arming.insert(*id, (watch, seen));
        }
        self.notify(events);
        self.peers[at].to_client.push_back(Back::Answer(sent, wire, answer));
    }

    /// Events go to every connection that watches; of those that wait, to at most one.
    pub(super) fn notify(&mut self, events: Vec<String>) {
        for name in events {
            *self.tree.versions.entry(name.clone()).or_default() += 1;
            let watchers = self.tree.watches.remove(&name).unwrap_or_default();
            let mut woken = 0;
            for peer in &mut self.peers {
                if !peer.session.is_some_and(|session| watchers.contains(&session)) {
                    continue;
                }
                woken += usize::from(
                    peer.watching.values().chain(peer.arming.values()).any(|(watched, _)| *watched == name),
                );
                if peer.up {
                    peer.to_client.push_back(Back::Event(name.clone()));
                }
            }
            // The head of the line; and one whose place an operator has taken away, until it notices.
            assert!(woken <= 1 || self.operated, "{woken} woken by {name}");
        }
    }

    /// The client takes in the next frame.
    pub(super) fn deliver(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        match peer.to_client.pop_front() {
            None => {}
            Some(Back::Event(name)) => self.fire(at, &name),
            Some(Back::Answer(sent, wire, answer)) => {
                peer.until = peer.until.max(sent + TIMEOUT);
                let until = peer.until;
                if let Wire::Core(id, _) = &wire
                    && let Some(watch) = peer.arming.remove(id)
                {
                    peer.watching.insert(*id, watch);
                }
                self.tell(at, Input::Heard { until });
                if let (Wire::Core(request, _), Some(answer)) = (wire, answer) {
                    self.tell(at, Input::Answer { request, answer });
                }
            }
        }
    }

    fn fire(&mut self, at: usize, name: &str) {
        let watching = &self.peers[at].watching;
        let fired: Vec<RequestId> =
            watching.iter().filter(|(_, (watched, _))| *watched == name).map(|(id, _)| *id).collect();
        for id in fired {
            self.peers[at].watching.remove(&id);
            self.tell(at, Input::Fired(id));
        }
    }

    /// The connection breaks: answers on their way are lost, and so are requests that were not served.
    pub(super) fn disconnect(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        if !std::mem::replace(&mut peer.up, false) {
            return;
        }
        peer.arming.clear();
        let answered = peer.to_client.drain(..).filter_map(|back| match back {
            Back::Answer(sent, wire, _) => Some((sent, wire)),
            Back::Event(_) => None,
        });
        let flying: Vec<_> = answered.chain(std::mem::take(&mut peer.to_server)).collect();
        for watchers in self.tree.watches.values_mut() {
            if let Some(session) = peer.session {
                watchers.remove(&session);
            }
        }
        // Reads are sent again; the reaper tries again; other writes fail.
        let mut failed = Vec::new();
        for (sent, wire) in flying {
            match wire {
                Wire::Core(id, Request::MakeLeases { .. } | Request::MakeLock { .. }) => {
                    failed.push((id, Answer::Made(Err(Refusal::Unknown))));
                }
                Wire::Core(id, Request::MakeParent { .. }) => {
                    failed.push((id, Answer::ParentMade(Err(Refusal::Unknown))));
                }
                Wire::Core(id, Request::Sync { .. }) if self.rng.random() => {
                    failed.push((id, Answer::Synced(Err(Refusal::NotNow))));
                }
                Wire::Ping => {}
                again => self.peers[at].to_server.push_back((sent, again)),
            }
        }
        let tell_first = self.rng.random();
        if tell_first {
            self.tell(at, Input::Suspended);
        }
        for (request, answer) in failed {
            self.tell(at, Input::Answer { request, answer });
        }
        if !tell_first {
            self.tell(at, Input::Suspended);
        }
        if self.rng.random() {
            // By the standard policy, what was held is given up.
            self.release(at);
        }
    }

    pub(super) fn connect(&mut self, at: usize) {
        if self.peers[at].up {
            return;
        }
        if let Some(session) = self.peers[at].session {
            if let Some(expires) = self.tree.sessions.get_mut(&session) {
                *expires = self.now + TIMEOUT;
                return self.reconnected(at, session);
            }
            let peer = &mut self.peers[at];
            peer.session = None;
            peer.permits = None;
            let doomed = std::mem::take(&mut peer.to_server);
            peer.watching.clear();
            if self.rng.random() {
                // The answers tell of it before the state does.
                for (_, wire) in doomed {
                    let Wire::Core(request, Request::List { .. }) = wire else { continue };
                    let answer = Answer::Listed(Err(Refusal::SessionOver));
                    self.tell(at, Input::Answer { request, answer });
                }
            }
            self.tell(at, Input::SessionOver(LossReason::SessionExpired));
            if self.rng.random() {
                return;
            }
        }
        self.tree.next_session += 1;
        let session = SessionId(self.tree.next_session);
        self.tree.sessions.insert(session, self.now + TIMEOUT);
        let peer = &mut self.peers[at];
        peer.up = true;
        peer.session = Some(session);
        peer.until = self.now + TIMEOUT;
        self.enter(at, session);
    }

    pub(super) fn enter(&mut self, at: usize, session: SessionId) {
        let identity = self.rng.random();
        self.tell(at, Input::Session { id: session, timeout: TIMEOUT, identity });
    }

    fn reconnected(&mut self, at: usize, session: SessionId) {
        let peer = &mut self.peers[at];
        peer.up = true;
        peer.until = peer.until.max(self.now + TIMEOUT);
        let until = peer.until;
        for (sent, _) in &mut peer.to_server {
            *sent = self.now;
        }
        // Watches are armed again; what has changed meanwhile fires.
        for (name, seen) in peer.watching.values().cloned().collect::<BTreeSet<_>>() {
            if self.tree.version(&name) == seen {
                self.tree.watches.entry(name).or_default().insert(session);
            } else {
                self.peers[at].to_client.push_back(Back::Event(name));
            }
        }
        self.tell(at, Input::Heard { until });
        self.tell(at, Input::Connected);
    }
}
