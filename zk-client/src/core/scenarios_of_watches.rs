//! What becomes of watches: persistent ones, shared ones, forgotten ones.

use zk_proto::connect::ReadOnlyFlag;
use zk_proto::event::{AddWatchMode, WatcherType};
use zk_proto::header::XID_SET_WATCHES;
use zk_proto::ops::delete::DeleteRequest;
use zk_proto::ops::multi::{MultiOp, MultiRequest};
use zk_proto::ops::watches::WatchesRequest;
use zk_proto::watch::SetWatches2;
use zk_proto::{ErrorCode, EventType, SessionId, Zxid};

use super::testkit::{Rig, SESSION, TIMEOUT, children, drops, get, watch};
use super::{Config, DropReason, Failure, OpId, Output, Request, SessionEnd, WatchLost};
use crate::limits::REMOVALS_HELD_MAX;

const PERSISTENT: AddWatchMode = AddWatchMode::Persistent;
const RECURSIVE: AddWatchMode = AddWatchMode::PersistentRecursive;

fn remove(path: &str) -> Request {
    Request::RemoveWatches(WatchesRequest { path: path.into(), watcher_type: WatcherType::Any.code() })
}

impl Rig {
    /// Submits, sends, answers with success; swallows the outputs.
    fn done(&mut self, request: Request) -> OpId {
        let op = self.submit(request);
        for xid in self.xids() {
            self.ok(xid);
        }
        self.outputs();
        op
    }

    fn requests(&mut self) -> Vec<Request> {
        self.sent().into_iter().map(|(_, request)| request).collect()
    }

    fn resynced(&mut self) -> Vec<Vec<OpId>> {
        let outputs = self.outputs().into_iter();
        outputs
            .filter_map(|o| if let Output::Resync { streams } = o { Some(streams) } else { None })
            .collect()
    }

    /// The watches that ended without an event.
    fn lost(&mut self) -> Vec<(Vec<OpId>, WatchLost)> {
        let outputs = self.outputs().into_iter();
        let lost = |o| if let Output::WatchesLost { watches, why } = o { Some((watches, why)) } else { None };
        outputs.filter_map(lost).collect()
    }

    /// Whom an event reached: one-shots and streams.
    fn reached(&mut self, event_type: EventType, path: &str) -> (Vec<OpId>, Vec<OpId>) {
        self.event(event_type, path);
        match self.outputs().pop() {
            Some(Output::Event { watches, streams, .. }) => (watches, streams),
            _ => Default::default(),
        }
    }
}

fn rearmed(requests: &[Request]) -> &SetWatches2 {
    let [Request::SetWatches(rearm)] = requests else { panic!("{requests:?}") };
    rearm
}

#[test]
fn a_persistent_watch_hears_until_it_is_forgotten() {
    let mut rig = Rig::live();
    let stream = rig.done(watch("/a", PERSISTENT));
    for event in [EventType::NodeDeleted, EventType::NodeCreated, EventType::NodeChildrenChanged] {
        assert_eq!(rig.reached(event, "/a"), (vec![], vec![stream]));
    }
    assert_eq!(rig.reached(EventType::NodeCreated, "/a/b"), (vec![], vec![]));
    rig.core.forget(stream);
    assert_eq!(rig.requests(), [remove("/a")]);
    assert_eq!(rig.reached(EventType::NodeCreated, "/a"), (vec![], vec![]));
}

#[test]
fn every_reconnect_arms_again_and_then_says_resync() {
    let mut rig = Rig::live();
    let persistent = rig.done(watch("/p", PERSISTENT));
    let recursive = rig.done(watch("/r", RECURSIVE));
    rig.done(get("/d", true));
    rig.disconnect();
    rig.establish(SESSION);
    rig.outputs();
    let sent = rig.requests();
    let batch = rearmed(&sent);
    assert_eq!(
        (&batch.persistent_watches[..], &batch.data_watches[..]),
        (&["/p".into()][..], &["/d".into()][..])
    );
    assert_eq!(batch.persistent_recursive_watches, ["/r"]);
    // Not before the server has armed them: an event could still be missed.
    assert!(rig.resynced().is_empty());
    rig.ok(XID_SET_WATCHES);
    assert_eq!(rig.resynced(), [vec![persistent, recursive]]);
    assert_eq!(rig.reached(EventType::NodeCreated, "/r/x/y"), (vec![], vec![recursive]));
}

