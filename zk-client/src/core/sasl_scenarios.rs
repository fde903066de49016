//! The SASL exchange: what comes before it, in it and behind it, and what a server may do to it.

use bytes::Bytes;
use proptest::prelude::*;
use std::time::Duration;
use zk_proto::connect::ReadOnlyFlag;
use zk_proto::header::{ReplyHeader, XID_AUTH, XID_PING, XID_SET_WATCHES};
use zk_proto::ops::auth::{SaslToken, Secret};
use zk_proto::{Encode as _, ErrorCode, SessionId, Zxid};

use super::testkit::{Rig, SESSION, TIMEOUT, drops, get, secret, set, states};
use super::{Config, Credentials, DropReason, Failure, Output, Request};
use crate::limits::{CLOSE_MAX, SASL_ROUNDS_MAX, SASL_TOKEN_BYTES_MAX};
use crate::sasl::SaslStep;
use crate::state::SessionState;

fn config() -> Config {
    Config { sasl: true, session_timeout: TIMEOUT, hosts: 2, ..Config::default() }
}

/// A session granted, the mechanism asked.
fn granted(config: Config) -> Rig {
    let mut rig = Rig::new(config);
    rig.establish(SESSION);
    rig
}

fn send(token: &'static str) -> SaslStep {
    SaslStep::Send(Bytes::from_static(token.as_bytes()))
}

fn sasl(token: &'static str) -> Request {
    Request::Sasl(SaslToken { token: Bytes::from_static(token.as_bytes()).into() })
}

/// What the mechanism was asked.
fn asked(outputs: &[Output]) -> Vec<Option<Vec<u8>>> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Sasl { challenge } => Some(challenge.as_ref().map(|c| c.reveal().to_vec())),
            _ => None,
        })
        .collect()
}

impl Rig {
    fn step(&mut self, step: SaslStep) {
        self.core.sasl_step(self.now, step);
    }

    /// A reply with a token.
    fn token(&mut self, xid: i32, outcome: Result<(), ErrorCode>, token: Option<&[u8]>) {
        let mut out = bytes::BytesMut::new();
        ReplyHeader { xid, zxid: Zxid::ZERO, outcome }.encode(&mut out);
        SaslToken { token: Secret(token.map(Bytes::copy_from_slice)) }.encode(&mut out);
        self.core.received(self.now, out.freeze());
    }

    /// The whole exchange, as DIGEST-MD5 has it.
    fn authenticate(&mut self) {
        self.step(send(""));
        let xid = self.xids()[0];
        self.token(xid, Ok(()), Some(b"challenge"));
        self.step(send("answer"));
        let xid = self.xids()[0];
        self.token(xid, Ok(()), Some(b"proof"));
        self.step(SaslStep::Done);
    }
}

#[test]
fn nothing_else_is_sent_and_nothing_said_before_it_is_complete() {
    let credentials = vec![Credentials::new("digest", secret())];
    let mut rig = granted(Config { credentials, ..config() });
    let op = rig.submit(get("/a", false));
    let outputs = rig.outputs();
    assert_eq!(asked(&outputs), [None]);
    assert!(states(&outputs).is_empty() && !rig.core.wants_transmit());
    rig.step(send(""));
    assert_eq!(rig.sent(), [(1, sasl(""))]);
    rig.token(1, Ok(()), Some(b"challenge"));
    assert_eq!(asked(&rig.outputs()), [Some(b"challenge".to_vec())]);
    assert!(!rig.core.wants_transmit());
    rig.step(send("answer"));
    assert_eq!(rig.sent(), [(2, sasl("answer"))]);
    rig.token(2, Ok(()), Some(b"proof"));
    let outputs = rig.outputs();
    assert_eq!(asked(&outputs), [Some(b"proof".to_vec())]);
    assert!(states(&outputs).is_empty() && !rig.core.wants_transmit(), "the server is not proven yet");
    rig.step(SaslStep::Done);
    assert!(states(&rig.outputs()).is_empty(), "announced before its credentials were taken");
    assert_eq!(rig.xids(), [XID_AUTH, 3]);
    rig.reply(XID_AUTH, 0, Ok(()));
    assert!(matches!(states(&rig.outputs())[..], [SessionState::Connected(_)]));
    rig.ok(3);
    assert_eq!(rig.failures(), [(op, None)]);
}

