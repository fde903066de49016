//! Which request a reply answers: the requests of one connection that the server has and has not answered.

use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use zk_proto::header::{ReplyHeader, RequestHeader, XID_NOTIFICATION};
use zk_proto::{OpCode, Reader, WatcherEvent, Zxid};

use super::message::{Direction, Fate, Kind, Message, path_of};

/// What was asked.
#[derive(Debug)]
struct Asked {
    op: OpCode,
    path: Option<String>,
}

/// The questions of one connection, by xid. Several may wear one of the special xids; those are answered in their
/// order.
#[derive(Debug, Default)]
pub(super) struct Flying {
    greeted: bool,
    welcomed: bool,
    asked: BTreeMap<i32, VecDeque<Asked>>,
}

fn plain(connection: u64, direction: Direction, kind: Kind, frame: &Bytes) -> Message {
    Message {
        connection,
        direction,
        kind,
        xid: 0,
        path: None,
        zxid: Zxid::ZERO,
        outcome: Ok(()),
        bytes: zk_proto::frame::PREFIX_BYTES + frame.len(),
        fate: Fate::Passed,
        body: frame.clone(),
    }
}

impl Flying {
    /// What this frame of the client is. It does not count as asked before [`Flying::ask`].
    pub(super) fn client_says(&mut self, connection: u64, frame: &Bytes) -> Message {
        let mut message = plain(connection, Direction::ToServer, Kind::Greeting, frame);
        if !std::mem::replace(&mut self.greeted, true) {
            return message;
        }
        let mut reader = Reader::new(frame.clone());
        message.kind = Kind::Unknown;
        if let Ok(header) = reader.read::<RequestHeader>() {
            message.xid = header.xid;
            message.body = reader.take_rest();
            if let Some(op) = OpCode::from_code(header.op) {
                message.kind = Kind::Request(op);
                message.path = path_of(op, &message.body);
            }
        }
        message
    }

    /// The server is about to get this request.
    pub(super) fn ask(&mut self, message: &Message) {
        if let Kind::Request(op) = message.kind {
            let asked = Asked { op, path: message.path.clone() };
            self.asked.entry(message.xid).or_default().push_back(asked);
        }
    }

    /// What this frame of the server is.
    pub(super) fn server_says(&mut self, connection: u64, frame: &Bytes) -> Message {
        let mut message = plain(connection, Direction::ToClient, Kind::Welcome, frame);
        if !std::mem::replace(&mut self.welcomed, true) {
            return message;
        }
        message.kind = Kind::Unknown;
        let mut reader = Reader::new(frame.clone());
        let Ok(ReplyHeader { xid, zxid, outcome }) = reader.read() else { return message };
        (message.xid, message.zxid, message.outcome) = (xid, zxid, outcome);
        message.body = reader.take_rest();
        if xid == XID_NOTIFICATION {
            if let Ok(event) = Reader::new(message.body.clone()).read::<WatcherEvent>() {
                message.kind = Kind::Event(event.event_type);
                message.path = Some(event.path);
            }
        } else if let Some(asked) = self.answered(xid) {
            message.kind = Kind::Reply(asked.op);
            message.path = asked.path;
        }
        message
    }

    fn answered(&mut self, xid: i32) -> Option<Asked> {
        let waiting = self.asked.get_mut(&xid)?;
        let asked = waiting.pop_front();
        if waiting.is_empty() {
            self.asked.remove(&xid);
        }
        asked
    }
}
