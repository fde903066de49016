//! The core's rules, one scenario each.

use bytes::Bytes;
use std::time::Duration;
use zk_proto::connect::{Password, ReadOnlyFlag};
use zk_proto::header::{XID_AUTH, XID_PING, XID_SET_WATCHES};
use zk_proto::ops::auth::AuthPacket;
use zk_proto::ops::data::ExistsRequest;
use zk_proto::{ErrorCode, EventType, SessionId, Zxid};

use super::testkit::{Rig, SESSION, TIMEOUT, children, drops, get, secret, set, states};
use super::{Config, Credentials, DropReason, Failure, Output, Request, SessionEnd, WatchLost};
use crate::limits::{CLOSE_MAX, READ_LOSSES_MAX};
use crate::state::{SessionInfo, SessionState};

const INFO: SessionInfo = SessionInfo { id: SESSION, timeout: TIMEOUT, read_only: false };

fn auth(scheme: &str) -> Request {
    Request::Auth(AuthPacket { auth_type: 0, scheme: scheme.into(), auth: secret().into() })
}

#[test]
fn the_first_handshake_asks_for_a_new_session_with_sixteen_zeros() {
    let mut rig = Rig::new(Config { session_timeout: TIMEOUT, ..Config::default() });
    assert_eq!(rig.core.deadline(), Some(Duration::ZERO));
    let request = rig.greet();
    assert_eq!(request.session_id, SessionId::NONE);
    assert_eq!(request.password, Password([0; 16]));
    assert_eq!(request.read_only, ReadOnlyFlag::Present(false));
    assert_eq!((request.timeout_ms, request.last_zxid_seen), (9000, Zxid::ZERO));
    rig.answer(SESSION, TIMEOUT, ReadOnlyFlag::Absent);
    assert_eq!(states(&rig.outputs()), [SessionState::Connected(INFO)]);
}

#[test]
fn nothing_is_sent_before_the_session_is_established() {
    let mut rig = Rig::new(Config::default());
    let op = rig.submit(get("/a", false));
    rig.greet();
    assert!(!rig.core.wants_transmit());
    rig.answer(SESSION, TIMEOUT, ReadOnlyFlag::Present(false));
    assert_eq!(rig.sent(), [(1, get("/a", false))]);
    rig.ok(1);
    assert_eq!(rig.completions()[0].op, op);
}

#[test]
fn replies_must_come_in_order() {
    let mut rig = Rig::live();
    for _ in 0..3 {
        rig.submit(get("/a", false));
    }
    assert_eq!(rig.xids(), [1, 2, 3]);
    rig.ok(1);
    rig.outputs();
    rig.ok(3);
    let outputs = rig.outputs();
    assert_eq!(drops(&outputs), [DropReason::OutOfOrder { expected: 2, got: 3 }]);
    assert_eq!(states(&outputs), [SessionState::Suspended(INFO)]);
    // A frame that was still on its way changes nothing.
    rig.ok(2);
    assert!(rig.outputs().is_empty());
}

#[test]
fn bytes_that_are_no_reply_drop_the_connection() {
    for frame in
        [&[][..], &[0, 0, 0, 1], &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 77]]
    {
        let mut rig = Rig::live();
        rig.core.received(rig.now, Bytes::copy_from_slice(frame));
        assert_eq!(drops(&rig.outputs()), [DropReason::Malformed]);
    }
}

#[test]
fn the_last_zxid_is_that_of_ordinary_replies() {
    let mut rig = Rig::live();
    rig.submit(get("/a", false));
    rig.submit(get("/a", false));
    rig.xids();
    rig.reply(1, 70, Err(ErrorCode::NoNode));
    assert_eq!(rig.core.last_zxid(), Zxid(70));
    rig.reply(2, 0, Ok(()));
    rig.reply(XID_PING, 90, Ok(()));
    rig.event(EventType::NodeCreated, "/a");
    assert_eq!(rig.core.last_zxid(), Zxid(70));
    rig.disconnect();
    let request = rig.establish(SESSION);
    assert_eq!((request.last_zxid_seen, request.session_id), (Zxid(70), SESSION));
    assert_eq!(request.password, Password([9; 16]));
}

