//! Whole requests through a node: what a client sees, in which order.

use super::*;
use crate::core::connection::{Admission, ConnId, Wake};
use bytes::Bytes;
use zk_proto::header::ReplyHeader;
use zk_proto::jute::{Decode, Reader};
use zk_proto::ops::create::{Create2Response, CreateRequest, CreateResponse};
use zk_proto::ops::data::{ExistsRequest, GetChildrenRequest, GetDataRequest, SetDataRequest};
use zk_proto::ops::delete::DeleteRequest;
use zk_proto::ops::multi::{CheckVersionRequest, MultiOp, MultiRequest, MultiResult};
use zk_proto::ops::sync::SyncRequest;
use zk_proto::{Acl, CreateMode, EventType, WatcherEvent, frame};

struct Silent;
impl Wake for Silent {
    fn wake(&self) {}
}

struct World {
    node: Node,
    now: Duration,
    next_conn: u64,
}

/// A reply or event, without its header's constants.
#[derive(Debug)]
struct Got {
    xid: i32,
    zxid: i64,
    outcome: Result<(), ErrorCode>,
    body: Bytes,
}

impl World {
    fn new() -> Self {
        let options = NodeOptions {
            rules: Rules { skip_acl: false, extended_types: true },
            tick: Duration::from_millis(100),
            session_timeout_min: Duration::from_millis(200),
            session_timeout_max: Duration::from_secs(10),
            session_id_base: 100,
            super_digest: None,
            reap_every: Duration::from_secs(60),
        };
        Self {
            node: Node::new(Committed::initial(1), options, Duration::ZERO),
            now: Duration::ZERO,
            next_conn: 0,
        }
    }

    fn clock(&self) -> Clock {
        Clock { now: self.now, wall_ms: 1_000 }
    }

    fn sync(&mut self) {
        if let Some(batch) = self.node.take_log() {
            self.node.durable(self.clock(), batch.last);
        }
    }

    fn dial(
        &mut self,
        session_id: SessionId,
        last_zxid_seen: Zxid,
    ) -> (Arc<Connection>, Option<ConnectResponse>) {
        self.next_conn += 1;
        let c = Arc::new(Connection::new(
            ConnId(self.next_conn),
            ([127, 0, 0, 1], 9).into(),
            self.now,
            Arc::new(Silent),
        ));
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen,
            timeout_ms: 1_000,
            session_id,
            password: Password::of_session(session_id),
            read_only: ReadOnlyFlag::Present(false),
        };
        self.node.connect(self.clock(), &c, &request);
        self.sync();
        let mut out = BytesMut::new();
        c.take_output(&mut out);
        let answer = frame::take(&mut out, 1000).unwrap().map(|f| ConnectResponse::from_bytes(f).unwrap());
        (c, answer)
    }

    fn client(&mut self) -> Arc<Connection> {
        self.dial(SessionId::NONE, Zxid::ZERO).0
    }

    fn send(&mut self, c: &Arc<Connection>, xid: i32, request: Request) {
        let is_write = matches!(
            request,
            Request::Create(_)
                | Request::CreateContainer(_)
                | Request::Create2(_)
                | Request::CreateTtl(_)
                | Request::Delete(_)
                | Request::SetData(_)
                | Request::SetAcl(_)
                | Request::Multi(_)
                | Request::Sync(_)
                | Request::CloseSession
        );
        if is_write {
            c.admit_write(self.now);
            let submission = Submission { connection: Arc::clone(c), xid, request };
            self.node.submit(self.clock(), submission);
        } else if let Admission::Now(ask) = c.admit_read(xid, Ok(request)) {
            let shared = Arc::clone(self.node.shared());
            let state = shared.read();
            shared.serve(&state, c, xid, &ask);
        }
    }

    /// Sends one request, lets it through, and returns its reply.
    fn ask(&mut self, c: &Arc<Connection>, request: Request) -> Got {
        self.send(c, 77, request);
        self.sync();
        got(c).pop().unwrap()
    }
}

fn got(c: &Arc<Connection>) -> Vec<Got> {
    let mut out = BytesMut::new();
    c.take_output(&mut out);
    let mut all = Vec::new();
    while let Some(frame) = frame::take(&mut out, 1 << 20).unwrap() {
        let mut r = Reader::new(frame);
        let header: ReplyHeader = r.read().unwrap();
        all.push(Got { xid: header.xid, zxid: header.zxid.0, outcome: header.outcome, body: r.take_rest() });
    }
    all
}

fn create(path: &str, mode: CreateMode) -> Request {
    Request::Create2(CreateRequest {
        path: path.into(),
        data: Some(Bytes::from_static(b"v")),
        acl: Acl::open(),
        flags: mode.flags(),
    })
}