#[test]
fn a_last_token_is_answered_by_success_alone() {
    for last_word in [None, Some(&b""[..])] {
        let mut rig = granted(config());
        rig.outputs();
        rig.step(SaslStep::SendLast(Bytes::from_static(b"no layer")));
        rig.xids();
        rig.token(1, Ok(()), last_word);
        let outputs = rig.outputs();
        assert!(asked(&outputs).is_empty());
        assert!(matches!(states(&outputs)[..], [SessionState::Connected(_)]), "{outputs:?}");
    }
    let mut rig = granted(config());
    rig.outputs();
    rig.step(SaslStep::SendLast(Bytes::from_static(b"no layer")));
    rig.xids();
    rig.token(1, Ok(()), Some(b"one more thing"));
    assert_eq!(drops(&rig.outputs()), [DropReason::SaslProtocol]);
}

#[test]
fn it_is_repeated_on_every_connection_and_watches_wait_for_it() {
    let mut rig = granted(config());
    rig.authenticate();
    rig.submit(get("/a", true));
    let xids = rig.xids();
    rig.ok(xids[0]);
    rig.submit(set("/b", "x"));
    rig.disconnect();
    rig.outputs();
    rig.establish(SESSION);
    let outputs = rig.outputs();
    assert_eq!(asked(&outputs), [None]);
    assert!(states(&outputs).is_empty());
    assert!(rig.sent().is_empty());
    rig.authenticate();
    assert!(matches!(states(&rig.outputs())[..], [SessionState::Connected(_)]));
    let xids = rig.xids();
    assert_eq!((xids[0], xids.len()), (XID_SET_WATCHES, 2));
}

#[test]
fn a_refusal_is_final() {
    for code in [ErrorCode::AuthFailed, ErrorCode::SessionClosedRequireSaslAuth] {
        let mut rig = granted(config());
        let op = rig.submit(get("/a", false));
        rig.outputs();
        rig.step(send(""));
        rig.xids();
        rig.token(1, Err(code), None);
        let outputs = rig.outputs();
        assert_eq!(drops(&outputs), [DropReason::SaslRefused { code }]);
        assert_eq!(states(&outputs), [SessionState::AuthFailed]);
        assert!(matches!(outputs.last(), Some(Output::Stopped)));
        let failed = Err(Failure::AuthFailed { sent: false });
        assert!(outputs.iter().any(|o| matches!(o, Output::Complete(c) if c.op == op && c.result == failed)));
        assert!(rig.core.is_over() && rig.core.deadline().is_none());
        rig.step(send("late"));
        assert!(rig.outputs().is_empty() && !rig.core.wants_transmit());
    }
}

#[test]
fn a_server_that_does_not_know_sasl_is_left() {
    let mut rig = granted(config());
    rig.outputs();
    rig.step(send(""));
    rig.xids();
    rig.reply(1, 0, Err(ErrorCode::Unimplemented));
    let code = ErrorCode::Unimplemented;
    assert_eq!(drops(&rig.outputs()), [DropReason::SaslRefused { code }]);
    assert!(!rig.core.is_over());
}

#[test]
fn whoever_asked_for_sasl_is_not_let_in_without() {
    // With zookeeper.allowSaslFailedClients, and of a server without any SASL.
    let mut rig = granted(config());
    rig.outputs();
    rig.step(send("wrong"));
    rig.xids();
    rig.token(1, Ok(()), None);
    let outputs = rig.outputs();
    assert_eq!(drops(&outputs), [DropReason::SaslIgnored]);
    assert_eq!(states(&outputs), [SessionState::AuthFailed]);
}

