//! A proxy between a client and a server that understands frames: it counts the operations that pass, and can
//! swallow an answer and cut the connection in its place.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[derive(Debug, Default)]
struct Script {
    /// Operations that passed, by number.
    passed: Vec<i32>,
    /// Events that came back.
    events: usize,
    /// Swallow the answer to the next operation of this number, and cut.
    lose_answer_to: Option<i32>,
    /// Swallow the next operation of this number, and cut.
    lose_request: Option<i32>,
    /// Connections are refused, and live ones cut at their next frame.
    down: bool,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let mut accepting = JoinSet::new();
        let shared = Arc::clone(&script);
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (inward, _) = listener.accept().await.unwrap();
                if shared.lock().unwrap().down {
                    continue;
                }
                let outward = TcpStream::connect(server).await.unwrap();
                connections.spawn(connection(inward, outward, Arc::clone(&shared)));
            }
        });
        Self { address, script, _accepting: accepting }
    }

    pub(crate) fn connect_string(&self) -> String {
        self.address.to_string()
    }

    /// The operations since the last call, and the events; pings do not count.
    pub(crate) fn take_counts(&self) -> (Vec<i32>, usize) {
        let mut script = self.script.lock().unwrap();
        (std::mem::take(&mut script.passed), std::mem::take(&mut script.events))
    }

    /// How many operations passed since the counts were taken.
    pub(crate) fn passed(&self) -> usize {
        self.script.lock().unwrap().passed.len()
    }

    pub(crate) fn lose_answer_to(&self, opcode: i32) {
        self.script.lock().unwrap().lose_answer_to = Some(opcode);
    }

    pub(crate) fn lose_request(&self, opcode: i32) {
        self.script.lock().unwrap().lose_request = Some(opcode);
    }

    /// From now on no frame passes and nobody connects.
    pub(crate) fn set_down(&self, down: bool) {
        self.script.lock().unwrap().down = down;
    }
}

const PING: i32 = 11;

/// Numbers of operations under way, by xid; one marked is to be swallowed.
type Flying = Arc<Mutex<BTreeMap<i32, bool>>>;

async fn connection(inward: TcpStream, outward: TcpStream, script: Arc<Mutex<Script>>) {
    inward.set_nodelay(true).unwrap();
    outward.set_nodelay(true).unwrap();
    let (from_client, to_client) = inward.into_split();
    let (from_server, to_server) = outward.into_split();
    let flying = Flying::default();
    // Either end cuts both.
    tokio::select! {
        () = requests(from_client, to_server, Arc::clone(&script), Arc::clone(&flying)) => {}
        () = answers(from_server, to_client, script, flying) => {}
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    script: Arc<Mutex<Script>>,
    flying: Flying,
) {
    let Some(greeting) = frame(&mut from).await else { return };
    if to.write_all(&greeting).await.is_err() {
        return;
    }
    while let Some(request) = frame(&mut from).await {
        let (xid, opcode) = (number(&request, 4), number(&request, 8));
        {
            let mut script = script.lock().unwrap();
            if script.down || script.lose_request.take_if(|lose| *lose == opcode).is_some() {
                return;
            }
            if opcode != PING {
                script.passed.push(opcode);
            }
            let lose = script.lose_answer_to.take_if(|lose| *lose == opcode).is_some();
            flying.lock().unwrap().insert(xid, lose);
        }
        if to.write_all(&request).await.is_err() {
            return;
        }
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    script: Arc<Mutex<Script>>,
    flying: Flying,
) {
    let mut greeted = false;
    while let Some(answer) = frame(&mut from).await {
        if script.lock().unwrap().down {
            return;
        }
        if std::mem::replace(&mut greeted, true) {
            let xid = number(&answer, 4);
            if xid == -1 {
                script.lock().unwrap().events += 1;
            }
            if flying.lock().unwrap().remove(&xid) == Some(true) {
                return;
            }
        }
        if to.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// A frame with its prefix.
async fn frame(from: &mut OwnedReadHalf) -> Option<Vec<u8>> {
    let length = from.read_u32().await.ok()?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.resize(4 + length as usize, 0);
    from.read_exact(&mut frame[4..]).await.ok()?;
    Some(frame)
}

fn number(frame: &[u8], at: usize) -> i32 {
    frame.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_be_bytes)
}