fn get(path: &str, watch: bool) -> Request {
    Request::GetData(GetDataRequest { path: path.into(), watch })
}

fn set(path: &str, version: i32) -> Request {
    Request::SetData(SetDataRequest { path: path.into(), data: None, version })
}

fn delete(path: &str) -> Request {
    Request::Delete(DeleteRequest { path: path.into(), version: -1 })
}

fn event(got: &Got) -> (EventType, String) {
    assert_eq!(got.xid, -1);
    let event = WatcherEvent::from_bytes(got.body.clone()).unwrap();
    (event.event_type, event.path)
}

#[test]
fn nothing_is_answered_before_it_is_durable() {
    let mut w = World::new();
    let c = w.client();
    w.send(&c, 1, create("/a", CreateMode::Persistent));
    w.send(&c, 2, get("/a", false));
    w.send(&c, 3, set("/a", 0));
    w.send(&c, 4, get("/a", false));
    assert!(got(&c).is_empty());
    w.sync();
    let replies = got(&c);
    assert_eq!(replies.iter().map(|r| r.xid).collect::<Vec<_>>(), [1, 2, 3, 4]);
    // Each read stands exactly between the writes around it.
    assert_eq!(replies.iter().map(|r| r.zxid).collect::<Vec<_>>(), [2, 2, 3, 3]);
    assert!(replies.iter().all(|r| r.outcome.is_ok()));
}

#[test]
fn in_flight_writes_are_seen_by_later_checks() {
    let mut w = World::new();
    let (a, b) = (w.client(), w.client());
    w.send(&a, 1, create("/a", CreateMode::Persistent));
    w.send(&b, 1, create("/a", CreateMode::Persistent));
    w.send(&b, 2, set("/a", 0));
    w.send(&a, 2, set("/a", 0));
    w.sync();
    let outcomes = |c| got(c).into_iter().map(|g| g.outcome).collect::<Vec<_>>();
    assert_eq!(outcomes(&a), [Ok(()), Err(ErrorCode::BadVersion)]);
    assert_eq!(outcomes(&b), [Err(ErrorCode::NodeExists), Ok(())]);
}

#[test]
fn an_event_arrives_before_what_shows_its_cause() {
    let mut w = World::new();
    let (a, b) = (w.client(), w.client());
    w.ask(&a, create("/a", CreateMode::Persistent));
    assert!(w.ask(&b, get("/a", true)).outcome.is_ok());
    w.send(&b, 5, set("/a", -1));
    w.sync();
    let seen = got(&b);
    assert_eq!(event(&seen[0]), (EventType::NodeDataChanged, "/a".into()));
    assert_eq!(seen[1].xid, 5);
    assert_eq!(seen[0].zxid, seen[1].zxid, "the event names its transaction");
    w.ask(&a, set("/a", -1));
    assert!(got(&b).is_empty(), "a one-shot watch fires once");
}

#[test]
fn sequential_names_count_creations_not_children() {
    let mut w = World::new();
    let c = w.client();
    let mut path = || {
        let got = w.ask(&c, create("/s-", CreateMode::EphemeralSequential));
        Create2Response::from_bytes(got.body).unwrap().path
    };
    assert_eq!([path(), path()], ["/s-0000000000", "/s-0000000001"]);
    assert!(w.ask(&c, delete("/s-0000000001")).outcome.is_ok());
    let got = w.ask(&c, create("/s-", CreateMode::PersistentSequential));
    assert_eq!(Create2Response::from_bytes(got.body).unwrap().path, "/s-0000000002");
}

#[test]
fn a_session_ends_with_its_ephemerals_and_its_connection() {
    let mut w = World::new();
    let (a, b) = (w.client(), w.client());
    w.ask(&a, create("/e", CreateMode::Ephemeral));
    w.ask(&b, Request::Exists(ExistsRequest { path: "/e".into(), watch: true }));
    b.heard(Duration::from_millis(900));
    w.now = Duration::from_millis(1_100);
    assert_eq!(w.node.deadline(), w.now);
    w.node.tick(w.clock());
    // Its end is not durable yet; an answer would tell the client that it lives.
    w.send(&a, 9, Request::Exists(ExistsRequest { path: "/e".into(), watch: false }));
    assert!(got(&a).iter().all(|reply| reply.xid != 9));
    w.sync();
    assert_eq!(event(&got(&b)[0]), (EventType::NodeDeleted, "/e".into()));
    assert!(a.is_closing() && !b.is_closing());
    let (_, answer) = w.dial(a.session(), Zxid::ZERO);
    assert_eq!(answer.unwrap().timeout_ms, 0, "an expired session is refused");
}