#[test]
fn a_local_failure_is_tried_again_at_a_pace() {
    let mut rig = Rig::new(config());
    let mut longest = Duration::ZERO;
    for n in 0..40 {
        rig.establish(SESSION);
        rig.outputs();
        rig.core.sasl_failed(rig.now);
        assert_eq!(drops(&rig.outputs()), [DropReason::SaslFailed], "attempt {n}");
        longest = longest.max(rig.core.deadline().unwrap() - rig.now);
    }
    assert!(longest > Duration::from_secs(1), "not paced: {longest:?}");
    rig.establish(SESSION);
    rig.authenticate();
    rig.disconnect();
    assert!(rig.core.deadline().unwrap() - rig.now <= Duration::from_millis(100));
}

#[test]
fn steps_for_a_connection_that_is_gone_are_ignored() {
    let mut rig = granted(config());
    rig.disconnect();
    rig.outputs();
    rig.step(send("late"));
    rig.core.sasl_failed(rig.now);
    assert!(rig.outputs().is_empty() && !rig.core.wants_transmit());
    rig.establish(SESSION);
    assert_eq!(asked(&rig.outputs()), [None]);
    rig.step(send("one"));
    rig.step(send("two"));
    assert_eq!(rig.sent(), [(1, sasl("one"))]);
    // Lost between token and answer: nobody is failed, and the exchange begins anew.
    rig.disconnect();
    rig.establish(SESSION);
    assert_eq!(asked(&rig.outputs()), [None]);
    assert!(rig.sent().is_empty());
}

#[test]
fn neither_side_may_take_for_ever() {
    // The mechanism hangs.
    let mut rig = granted(config());
    let begun = rig.now;
    rig.outputs();
    while drops(&rig.outputs()).is_empty() {
        assert!(rig.sent().is_empty(), "a ping in the exchange");
        rig.tick();
    }
    assert_eq!(rig.now - begun, TIMEOUT * 2 / 3);

    // The server says something now and then, and never comes to an end.
    let mut rig = granted(config());
    let begun = rig.now;
    let mut why = Vec::new();
    while why.is_empty() {
        rig.step(send("x"));
        for (xid, _) in rig.sent() {
            rig.now = (rig.now + TIMEOUT / 5).min(rig.core.deadline().unwrap());
            rig.core.tick(rig.now);
            rig.token(xid, Ok(()), Some(b"more"));
        }
        why = drops(&rig.outputs());
        if why.is_empty() {
            rig.core.tick(rig.now);
        }
    }
    assert_eq!(why, [DropReason::SaslTimeout]);
    assert_eq!(rig.now - begun, TIMEOUT * 2 / 3);
}

#[test]
fn rounds_and_tokens_are_bounded() {
    let mut rig = granted(config());
    rig.outputs();
    let mut rounds = 0;
    let why = loop {
        rig.step(send("x"));
        let xid = rig.xids()[0];
        rig.token(xid, Ok(()), Some(b"more"));
        let outputs = rig.outputs();
        if let [why] = drops(&outputs)[..] {
            break why;
        }
        rounds += 1;
    };
    assert_eq!((why, rounds), (DropReason::SaslProtocol, SASL_ROUNDS_MAX));

    let mut rig = granted(config());
    rig.step(send("x"));
    rig.xids();
    rig.outputs();
    rig.token(1, Ok(()), Some(&vec![7; SASL_TOKEN_BYTES_MAX + 1]));
    assert_eq!(drops(&rig.outputs()), [DropReason::SaslProtocol]);

    let mut rig = granted(config());
    rig.outputs();
    rig.step(SaslStep::Send(vec![7; SASL_TOKEN_BYTES_MAX + 1].into()));
    assert_eq!(drops(&rig.outputs()), [DropReason::SaslFailed]);
}

