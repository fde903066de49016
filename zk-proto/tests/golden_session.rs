//! A session of Java's client with Java's server, in `golden/session-*.txt`: both directions walked frame by frame as
//! a client and a server would, and told again as a story.

#![allow(clippy::expect_used, clippy::panic, reason = "a test stops at the first surprise")]

mod golden;

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use zk_proto::connect::{ConnectRequest, ConnectResponse, Password, ReadOnlyFlag};
use zk_proto::header::{ReplyHeader, RequestHeader, XID_AUTH, XID_NOTIFICATION, XID_PING, next_xid};
use zk_proto::limits::FRAME_BYTES_DEFAULT;
use zk_proto::ops::acl::GetAclResponse;
use zk_proto::ops::create::{Create2Response, CreateResponse};
use zk_proto::ops::data::{GetChildren2Response, GetDataResponse, StatResponse};
use zk_proto::ops::multi::{MultiOp, MultiResponse, MultiResult};
use zk_proto::ops::sync::SyncResponse;
use zk_proto::ops::watches::ErrorResponse;
use zk_proto::{
    Acl, Decode, Encode, EventType, KeeperState, Reader, Request, SessionId, Stat, WatcherEvent, Zxid, frame,
};

/// The reply's record, as the request it belongs to says.
#[derive(Debug)]
enum Reply {
    Empty,
    Create(CreateResponse),
    Create2(Create2Response),
    GetData(GetDataResponse),
    Stat(StatResponse),
    GetChildren2(GetChildren2Response),
    GetAcl(GetAclResponse),
    Sync(SyncResponse),
    AddWatch(ErrorResponse),
    Multi(MultiResponse),
}

/// One frame.
#[derive(Debug)]
enum Said {
    Connect(ConnectRequest),
    Connected(ConnectResponse),
    Asked(RequestHeader, Request),
    Answered(ReplyHeader, Reply),
    Event(ReplyHeader, WatcherEvent),
}

/// Reads a value that takes everything that is left, and says what it writes.
fn whole<T: Decode + Encode>(r: &mut Reader) -> (T, Bytes) {
    let value: T = r.read().expect("a record");
    assert!(r.is_empty(), "{} bytes behind it", r.remaining());
    let written = value.to_bytes();
    (value, written)
}

fn request(r: &mut Reader) -> (RequestHeader, Request, Bytes) {
    let header: RequestHeader = r.read().expect("a request header");
    let request = Request::decode(header.op, r.take_rest()).expect("a request");
    let body = match &request {
        Request::Auth(r) => r.to_bytes(),
        Request::Create(r) | Request::Create2(r) => r.to_bytes(),
        Request::GetData(r) => r.to_bytes(),
        Request::SetData(r) => r.to_bytes(),
        Request::GetChildren2(r) => r.to_bytes(),
        Request::GetAcl(r) => r.to_bytes(),
        Request::Sync(r) => r.to_bytes(),
        Request::AddWatch(r) => r.to_bytes(),
        Request::Multi(r) | Request::MultiRead(r) => r.to_bytes(),
        Request::Exists(r) => r.to_bytes(),
        Request::Ping | Request::CloseSession => Bytes::new(),
        other => panic!("not in this session: {other:?}"),
    };
    (header, request, [header.to_bytes(), body].concat().into())
}

fn reply(header: ReplyHeader, request: &Request, r: &mut Reader) -> (Reply, Bytes) {
    fn of<T: Decode + Encode>(r: &mut Reader, reply: fn(T) -> Reply) -> (Reply, Bytes) {
        let (value, written) = whole(r);
        (reply(value), written)
    }
    if header.outcome.is_err() {
        assert!(r.is_empty(), "an error has no body");
        return (Reply::Empty, Bytes::new());
    }
    match request {
        Request::Auth(_) | Request::Ping | Request::CloseSession => {
            assert!(r.is_empty());
            (Reply::Empty, Bytes::new())
        }
        Request::Create(_) => of(r, Reply::Create),
        Request::Create2(_) => of(r, Reply::Create2),
        Request::GetData(_) => of(r, Reply::GetData),
        Request::SetData(_) | Request::Exists(_) => of(r, Reply::Stat),
        Request::GetChildren2(_) => of(r, Reply::GetChildren2),
        Request::GetAcl(_) => of(r, Reply::GetAcl),
        Request::Sync(_) => of(r, Reply::Sync),
        Request::AddWatch(_) => of(r, Reply::AddWatch),
        Request::Multi(_) | Request::MultiRead(_) => of(r, Reply::Multi),
        other => panic!("not in this session: {other:?}"),
    }
}

