//! The model's connections: frames in order, both ways, until one breaks.

use rand::RngExt as _;
use std::collections::BTreeSet;
use zk_proto::SessionId;

use super::readers::Side;
use super::tree::Wire;
use super::{Back, TIMEOUT, World};
use crate::contender::{Answer, Input, Refusal, Request, RequestId};
use crate::identity::Uuid;
use crate::loss::LossReason;
use crate::rw_lock::downgrade::Told;
use crate::sequence::WRITERS;

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
        let (answer, gone) = self.tree.serve(session, &wire);
        if let (
            Wire::Core(id, Request::WatchPredecessor { path } | Request::WatchOwn { path }),
            Some(Answer::Seen(Ok(_))),
        ) = (&wire, &answer)
        {
            self.peers[at].arming.insert(*id, path.clone());
        }
        self.notify(gone);
        self.peers[at].to_client.push_back(Back::Answer(sent, wire, answer));
    }

    /// Events go to every connection that watches, and at most one of them waits behind the node.
    pub(super) fn notify(&mut self, touched: Vec<String>) {
        for path in touched {
            let watchers = self.tree.watches.remove(&path).unwrap_or_default();
            let (mut woken, mut readers) = (0, 0);
            for peer in &mut self.peers {
                if !peer.session.is_some_and(|session| watchers.contains(&session)) {
                    continue;
                }
                let own = peer.core.own_paths().contains(&path);
                let interested =
                    peer.watching.values().chain(peer.arming.values()).any(|watched| *watched == path);
                let waits = usize::from(interested && !own);
                if peer.side == Side::Reader {
                    readers += waits;
                } else {
                    woken += waits;
                }
                if peer.up {
                    peer.to_client.push_back(Back::Event(path.clone()));
                }
            }
            // Ours in line are one chain; stock peers are one for each library.
            assert!(woken <= 1 + usize::from(self.stock), "{woken} woken by one node");
            let writes = WRITERS.iter().any(|marker| path.contains(marker));
            assert!(readers == 0 || writes, "{readers} readers woken by a reader");
        }
    }

    /// The client takes in the next frame.
    pub(super) fn deliver(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        match peer.to_client.pop_front() {
            None => {}
            Some(Back::Event(path)) => self.fire(at, &path),
            Some(Back::Answer(sent, wire, answer)) => {
                peer.until = peer.until.max(sent + TIMEOUT);
                let until = peer.until;
                if let Wire::Core(id, _) = &wire
                    && let Some(path) = peer.arming.remove(id)
                {
                    peer.watching.insert(*id, path);
                }
                self.tell(at, Input::Heard { until });
                match (wire, answer) {
                    (Wire::Core(request, _), Some(answer)) => {
                        self.tell(at, Input::Answer { request, answer });
                    }
                    (Wire::StepDown { .. }, Some(Answer::Synced(created))) => {
                        self.told(at, Told::Created(created));
                    }
                    (Wire::LookForReader(_), Some(Answer::Seen(seen))) => self.told(at, Told::Looked(seen)),
                    _ => {}
                }
            }
        }
    }

    pub(super) fn fire(&mut self, at: usize, path: &str) {
        let fired: Vec<RequestId> = self.peers[at]
            .watching
            .iter()
            .filter(|(_, watched)| *watched == path)
            .map(|(id, _)| *id)
            .collect();
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
        let mut in_doubt = false;
        for (sent, wire) in flying {
            match wire {
                Wire::Core(id, Request::Create { .. }) => {
                    failed.push((id, Answer::Created(Err(Refusal::Unknown))));
                }
                Wire::Core(id, Request::Claim { .. }) => {
                    failed.push((id, Answer::Claimed(Err(Refusal::Unknown))));
                }
                Wire::Core(id, Request::MakeParents { .. }) => {
                    failed.push((id, Answer::ParentsMade(Err(Refusal::Unknown))));
                }
                Wire::Core(id, Request::Sync { .. }) if self.rng.random() => {
                    failed.push((id, Answer::Synced(Err(Refusal::NotNow))));
                }
                Wire::StepDown { .. } => in_doubt = true,
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
        if in_doubt {
            self.told(at, Told::Created(Err(Refusal::Unknown)));
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
        let identity = Uuid::from_random(self.rng.random());
        self.tell(at, Input::Session { id: session, timeout: TIMEOUT, identity });
    }

    pub(super) fn reconnected(&mut self, at: usize, session: SessionId) {
        let peer = &mut self.peers[at];
        peer.up = true;
        peer.until = peer.until.max(self.now + TIMEOUT);
        let until = peer.until;
        for (sent, _) in &mut peer.to_server {
            *sent = self.now;
        }
        // Watches are armed again; what went meanwhile fires.
        let watched: BTreeSet<String> = peer.watching.values().cloned().collect();
        for path in watched {
            if self.tree.nodes.contains_key(&path) {
                self.tree.watches.entry(path).or_default().insert(session);
            } else {
                self.peers[at].to_client.push_back(Back::Event(path));
            }
        }
        self.tell(at, Input::Heard { until });
        self.tell(at, Input::Connected);
    }
}