#[test]
fn closing_is_answered_and_takes_what_was_in_flight_along() {
    let mut w = World::new();
    let c = w.client();
    w.send(&c, 1, create("/e", CreateMode::Ephemeral));
    w.send(&c, 2, Request::CloseSession);
    w.send(&c, 3, set("/", -1));
    w.sync();
    let replies = got(&c);
    assert_eq!(replies.iter().map(|r| r.xid).collect::<Vec<_>>(), [1, 2]);
    assert!(c.is_closing());
    assert!(w.node.shared().read().tree.get("/e").is_none());
}

#[test]
fn a_session_is_taken_over_by_its_next_connection() {
    let mut w = World::new();
    let a = w.client();
    let (b, answer) = w.dial(a.session(), Zxid(1));
    assert_eq!(answer.unwrap().session_id, a.session());
    assert!(a.is_closing() && b.is_open());
    w.node.disconnected(&a);
    assert!(w.ask(&b, create("/x", CreateMode::Ephemeral)).outcome.is_ok());
}

#[test]
fn a_session_goes_on_behind_its_writes_in_flight() {
    let mut w = World::new();
    let old = w.client();
    let other = w.client();
    w.send(&old, 1, create("/a", CreateMode::Persistent));
    w.send(&other, 1, create("/b", CreateMode::Persistent));
    let batch = w.node.take_log().unwrap();
    let (first, last) = (batch.first, batch.last);
    let new = Arc::new(Connection::new(ConnId(99), ([127, 0, 0, 1], 9).into(), w.now, Arc::new(Silent)));
    let id = old.session();
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: 1_000,
        session_id: id,
        password: Password::of_session(id),
        read_only: ReadOnlyFlag::Present(false),
    };
    w.node.connect(w.clock(), &new, &request);
    assert!(!new.is_open(), "the old connection's write is not done");
    w.node.durable(w.clock(), first);
    assert!(new.is_open(), "another session's write is nobody's business");
    w.node.durable(w.clock(), last);
    let mut out = BytesMut::new();
    new.take_output(&mut out);
    assert_eq!(w.ask(&new, get("/a", false)).outcome, Ok(()));
}

#[test]
fn a_client_that_has_seen_more_is_sent_away_without_an_answer() {
    let mut w = World::new();
    let (c, answer) = w.dial(SessionId::NONE, Zxid(99));
    assert!(answer.is_none() && c.is_closing());
}

/// Whoever syncs and looks sees what was written before, by anyone.
#[test]
fn a_sync_waits_for_what_was_written_before() {
    let mut w = World::new();
    let (a, b) = (w.client(), w.client());
    w.send(&a, 1, create("/late", CreateMode::Ephemeral));
    let batch = w.node.take_log().unwrap();
    w.send(&b, 2, Request::Sync(SyncRequest { path: "/".into() }));
    w.send(&b, 3, get("/late", false));
    assert!(got(&b).is_empty(), "the create is not durable yet");
    w.node.durable(w.clock(), batch.last);
    let replies = got(&b);
    assert_eq!(replies.iter().map(|r| (r.xid, r.zxid)).collect::<Vec<_>>(), [(2, 3), (3, 3)]);
    assert!(replies.iter().all(|r| r.outcome.is_ok()));
    // With nothing in flight it is answered at once.
    w.send(&b, 4, Request::Sync(SyncRequest { path: "/".into() }));
    assert_eq!(got(&b)[0].body, SyncRequest { path: "/".into() }.to_bytes());
}

#[test]
fn a_request_that_comes_late_over_a_replaced_connection_is_refused() {
    let mut w = World::new();
    let a = w.client();
    a.admit_write(w.now);
    let request = create("/late", CreateMode::Ephemeral);
    let late = Submission { connection: Arc::clone(&a), xid: 1, request };
    let (b, _) = w.dial(a.session(), Zxid(1));
    w.node.submit(w.clock(), late);
    w.sync();
    assert!(w.node.shared().read().tree.get("/late").is_none());
    assert!(w.ask(&b, create("/new", CreateMode::Ephemeral)).outcome.is_ok());
}

