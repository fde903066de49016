//! The network: each connection is two pipes of bytes with drawn delays, cut into arbitrary pieces, and can be
//! cut so that what is on its way is lost and each end learns of it at a time of its own, or never. Never looks
//! into the bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::kernel::Kernel;
use super::world::Event;

/// Names one connection.
pub(crate) type LinkId = u64;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Client,
    Server,
}

impl End {
    const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    last_arrival: Duration,
    /// Takes no more bytes.
    sealed: bool,
    /// Bytes on their way are lost.
    broken: bool,
    /// Until when bytes on their way are held up.
    held: Duration,
}

#[derive(Debug)]
struct Link {
    /// Which client's, by slot.
    slot: usize,
    /// Towards each end.
    to_client: Pipe,
    to_server: Pipe,
    client_up: bool,
    server_up: bool,
}

impl Link {
    fn towards(&mut self, end: End) -> &mut Pipe {
        match end {
            End::Client => &mut self.to_client,
            End::Server => &mut self.to_server,
        }
    }

    fn up(&mut self, end: End) -> &mut bool {
        match end {
            End::Client => &mut self.client_up,
            End::Server => &mut self.server_up,
        }
    }
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct Network {
    links: BTreeMap<LinkId, Link>,
    next: LinkId,
    delay: Duration,
    pieces: bool,
    /// Until when nothing passes between a slot and the server.
    blocked: BTreeMap<usize, Duration>,
}

impl Network {
    pub(crate) fn new(delay: Duration, pieces: bool) -> Self {
        Self { links: BTreeMap::new(), next: 0, delay, pieces, blocked: BTreeMap::new() }
    }

    /// Begins to open a connection; the attempt ends in [`Event::Dialled`].
    pub(crate) fn dial(&mut self, k: &mut Kernel, slot: usize) -> LinkId {
        self.next += 1;
        let link = Link {
            slot,
            to_client: Pipe::default(),
            to_server: Pipe::default(),
            client_up: true,
            server_up: false,
        };
        self.links.insert(self.next, link);
        let wait = k.draw.mostly_short(self.delay * 2);
        k.after(wait, Event::Dialled { link: self.next });
        self.next
    }

    /// The server has taken the connection.
    pub(crate) fn accepted(&mut self, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.server_up = true;
        }
    }

    /// Whose connection it is; `None` when this end has given it up.
    pub(crate) fn slot_if_up(&mut self, link: LinkId, end: End) -> Option<usize> {
        let link = self.links.get_mut(&link)?;
        link.up(end).then_some(link.slot)
    }

    /// Whose connection it is.
    pub(crate) fn slot(&self, link: LinkId) -> Option<usize> {
        self.links.get(&link).map(|link| link.slot)
    }

    /// Until when nothing arrives at this end of the connection, if that is later than now.
    pub(crate) fn blocked(&self, link: LinkId, end: End, now: Duration) -> Option<Duration> {
        let link = self.links.get(&link)?;
        let held = match end {
            End::Client => link.to_client.held,
            End::Server => link.to_server.held,
        };
        let blocked = self.blocked.get(&link.slot).copied().unwrap_or_default();
        Some(held.max(blocked)).filter(|until| *until > now)
    }

    /// Lets nothing pass between a slot and the server for a while. It ends no earlier than one before it did:
    /// what was held back must not be overtaken.
    pub(crate) fn block(&mut self, slot: usize, until: Duration) {
        let blocked = self.blocked.entry(slot).or_default();
        *blocked = until.max(*blocked);
    }

