//! The model's connections: frames in order, both ways, until one breaks.

use super::{Back, Frame, TIMEOUT, World};
use crate::contender::{Answer, Input, Refusal, Request};
use crate::identity::Uuid;
use crate::leader::life::Event;
use crate::loss::LossReason;
use rand::RngExt as _;

impl World {
    pub(super) fn serve(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        let Some(session) = peer.session.filter(|_| peer.up) else { return };
        if !self.server.sessions.contains_key(&session) {
            return self.disconnect(at);
        }
        let Some((sent, frame)) = peer.to_server.pop_front() else { return };
        self.server.sessions.insert(session, self.now + TIMEOUT);
        let mut gone = Vec::new();
        let answer = match &frame {
            Frame::Ask(_, request) => Some(self.server.serve(session, request)),
            Frame::Delete(paths) => {
                gone.extend(paths.iter().filter(|path| self.server.remove(path)).cloned());
                None
            }
            Frame::FindAndDelete(prefixes) => {
                for path in self.server.find(prefixes) {
                    self.server.remove(&path);
                    gone.push(path);
                }
                None
            }
            Frame::Ping => None,
        };
        if let Frame::Ask(Some(from), Request::WatchPredecessor { path } | Request::WatchOwn { path }) =
            &frame
            && matches!(answer, Some(Answer::Seen(Ok(_))))
        {
            self.peers[at].watching.insert(*from, path.clone());
        }
        self.notify(&gone);
        self.peers[at].to_client.push_back(Back::Answer { sent, frame, answer });
    }

    pub(super) fn notify(&mut self, gone: &[String]) {
        for path in gone {
            for peer in &mut self.peers {
                if peer.up && peer.watching.values().any(|watched| watched == path) {
                    peer.to_client.push_back(Back::Event(path.clone()));
                }
            }
        }
    }

    pub(super) fn deliver(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        match peer.to_client.pop_front() {
            None => {}
            Some(Back::Event(path)) => {
                let attempt = peer.attempt;
                let fired = peer.watching.iter().filter(|(_, watched)| **watched == path);
                let fired: Vec<_> = fired.map(|(from, _)| *from).collect();
                for from in fired {
                    self.peers[at].watching.remove(&from);
                    if from.0 == attempt {
                        self.tell(at, Input::Fired(from.1));
                    }
                }
            }
            Some(Back::Answer { sent, frame, answer }) => {
                peer.until = peer.until.max(sent + TIMEOUT);
                let (until, attempt) = (peer.until, peer.attempt);
                self.tell(at, Input::Heard { until });
                if let (Frame::Ask(Some((of, request)), _), Some(answer)) = (frame, answer)
                    && of == attempt
                    && self.peers[at].attempt == attempt
                {
                    self.tell(at, Input::Answer { request, answer });
                }
            }
        }
    }

    /// The connection breaks: answers on their way are lost, and so are requests that were not served.
    pub(super) fn disconnect(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        if !std::mem::replace(&mut peer.up, false) {
            return;
        }
        let answered = peer.to_client.drain(..).filter_map(|back| match back {
            Back::Answer { sent, frame, .. } => Some((sent, frame)),
            Back::Event(_) => None,
        });
        let flying: Vec<_> = answered.chain(std::mem::take(&mut peer.to_server)).collect();
        let mut failed = Vec::new();
        for (sent, frame) in flying {
            match frame {
                Frame::Ask(Some(from), Request::Create { .. }) => {
                    failed.push((from, Answer::Created(Err(Refusal::Unknown))));
                }
                Frame::Ask(Some(from), Request::MakeParents { .. }) => {
                    failed.push((from, Answer::ParentsMade(Err(Refusal::Unknown))));
                }
                // A write of a candidate that was closed: its reaper looks for what came of it.
                Frame::Ask(None, Request::Create { .. }) | Frame::Ping => {}
                // Reads are sent again; the reaper tries again.
                again => self.peers[at].to_server.push_back((sent, again)),
            }
        }
        // The life hears of it before its contender, or after.
        let life_first = self.rng.random();
        if life_first {
            self.happens(at, Event::Connected(false));
        }
        self.tell(at, Input::Suspended);
        for ((attempt, request), answer) in failed {
            if attempt == self.peers[at].attempt {
                self.tell(at, Input::Answer { request, answer });
            }
        }
        if !life_first {
            self.happens(at, Event::Connected(false));
        }
    }

    pub(super) fn connect(&mut self, at: usize) {
        let now = self.now;
        if self.peers[at].up {
            return;
        }
        if let Some(session) = self.peers[at].session {
            if let Some(expires) = self.server.sessions.get_mut(&session) {
                *expires = now + TIMEOUT;
                return self.reconnected(at);
            }
            let peer = &mut self.peers[at];
            peer.session = None;
            peer.to_server.clear();
            peer.watching.clear();
            if self.rng.random() {
                self.tell(at, Input::SessionOver(LossReason::SessionExpired));
                self.happens(at, Event::SessionOver);
            } else {
                // The shell looks whether a leader has lost already; this one is told so by its life.
                self.happens(at, Event::SessionOver);
                self.tell(at, Input::SessionOver(LossReason::SessionExpired));
            }
        }
        let session = self.server.begin(now + TIMEOUT);
        let peer = &mut self.peers[at];
        (peer.up, peer.session, peer.until) = (true, Some(session), now + TIMEOUT);
        self.happens(at, Event::Connected(true));
        let (until, identity) = (now + TIMEOUT, Uuid::from_random(self.rng.random()));
        self.tell(at, Input::Session { id: session, timeout: TIMEOUT, identity });
        self.tell(at, Input::Heard { until });
    }

    pub(super) fn reconnected(&mut self, at: usize) {
        let (now, peer) = (self.now, &mut self.peers[at]);
        peer.up = true;
        peer.until = peer.until.max(now + TIMEOUT);
        for (sent, _) in &mut peer.to_server {
            *sent = now;
        }
        // Watches are armed again; what went meanwhile fires.
        let until = peer.until;
        let gone: Vec<String> =
            peer.watching.values().filter(|path| !self.server.nodes.contains_key(*path)).cloned().collect();
        peer.to_client.extend(gone.into_iter().map(Back::Event));
        self.tell(at, Input::Heard { until });
        self.tell(at, Input::Connected);
        self.happens(at, Event::Connected(true));
    }
}