#[test]
fn a_stream_goes_on_in_the_next_session_unless_it_is_pinned() {
    let mut rig = Rig::live();
    let free = rig.done(watch("/p", PERSISTENT));
    let pinned = rig.core.submit(rig.now, watch("/p", RECURSIVE), Some(SESSION));
    let once = rig.submit(get("/p", true));
    for xid in rig.xids() {
        rig.ok(xid);
    }
    rig.disconnect();
    rig.outputs();
    rig.greet();
    rig.answer(SessionId::NONE, std::time::Duration::ZERO, ReadOnlyFlag::Present(false));
    assert_eq!(rig.lost(), [(vec![pinned, once], WatchLost::Ended(SessionEnd::Expired))]);
    rig.establish(SessionId(0x66));
    let sent = rig.requests();
    let batch = rearmed(&sent);
    assert_eq!((batch.relative_zxid, &batch.persistent_watches[..]), (Zxid::ZERO, &["/p".to_owned()][..]));
    assert!(batch.data_watches.is_empty() && batch.persistent_recursive_watches.is_empty());
    rig.ok(XID_SET_WATCHES);
    assert_eq!(rig.resynced(), [vec![free]]);
}

#[test]
fn a_pinned_watch_does_not_go_along_from_a_read_only_session() {
    let mut rig = Rig::new(Config { session_timeout: TIMEOUT, read_only: true, ..Config::default() });
    rig.greet();
    rig.answer(SESSION, TIMEOUT, ReadOnlyFlag::Present(true));
    let free = rig.done(watch("/p", PERSISTENT));
    let pinned = rig.core.submit(rig.now, watch("/p", PERSISTENT), Some(SESSION));
    for xid in rig.xids() {
        rig.ok(xid);
    }
    rig.disconnect();
    rig.outputs();
    rig.greet();
    rig.answer(SessionId(0x66), TIMEOUT, ReadOnlyFlag::Present(false));
    assert_eq!(rig.lost(), [(vec![pinned], WatchLost::Ended(SessionEnd::Expired))]);
    assert_eq!(rearmed(&rig.requests()).persistent_watches, ["/p"]);
    rig.ok(XID_SET_WATCHES);
    assert_eq!(rig.resynced(), [vec![free]]);
}

#[test]
fn the_last_interest_of_a_path_is_removed_and_no_other() {
    let mut rig = Rig::live();
    let first = rig.done(get("/a", true));
    let second = rig.done(get("/a", true));
    let third = rig.done(children("/a", true));
    rig.core.forget(first);
    rig.core.forget(second);
    assert!(!rig.core.wants_transmit() || rig.requests().is_empty());
    rig.core.forget(third);
    assert_eq!(rig.requests(), [remove("/a")]);
    // Whatever the server says to it, nobody is told.
    rig.reply(4, 200, Err(ErrorCode::NoWatcher));
    assert!(rig.outputs().is_empty());
}

#[test]
fn a_removal_never_takes_a_younger_watch_along() {
    let mut rig = Rig::live();
    let old = rig.done(get("/a", true));
    // The younger one is in flight: nothing is removed under it.
    let young = rig.submit(get("/a", true));
    assert_eq!(rig.requests().len(), 1);
    rig.core.forget(old);
    assert!(rig.requests().is_empty());
    rig.ok(2);
    assert!(rig.requests().is_empty());
    assert_eq!(rig.reached(EventType::NodeDataChanged, "/a"), (vec![young], vec![]));
    // It waits: it takes the watch over, and there is nothing to remove.
    let old = rig.done(get("/b", true));
    rig.core.forget(old);
    let young = rig.done(get("/b", true));
    assert!(rig.requests().is_empty());
    assert_eq!(rig.reached(EventType::NodeDataChanged, "/b"), (vec![young], vec![]));
}

#[test]
fn a_node_that_is_deleted_takes_its_watch_along() {
    let delete = || Request::Delete(DeleteRequest { path: "/a".into(), version: -1 });
    for forgotten_first in [true, false] {
        let mut rig = Rig::live();
        let watch = rig.done(get("/a", true));
        if forgotten_first {
            rig.core.forget(watch);
        }
        rig.submit(delete());
        assert_eq!(rig.requests(), [delete()]);
        rig.core.forget(watch);
        rig.event(EventType::NodeDeleted, "/a");
        rig.ok(2);
        assert!(rig.requests().is_empty());
    }
    // Refused, the node stays, and so would the watch.
    let mut rig = Rig::live();
    let watch = rig.done(get("/a", true));
    rig.submit(delete());
    rig.core.forget(watch);
    assert_eq!(rig.requests(), [delete()]);
    rig.reply(2, 200, Err(ErrorCode::NotEmpty));
    assert_eq!(rig.requests(), [remove("/a")]);
}

#[test]
fn a_transaction_that_deletes_takes_watches_along() {
    let delete = |path: &str| MultiOp::Delete(DeleteRequest { path: path.into(), version: -1 });
    let both = || Request::Multi(MultiRequest { ops: vec![delete("/a"), delete("/b"), delete("/a")] });
    for done in [true, false] {
        let mut rig = Rig::live();
        let (a, b) = (rig.done(get("/a", true)), rig.done(get("/b", true)));
        rig.core.forget(a);
        rig.submit(both());
        assert_eq!(rig.requests(), [both()]);
        rig.core.forget(b);
        if done {
            rig.event(EventType::NodeDeleted, "/a");
            rig.event(EventType::NodeDeleted, "/b");
            rig.ok(3);
            assert!(rig.requests().is_empty());
        } else {
            // One step fails, and nothing has happened.
            rig.ok(3);
            assert_eq!(rig.requests(), [remove("/b"), remove("/a")]);
        }
    }
}