    /// Sends bytes from one end to the other.
    pub(crate) fn send(&mut self, k: &mut Kernel, id: LinkId, from: End, mut bytes: Bytes) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let to = from.other();
        let pipe = link.towards(to);
        while !bytes.is_empty() && !pipe.sealed {
            let whole = !self.pieces || bytes.len() == 1 || k.draw.chance(2, 3);
            let len = if whole { bytes.len() } else { 1 + k.draw.index(bytes.len() - 1) };
            let arrival = k.now + k.draw.mostly_short(self.delay);
            pipe.last_arrival = pipe.last_arrival.max(arrival);
            k.at(pipe.last_arrival, Event::Deliver { link: id, to, bytes: bytes.split_to(len) });
        }
    }

    /// Whether bytes that arrive now are still there to be read.
    pub(crate) fn arrives(&mut self, k: &mut Kernel, id: LinkId, to: End) -> bool {
        let Some(link) = self.links.get_mut(&id) else { return false };
        if link.towards(to).broken {
            k.counters.lost_pieces += 1;
            return false;
        }
        *link.up(to)
    }

    /// One end gives the connection up. What it has sent still arrives, and then the other end learns of it.
    pub(crate) fn close(&mut self, k: &mut Kernel, id: LinkId, end: End) {
        let Some(link) = self.links.get_mut(&id) else { return };
        *link.up(end) = false;
        link.towards(end).sealed = true;
        let pipe = link.towards(end.other());
        if !pipe.sealed {
            pipe.sealed = true;
            let arrival = (k.now + k.draw.mostly_short(self.delay)).max(pipe.last_arrival);
            k.at(arrival, Event::Learn { link: id, end: end.other() });
        }
    }

    /// The connection is cut: in each direction what is on its way is lost, or is the last to arrive.
    pub(crate) fn cut(&mut self, k: &mut Kernel, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        for end in [End::Client, End::Server] {
            let pipe = link.towards(end);
            pipe.sealed = true;
            pipe.broken |= k.draw.chance(1, 2);
            if end == End::Server && !pipe.broken {
                // Sent again and again by the network, they arrive after the client has gone on elsewhere.
                pipe.held = k.now + k.draw.between(Duration::ZERO, Duration::from_millis(400));
            }
            let learn = k.now + k.draw.mostly_short(Duration::from_millis(1_500));
            // An end that hears nothing of it must find out by silence.
            if !k.draw.chance(1, 4) {
                k.at(learn.max(pipe.last_arrival), Event::Learn { link: id, end });
            }
        }
    }

    /// The connection is cut right behind what the client has sent: that still arrives, and no answer does.
    pub(crate) fn cut_behind(&mut self, k: &mut Kernel, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.to_server.sealed = true;
        link.to_client.sealed = true;
        link.to_client.broken = true;
        let last = link.to_server.last_arrival;
        for end in [End::Client, End::Server] {
            let learn = k.now + k.draw.mostly_short(Duration::from_millis(1_500));
            if !k.draw.chance(1, 4) {
                let least = if end == End::Server { last } else { k.now };
                k.at(learn.max(least), Event::Learn { link: id, end });
            }
        }
    }

    /// The server is gone: nothing that it had not read will be, and its clients learn of it.
    pub(crate) fn server_gone(&mut self, k: &mut Kernel) {
        let open: Vec<LinkId> = self.links.iter().filter(|(_, l)| l.server_up).map(|(id, _)| *id).collect();
        for id in open {
            let Some(link) = self.links.get_mut(&id) else { continue };
            link.server_up = false;
            (link.to_server.sealed, link.to_server.broken) = (true, true);
            link.to_client.sealed = true;
            link.to_client.broken |= k.draw.chance(1, 2);
            let learn = k.now + k.draw.mostly_short(Duration::from_millis(800));
            k.at(learn.max(link.to_client.last_arrival), Event::Learn { link: id, end: End::Client });
        }
    }

    /// An end has learned that the connection is gone; whether that was news to it.
    pub(crate) fn learned(&mut self, id: LinkId, end: End) -> Option<usize> {
        let link = self.links.get_mut(&id)?;
        let news = std::mem::replace(link.up(end), false);
        link.towards(end.other()).sealed = true;
        let slot = link.slot;
        if !link.client_up && !link.server_up && link.to_server.broken {
            self.links.remove(&id);
        }
        news.then_some(slot)
    }

    /// A connection of which both ends know.
    pub(crate) fn any_open(&self, k: &mut Kernel) -> Option<LinkId> {
        let open: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, l)| l.server_up && l.client_up && !l.to_client.sealed)
            .map(|(id, _)| *id)
            .collect();
        k.draw.pick(&open).copied()
    }
}
