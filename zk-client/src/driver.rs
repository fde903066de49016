//! The one task that owns the socket: it runs the core on tokio.
//!
//! Owns the connection, the timer, and who waits for which answer. Decides nothing: what to send, when to connect
//! and what an answer means is the core's.

mod link;
mod probe;
mod sasl;
mod servers;
mod waiters;

use bytes::{Buf as _, BytesMut};
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep, sleep_until};
use zk_proto::SessionId;
use zk_proto::frame;

use crate::core::{Core, DropReason, Output};
use crate::limits::{INBOX_BATCH, SWEEP_AFTER, WRITE_BATCH_BYTES, WRITE_KEEP_BYTES};
use crate::sasl::SaslError;
use crate::seen::{Journal, Loss};
use crate::state::SessionState;
use crate::submit::{Command, Line, Submission};
use link::{Link, Linked};
use sasl::Authenticator;
pub(crate) use servers::Servers;
use waiters::Waiters;

pub(crate) struct Driver {
    core: Core,
    servers: Servers,
    authenticator: Option<Authenticator>,
    /// Why the mechanism could not go on, for the core's [`DropReason::SaslFailed`].
    sasl_failure: Option<SaslError>,
    frame_limit: usize,
    line: Arc<Line>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// Room for what one turn takes from the inbox; empty between turns.
    batch: Vec<Command>,
    /// Whether callers who are gone are to be looked for before anything is sent.
    sweep_due: bool,
    /// Every handle is gone, and the core was told.
    orphaned: bool,
    waiters: Waiters,
    journal: Journal,
    state: watch::Sender<SessionState>,
    link: Link,
    input: BytesMut,
    output: BytesMut,
    origin: Instant,
    timer: Pin<Box<Sleep>>,
    /// What the timer is set to.
    armed: Option<Duration>,
    alive: Option<(SessionId, Duration)>,
    stopped: bool,
}

impl Driver {
    pub(crate) fn new(
        core: Core,
        servers: Servers,
        frame_limit: usize,
        line: Arc<Line>,
        commands: mpsc::UnboundedReceiver<Command>,
        inbox: mpsc::WeakUnboundedSender<Command>,
        state: watch::Sender<SessionState>,
    ) -> Self {
        let origin = Instant::now();
        let journal = Journal::new(Arc::clone(&line));
        Self {
            core,
            authenticator: servers.mechanism().map(Authenticator::new),
            sasl_failure: None,
            servers,
            frame_limit,
            line,
            commands,
            batch: Vec::with_capacity(INBOX_BATCH),
            sweep_due: false,
            orphaned: false,
            waiters: Waiters::new(inbox),
            journal,
            state,
            link: Link::Down,
            input: BytesMut::new(),
            output: BytesMut::new(),
            origin,
            timer: Box::pin(sleep_until(origin)),
            armed: None,
            alive: None,
            stopped: false,
        }
    }