#[test]
fn a_lost_connection_keeps_resends_or_fails_by_the_table() {
    let mut rig = Rig::live();
    let write = rig.submit(set("/a", "x"));
    let read = rig.submit(get("/a", false));
    rig.xids();
    let unsent = rig.submit(set("/b", "y"));
    rig.disconnect();
    assert_eq!(rig.failures(), [(write, Some(Failure::ConnectionLoss))]);
    rig.establish(SESSION);
    let sent = rig.sent();
    assert_eq!(sent.iter().map(|(_, r)| r.clone()).collect::<Vec<_>>(), [get("/a", false), set("/b", "y")]);
    for (xid, _) in sent {
        rig.ok(xid);
    }
    assert_eq!(rig.failures(), [(read, None), (unsent, None)]);
}

#[test]
fn a_read_is_not_resent_for_ever() {
    let mut rig = Rig::live();
    let read = rig.submit(get("/a", false));
    let behind = rig.submit(get("/b", false));
    for losses in 1..=READ_LOSSES_MAX {
        assert_eq!(rig.sent().len(), 2);
        rig.disconnect();
        let lost = [(read, Some(Failure::ConnectionLoss))];
        assert_eq!(rig.failures(), if losses < READ_LOSSES_MAX { &[][..] } else { &lost[..] });
        rig.establish(SESSION);
    }
    let xids = rig.xids();
    assert_eq!(xids.len(), 1);
    rig.ok(xids[0]);
    assert_eq!(rig.failures(), [(behind, None)]);
}

#[test]
fn a_reply_above_the_limit_fails_the_one_that_asked() {
    let mut rig = Rig::live();
    let big = rig.submit(get("/big", false));
    let other = rig.submit(get("/small", false));
    rig.xids();
    rig.core.oversized(rig.now, 2_000_000);
    assert_eq!(rig.failures(), [(big, Some(Failure::FrameTooLarge { bytes: 2_000_000, reply: true }))]);
    rig.establish(SESSION);
    let xids = rig.xids();
    rig.ok(xids[0]);
    assert_eq!(rig.failures(), [(other, None)]);
}

#[test]
fn a_request_above_the_limit_is_not_sent() {
    let mut rig = Rig::new(Config { frame_limit: 1000, ..Config::default() });
    rig.establish(SESSION);
    rig.outputs();
    let big = rig.submit(set("/a", &"x".repeat(1000)));
    rig.submit(get("/a", false));
    assert_eq!(rig.sent(), [(2, get("/a", false))]);
    let failures = rig.failures();
    assert!(matches!(failures[..], [(op, Some(Failure::FrameTooLarge { reply: false, .. }))] if op == big));
}

