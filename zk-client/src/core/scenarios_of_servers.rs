//! The core's rules about servers: pacing, another list, a read-only session, handing over, giving up a close.

use std::time::Duration;
use zk_proto::connect::{Password, ReadOnlyFlag};
use zk_proto::header::XID_SET_WATCHES;
use zk_proto::{SessionId, Zxid};

use super::testkit::{Rig, SESSION, TIMEOUT, drops, get, set, states};
use super::{Config, DropReason, Failure, Output, Request};
use crate::limits::{CLOSE_MAX, MOVE_MAX, SEARCH_MIN};
use crate::state::SessionState;

fn rig(hosts: usize) -> Rig {
    Rig::new(Config { session_timeout: TIMEOUT, hosts, ..Config::default() })
}

fn read_only(hosts: usize) -> Rig {
    let config = Config { session_timeout: TIMEOUT, hosts, read_only: true, ..Config::default() };
    let mut rig = Rig::new(config);
    rig.greet();
    rig.answer(SESSION, TIMEOUT, ReadOnlyFlag::Present(true));
    rig
}

fn dialed(outputs: &[Output]) -> Vec<usize> {
    outputs.iter().filter_map(|o| if let Output::Connect { host } = o { Some(*host) } else { None }).collect()
}

fn probed(outputs: &[Output]) -> Vec<usize> {
    outputs.iter().filter_map(|o| if let Output::Probe { host } = o { Some(*host) } else { None }).collect()
}

fn ticket(outputs: &[Output]) -> Option<crate::SessionTicket> {
    outputs.iter().find_map(|o| if let Output::Detached(ticket) = o { Some(ticket.clone()) } else { None })
}

#[test]
fn every_server_is_tried_soon_before_waits_grow() {
    let mut rig = rig(5);
    for _ in 0..5 {
        rig.tick();
        rig.disconnect();
    }
    assert!(rig.now <= Duration::from_millis(400), "{:?}", rig.now);
    let mut dialed = dialed(&rig.outputs());
    dialed.sort_unstable();
    assert_eq!(dialed, [0, 1, 2, 3, 4]);
    let mut longest = Duration::ZERO;
    for _ in 0..100 {
        longest = longest.max(rig.core.deadline().unwrap() - rig.now);
        rig.tick();
        rig.disconnect();
    }
    assert!(longest > Duration::from_secs(4) && longest <= Duration::from_secs(5), "{longest:?}");
}

/// A server that is behind closes the connection without a word.
#[test]
fn servers_that_are_behind_are_left_for_the_next_and_paced() {
    let mut rig = rig(3);
    rig.establish(SESSION);
    rig.submit(get("/a", false));
    rig.xids();
    rig.reply(1, 500, Ok(()));
    rig.disconnect();
    rig.outputs();
    let mut waits = Vec::new();
    let mut tried = Vec::new();
    for _ in 0..30 {
        waits.push(rig.core.deadline().unwrap() - rig.now);
        assert_eq!(rig.greet().last_zxid_seen, Zxid(500));
        tried.extend(dialed(&rig.outputs()));
        rig.disconnect();
    }
    assert!(
        tried.windows(3).all(|three| three[0] != three[1] && three[0] != three[2] && three[1] != three[2])
    );
    let longest = |waits: &[Duration]| waits.iter().max().copied().unwrap();
    assert!(longest(&waits[..3]) <= Duration::from_millis(100));
    assert!(longest(&waits[3..]) > Duration::from_secs(1) && longest(&waits) <= TIMEOUT / 4);
}