#[test]
fn many_removals_are_not_held_behind_operations_for_ever() {
    let mut rig = Rig::live();
    let watches: Vec<OpId> =
        (0..=REMOVALS_HELD_MAX).map(|n| rig.submit(get(&format!("/{n}"), true))).collect();
    for xid in rig.xids() {
        rig.ok(xid);
    }
    rig.outputs();
    watches.into_iter().for_each(|watch| rig.core.forget(watch));
    rig.submit(get("/a", false));
    let mut out = bytes::BytesMut::new();
    rig.core.transmit(rig.now, &mut out, 1);
    let header = &out[4..12];
    assert_eq!(header[4..], zk_proto::OpCode::RemoveWatches.code().to_be_bytes());
}

#[test]
fn a_one_shot_beside_a_persistent_watch_leaves_its_flag_out() {
    let mut rig = Rig::live();
    let stream = rig.done(watch("/a", PERSISTENT));
    let data = rig.submit(get("/a", true));
    let list = rig.submit(children("/a", true));
    assert_eq!(rig.requests(), [get("/a", false), children("/a", false)]);
    rig.ok(2);
    rig.ok(3);
    assert!(rig.completions().iter().all(|completion| completion.watching));
    assert_eq!(rig.reached(EventType::NodeDataChanged, "/a"), (vec![data], vec![stream]));
    // The stream may go: the server must not, for the list is still waited for.
    rig.core.forget(stream);
    assert!(rig.requests().is_empty());
    assert_eq!(rig.reached(EventType::NodeChildrenChanged, "/a"), (vec![list], vec![]));
    assert_eq!(rig.requests(), [remove("/a")]);
}

#[test]
fn a_one_shot_that_relied_on_a_refused_watch_is_not_left_deaf() {
    let mut rig = Rig::live();
    let stream = rig.submit(watch("/a", PERSISTENT));
    let data = rig.submit(get("/a", true));
    let sent = rig.sent();
    assert_eq!(sent[1].1, get("/a", false));
    rig.reply(sent[0].0, 200, Err(ErrorCode::ThrottledOp));
    let outputs = rig.outputs();
    assert_eq!(drops(&outputs), [DropReason::RearmRefused]);
    let failed = |o: &Output| matches!(o, Output::Complete(c) if c.op == stream && c.result.is_err());
    assert!(outputs.iter().any(failed));
    rig.establish(SESSION);
    rig.outputs();
    assert_eq!(rig.requests(), [get("/a", true)]);
    rig.ok(3);
    assert_eq!(rig.reached(EventType::NodeDataChanged, "/a"), (vec![data], vec![]));
}

#[test]
fn watches_removed_on_request_end() {
    let mut rig = Rig::live();
    let stream = rig.done(watch("/a", RECURSIVE));
    let once = rig.done(children("/a", true));
    let removal = rig.submit(remove("/a"));
    rig.xids();
    rig.ok(3);
    let outputs = rig.outputs();
    let [Output::WatchesLost { watches, why: WatchLost::Removed }, Output::Complete(c)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!((&watches[..], c.op), (&[stream, once][..], removal));
    // Refused, nobody is told but the one who asked.
    rig.submit(remove("/a"));
    rig.xids();
    rig.reply(4, 200, Err(ErrorCode::NoWatcher));
    let refused = Some(Failure::Refused { code: ErrorCode::NoWatcher, zxid: Zxid(200) });
    assert_eq!(rig.failures().into_iter().map(|(_, failure)| failure).collect::<Vec<_>>(), [refused]);
}

#[test]
fn servers_without_persistent_watches_end_the_streams_once() {
    let mut rig = Rig::live();
    let stream = rig.done(watch("/a", RECURSIVE));
    let once = rig.done(get("/b", true));
    rig.disconnect();
    rig.establish(SESSION);
    rig.outputs();
    rig.xids();
    rig.reply(XID_SET_WATCHES, 0, Err(ErrorCode::Unimplemented));
    assert_eq!(rig.lost(), [(vec![stream], WatchLost::Unsupported)]);
    rig.establish(SESSION);
    rig.outputs();
    // What is left is what such a server knows.
    let sent = rig.requests();
    assert_eq!(rearmed(&sent).data_watches, ["/b"]);
    assert_eq!(rig.reached(EventType::NodeDeleted, "/b"), (vec![once], vec![]));
}