#[test]
fn a_watch_is_registered_by_its_reply_and_freed_by_its_event() {
    let mut rig = Rig::live();
    let watch = rig.submit(get("/a", true));
    rig.xids();
    // Belongs to an older registration: the reply is yet to come.
    rig.event(EventType::NodeDataChanged, "/a");
    assert!(rig.outputs().is_empty());
    rig.ok(1);
    assert!(rig.completions()[0].watching);
    rig.event(EventType::NodeChildrenChanged, "/a");
    rig.event(EventType::NodeDataChanged, "/b");
    assert!(rig.outputs().is_empty());
    rig.event(EventType::NodeDataChanged, "/a");
    let outputs = rig.outputs();
    let [Output::Event { watches, event, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((watches.as_slice(), event.zxid), (&[watch][..], Some(Zxid(5000))));
    rig.event(EventType::NodeDataChanged, "/a");
    assert!(rig.outputs().is_empty());
}

#[test]
fn only_exists_watches_what_is_not_there() {
    let mut rig = Rig::live();
    let exists = |path: &str| Request::Exists(ExistsRequest { path: path.into(), watch: true });
    rig.submit(get("/a", true));
    rig.submit(children("/a", true));
    rig.submit(exists("/a"));
    rig.submit(exists("/b"));
    rig.xids();
    for xid in 1..=3 {
        rig.reply(xid, 10, Err(ErrorCode::NoNode));
    }
    rig.reply(4, 10, Err(ErrorCode::NoAuth));
    let watching: Vec<bool> = rig.completions().iter().map(|c| c.watching).collect();
    assert_eq!(watching, [false, false, true, false]);
}

#[test]
fn credentials_then_watches_then_operations_after_a_reconnect() {
    let credentials = vec![Credentials::new("digest", secret())];
    let mut rig = Rig::new(Config { credentials, ..Config::default() });
    rig.establish(SESSION);
    assert!(states(&rig.outputs()).is_empty(), "announced before its credentials were taken");
    assert_eq!(rig.sent(), [(XID_AUTH, auth("digest"))]);
    rig.reply(XID_AUTH, 0, Ok(()));
    assert!(matches!(states(&rig.outputs())[..], [SessionState::Connected(_)]));
    rig.submit(get("/a", true));
    rig.xids();
    rig.reply(1, 33, Ok(()));
    rig.submit(get("/b", false));
    rig.disconnect();
    rig.establish(SESSION);
    let sent = rig.sent();
    let xids: Vec<i32> = sent.iter().map(|(xid, _)| *xid).collect();
    assert_eq!(xids, [XID_AUTH, XID_SET_WATCHES, 2]);
    let Request::SetWatches(rearm) = &sent[1].1 else { panic!("{sent:?}") };
    assert_eq!((rearm.relative_zxid, &rearm.data_watches[..]), (Zxid(33), &["/a".to_owned()][..]));
}

#[test]
fn a_server_that_will_not_rearm_is_left() {
    let mut rig = Rig::live();
    rig.submit(get("/a", true));
    rig.xids();
    rig.ok(1);
    rig.disconnect();
    rig.establish(SESSION);
    rig.outputs();
    rig.xids();
    rig.reply(XID_SET_WATCHES, 0, Err(ErrorCode::MarshallingError));
    assert_eq!(drops(&rig.outputs()), [DropReason::RearmRefused]);
}

#[test]
fn added_credentials_are_kept_and_an_unanswered_one_is_asked_again() {
    let mut rig = Rig::live();
    let op = rig.submit(auth("digest"));
    assert_eq!(rig.xids(), [XID_AUTH]);
    rig.disconnect();
    assert!(rig.failures().is_empty());
    rig.establish(SESSION);
    assert_eq!(rig.xids(), [XID_AUTH, XID_AUTH]);
    rig.reply(XID_AUTH, 0, Ok(()));
    assert!(rig.failures().is_empty());
    rig.reply(XID_AUTH, 0, Ok(()));
    assert_eq!(rig.failures(), [(op, None)]);
}

#[test]
fn refused_credentials_are_final() {
    let mut rig = Rig::live();
    let read = rig.submit(get("/a", true));
    let asked = rig.submit(auth("digest"));
    rig.xids();
    rig.ok(1);
    let waiting = rig.submit(get("/b", false));
    rig.outputs();
    rig.reply(XID_AUTH, 0, Err(ErrorCode::AuthFailed));
    let outputs = rig.outputs();
    assert_eq!(states(&outputs), [SessionState::AuthFailed]);
    assert!(
        outputs
            .iter()
            .any(|o| matches!(o, Output::WatchesLost { why: WatchLost::Ended(SessionEnd::AuthFailed), .. }))
    );
    assert!(matches!(outputs.last(), Some(Output::Stopped)));
    let failed: Vec<_> =
        outputs.iter().filter_map(|o| if let Output::Complete(c) = o { Some(c.op) } else { None }).collect();
    assert_eq!(failed, [asked, waiting]);
    assert_ne!(read, asked);
    assert_eq!(rig.core.deadline(), None);
    let late = rig.submit(get("/c", false));
    assert_eq!(rig.failures(), [(late, Some(Failure::AuthFailed { sent: false }))]);
}

#[test]
fn expiry_ends_what_belonged_to_the_session_and_keeps_the_rest() {
    let mut rig = Rig::live();
    let watch = rig.submit(get("/w", true));
    let read = rig.submit(get("/a", false));
    rig.xids();
    rig.ok(1);
    assert_eq!(rig.failures(), [(watch, None)]);
    let pinned = rig.core.submit(rig.now, get("/p", false), Some(SESSION));
    let free = rig.submit(get("/f", false));
    rig.disconnect();
    rig.greet();
    rig.outputs();
    rig.answer(SessionId::NONE, Duration::ZERO, ReadOnlyFlag::Present(false));
    let outputs = rig.outputs();
    assert_eq!(states(&outputs), [SessionState::Expired(SESSION)]);
    assert!(
        outputs
            .iter()
            .any(|o| matches!(o, Output::WatchesLost { why: WatchLost::Ended(SessionEnd::Expired), .. }))
    );
    let failed: Vec<_> = outputs
        .into_iter()
        .filter_map(|o| if let Output::Complete(c) = o { Some((c.op, c.result.err())) } else { None })
        .collect();
    assert_eq!(
        failed,
        [
            (read, Some(Failure::SessionExpired { sent: true })),
            (pinned, Some(Failure::SessionExpired { sent: false }))
        ]
    );
    assert_eq!(rig.core.session_deadline(), None);

    let request = rig.establish(SessionId(0x66));
    assert_eq!((request.session_id, request.last_zxid_seen), (SessionId::NONE, Zxid::ZERO));
    assert_eq!(request.password, Password([0; 16]));
    let sent = rig.sent();
    assert_eq!(sent.len(), 1, "no watch of the old session is armed: {sent:?}");
    rig.outputs();
    rig.ok(sent[0].0);
    assert_eq!(rig.failures(), [(free, None)]);
    let stale = rig.core.submit(rig.now, get("/p", false), Some(SESSION));
    assert_eq!(rig.failures(), [(stale, Some(Failure::SessionExpired { sent: false }))]);
}

#[test]
fn expiry_can_be_final() {
    let mut rig = Rig::new(Config { expiry_is_terminal: true, ..Config::default() });
    rig.establish(SESSION);
    rig.disconnect();
    rig.greet();
    let op = rig.submit(get("/a", false));
    rig.outputs();
    rig.answer(SessionId::NONE, Duration::ZERO, ReadOnlyFlag::Absent);
    let outputs = rig.outputs();
    assert_eq!(states(&outputs), [SessionState::Expired(SESSION)]);
    assert_eq!(drops(&outputs), [DropReason::Expired]);
    assert!(matches!(outputs.last(), Some(Output::Stopped)));
    let last = Err(Failure::LastSessionExpired { sent: false });
    assert!(outputs.iter().any(|o| matches!(o, Output::Complete(c) if c.op == op && c.result == last)));
    assert!(rig.core.is_over());
    let late = rig.submit(get("/a", false));
    assert_eq!(rig.failures(), [(late, last.err())]);
}

#[test]
fn pings_when_idle_and_gives_up_on_silence() {
    let mut rig = Rig::live();
    assert_eq!(rig.core.session_deadline(), Some((SESSION, TIMEOUT)));
    rig.tick();
    assert_eq!(rig.now, TIMEOUT / 3);
    assert_eq!(rig.sent(), [(XID_PING, Request::Ping)]);
    rig.now += Duration::from_secs(1);
    rig.reply(XID_PING, 0, Ok(()));
    // Counted from the ping's sending, not from its answer.
    assert_eq!(rig.core.session_deadline(), Some((SESSION, TIMEOUT / 3 + TIMEOUT)));
    let heard = rig.now;
    rig.tick();
    assert_eq!(rig.xids(), [XID_PING]);
    rig.tick();
    rig.xids();
    while rig.core.session_deadline().is_some() && drops(&rig.outputs()).is_empty() {
        rig.tick();
        rig.wire();
    }
    assert_eq!(rig.now, heard + TIMEOUT * 2 / 3);
}

#[test]
fn every_server_gets_its_share_of_the_time() {
    let mut rig = Rig::new(Config { session_timeout: TIMEOUT, hosts: 3, ..Config::default() });
    let mut hosts = Vec::new();
    for _ in 0..6 {
        rig.tick();
        let begun = rig.now;
        for output in rig.outputs() {
            if let Output::Connect { host } = output {
                hosts.push(host);
            }
        }
        rig.tick();
        assert_eq!(rig.now - begun, TIMEOUT / 3);
        assert_eq!(drops(&rig.outputs()), [DropReason::ConnectTimeout]);
    }
    assert_eq!(hosts[..3], hosts[3..]);
    hosts.sort_unstable();
    assert_eq!(hosts, [0, 0, 1, 1, 2, 2]);
}

#[test]
fn pacing_starts_over_with_a_session_not_with_a_connection() {
    let mut rig = Rig::new(Config { session_timeout: TIMEOUT, ..Config::default() });
    let mut longest = Duration::ZERO;
    for _ in 0..40 {
        rig.greet();
        rig.disconnect();
        longest = longest.max(rig.core.deadline().unwrap() - rig.now);
    }
    assert!(longest > Duration::from_secs(1), "{longest:?}");
    rig.establish(SESSION);
    rig.disconnect();
    assert!(rig.core.deadline().unwrap() - rig.now <= Duration::from_millis(100));
}

#[test]
fn a_session_answered_with_another_is_refused() {
    let mut rig = Rig::live();
    rig.disconnect();
    rig.greet();
    rig.outputs();
    rig.answer(SessionId(0x99), TIMEOUT, ReadOnlyFlag::Present(false));
    assert_eq!(drops(&rig.outputs()), [DropReason::SessionRefused]);
    assert_eq!(rig.core.session(), Some(INFO));
}

#[test]
fn cancelled_before_sending_is_not_sent() {
    let mut rig = Rig::live();
    let first = rig.submit(get("/a", false));
    rig.xids();
    let second = rig.submit(get("/b", false));
    let third = rig.submit(get("/c", false));
    assert!(!rig.core.cancel(first), "sent already");
    assert!(rig.core.cancel(second));
    assert_eq!(rig.sent(), [(2, get("/c", false))]);
    rig.ok(1);
    rig.ok(2);
    assert_eq!(rig.failures(), [(first, None), (third, None)]);
}

#[test]
fn close_is_sent_behind_everything_and_awaited() {
    let mut rig = Rig::live();
    let before = rig.submit(set("/a", "x"));
    rig.core.close(rig.now);
    rig.core.close(rig.now);
    // Whoever holds something by the session is told before the server is.
    assert_eq!(states(&rig.outputs()), [SessionState::Closed]);
    assert_eq!(rig.core.session_deadline(), None);
    let after = rig.submit(set("/b", "x"));
    assert_eq!(rig.failures(), [(after, Some(Failure::Closed { sent: false }))]);
    assert_eq!(rig.sent(), [(1, set("/a", "x")), (2, Request::CloseSession)]);
    rig.ok(1);
    assert_eq!(rig.failures(), [(before, None)]);
    rig.ok(2);
    let outputs = rig.outputs();
    assert_eq!(states(&outputs), []);
    assert!(matches!(outputs.last(), Some(Output::Stopped)));
}

#[test]
fn close_does_not_wait_for_ever() {
    let mut rig = Rig::live();
    rig.disconnect();
    rig.outputs();
    rig.core.close(rig.now);
    let begun = rig.now;
    while !rig.core.is_over() {
        rig.tick();
        rig.disconnect();
    }
    assert!(rig.now - begun <= CLOSE_MAX);
    assert_eq!(states(&rig.outputs()), [SessionState::Closed]);

    let mut never = Rig::new(Config::default());
    never.core.close(never.now);
    assert!(never.core.is_over());
}

#[test]
fn a_close_whose_answer_is_lost_is_a_close() {
    let mut rig = Rig::live();
    rig.core.close(rig.now);
    rig.xids();
    rig.disconnect();
    assert!(rig.core.is_over());
}

#[test]
fn secrets_are_not_shown() {
    let config = Config { credentials: vec![Credentials::new("digest", secret())], ..Config::default() };
    let mut core = super::Core::new(config, 1);
    core.submit(Duration::ZERO, auth("digest"), None);
    core.close(Duration::ZERO);
    let outputs: Vec<Output> = std::iter::from_fn(|| core.poll_output()).collect();
    let shown = format!("{core:?} {outputs:?}");
    assert!(!shown.contains("secret"), "{shown}");
}