#[test]
fn a_server_that_is_no_longer_listed_is_left_when_all_is_answered() {
    let mut rig = rig(1);
    rig.establish(SESSION);
    rig.outputs();
    let write = rig.submit(set("/a", "x"));
    rig.xids();
    let later = rig.submit(set("/b", "y"));
    rig.core.update_hosts(rig.now, &[1, 2]);
    assert!(drops(&rig.outputs()).is_empty());
    assert!(rig.sent().is_empty(), "nothing more is sent where it is leaving");
    rig.ok(1);
    let outputs = rig.outputs();
    assert_eq!(drops(&outputs), [DropReason::Rebalanced]);
    assert!(matches!(states(&outputs)[..], [SessionState::Suspended(_)]));
    assert!(outputs.iter().any(|o| matches!(o, Output::Complete(c) if c.op == write && c.result.is_ok())));
    assert_eq!(rig.establish(SESSION).session_id, SESSION);
    assert!([1, 2].contains(&dialed(&rig.outputs())[0]));
    assert_eq!(rig.sent(), [(2, set("/b", "y"))]);
    rig.ok(2);
    assert_eq!(rig.failures(), [(later, None)]);
}

#[test]
fn a_server_that_does_not_answer_is_left_all_the_same() {
    let mut rig = rig(1);
    rig.establish(SESSION);
    rig.outputs();
    let write = rig.submit(set("/a", "x"));
    rig.xids();
    let begun = rig.now;
    rig.core.update_hosts(rig.now, &[1]);
    rig.tick();
    assert_eq!(rig.now - begun, MOVE_MAX);
    let outputs = rig.outputs();
    assert_eq!(drops(&outputs), [DropReason::Rebalanced]);
    assert!(outputs.iter().any(|o| matches!(
        o, Output::Complete(c) if c.op == write && c.result == Err(Failure::ConnectionLoss))));
}

#[test]
fn an_attempt_at_a_server_that_is_gone_is_given_up_and_a_list_that_stays_moves_nobody() {
    let mut rig = rig(1);
    rig.tick();
    rig.outputs();
    rig.core.update_hosts(rig.now, &[4]);
    assert_eq!(drops(&rig.outputs()), [DropReason::Rebalanced]);
    rig.establish(SESSION);
    assert_eq!(dialed(&rig.outputs()), [4]);
    rig.core.update_hosts(rig.now, &[4, 3]);
    let moved = !drops(&rig.outputs()).is_empty();
    if moved {
        rig.establish(SESSION);
        assert_eq!(dialed(&rig.outputs()), [3]);
    }
    rig.core.update_hosts(rig.now, &[3, 4]);
    rig.core.update_hosts(rig.now, &[]);
    assert!(rig.outputs().is_empty());
}

/// Half of the clients of one server go to a second one, at once and only there.
#[test]
fn added_servers_get_their_share() {
    let mut moved = 0;
    for seed in 0..400 {
        let mut core = super::Core::new(Config::default(), seed);
        core.tick(Duration::ZERO);
        core.update_hosts(Duration::ZERO, &[0, 1]);
        let mut now = core.deadline().unwrap();
        while now < Duration::from_secs(1) && dialed_by(&mut core).is_none() {
            now = now.max(core.deadline().unwrap());
            core.tick(now);
        }
        moved += usize::from(core.connection_host() == Some(1));
    }
    assert!((150..250).contains(&moved), "{moved}");
}

fn dialed_by(core: &mut super::Core) -> Option<usize> {
    let outputs: Vec<Output> = std::iter::from_fn(|| core.poll_output()).collect();
    dialed(&outputs).into_iter().find(|host| *host == 1)
}

#[test]
fn a_read_only_session_asks_every_server_and_rests_longer_each_time() {
    let mut rig = read_only(3);
    let here = dialed(&rig.outputs())[0];
    rig.submit(get("/a", true));
    rig.xids();
    rig.reply(1, 40, Ok(()));
    rig.outputs();
    let begun = rig.now;
    let mut asked = Vec::new();
    while asked.len() < 6 {
        if asked.len() % 3 == 0 {
            rig.tick();
        }
        let now = probed(&rig.outputs());
        if let [host] = now[..] {
            asked.push(host);
            if asked.len() < 6 {
                rig.core.probed(rig.now, host, false);
            }
        }
        rig.wire();
    }
    assert!(rig.now - begun <= SEARCH_MIN * 3, "a rest of up to 100 ms, then one of up to 200 ms");
    assert_eq!((asked[2], asked[5]), (here, here), "our own server is asked last");
    rig.core.probed(rig.now, here, true);
    assert_eq!(drops(&rig.outputs()), [DropReason::WritableFound]);
}