#[test]
fn a_multi_is_all_or_nothing() {
    let mut w = World::new();
    let c = w.client();
    w.ask(&c, create("/a", CreateMode::Persistent));
    let op = |path: &str| {
        MultiOp::Create(CreateRequest { path: path.into(), data: None, acl: Acl::open(), flags: 0 })
    };
    let check = |version| MultiOp::Check(CheckVersionRequest { path: "/a".into(), version });
    let failed = w.ask(&c, Request::Multi(MultiRequest { ops: vec![op("/a/b"), check(7), op("/a/c")] }));
    assert_eq!(failed.outcome, Ok(()));
    assert_eq!(
        MultiResponse::from_bytes(failed.body).unwrap().results,
        [
            MultiResult::Error(Ok(())),
            MultiResult::Error(Err(ErrorCode::BadVersion)),
            MultiResult::Error(Err(ErrorCode::RuntimeInconsistency)),
        ]
    );
    assert_eq!(w.ask(&c, get("/a/b", false)).outcome, Err(ErrorCode::NoNode));
    let done = w.ask(&c, Request::Multi(MultiRequest { ops: vec![check(0), op("/a/b"), op("/a/b/c")] }));
    let results = MultiResponse::from_bytes(done.body).unwrap().results;
    assert_eq!(results[2], MultiResult::Create(CreateResponse { path: "/a/b/c".into() }));
    let state = w.node.shared().read();
    assert_eq!(state.digest_mismatches, 0, "what prep foresaw is what came to be");
}

#[test]
fn errors_are_zookeepers() {
    let mut w = World::new();
    let c = w.client();
    w.ask(&c, create("/a", CreateMode::Persistent));
    w.ask(&c, create("/a/e", CreateMode::Ephemeral));
    let mut err = |request| w.ask(&c, request).outcome.unwrap_err();
    assert_eq!(err(create("/no/x", CreateMode::Persistent)), ErrorCode::NoNode);
    assert_eq!(err(create("/a", CreateMode::Persistent)), ErrorCode::NodeExists);
    assert_eq!(err(create("/a/e/x", CreateMode::Persistent)), ErrorCode::NoChildrenForEphemerals);
    assert_eq!(err(create("bad", CreateMode::Persistent)), ErrorCode::BadArguments);
    assert_eq!(err(create("/a/", CreateMode::Persistent)), ErrorCode::BadArguments);
    assert_eq!(err(delete("/a")), ErrorCode::NotEmpty);
    assert_eq!(err(delete("/zookeeper")), ErrorCode::BadArguments);
    assert_eq!(err(delete("/none")), ErrorCode::NoNode);
    assert_eq!(err(set("/a", 5)), ErrorCode::BadVersion);
    assert_eq!(err(get("/none", false)), ErrorCode::NoNode);
    assert_eq!(
        err(Request::GetChildren(GetChildrenRequest { path: "/none".into(), watch: false })),
        ErrorCode::NoNode
    );
}

#[test]
fn empty_containers_and_outlived_nodes_are_removed() {
    let mut w = World::new();
    let c = w.client();
    let container = |path: &str| {
        Request::CreateContainer(CreateRequest {
            path: path.into(),
            data: None,
            acl: Acl::open(),
            flags: CreateMode::Container.flags(),
        })
    };
    for path in ["/used", "/never-used", "/in-use"] {
        assert!(w.ask(&c, container(path)).outcome.is_ok());
    }
    w.ask(&c, create("/used/child", CreateMode::Persistent));
    w.ask(&c, create("/in-use/child", CreateMode::Persistent));
    w.ask(&c, delete("/used/child"));
    let ttl = |path: &str, ttl_ms| {
        let flags = CreateMode::PersistentTtl.flags();
        let request = zk_proto::ops::create::CreateTtlRequest {
            path: path.into(),
            data: None,
            acl: Acl::open(),
            flags,
            ttl_ms,
        };
        Request::CreateTtl(request)
    };
    assert!(w.ask(&c, ttl("/short", 10)).outcome.is_ok());
    assert!(w.ask(&c, ttl("/long", 1_000_000)).outcome.is_ok());
    w.ask(&c, Request::Exists(ExistsRequest { path: "/used".into(), watch: true }));
    // A child on its way keeps its container, though the tree does not show it yet.
    w.ask(&c, container("/just-in-time"));
    w.ask(&c, create("/just-in-time/a", CreateMode::Persistent));
    w.ask(&c, delete("/just-in-time/a"));
    w.send(&c, 9, create("/just-in-time/b", CreateMode::Persistent));
    w.now = Duration::from_secs(60);
    c.heard(w.now);
    w.node.tick(Clock { now: w.now, wall_ms: 2_000 });
    w.sync();
    let told = got(&c);
    assert_eq!(event(&told[1]), (EventType::NodeDeleted, "/used".into()));
    let state = w.node.shared().read();
    for (path, there) in [
        ("/used", false),
        ("/never-used", true),
        ("/in-use", true),
        ("/just-in-time/b", true),
        ("/short", false),
        ("/long", true),
    ] {
        assert_eq!(state.tree.get(path).is_some(), there, "{path}");
    }
    assert_eq!(state.digest_mismatches, 0);
}