#[test]
fn replies_that_answer_nothing_drop_the_connection() {
    // While the mechanism thinks nothing is due, not even xid 0.
    for xid in [0, 1, 7] {
        let mut rig = granted(config());
        rig.outputs();
        rig.token(xid, Ok(()), Some(b"x"));
        assert_eq!(drops(&rig.outputs()), [DropReason::OutOfOrder { expected: 0, got: xid }]);
    }
    let mut rig = granted(config());
    rig.outputs();
    rig.step(send("x"));
    rig.xids();
    rig.token(2, Ok(()), Some(b"x"));
    assert_eq!(drops(&rig.outputs()), [DropReason::OutOfOrder { expected: 1, got: 2 }]);
    let mut rig = granted(config());
    rig.outputs();
    rig.step(send("x"));
    rig.xids();
    rig.ok(1);
    assert_eq!(drops(&rig.outputs()), [DropReason::Malformed], "no token at all");
}

#[test]
fn a_ping_that_came_due_follows_at_once_and_the_deadline_stays() {
    let mut rig = granted(config());
    let begun = rig.now;
    rig.outputs();
    rig.now += TIMEOUT / 2;
    rig.core.tick(rig.now);
    rig.authenticate();
    // The server has counted nothing of the exchange.
    assert_eq!(rig.core.session_deadline(), Some((SESSION, begun + TIMEOUT)));
    assert_eq!(rig.xids(), [XID_PING]);
}

#[test]
fn a_close_is_given_up_when_each_server_has_failed_in_the_exchange() {
    let mut rig = granted(config());
    rig.outputs();
    rig.core.close(rig.now);
    rig.core.sasl_failed(rig.now);
    assert!(!rig.core.is_over(), "the other server may do better");
    rig.establish(SESSION);
    rig.core.sasl_failed(rig.now);
    assert!(rig.core.is_over());
}

#[test]
fn a_close_in_the_exchange_does_not_wait_for_ever() {
    let mut rig = granted(config());
    rig.outputs();
    rig.core.close(rig.now);
    let begun = rig.now;
    while !rig.core.is_over() {
        assert!(rig.sent().is_empty());
        rig.tick();
    }
    assert_eq!(rig.now - begun, CLOSE_MAX);
}

#[test]
fn a_server_that_demands_what_we_do_not_have_is_left_and_counts_for_nothing() {
    let mut rig = Rig::live();
    let before = rig.core.session_deadline();
    rig.now += Duration::from_secs(1);
    let op = rig.submit(get("/a", false));
    rig.xids();
    let code = ErrorCode::SessionClosedRequireSaslAuth;
    rig.reply(1, 0, Err(code));
    let outputs = rig.outputs();
    assert_eq!(drops(&outputs), [DropReason::AuthDemanded]);
    let refused = Err(Failure::Refused { code, zxid: Zxid::ZERO });
    assert!(outputs.iter().any(|o| matches!(o, Output::Complete(c) if c.op == op && c.result == refused)));
    assert_eq!(rig.core.session_deadline(), before);

    let mut rig = Rig::live();
    let before = rig.core.session_deadline();
    rig.tick();
    assert_eq!(rig.xids(), [XID_PING]);
    rig.reply(XID_PING, 0, Err(code));
    assert_eq!(drops(&rig.outputs()), [DropReason::AuthDemanded]);
    assert_eq!(rig.core.session_deadline(), before);
}

#[test]
fn tokens_are_not_shown() {
    let mut rig = granted(config());
    rig.step(send("secret"));
    let mut shown = format!("{:?}", rig.core);
    rig.xids();
    rig.token(1, Ok(()), Some(b"secret"));
    let outputs = rig.outputs();
    shown += &format!("{:?} {outputs:?}", rig.core);
    assert!(!shown.contains("secret") && !shown.contains("115, 101"), "{shown}");
}