#[test]
fn the_writable_server_takes_the_watches_into_a_session_of_its_own() {
    let mut rig = read_only(3);
    let outputs = rig.outputs();
    let here = dialed(&outputs)[0];
    assert!(matches!(states(&outputs)[..], [SessionState::Connected(info)] if info.read_only));
    assert!(rig.core.ticket().is_none(), "no other server knows it");
    rig.submit(get("/a", true));
    rig.xids();
    rig.reply(1, 40, Ok(()));
    rig.outputs();
    rig.tick();
    let asked = probed(&rig.outputs())[0];
    assert_ne!(asked, here);
    rig.core.probed(rig.now, here, true);
    assert!(rig.outputs().is_empty(), "nobody asked that one");
    rig.core.probed(rig.now, asked, true);
    assert_eq!(drops(&rig.outputs()), [DropReason::WritableFound]);

    let request = rig.greet();
    assert_eq!(dialed(&rig.outputs()), [asked]);
    assert_eq!((request.session_id, request.password), (SessionId::NONE, Password([0; 16])));
    rig.answer(SessionId(0x77), TIMEOUT, ReadOnlyFlag::Present(false));
    assert!(matches!(states(&rig.outputs())[..], [SessionState::Connected(info)] if !info.read_only));
    let sent = rig.sent();
    let [(XID_SET_WATCHES, Request::SetWatches(rearm))] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(rearm.relative_zxid, Zxid(40), "what happened since then fires");
    assert_eq!(rig.core.ticket().map(|t| t.session), Some(SessionId(0x77)));
    // The search is over.
    rig.tick();
    assert!(probed(&rig.outputs()).is_empty());
}

#[test]
fn a_session_is_taken_over_and_nothing_is_claimed_before_a_server_confirms_it() {
    let mut first = Rig::live();
    first.submit(get("/a", false));
    first.xids();
    first.reply(1, 77, Ok(()));
    first.core.detach(first.now);
    let ticket = ticket(&first.outputs()).unwrap();

    let mut rig = rig(1);
    rig.core.resume(&ticket);
    assert_eq!(rig.core.session_deadline(), None);
    let request = rig.greet();
    assert_eq!((request.session_id, request.password), (SESSION, Password([9; 16])));
    assert_eq!(request.last_zxid_seen, Zxid(77));
    let sent = rig.now;
    rig.answer(SESSION, TIMEOUT, ReadOnlyFlag::Present(false));
    assert!(matches!(states(&rig.outputs())[..], [SessionState::Connected(info)] if info.id == SESSION));
    assert_eq!(rig.core.session_deadline(), Some((SESSION, sent + TIMEOUT)));
}

#[test]
fn a_session_that_could_not_be_taken_over_is_not_closed() {
    let mut first = Rig::live();
    first.core.detach(first.now);
    let ticket = ticket(&first.outputs()).unwrap();
    let mut rig = rig(2);
    rig.core.resume(&ticket);
    rig.greet();
    rig.core.close(rig.now);
    assert!(rig.core.is_over());
}

#[test]
fn a_session_taken_over_too_late_has_expired() {
    let mut first = Rig::live();
    first.core.detach(first.now);
    let ticket = ticket(&first.outputs()).unwrap();
    for expiry_is_terminal in [false, true] {
        let mut rig = Rig::new(Config { expiry_is_terminal, ..Config::default() });
        rig.core.resume(&ticket);
        rig.greet();
        rig.answer(SessionId::NONE, Duration::ZERO, ReadOnlyFlag::Present(false));
        assert_eq!(states(&rig.outputs()), [SessionState::Expired(SESSION)]);
        assert_eq!(rig.core.is_over(), expiry_is_terminal);
    }
}

