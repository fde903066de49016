//! One client's connection: two streams, frame by frame, each frame judged and dealt with.
//!
//! Either stream's end is the end of both. What went through before is let arrive: the write sides are closed and
//! the read sides emptied, for a while, before the sockets go.

use bytes::{Bytes, BytesMut};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use zk_proto::frame::{self, PREFIX_BYTES};

use super::flying::Flying;
use super::front::{Shared, Switches};
use super::message::{Direction, Fate, Message};
use super::rule::{Action, RuleState};

/// A first word above this is no frame's length: a four-letter word, or TLS.
const FRAME_BYTES_MAX: usize = 256 << 20;
/// How long the ends of a cut connection have to read what came through.
const LINGER_MAX: Duration = Duration::from_secs(2);
/// Bytes written at once where the rate is limited.
const SLOW_CHUNK_BYTES: usize = 512;

/// What both streams of a connection share.
struct Pair {
    shared: Arc<Shared>,
    number: u64,
    flying: Mutex<Flying>,
    switches: watch::Receiver<Switches>,
    /// Half-open by a rule.
    dead: AtomicBool,
}

/// How a connection ends.
enum End {
    /// A stream has ended, or everything is cut.
    Closed,
    /// A rule has cut it on this frame.
    Cut(Box<(Arc<RuleState>, Message)>),
}

/// Serves one client until either side, a rule or a switch ends it.
pub(super) async fn run(shared: Arc<Shared>, number: u64, client: TcpStream) {
    let switches = shared.switches();
    let mut cut = switches.clone();
    let opening = async {
        let (half_open, server) = {
            let switches = switches.borrow();
            (switches.half_open, switches.server.clone())
        };
        if half_open { vanish(&client).await } else { TcpStream::connect(server).await }
    };
    let opened = tokio::select! {
        opened = opening => opened,
        _ = cut.wait_for(|switches| switches.cut_up_to >= number) => return,
    };
    if let Ok(server) = opened {
        let (flying, dead) = (Mutex::default(), AtomicBool::new(false));
        let _ = serve(&Pair { shared, number, flying, switches, dead }, client, server).await;
    }
}

/// Takes everything and gives nothing, for ever.
async fn vanish(client: &TcpStream) -> io::Result<TcpStream> {
    let mut bytes = [0; 1024];
    loop {
        client.readable().await?;
        match client.try_read(&mut bytes) {
            Ok(0) => return std::future::pending().await,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return std::future::pending().await,
        }
    }
}

async fn serve(pair: &Pair, client: TcpStream, server: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut switches = pair.switches.clone();
    let end = tokio::select! {
        end = pump(pair, Direction::ToServer, &mut from_client, &mut to_server) => end,
        end = pump(pair, Direction::ToClient, &mut from_server, &mut to_client) => end,
        _ = switches.wait_for(|switches| switches.cut_up_to >= pair.number) => Ok(End::Closed),
    };
    let reset = matches!(&end, Ok(End::Cut(cut)) if cut.0.is_reset());
    if reset {
        from_client.as_ref().set_zero_linger()?;
        from_server.as_ref().set_zero_linger()?;
    } else {
        // The other side may be gone already.
        let _ = to_client.shutdown().await;
        let _ = to_server.shutdown().await;
    }
    if let Ok(End::Cut(cut)) = end {
        let (rule, message) = *cut;
        rule.tell(message);
    }
    if !reset {
        let emptied = async { tokio::join!(empty(&mut from_client), empty(&mut from_server)) };
        let _ = tokio::time::timeout(LINGER_MAX, emptied).await;
    }
    Ok(())
}

/// Reads until the end, so that closing the socket does not take back what was written to it.
async fn empty(from: &mut OwnedReadHalf) {
    let mut bytes = BytesMut::with_capacity(4096);
    while from.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
        bytes.clear();
    }
}

/// Carries frames one way until the stream ends or is cut.
async fn pump(
    pair: &Pair,
    direction: Direction,
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
) -> io::Result<End> {
    let mut input = BytesMut::new();
    loop {
        match frame::take(&mut input, FRAME_BYTES_MAX) {
            Ok(Some(frame)) => {
                if pair.is_dead() {
                    continue;
                }
                if let Some(end) = deal(pair, direction, &frame, to).await? {
                    return Ok(end);
                }
            }
            Ok(None) => {
                // A stream that breaks has ended.
                if from.read_buf(&mut input).await.unwrap_or(0) == 0 {
                    return pair.ended().await;
                }
            }
            Err(_) => return pair.pass_bytes(from, to, input).await,
        }
    }
}

