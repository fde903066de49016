//! A core with a hand-played server beside it, for the tests of this room.

use bytes::{BufMut as _, Bytes, BytesMut};
use std::time::Duration;
use zk_proto::connect::{ConnectRequest, ConnectResponse, Password, ReadOnlyFlag};
use zk_proto::event::AddWatchMode;
use zk_proto::header::{ReplyHeader, RequestHeader, XID_NOTIFICATION};
use zk_proto::ops::data::{GetChildrenRequest, GetDataRequest, SetDataRequest};
use zk_proto::ops::watches::AddWatchRequest;
use zk_proto::{
    Decode as _, Encode, ErrorCode, EventType, Reader, SessionId, WatcherEvent, Zxid, event, frame,
};

use super::{Completion, Config, Core, DropReason, Failure, OpId, Output, Request};
use crate::state::SessionState;

pub(super) const TIMEOUT: Duration = Duration::from_secs(9);
pub(super) const SESSION: SessionId = SessionId(0x55);

/// What the core sent: xid and request.
pub(super) type Sent = Vec<(i32, Request)>;

pub(super) struct Rig {
    pub(super) core: Core,
    pub(super) now: Duration,
    zxid: i64,
}

impl Rig {
    pub(super) fn new(config: Config) -> Self {
        Self { core: Core::new(config, 7), now: Duration::ZERO, zxid: 100 }
    }

    /// Connected in session [`SESSION`].
    pub(super) fn live() -> Self {
        let mut rig = Self::new(Config { session_timeout: TIMEOUT, hosts: 3, ..Config::default() });
        rig.establish(SESSION);
        rig.outputs();
        rig
    }

    pub(super) fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.core.poll_output()).collect()
    }

    pub(super) fn completions(&mut self) -> Vec<Completion> {
        self.outputs()
            .into_iter()
            .filter_map(|output| match output {
                Output::Complete(completion) => Some(completion),
                _ => None,
            })
            .collect()
    }

    /// Failures by operation, in order.
    pub(super) fn failures(&mut self) -> Vec<(OpId, Option<Failure>)> {
        self.completions().into_iter().map(|c| (c.op, c.result.err())).collect()
    }

    /// Goes on to the core's next deadline and ticks.
    pub(super) fn tick(&mut self) {
        self.now = self.now.max(self.core.deadline().unwrap());
        self.core.tick(self.now);
    }

    pub(super) fn wire(&mut self) -> BytesMut {
        let mut out = BytesMut::new();
        while self.core.wants_transmit() {
            self.core.transmit(self.now, &mut out, usize::MAX);
        }
        out
    }

    /// Dials and connects, ready for the handshake; returns the request.
    pub(super) fn greet(&mut self) -> ConnectRequest {
        self.tick();
        self.core.connected(self.now);
        let mut wire = self.wire();
        ConnectRequest::from_bytes(frame::take(&mut wire, 1 << 20).unwrap().unwrap()).unwrap()
    }

    pub(super) fn answer(&mut self, session: SessionId, timeout: Duration, read_only: ReadOnlyFlag) {
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms: timeout.as_millis() as i32,
            session_id: session,
            password: Password([9; 16]),
            read_only,
        };
        self.core.received(self.now, response.to_bytes());
    }

    pub(super) fn establish(&mut self, session: SessionId) -> ConnectRequest {
        let request = self.greet();
        self.answer(session, TIMEOUT, ReadOnlyFlag::Present(false));
        request
    }

    /// Everything the core has to send now, decoded.
    pub(super) fn sent(&mut self) -> Sent {
        let mut wire = self.wire();
        let mut sent = Vec::new();
        while let Some(frame) = frame::take(&mut wire, 1 << 24).unwrap() {
            let mut reader = Reader::new(frame);
            let header: RequestHeader = reader.read().unwrap();
            sent.push((header.xid, Request::decode(header.op, reader.take_rest()).unwrap()));
        }
        assert!(wire.is_empty());
        sent
    }

    pub(super) fn xids(&mut self) -> Vec<i32> {
        self.sent().into_iter().map(|(xid, _)| xid).collect()
    }

    pub(super) fn reply(&mut self, xid: i32, zxid: i64, outcome: Result<(), ErrorCode>) {
        let header = ReplyHeader { xid, zxid: Zxid(zxid), outcome };
        self.core.received(self.now, header.to_bytes());
    }

    pub(super) fn ok(&mut self, xid: i32) {
        self.zxid += 1;
        self.reply(xid, self.zxid, Ok(()));
    }

    pub(super) fn event(&mut self, event_type: EventType, path: &str) {
        let mut out = BytesMut::new();
        ReplyHeader { xid: XID_NOTIFICATION, zxid: Zxid(5000), outcome: Ok(()) }.encode(&mut out);
        let state = event::KeeperState::SyncConnected;
        WatcherEvent { event_type, state, path: path.into() }.encode(&mut out);
        self.core.received(self.now, out.freeze());
    }

    pub(super) fn submit(&mut self, request: Request) -> OpId {
        self.core.submit(self.now, request, None)
    }

    pub(super) fn disconnect(&mut self) {
        self.core.disconnected(self.now);
    }
}

pub(super) fn get(path: &str, watch: bool) -> Request {
    Request::GetData(GetDataRequest { path: path.into(), watch })
}

pub(super) fn children(path: &str, watch: bool) -> Request {
    Request::GetChildren2(GetChildrenRequest { path: path.into(), watch })
}

pub(super) fn watch(path: &str, mode: AddWatchMode) -> Request {
    Request::AddWatch(AddWatchRequest { path: path.into(), mode: mode.code() })
}

pub(super) fn set(path: &str, data: &str) -> Request {
    let mut bytes = BytesMut::new();
    bytes.put_slice(data.as_bytes());
    Request::SetData(SetDataRequest { path: path.into(), data: Some(bytes.freeze()), version: -1 })
}

pub(super) fn drops(outputs: &[Output]) -> Vec<DropReason> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Disconnect { why } => Some(*why),
            _ => None,
        })
        .collect()
}

pub(super) fn states(outputs: &[Output]) -> Vec<SessionState> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::State(state) => Some(*state),
            _ => None,
        })
        .collect()
}

pub(super) fn secret() -> Bytes {
    Bytes::from_static(b"u:secret")
}