#[test]
fn detaching_waits_for_what_was_submitted_and_closes_nothing() {
    let mut rig = Rig::live();
    let first = rig.submit(set("/a", "x"));
    rig.xids();
    let second = rig.submit(set("/b", "x"));
    rig.core.detach(rig.now);
    assert_eq!(states(&rig.outputs()), [SessionState::Closed]);
    let late = rig.submit(set("/c", "x"));
    assert_eq!(rig.failures(), [(late, Some(Failure::Closed { sent: false }))]);
    rig.ok(1);
    assert_eq!(rig.sent(), [(2, set("/b", "x"))]);
    assert_eq!(rig.failures(), [(first, None)]);
    assert!(!rig.core.is_over());
    rig.reply(2, 900, Ok(()));
    let outputs = rig.outputs();
    assert!(outputs.iter().any(|o| matches!(o, Output::Complete(c) if c.op == second && c.result.is_ok())));
    assert_eq!(ticket(&outputs).map(|t| (t.session, t.last_zxid)), Some((SESSION, Zxid(900))));
    assert!(matches!(outputs.last(), Some(Output::Stopped)));
    assert!(rig.sent().is_empty());
}

#[test]
fn detaching_is_bounded_and_needs_no_server() {
    let mut rig = Rig::live();
    rig.submit(set("/a", "x"));
    rig.xids();
    rig.core.detach(rig.now);
    let begun = rig.now;
    while !rig.core.is_over() {
        rig.tick();
        rig.wire();
    }
    assert_eq!(rig.now - begun, CLOSE_MAX);
    assert!(ticket(&rig.outputs()).is_some());

    let mut suspended = Rig::live();
    suspended.disconnect();
    suspended.submit(get("/a", false));
    suspended.core.detach(suspended.now);
    assert!(suspended.core.is_over() && ticket(&suspended.outputs()).is_some());

    let mut cancelled = Rig::live();
    let op = cancelled.submit(get("/a", false));
    cancelled.core.detach(cancelled.now);
    cancelled.core.cancel(op);
    cancelled.wire();
    assert!(cancelled.core.is_over() && ticket(&cancelled.outputs()).is_some());

    let mut never = Rig::new(Config::default());
    never.core.detach(never.now);
    assert!(never.core.is_over() && ticket(&never.outputs()).is_none());
}

/// Without a server, each is tried once more and then it is over: nobody waits for nothing.
#[test]
fn a_close_without_a_server_tries_each_once() {
    let mut rig = Rig::live();
    rig.disconnect();
    rig.outputs();
    rig.core.close(rig.now);
    let begun = rig.now;
    for _ in 0..3 {
        assert!(!rig.core.is_over());
        rig.tick();
        rig.disconnect();
    }
    assert!(rig.core.is_over());
    assert_eq!(rig.now, begun);
    let mut dialed = dialed(&rig.outputs());
    dialed.sort_unstable();
    assert_eq!(dialed, [0, 1, 2]);
}

#[test]
fn a_close_overtakes_a_move() {
    let mut rig = rig(1);
    rig.establish(SESSION);
    rig.submit(get("/a", false));
    rig.xids();
    rig.core.update_hosts(rig.now, &[1]);
    rig.core.close(rig.now);
    assert_eq!(rig.sent(), [(2, Request::CloseSession)]);
    rig.ok(1);
    rig.ok(2);
    assert!(rig.core.is_over());
}

/// What Java does without a quorum when it may not open local sessions.
#[test]
fn a_handshake_answered_with_an_error_says_which() {
    let mut rig = rig(1);
    rig.greet();
    rig.reply(0, -1, Err(zk_proto::ErrorCode::NotReadOnly));
    assert_eq!(drops(&rig.outputs()), [DropReason::Refused(zk_proto::ErrorCode::NotReadOnly)]);
}