#[derive(Debug, Clone)]
enum Step {
    Submit,
    Mechanism(SaslStep),
    MechanismFails,
    Send,
    Answer { outcome: Option<ErrorCode>, token: Option<Vec<u8>> },
    Garbage(Vec<u8>),
    Disconnect,
    Connect,
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    let token = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..4));
    let outcome = prop_oneof![
        12 => Just(None),
        1 => Just(Some(ErrorCode::AuthFailed)),
        1 => Just(Some(ErrorCode::SystemError)),
    ];
    prop_oneof![
        2 => Just(Step::Submit),
        3 => Just(Step::Mechanism(SaslStep::Send(Bytes::from_static(b"t")))),
        1 => Just(Step::Mechanism(SaslStep::SendLast(Bytes::from_static(b"l")))),
        2 => Just(Step::Mechanism(SaslStep::Done)),
        1 => Just(Step::MechanismFails),
        5 => Just(Step::Send),
        5 => (outcome, token).prop_map(|(outcome, token)| Step::Answer { outcome, token }),
        1 => proptest::collection::vec(any::<u8>(), 0..30).prop_map(Step::Garbage),
        1 => Just(Step::Disconnect),
        2 => Just(Step::Connect),
        1 => Just(Step::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Whatever mechanism and server do: on each connection only SASL is sent until the mechanism is content, no
    /// session is announced before that, and every operation ends.
    #[test]
    fn nothing_passes_the_exchange(steps in proptest::collection::vec(step(), 0..80)) {
        let mut rig = Rig::new(config());
        let (mut ops, mut ended) = (Vec::new(), Vec::new());
        let (mut thinking, mut content) = (false, false);
        let mut due = None;
        for step in steps {
            match step {
                Step::Submit => ops.push(rig.submit(get("/a", false))),
                Step::Mechanism(step) => {
                    content |= thinking && step == SaslStep::Done;
                    thinking = false;
                    rig.step(step);
                }
                Step::MechanismFails => rig.core.sasl_failed(rig.now),
                Step::Send => {
                    for (xid, request) in rig.sent() {
                        let exchange = matches!(request, Request::Sasl(_));
                        prop_assert!(exchange != content, "{request:?} with content {content}");
                        due = Some((xid, request));
                    }
                }
                Step::Answer { outcome, token } => {
                    if let Some((xid, request)) = due.take() {
                        if let Request::Sasl(sent) = request
                            && sent.token.reveal() == b"l" && outcome.is_none()
                            && token.as_ref().is_none_or(Vec::is_empty)
                        {
                            content = true;
                        }
                        rig.token(xid, outcome.map_or(Ok(()), Err), token.as_deref());
                    }
                }
                Step::Garbage(bytes) => rig.core.received(rig.now, bytes.into()),
                Step::Disconnect => rig.disconnect(),
                Step::Connect if rig.core.is_over() => {}
                Step::Connect => {
                    rig.disconnect();
                    (thinking, content, due) = (false, false, None);
                    let asked = rig.greet().session_id;
                    let session = if asked == SessionId::NONE { SESSION } else { asked };
                    rig.answer(session, TIMEOUT, ReadOnlyFlag::Present(false));
                }
                Step::Tick if rig.core.deadline().is_some() => rig.tick(),
                Step::Tick => {}
            }
            for output in rig.outputs() {
                match output {
                    Output::Sasl { .. } => thinking = true,
                    Output::Disconnect { .. } => (thinking, due) = (false, None),
                    Output::State(SessionState::Connected(_)) => prop_assert!(content),
                    Output::Complete(completion) => ended.push(completion.op),
                    _ => {}
                }
            }
        }
        rig.core.close(rig.now);
        while !rig.core.is_over() {
            rig.tick();
            rig.disconnect();
        }
        ended.extend(rig.completions().iter().map(|c| c.op));
        ended.sort_unstable();
        prop_assert_eq!(ended, ops);
    }
}