/// Judges one frame and does with it what the rule says.
async fn deal(
    pair: &Pair,
    direction: Direction,
    frame: &Bytes,
    to: &mut OwnedWriteHalf,
) -> io::Result<Option<End>> {
    let mut message = pair.describe(direction, frame);
    let rule = pair.shared.judge(&message);
    let action = rule.as_ref().map(|rule| rule.action());
    let mut wire = BytesMut::with_capacity(PREFIX_BYTES + frame.len());
    frame::put(&mut wire, |out| out.extend_from_slice(frame));
    let mut upto = wire.len();
    match &action {
        None | Some(Action::Notice | Action::CutAfter) => {}
        Some(Action::Swallow) => message.fate = Fate::Swallowed,
        Some(Action::Delay(time)) => tokio::time::sleep(*time).await,
        Some(Action::Hold) => {
            if let Some(rule) = &rule {
                rule.tell(message.clone());
                rule.released().await;
            }
        }
        Some(Action::Corrupt(how)) => {
            how(&mut wire);
            upto = wire.len();
            message.fate = Fate::Corrupted;
        }
        Some(Action::HalfOpen) => {
            pair.dead.store(true, Ordering::Relaxed);
            message.fate = Fate::Swallowed;
        }
        Some(Action::CutBefore) => message.fate = Fate::Swallowed,
        Some(Action::CutAt(bytes)) => {
            upto = upto.min(*bytes);
            message.fate = if upto < wire.len() { Fate::Cut(upto) } else { Fate::Passed };
        }
    }
    if matches!(message.fate, Fate::Passed | Fate::Corrupted) && direction == Direction::ToServer {
        pair.flying().ask(&message);
    }
    // Before it has any effect: what a client knows is in the record.
    pair.shared.note(message.clone());
    if message.fate != Fate::Swallowed && !pair.is_dead() {
        pair.write(to, &wire[..upto]).await?;
    }
    let Some(rule) = rule else { return Ok(None) };
    match action {
        Some(Action::CutBefore | Action::CutAfter | Action::CutAt(_)) => {
            return Ok(Some(End::Cut(Box::new((rule, message)))));
        }
        Some(Action::Hold) => {}
        _ => rule.tell(message),
    }
    Ok(None)
}

impl Pair {
    fn describe(&self, direction: Direction, frame: &Bytes) -> Message {
        let mut flying = self.flying();
        match direction {
            Direction::ToServer => flying.client_says(self.number, frame),
            Direction::ToClient => flying.server_says(self.number, frame),
        }
    }

    fn flying(&self) -> std::sync::MutexGuard<'_, Flying> {
        self.flying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed) || self.switches.borrow().dead_up_to >= self.number
    }

    /// A stream has ended; of a dead connection nobody hears that either.
    async fn ended(&self) -> io::Result<End> {
        if self.is_dead() {
            return std::future::pending().await;
        }
        Ok(End::Closed)
    }

    async fn write(&self, to: &mut OwnedWriteHalf, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let rate = self.switches.borrow().rate;
            let len = if rate.is_some() { bytes.len().min(SLOW_CHUNK_BYTES) } else { bytes.len() };
            let (chunk, rest) = bytes.split_at(len);
            if let Some(rate) = rate {
                let micros = (chunk.len() as u64).saturating_mul(1_000_000) / rate.max(1);
                tokio::time::sleep(Duration::from_micros(micros)).await;
            }
            to.write_all(chunk).await?;
            bytes = rest;
        }
        Ok(())
    }

    /// Carries what is not made of frames.
    async fn pass_bytes(
        &self,
        from: &mut OwnedReadHalf,
        to: &mut OwnedWriteHalf,
        mut bytes: BytesMut,
    ) -> io::Result<End> {
        loop {
            if !self.is_dead() {
                self.write(to, &bytes).await?;
            }
            bytes.clear();
            if from.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return self.ended().await;
            }
        }
    }
}
