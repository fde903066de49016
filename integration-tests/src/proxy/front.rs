//! The listener, the switches for everything at once, and the record of what came.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::connection;
use super::message::Message;
use super::rule::RuleState;

/// A proxy before one server. Stops when dropped; [`Proxy::close`] also waits for that.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

/// What the connections of one proxy share.
pub(super) struct Shared {
    switches: watch::Sender<Switches>,
    state: Mutex<State>,
    /// Ticks when the record has grown.
    grown: watch::Sender<()>,
}

/// What holds for all connections.
#[derive(Debug, Clone)]
pub(super) struct Switches {
    pub(super) server: String,
    pub(super) refuse: bool,
    /// New connections are dead from the start.
    pub(super) half_open: bool,
    /// Connections up to this number are dead without saying so.
    pub(super) dead_up_to: u64,
    /// Connections up to this number are cut.
    pub(super) cut_up_to: u64,
    /// Bytes a second, each way.
    pub(super) rate: Option<u64>,
    stopped: bool,
}

#[derive(Default)]
struct State {
    connections: u64,
    rules: Vec<Arc<RuleState>>,
    record: Vec<Message>,
    /// How many frames were taken out of the record before.
    taken: usize,
    /// The record is not kept.
    blind: bool,
}

impl Proxy {
    /// A proxy on a free port of 127.0.0.1, before this server (`host:port`). The server is looked up for every
    /// connection, so it may be restarted, or not be there yet.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn before(server: impl Into<String>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            switches: watch::Sender::new(Switches {
                server: server.into(),
                refuse: false,
                half_open: false,
                dead_up_to: 0,
                cut_up_to: 0,
                rate: None,
                stopped: false,
            }),
            state: Mutex::default(),
            grown: watch::Sender::new(()),
        });
        let accepting = Some(tokio::spawn(accept(listener, Arc::clone(&shared))));
        Ok(Self { address, shared, accepting })
    }

    /// Where it listens, as clients take it: `host:port`.
    #[must_use]
    pub fn hosts(&self) -> String {
        self.address.to_string()
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// New connections go to this server from now on.
    pub fn set_server(&self, server: impl Into<String>) {
        let server = server.into();
        self.shared.switch(move |switches, _| switches.server = server);
    }

    /// Cuts every connection there is, in an orderly way: what went through before arrives.
    pub fn cut_all(&self) {
        self.shared.switch(|switches, newest| switches.cut_up_to = newest);
    }

    /// From now on whoever connects is turned away at once. Connections there are live on.
    pub fn refuse(&self) {
        self.shared.switch(|switches, _| switches.refuse = true);
    }

    /// From now on all bytes of both sides vanish, and nobody is told: of the connections there are for ever, of
    /// new ones too. New ones work again after [`Proxy::heal`].
    pub fn half_open(&self) {
        self.shared.switch(|switches, newest| {
            switches.half_open = true;
            switches.dead_up_to = newest;
        });
    }

    /// So many bytes a second go through, each way and for each connection; `None` is no limit.
    pub fn limit(&self, bytes_per_second: Option<u64>) {
        self.shared.switch(move |switches, _| switches.rate = bytes_per_second);
    }

    /// Undoes [`Proxy::refuse`], [`Proxy::half_open`] and [`Proxy::limit`]. Connections that are dead stay so.
    pub fn heal(&self) {
        self.shared.switch(|switches, _| {
            switches.refuse = false;
            switches.half_open = false;
            switches.rate = None;
        });
    }

    /// How many clients were let in so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.lock().connections
    }

    /// Withdraws every rule.
    pub fn clear_rules(&self) {
        self.shared.lock().rules.clear();
    }

    /// The frames so far, in the order in which they went through or did not. What a client or the server has seen
    /// is in it. They are kept until [`Proxy::take_record`], bodies included.
    #[must_use]
    pub fn record(&self) -> Vec<Message> {
        self.shared.lock().record.clone()
    }

    /// The frames since the last call, which are then forgotten.
    pub fn take_record(&self) -> Vec<Message> {
        let mut state = self.shared.lock();
        state.taken += state.record.len();
        std::mem::take(&mut state.record)
    }

    /// Whether frames are recorded from now on, as they are unless this says otherwise. Rules act either way.
    pub fn set_recording(&self, recording: bool) {
        self.shared.lock().blind = !recording;
    }

    /// How many frames of the record are such.
    #[must_use]
    pub fn count(&self, which: impl Fn(&Message) -> bool) -> usize {
        self.shared.lock().record.iter().filter(|message| which(message)).count()
    }

    /// Waits until the record has held at least `count` frames of which this holds.
    pub async fn seen(&self, count: usize, which: impl Fn(&Message) -> bool) {
        let mut grown = self.shared.grown.subscribe();
        let (mut found, mut looked) = (0, 0);
        loop {
            {
                let state = self.shared.lock();
                let fresh = state.record.iter().skip(looked.max(state.taken) - state.taken);
                found += fresh.filter(|message| which(message)).count();
                looked = state.taken + state.record.len();
            }
            if found >= count {
                return;
            }
            // The sender lives in `self`.
            let _ = grown.changed().await;
        }
    }

    /// Cuts every connection and waits until nothing of the proxy runs any more.
    pub async fn close(mut self) {
        self.shared.switch(|switches, _| switches.stopped = true);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.await;
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            // The connections are its own, and go with it.
            accepting.abort();
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .field("switches", &*self.shared.switches.borrow())
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn switches(&self) -> watch::Receiver<Switches> {
        self.switches.subscribe()
    }

    /// The rule that acts on this frame.
    pub(super) fn judge(&self, message: &Message) -> Option<Arc<RuleState>> {
        let mut state = self.lock();
        let mut acting = None;
        for rule in &state.rules {
            if rule.due(message, acting.is_some()) {
                acting = Some(Arc::clone(rule));
            }
        }
        state.rules.retain(|rule| !rule.is_spent());
        acting
    }

    pub(super) fn note(&self, message: Message) {
        let mut state = self.lock();
        if !state.blind {
            state.record.push(message);
            drop(state);
            self.grown.send_replace(());
        }
    }

    pub(super) fn add_rule(&self, rule: Arc<RuleState>) {
        self.lock().rules.push(rule);
    }

    /// Changes the switches, told the number of the newest connection.
    fn switch(&self, change: impl FnOnce(&mut Switches, u64)) {
        let newest = self.lock().connections;
        self.switches.send_modify(|switches| change(switches, newest));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets clients in until the proxy stops. Owns all connections.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    let mut switches = shared.switches();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // A client that is gone before it was let in is no news.
                if let Ok((client, _)) = accepted {
                    admit(client, &shared, &mut connections);
                }
            }
            Some(_) = connections.join_next() => {}
            _ = switches.wait_for(|switches| switches.stopped) => break,
        }
    }
    connections.shutdown().await;
}

fn admit(client: TcpStream, shared: &Arc<Shared>, connections: &mut JoinSet<()>) {
    if shared.switches.borrow().refuse {
        return;
    }
    let number = {
        let mut state = shared.lock();
        state.connections += 1;
        state.connections
    };
    connections.spawn(connection::run(Arc::clone(shared), number, client));
}