/// Every frame of the capture, decoded and encoded again to the same bytes.
fn walk(version: &str) -> Vec<Said> {
    let mut said = Vec::new();
    let mut waiting: VecDeque<(i32, Request)> = VecDeque::new();
    for line in golden::text(&format!("session-{version}.txt")).lines() {
        let (side, hex) = line.split_once(' ').expect("a side and a frame");
        let bytes = golden::unhex(hex);
        let mut input = BytesMut::from(&bytes[..]);
        let body = frame::take(&mut input, FRAME_BYTES_DEFAULT).expect("a length").expect("a whole frame");
        assert!(input.is_empty(), "a line is a frame");
        let r = &mut Reader::new(body);
        let shaken = said.len() >= 2;
        let (one, written) = match side {
            "C" if !shaken => {
                let (hello, written) = whole(r);
                (Said::Connect(hello), written)
            }
            "S" if !shaken => {
                let (hello, written) = whole(r);
                (Said::Connected(hello), written)
            }
            "C" => {
                let (header, request, written) = request(r);
                waiting.push_back((header.xid, request.clone()));
                (Said::Asked(header, request), written)
            }
            "S" => {
                let header: ReplyHeader = r.read().expect("a reply header");
                let (one, body) = if header.xid == XID_NOTIFICATION {
                    let (event, written) = whole(r);
                    (Said::Event(header, event), written)
                } else {
                    let at = waiting.iter().position(|(xid, _)| *xid == header.xid).expect("it was asked");
                    let (_, request) = waiting.remove(at).expect("it was found");
                    let (reply, written) = reply(header, &request, r);
                    (Said::Answered(header, reply), written)
                };
                (one, [header.to_bytes(), body].concat().into())
            }
            _ => panic!("neither side: {line}"),
        };
        assert_eq!(frame::of(&Raw(&written)), bytes, "{one:?}");
        said.push(one);
    }
    assert!(waiting.is_empty(), "never answered: {waiting:?}");
    said
}

/// Bytes that are a record already.
struct Raw<'a>(&'a [u8]);

impl Encode for Raw<'_> {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.0);
    }
}

fn text(data: Option<&Bytes>) -> String {
    data.map_or("null".into(), |data| String::from_utf8_lossy(data).into_owned())
}