    /// Runs until the core has ended: closed, orphaned, refused, or expired where that is final.
    pub(crate) async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
        // Callers who are still in line, or come now, see that nobody is here.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Submit(submission) = command {
                self.line.fail(submission);
            }
        }
        self.line.stop();
    }

    /// Turns until nothing moves. Each turn takes in what has come, lets the core decide, and writes at its end,
    /// so that what was submitted together leaves together.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = self.origin.elapsed();
            let mut moved = self.poll_inbox(cx, now);
            moved |= self.poll_link(cx, now);
            moved |= self.poll_probe(cx, now);
            moved |= self.poll_sasl(cx, now);
            moved |= self.poll_timer(cx, now);
            self.carry_out(now);
            self.admit(now);
            moved |= self.sweep();
            moved |= self.poll_write(cx, now);
            self.journal.levels(self.waiters.watching());
            if self.stopped {
                return Poll::Ready(());
            }
            if !moved {
                return Poll::Pending;
            }
        }
    }

    fn poll_inbox(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        if self.orphaned {
            return false;
        }
        let Poll::Ready(count) = self.commands.poll_recv_many(cx, &mut self.batch, INBOX_BATCH) else {
            return false;
        };
        if count == 0 {
            self.orphaned = true;
            self.core.close(now);
        }
        let mut batch = std::mem::take(&mut self.batch);
        for command in batch.drain(..) {
            self.obey(command, now);
        }
        self.batch = batch;
        true
    }

    fn obey(&mut self, command: Command, now: Duration) {
        match command {
            Command::Submit(submission) => self.submit(submission, now),
            Command::Forget(watch) => {
                self.core.forget(watch);
                self.waiters.forget(watch);
            }
            Command::Look => {}
            Command::Servers(hosts) => self.update_servers(hosts, now),
            Command::Detach => self.core.detach(now),
            Command::Close => self.core.close(now),
        }
    }

    fn submit(&mut self, submission: Submission, now: Duration) {
        let Submission { request, terms, units, reply_to } = submission;
        let op = self.core.submit_on(now, request, terms);
        self.waiters.expect(op, units, reply_to);
    }

    /// Lets in whom answers have made room for.
    fn admit(&mut self, now: Duration) {
        let line = Arc::clone(&self.line);
        let mut before = Vec::new();
        let mut admitted = Vec::new();
        line.admit(
            || {
                while let Ok(command) = self.commands.try_recv() {
                    before.push(command);
                }
            },
            |submission| admitted.push(submission),
        );
        for command in before {
            self.obey(command, now);
        }
        for submission in admitted {
            self.submit(submission, now);
        }
    }

    /// Takes out what was dropped by its caller before it is sent. While nothing can be sent it waits until
    /// there is enough of it to be worth a walk.
    fn sweep(&mut self) -> bool {
        let dropped = self.line.dropped();
        if dropped == 0 && !self.sweep_due {
            return false;
        }
        let mut released = 0;
        let sending = matches!(self.link, Link::Up(_)) && self.core.wants_transmit();
        if sending || dropped >= SWEEP_AFTER.max(self.waiters.len() / 4) {
            self.line.take_dropped();
            self.sweep_due = false;
            let core = &mut self.core;
            released = self.waiters.sweep(self.line.meters(), |op| core.cancel(op));
            self.line.release(released);
        }
        released > 0
    }

    fn poll_link(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        let before = self.input.len();
        match self.link.poll(cx, &mut self.input) {
            Poll::Pending => return false,
            Poll::Ready(Linked::Connected) => self.core.connected(now),
            Poll::Ready(Linked::Read) => {
                self.line.meters().received(self.input.len() - before);
                self.read(now);
            }
            Poll::Ready(Linked::Lost(error)) => self.lost(now, &error),
        }
        true
    }

    fn poll_sasl(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        let Some(authenticator) = &mut self.authenticator else { return false };
        let Poll::Ready(step) = authenticator.poll(cx) else { return false };
        match step {
            Ok(step) => self.core.sasl_step(now, step),
            Err(error) => {
                self.sasl_failure = Some(error);
                self.core.sasl_failed(now);
            }
        }
        true
    }

    /// Feeds the core whole frames. The limit is held against a frame's prefix, before there is room for more.
    fn read(&mut self, now: Duration) {
        loop {
            match frame::take(&mut self.input, self.frame_limit) {
                Ok(Some(frame)) => self.core.received(now, frame),
                Ok(None) => {
                    if let Ok(Some(len)) = frame::peek_len(&self.input, self.frame_limit) {
                        let missing = (frame::PREFIX_BYTES + len).saturating_sub(self.input.len());
                        self.input.reserve(missing);
                    }
                    return;
                }
                Err(oversized) => {
                    self.input.clear();
                    self.core.oversized(now, usize::try_from(oversized.declared).unwrap_or(0));
                    return;
                }
            }
        }
    }

    fn lost(&mut self, now: Duration, error: &io::Error) {
        self.note_failure(error);
        self.journal.lost(now, Loss::Io(error));
        self.unlink();
        self.core.disconnected(now);
    }

    fn unlink(&mut self) {
        self.leave_server();
        self.link = Link::Down;
        self.input = BytesMut::new();
        self.output.clear();
        if let Some(authenticator) = &mut self.authenticator {
            authenticator.abandon();
        }
        // Reads that were in flight wait again, and may have lost their callers meanwhile.
        self.sweep_due = true;
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        let Some(deadline) = self.core.deadline() else { return false };
        if now >= deadline {
            self.core.tick(now);
            return true;
        }
        // A deadline that has moved back, as it does with every request, is looked at when the timer fires.
        if self.armed.is_none_or(|armed| armed > deadline) {
            self.timer.as_mut().reset(self.origin + deadline);
            self.armed = Some(deadline);
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            self.armed = None;
            return true;
        }
        false
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, now: Duration) -> bool {
        let mut moved = false;
        loop {
            if self.output.is_empty() {
                if !matches!(self.link, Link::Up(_)) {
                    return moved;
                }
                if !self.core.wants_transmit() {
                    if let Poll::Ready(Err(error)) = self.link.poll_flush(cx) {
                        self.lost(now, &error);
                        moved = true;
                    }
                    return moved;
                }
                if self.output.capacity() > WRITE_KEEP_BYTES {
                    self.output = BytesMut::new();
                }
                self.core.transmit(now, &mut self.output, WRITE_BATCH_BYTES);
                moved = true;
                continue;
            }
            match self.link.poll_write(cx, &self.output) {
                Poll::Pending => return moved,
                Poll::Ready(Ok(written)) => {
                    self.line.meters().sent(written);
                    self.output.advance(written);
                }
                Poll::Ready(Err(error)) => {
                    self.lost(now, &error);
                    return true;
                }
            }
            moved = true;
        }
    }

    /// Does what the core asks for.
    fn carry_out(&mut self, now: Duration) {
        self.publish_deadline();
        let mut released = 0;
        self.show_last_zxid();
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Complete(completion) => {
                    self.journal.completed(&completion);
                    released += self.waiters.complete(completion, self.line.meters());
                }
                Output::Event { watches, streams, event } => {
                    self.journal.fired(&event, watches.len() + streams.len());
                    self.waiters.fire(&watches, &streams, &event);
                }
                Output::Resync { streams } => {
                    self.journal.resynced(streams.len());
                    self.waiters.resync(&streams);
                }
                Output::WatchesLost { watches, why } => {
                    self.journal.watches_lost(watches.len(), why);
                    self.waiters.lose_watches(&watches, why);
                }
                Output::Connect { host } => self.dial(host, now),
                Output::Probe { host } => self.ask(host),
                Output::Disconnect { why } => {
                    self.explain(now, why);
                    self.unlink();
                }
                Output::Sasl { challenge } => {
                    if let (Some(authenticator), Some(server)) =
                        (&mut self.authenticator, self.servers.target())
                    {
                        authenticator.ask(server.clone(), challenge);
                    }
                }
                Output::State(state) => {
                    self.journal.session(now, state);
                    self.show_session(state);
                    self.state.send_replace(state);
                }
                Output::Detached(ticket) => self.servers.detach(ticket),
                Output::Stopped => self.stopped = true,
            }
        }
        // Once for all: callers on other threads take their units from the same place.
        if released > 0 {
            self.line.release(released);
        }
    }

    /// Says why a connection was dropped, and keeps it for whoever waits for the first session.
    fn explain(&mut self, now: Duration, why: DropReason) {
        let reason = match (why, self.sasl_failure.take()) {
            (DropReason::SaslFailed, Some(error)) => {
                let mechanism = self.servers.mechanism();
                let name = mechanism.as_ref().map_or("", |mechanism| mechanism.name());
                format!("SASL {name}: {error}")
            }
            _ => why.to_string(),
        };
        self.journal.lost(now, Loss::Dropped { why, text: &reason });
        self.note_drop(why, reason);
    }

    /// Before answers are handed out: who holds an answer finds a deadline that counts it.
    fn publish_deadline(&mut self) {
        let alive = self.core.session_deadline();
        if alive != self.alive {
            self.alive = alive;
            self.line.set_alive(alive.map(|(session, deadline)| (session, self.origin + deadline)));
        }
    }
}