fn acl(list: &[Acl]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// What tells the nodes of this session apart: zxids, versions, owner, lengths.
fn stat(s: &Stat) -> String {
    let owned = if s.ephemeral_owner.0 == 0 { "" } else { " owned" };
    format!(
        "{}/{}/{} v{} c{} a{} {}B {}ch{owned}",
        s.czxid, s.mzxid, s.pzxid, s.version, s.cversion, s.aversion, s.data_length, s.num_children
    )
}

fn told_request(request: &Request) -> String {
    match request {
        Request::Auth(r) => format!("auth {} {}", r.scheme, String::from_utf8_lossy(r.auth.reveal())),
        Request::Create(r) => {
            format!("create {} {} {} {}", r.path, text(r.data.as_ref()), acl(&r.acl), r.flags)
        }
        Request::Create2(r) => {
            format!("create2 {} {} {} {}", r.path, text(r.data.as_ref()), acl(&r.acl), r.flags)
        }
        Request::GetData(r) => format!("getData {} watch={}", r.path, r.watch),
        Request::SetData(r) => format!("setData {} {} v{}", r.path, text(r.data.as_ref()), r.version),
        Request::GetChildren2(r) => format!("getChildren2 {} watch={}", r.path, r.watch),
        Request::GetAcl(r) => format!("getAcl {}", r.path),
        Request::Sync(r) => format!("sync {}", r.path),
        Request::AddWatch(r) => format!("addWatch {} mode={}", r.path, r.mode),
        Request::Multi(r) => format!("multi {}", r.ops.iter().map(told_part).collect::<Vec<_>>().join("; ")),
        Request::MultiRead(r) => {
            format!("multiRead {}", r.ops.iter().map(told_part).collect::<Vec<_>>().join("; "))
        }
        Request::Exists(r) => format!("exists {} watch={}", r.path, r.watch),
        Request::Ping => "ping".into(),
        Request::CloseSession => "closeSession".into(),
        other => panic!("not in this session: {other:?}"),
    }
}

fn told_part(op: &MultiOp) -> String {
    match op {
        MultiOp::Check(r) => format!("check {} v{}", r.path, r.version),
        MultiOp::Create(r) => format!("create {} {}", r.path, text(r.data.as_ref())),
        MultiOp::SetData(r) => format!("setData {} {} v{}", r.path, text(r.data.as_ref()), r.version),
        MultiOp::Delete(r) => format!("delete {} v{}", r.path, r.version),
        MultiOp::GetData(r) => format!("getData {}", r.path),
        MultiOp::GetChildren(r) => format!("getChildren {}", r.path),
        other => panic!("not in this session: {other:?}"),
    }
}

fn told_reply(reply: &Reply) -> String {
    match reply {
        Reply::Empty => String::new(),
        Reply::Create(r) => r.path.clone(),
        Reply::Create2(r) => format!("{} {}", r.path, stat(&r.stat)),
        Reply::GetData(r) => format!("{} {}", text(r.data.as_ref()), stat(&r.stat)),
        Reply::Stat(r) => stat(&r.stat),
        Reply::GetChildren2(r) => format!("{} {}", r.children.join(","), stat(&r.stat)),
        Reply::GetAcl(r) => format!("{} {}", acl(&r.acl), stat(&r.stat)),
        Reply::Sync(r) => r.path.clone(),
        Reply::AddWatch(r) => format!("{:?}", r.outcome),
        Reply::Multi(r) => r.results.iter().map(told_result).collect::<Vec<_>>().join("; "),
    }
}

fn told_result(result: &MultiResult) -> String {
    match result {
        MultiResult::Create(r) => format!("created {}", r.path),
        MultiResult::Delete => "deleted".into(),
        MultiResult::SetData(r) => format!("set {}", stat(&r.stat)),
        MultiResult::Check => "checked".into(),
        MultiResult::GetData(r) => format!("{} {}", text(r.data.as_ref()), stat(&r.stat)),
        MultiResult::GetChildren(r) => r.children.join(","),
        MultiResult::Error(Ok(())) => "void".into(),
        MultiResult::Error(Err(code)) => format!("{code:?}"),
        MultiResult::Create2(_) => panic!("not in this session: {result:?}"),
    }
}

fn tell(said: &[Said]) -> String {
    let line = |one: &Said| match one {
        Said::Connect(r) => format!("> connect {} ms", r.timeout_ms),
        Said::Connected(r) => format!("< connected {} ms", r.timeout_ms),
        Said::Asked(header, request) => format!("> {} {}", header.xid, told_request(request)),
        Said::Answered(header, reply) => {
            let outcome = header.outcome.map_or_else(|code| format!("{code:?}"), |()| told_reply(reply));
            format!("< {} @{} {outcome}", header.xid, header.zxid)
        }
        Said::Event(_, event) => format!("! {:?} {}", event.event_type, event.path),
    };
    said.iter().map(|one| line(one).trim_end().to_owned() + "\n").collect()
}

/// `TalkSession.java` as the wire has it: `>` asked, `<` answered, `!` event; behind `@` the reply's zxid. A stat is
/// the zxids of creation, data and children, the three versions, length of the data and number of children.
const STORY: &str = "\
> connect 3000 ms
< connected 3000 ms
> -4 auth digest bob:secret
> 1 create /talk one world:anyone:cdrwa 0
< -4 @0x0
< 1 @0x2 /talk
> 2 create2 /talk/n- two auth::cdrwa 3
< 2 @0x3 /talk/n-0000000000 0x3/0x3/0x3 v0 c0 a0 3B 0ch owned
> 3 getData /talk watch=true
< 3 @0x3 one 0x2/0x2/0x3 v0 c1 a0 3B 1ch
> 4 setData /talk three v0
! NodeDataChanged /talk
< 4 @0x4 0x2/0x4/0x3 v1 c1 a0 5B 1ch
> 5 getChildren2 /talk watch=false
< 5 @0x4 n-0000000000 0x2/0x4/0x3 v1 c1 a0 5B 1ch
> 6 getAcl /talk
< 6 @0x4 world:anyone:cdrwa 0x2/0x4/0x3 v1 c1 a0 5B 1ch
> 7 sync /talk
< 7 @0x4 /talk
> 8 addWatch /talk mode=1
< 8 @0x4 Ok(())
> 9 multi check /talk v1; create /talk/m four; setData /talk/m five v0; delete /talk/m v1
! NodeCreated /talk/m
! NodeDataChanged /talk/m
! NodeDeleted /talk/m
< 9 @0x5 checked; created /talk/m; set 0x5/0x5/0x5 v1 c0 a0 4B 0ch; deleted
> 10 multi setData /talk null v-1; check /talk v9; delete /talk v-1
< 10 @0x6 void; BadVersion; RuntimeInconsistency
> 11 multiRead getData /talk; getChildren /talk; getData /missing
< 11 @0x6 three 0x2/0x4/0x5 v1 c3 a0 5B 1ch; n-0000000000; NoNode
> 12 exists /missing watch=true
< 12 @0x6 NoNode
> -2 ping
< -2 @0x6
> 13 closeSession
! NodeDeleted /talk/n-0000000000
< 13 @0x7
";

const VERSIONS: [&str; 2] = ["3.8", "3.9.5"];

#[test]
fn the_session_is_the_one_that_java_was_told_to_have() {
    for version in VERSIONS {
        assert_eq!(tell(&walk(version)), STORY, "{version}");
    }
}

#[test]
fn the_handshake_asks_for_a_new_session_and_grants_one() {
    for version in VERSIONS {
        let said = walk(version);
        let [Said::Connect(asked), Said::Connected(granted), ..] = &said[..] else { panic!("no handshake") };
        assert_eq!((asked.protocol_version, asked.last_zxid_seen), (0, Zxid::ZERO));
        assert_eq!((asked.session_id, asked.password), (SessionId::NONE, Password::default()));
        assert_eq!(
            (asked.read_only, granted.read_only),
            (ReadOnlyFlag::Present(false), ReadOnlyFlag::Present(false))
        );
        assert_eq!(granted.protocol_version, 0);
        // Our servers must accept the sessions of Java's, and the reverse.
        assert_eq!(granted.password, Password::of_session(granted.session_id), "{version}");
        let owner = said.iter().find_map(|one| match one {
            Said::Answered(_, Reply::Create2(r)) => Some(r.stat.ephemeral_owner),
            _ => None,
        });
        assert_eq!(owner, Some(granted.session_id));
    }
}

#[test]
fn xids_are_in_order_but_for_the_special_ones() {
    for version in VERSIONS {
        let mut last = 0;
        for one in walk(version) {
            match one {
                Said::Asked(header, Request::Ping) => assert_eq!(header.xid, XID_PING),
                Said::Asked(header, Request::Auth(_)) => assert_eq!(header.xid, XID_AUTH),
                Said::Asked(header, _) => {
                    assert_eq!(header.xid, next_xid(last));
                    last = header.xid;
                }
                _ => {}
            }
        }
        assert_eq!(last, 13);
    }
}

/// Up to 3.8 an event's header has zxid -1, from 3.9 on that of its transaction, which is the one the reply behind
/// it shows.
#[test]
fn events_come_before_the_reply_and_since_3_9_with_its_zxid() {
    for version in VERSIONS {
        let mut events: Vec<ReplyHeader> = Vec::new();
        let mut seen = 0;
        for one in walk(version) {
            match one {
                Said::Event(header, event) => {
                    assert_eq!((header.xid, header.outcome), (XID_NOTIFICATION, Ok(())));
                    assert_eq!(event.state, KeeperState::SyncConnected);
                    assert_ne!(event.event_type, EventType::None);
                    events.push(header);
                }
                Said::Answered(reply, _) => {
                    for event in events.drain(..) {
                        let expected = if version == "3.8" { Zxid(-1) } else { reply.zxid };
                        assert_eq!(event.zxid, expected, "{version}");
                        seen += 1;
                    }
                }
                _ => {}
            }
        }
        assert_eq!((seen, events.len()), (5, 0));
    }
}
