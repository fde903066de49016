//! The core by scenario: the mutex rows of the failure matrix, step by step.

use std::time::Duration;
use zk_proto::{SessionId, Zxid};

use super::*;
use crate::identity::Uuid;
use crate::limits::{OWN_WATCH_DELAY, RECONNECT_JITTER_MAX};
use crate::loss::{LossPolicy, LossReason};
use crate::sequence::{MUTEX, Sequence, curator_lock_prefix, kazoo_lock_prefix};

const S1: SessionId = SessionId(0x100);
const S2: SessionId = SessionId(0x200);
const TIMEOUT: Duration = Duration::from_secs(10);

fn options() -> Options {
    Options {
        parent: "/locks".into(),
        rule: Rule::exclusive(&MUTEX),
        prefixes: vec![curator_lock_prefix],
        durable: None,
        patience: Patience::Forever,
        parents: Parents::Container,
        loss: LossPolicy::Session,
        keeps_place: false,
    }
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn prefix(n: u128) -> String {
    format!("/locks/{}", curator_lock_prefix(Uuid::from_random(n)))
}

fn own(n: u128, sequence: i32) -> String {
    zk_proto::path::sequential(&prefix(n), sequence)
}

fn names(paths: &[&str]) -> Vec<String> {
    paths.iter().map(|path| zk_proto::path::name(path).to_owned()).collect()
}

/// A core with the requests it has sent, so that a test answers them by what they are.
struct Bench {
    core: Core,
    now: Duration,
    sent: Vec<(RequestId, Request)>,
}

impl Bench {
    fn new(options: Options) -> Self {
        Self { core: Core::new(options), now: s(0), sent: Vec::new() }
    }

    /// Begun in session 1 with identity 1.
    fn begun(options: Options) -> Self {
        let mut bench = Self::new(options);
        let out = bench.session(S1, 1);
        assert_eq!(out, []);
        assert_eq!(bench.asked(), ["create", "list"], "back to back");
        bench
    }

    fn waiting() -> Self {
        let mut bench = Self::begun(options());
        bench.created(Ok(5));
        bench.listed(&["/locks/_c_a-lock-0000000003", "/locks/bb__lock__0000000004", &own(1, 5)]);
        bench.seen("watch", Ok(S1));
        assert_eq!(bench.asked(), [""; 0]);
        bench
    }

    fn held(options: Options) -> Self {
        let mut bench = Self::begun(options);
        bench.created(Ok(5));
        let out = bench.listed(&[&own(1, 5)]);
        assert!(matches!(out.as_slice(), [Output::Grant(_)]), "{out:?}");
        bench.a_while();
        bench.seen("own", Ok(S1));
        assert_eq!(bench.core.hold(), Some(HoldState::Held));
        bench
    }

    /// It is held long enough to be watched.
    fn a_while(&mut self) {
        let due = self.core.deadline().unwrap();
        assert!(due <= self.now + OWN_WATCH_DELAY);
        let now = self.now;
        assert_eq!(self.at(due).input(Input::Tick), []);
        self.now = now;
    }

    /// Somebody who waits is connected again, and looks before long where it stands.
    fn looks_after_a_reconnect(&mut self) {
        assert_eq!(self.input(Input::Connected), []);
        assert_eq!(self.asked(), [""; 0], "not everybody at once");
        let due = self.core.deadline().unwrap();
        assert!(due < self.now + RECONNECT_JITTER_MAX.min(TIMEOUT / 10), "{due:?}");
        assert_eq!(self.at(due).input(Input::Tick), []);
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        let mut out = self.core.handle(self.now, input);
        out.retain(|output| match output {
            Output::Send(id, request) => {
                self.sent.push((*id, request.clone()));
                false
            }
            _ => true,
        });
        out
    }

    fn at(&mut self, now: Duration) -> &mut Self {
        self.now = now;
        self
    }

    fn session(&mut self, id: SessionId, identity: u128) -> Vec<Output> {
        let out = self.input(Input::Session { id, timeout: TIMEOUT, identity: Uuid::from_random(identity) });
        self.input(Input::Heard { until: self.now + TIMEOUT });
        out
    }

    const fn kind(request: &Request) -> &'static str {
        match request {
            Request::Create { .. } => "create",
            Request::MakeParents { container: true, .. } => "containers",
            Request::MakeParents { .. } => "parents",
            Request::List { .. } => "list",
            Request::Sync { .. } => "sync",
            Request::Look { .. } => "look",
            Request::WatchPredecessor { .. } => "watch",
            Request::WatchOwn { .. } => "own",
            Request::Claim { .. } => "claim",
        }
    }

    fn asked(&self) -> Vec<&'static str> {
        self.sent.iter().map(|(_, request)| Self::kind(request)).collect()
    }

    fn take(&mut self, kind: &str) -> (RequestId, Request) {
        let at = self.sent.iter().position(|(_, request)| Self::kind(request) == kind);
        self.sent.remove(at.unwrap_or_else(|| panic!("no {kind} among {:?}", self.asked())))
    }

    fn answer(&mut self, kind: &str, answer: Answer) -> Vec<Output> {
        let (request, _) = self.take(kind);
        self.input(Input::Answer { request, answer })
    }

    fn created(&mut self, made: Result<i32, Refusal>) -> Vec<Output> {
        let (request, Request::Create { prefixes, .. }) = self.take("create") else { unreachable!() };
        let named =
            |n: i32| prefixes.iter().zip(n..).map(|(p, n)| zk_proto::path::sequential(p, n)).collect();
        let made = made.map(|n| Made { paths: named(n), czxid: Zxid(0x500) });
        self.input(Input::Answer { request, answer: Answer::Created(made) })
    }

    fn listed(&mut self, paths: &[&str]) -> Vec<Output> {
        self.answer("list", Answer::Listed(Ok(names(paths))))
    }

    fn seen(&mut self, kind: &str, owner: Result<SessionId, Refusal>) -> Vec<Output> {
        self.answer(
            kind,
            Answer::Seen(owner.map(|owner| Seen { czxid: Zxid(0x500), owner, version: 0, revoked: false })),
        )
    }

    /// Whom the last watch was for, and its request.
    fn watched(&self) -> (RequestId, String) {
        match self.sent.last() {
            Some((id, Request::WatchPredecessor { path })) => (*id, path.clone()),
            other => panic!("no watch: {other:?}"),
        }
    }

    fn lost(&self) -> Option<LossReason> {
        match self.core.hold() {
            Some(HoldState::Lost(reason)) => Some(reason),
            _ => None,
        }
    }
}

fn named(path: &str) -> Output {
    Output::Leave(Leftover::Named { paths: vec![path.into()], session: Some(S1) })
}

fn unnamed() -> Output {
    Output::Leave(Leftover::Unnamed { prefixes: vec![prefix(1)], session: Some(S1) })
}

#[test]
fn free_takes_one_turn_and_watches_itself() {
    let mut bench = Bench::begun(options());
    assert_eq!(bench.created(Ok(5)), []);
    let granted = bench.listed(&[&own(1, 5), "/locks/_c_later-lock-0000000006"]);
    let (paths, token) = (vec![own(1, 5)], Zxid(0x500));
    let grant = Grant { paths, token, sequence: Sequence(5), session: S1, version: None };
    assert_eq!(granted, [Output::Grant(grant)]);
    bench.a_while();
    assert_eq!(bench.asked(), ["own"]);
    assert_eq!(bench.input(Input::Cancel), [Output::Forget(RequestId(2)), named(&own(1, 5))]);
    assert!(bench.core.is_over());
}

#[test]
fn what_is_held_for_a_moment_is_not_watched() {
    let mut bench = Bench::begun(options());
    bench.created(Ok(5));
    bench.listed(&[&own(1, 5)]);
    bench.at(OWN_WATCH_DELAY / 2).input(Input::Tick);
    assert_eq!(bench.asked(), [""; 0]);
    assert_eq!(bench.input(Input::Cancel), [named(&own(1, 5))]);
}

#[test]
fn waits_for_the_nearest_and_lists_again_on_every_wake() {
    let mut bench = Bench::begun(options());
    bench.created(Ok(5));
    let (a, b) = ("/locks/_c_a-lock-0000000003", "/locks/bb__lock__0000000004");
    bench.listed(&[a, b, &own(1, 5)]);
    let (watch, path) = bench.watched();
    assert_eq!(path, b);
    bench.seen("watch", Ok(S2));
    assert_eq!(bench.input(Input::Fired(watch)), [], "no grant on the wake itself");
    assert_eq!(bench.asked(), ["list"]);
    bench.listed(&[a, &own(1, 5)]);
    let (watch, path) = bench.watched();
    assert_eq!(path, a, "the nearest left without holding");
    bench.seen("watch", Ok(S2));
    bench.input(Input::Fired(watch));
    assert!(matches!(bench.listed(&[&own(1, 5)]).as_slice(), [Output::Grant(_)]));
}

#[test]
fn a_predecessor_that_only_changed_is_watched_again() {
    let mut bench = Bench::begun(options());
    bench.created(Ok(5));
    let predecessor = "/locks/_c_a-lock-0000000003";
    bench.listed(&[predecessor, &own(1, 5)]);
    let (watch, _) = bench.watched();
    bench.seen("watch", Ok(S2));
    bench.input(Input::Fired(watch));
    bench.listed(&[predecessor, &own(1, 5)]);
    assert_eq!(bench.watched().1, predecessor);
}

#[test]
fn a_predecessor_that_vanishes_before_the_watch_is_no_wait() {
    let mut bench = Bench::begun(options());
    bench.created(Ok(5));
    bench.listed(&["/locks/_c_a-lock-0000000003", &own(1, 5)]);
    assert_eq!(bench.seen("watch", Err(Refusal::NoNode)), []);
    assert!(matches!(bench.listed(&[&own(1, 5)]).as_slice(), [Output::Grant(_)]));
}

#[test]
fn answers_out_of_order_are_taken_as_they_come() {
    let mut bench = Bench::begun(options());
    assert_eq!(bench.listed(&[&own(1, 5)]), []);
    assert!(matches!(bench.created(Ok(5)).as_slice(), [Output::Grant(_)]));
    let mut bench = Bench::begun(options());
    bench.answer("list", Answer::Listed(Err(Refusal::NotNow)));
    bench.created(Ok(5));
    assert!(matches!(bench.listed(&[&own(1, 5)]).as_slice(), [Output::Grant(_)]));
}

#[test]
fn an_answer_that_lay_about_too_long_admits_nobody() {
    let mut bench = Bench::begun(options());
    bench.created(Ok(5));
    assert_eq!(bench.at(s(9)).listed(&[&own(1, 5)]), [], "the process stood still");
    assert_eq!(bench.asked(), ["list"]);
    bench.at(s(10)).input(Input::Heard { until: s(19) });
    assert!(matches!(bench.listed(&[&own(1, 5)]).as_slice(), [Output::Grant(_)]));
}

#[test]
fn missing_parents_are_made_as_often_as_it_takes() {
    let mut bench = Bench::begun(options());
    for _ in 0..3 {
        bench.created(Err(Refusal::NoNode));
        bench.answer("list", Answer::Listed(Err(Refusal::NoNode)));
        assert_eq!(bench.asked(), ["containers"]);
        bench.answer("containers", Answer::ParentsMade(Ok(())));
        assert_eq!(bench.asked(), ["create", "list"]);
    }
    bench.created(Ok(0));
    assert!(matches!(bench.listed(&[&own(1, 0)]).as_slice(), [Output::Grant(_)]));
}

#[test]
fn without_containers_parents_are_persistent_from_then_on() {
    let mut bench = Bench::begun(options());
    bench.created(Err(Refusal::NoNode));
    bench.answer("containers", Answer::ParentsMade(Err(Refusal::Unsupported)));
    bench.answer("parents", Answer::ParentsMade(Ok(())));
    bench.created(Err(Refusal::NoNode));
    assert!(bench.asked().contains(&"parents"));
    let must_exist = Options { parents: Parents::MustExist, ..options() };
    assert_eq!(Bench::begun(must_exist).created(Err(Refusal::NoNode)), [Output::Fail(Failure::Refused)]);
}

#[test]
fn a_lost_create_is_found_by_its_uuid_and_owner() {
    let mut bench = Bench::begun(options());
    bench.created(Err(Refusal::Unknown));
    bench.sent.remove(0);
    assert_eq!(bench.asked(), ["sync", "list"]);
    bench.answer("sync", Answer::Synced(Ok(())));
    bench.listed(&["/locks/_c_b-lock-0000000009", &own(1, 5)]);
    assert_eq!(bench.asked(), ["look"]);
    let granted = bench.seen("look", Ok(S1));
    assert!(matches!(granted.as_slice(), [Output::Grant(Grant { token: Zxid(0x500), .. })]), "{granted:?}");
}

#[test]
fn a_lost_create_that_never_happened_is_made_again() {
    let mut bench = Bench::begun(options());
    bench.created(Err(Refusal::Unknown));
    bench.sent.remove(0);
    bench.listed(&["/locks/_c_b-lock-0000000009"]);
    assert_eq!(bench.asked(), ["sync"], "a list without its sync proves nothing");
    bench.answer("sync", Answer::Synced(Ok(())));
    assert_eq!(bench.asked(), ["create", "list"]);
}

#[test]
fn a_found_node_of_another_session_is_never_stood_on() {
    let mut bench = Bench::begun(options());
    bench.created(Err(Refusal::Unknown));
    bench.sent.remove(0);
    bench.answer("sync", Answer::Synced(Ok(())));
    bench.listed(&[&own(1, 5)]);
    assert_eq!(bench.seen("look", Ok(S2)), []);
    assert_eq!(bench.asked(), ["create", "list"]);
}

#[test]
fn finding_begins_again_when_a_part_of_it_is_refused_for_now() {
    let mut bench = Bench::begun(options());
    bench.created(Err(Refusal::Unknown));
    bench.sent.clear();
    let out =
        bench.input(Input::Answer { request: RequestId(2), answer: Answer::Synced(Err(Refusal::Unknown)) });
    assert_eq!((out, bench.asked().len()), (vec![], 0));
    let at = bench.core.deadline().unwrap();
    bench.at(at).input(Input::Tick);
    assert_eq!(bench.asked(), ["sync", "list"]);
}

#[test]
fn a_deleted_node_ends_the_wait() {
    let mut bench = Bench::waiting();
    bench.looks_after_a_reconnect();
    let out = bench.listed(&["/locks/bb__lock__0000000004"]);
    assert_eq!(out.last(), Some(&Output::Fail(Failure::NodeDeleted)));
    assert!(!out.iter().any(|output| matches!(output, Output::Leave(_))));
}

#[test]
fn waiting_goes_on_while_suspended_and_looks_after_the_reconnect() {
    let mut bench = Bench::waiting();
    assert_eq!(bench.input(Input::Suspended), []);
    assert_eq!(bench.core.deadline(), None);
    bench.looks_after_a_reconnect();
    bench.listed(&["/locks/_c_a-lock-0000000003", "/locks/bb__lock__0000000004", &own(1, 5)]);
    assert_eq!(bench.asked(), [""; 0], "the watch is armed again by the client");
}

#[test]
fn what_fires_after_a_reconnect_is_not_waited_with_and_what_is_lost_again_is() {
    let mut bench = Bench::begun(options());
    bench.created(Ok(5));
    bench.listed(&["/locks/_c_a-lock-0000000003", &own(1, 5)]);
    let (watch, _) = bench.watched();
    bench.seen("watch", Ok(S1));
    bench.input(Input::Connected);
    bench.input(Input::Suspended);
    assert_eq!(bench.core.deadline(), None);
    bench.input(Input::Connected);
    bench.input(Input::Fired(watch));
    assert_eq!(bench.asked(), ["list"]);
}

#[test]
fn an_expired_waiter_starts_again_at_the_tail() {
    let mut bench = Bench::waiting();
    assert_eq!(bench.input(Input::SessionOver(LossReason::SessionExpired)), [Output::Requeued]);
    assert_eq!(bench.input(Input::SessionOver(LossReason::SessionExpired)), []);
    assert_eq!(bench.session(S2, 2), []);
    assert_eq!(bench.asked(), ["create", "list"]);
    assert_eq!(bench.sent[0].1, Request::Create { prefixes: vec![prefix(2)], durable: false });
    assert_eq!(
        Bench::waiting().input(Input::SessionOver(LossReason::ClientClosed)).last(),
        Some(&Output::Fail(Failure::ClientOver(LossReason::ClientClosed)))
    );
}

#[test]
fn an_answer_may_be_the_first_to_tell_of_the_expiry() {
    let mut bench = Bench::begun(options());
    assert_eq!(bench.created(Err(Refusal::SessionOver)), [Output::Requeued]);
    bench.answer("list", Answer::Listed(Err(Refusal::SessionOver)));
    bench.session(S2, 2);
    assert_eq!(bench.asked(), ["create", "list"]);
}

#[test]
fn no_patience_leaves_at_once_and_some_leaves_in_time() {
    let mut bench = Bench::begun(Options { patience: Patience::None, ..options() });
    bench.created(Ok(5));
    let out = bench.listed(&["/locks/_c_a-lock-0000000003", &own(1, 5)]);
    assert_eq!(out, [named(&own(1, 5)), Output::Fail(Failure::Busy)]);
    let mut bench = Bench::begun(Options { patience: Patience::Until(s(3)), ..options() });
    bench.created(Ok(5));
    bench.listed(&["/locks/_c_a-lock-0000000003", &own(1, 5)]);
    bench.seen("watch", Ok(S2));
    assert_eq!(bench.core.deadline(), Some(s(3)));
    assert_eq!(bench.at(s(2)).input(Input::Tick), []);
    let out = bench.at(s(3)).input(Input::Tick);
    assert_eq!(out[1..], [named(&own(1, 5)), Output::Fail(Failure::TimedOut)]);
}

#[test]
fn foreign_children_are_reported_and_passed_over() {
    let mut bench = Bench::begun(options());
    bench.created(Ok(5));
    let out = bench.listed(&["/locks/0", &own(1, 5), "/locks/_c_x-latch-0000000000"]);
    assert_eq!(out[0], Output::Foreign(vec!["0".into(), "_c_x-latch-0000000000".into()]));
    assert!(matches!(out[1], Output::Grant(_)));
}

#[test]
fn cancelled_at_every_step_nothing_is_forgotten() {
    let left = |steps: &dyn Fn(&mut Bench)| {
        let mut bench = Bench::begun(options());
        steps(&mut bench);
        let mut out = bench.input(Input::Cancel);
        assert!(bench.core.is_over());
        out.retain(|output| matches!(output, Output::Leave(_)));
        out
    };
    let predecessor = "/locks/_c_a-lock-0000000003";
    assert_eq!(Bench::new(options()).input(Input::Cancel), [], "before anything was sent");
    assert_eq!(left(&|_| {}), [unnamed()], "create under way");
    assert_eq!(left(&|b| drop(b.created(Err(Refusal::NoNode)))), [], "making parents");
    assert_eq!(left(&|b| drop(b.created(Err(Refusal::NotNow)))), [], "create refused for now");
    assert_eq!(left(&|b| drop(b.created(Err(Refusal::Unknown)))), [unnamed()], "finding");
    let verifying = |b: &mut Bench| {
        b.created(Err(Refusal::Unknown));
        b.sent.remove(0);
        b.answer("sync", Answer::Synced(Ok(())));
        b.listed(&[&own(1, 5)]);
    };
    assert_eq!(left(&verifying), [named(&own(1, 5))], "verifying");
    let created = |b: &mut Bench| drop(b.created(Ok(5)));
    assert_eq!(left(&created), [named(&own(1, 5))], "list under way");
    let arming = |b: &mut Bench| {
        b.created(Ok(5));
        b.listed(&[predecessor, &own(1, 5)]);
    };
    assert_eq!(left(&arming), [named(&own(1, 5))], "watch under way");
    let waiting = |b: &mut Bench| {
        arming(b);
        b.seen("watch", Ok(S2));
    };
    assert_eq!(left(&waiting), [named(&own(1, 5))], "waiting");
    let woken = |b: &mut Bench| {
        arming(b);
        let watch = b.watched().0;
        b.seen("watch", Ok(S2));
        b.input(Input::Fired(watch));
    };
    assert_eq!(left(&woken), [named(&own(1, 5))], "woken");
    let granted = |b: &mut Bench| {
        b.created(Ok(5));
        b.listed(&[&own(1, 5)]);
    };
    assert_eq!(left(&granted), [named(&own(1, 5))], "granted");
    let expired = |b: &mut Bench| {
        waiting(b);
        b.input(Input::SessionOver(LossReason::SessionExpired));
    };
    assert_eq!(left(&expired), [], "the session took it along");
}

#[test]
fn a_refusal_for_good_leaves_only_what_was_made() {
    assert_eq!(Bench::begun(options()).created(Err(Refusal::Never)), [Output::Fail(Failure::Refused)]);
    let mut bench = Bench::begun(options());
    bench.created(Ok(5));
    let out = bench.answer("list", Answer::Listed(Err(Refusal::Never)));
    assert_eq!(out, [named(&own(1, 5)), Output::Fail(Failure::Refused)]);
}

#[test]
fn a_holder_whose_node_is_deleted_has_lost() {
    let mut bench = Bench::held(options());
    assert_eq!(bench.input(Input::Fired(RequestId(2))), []);
    bench.seen("own", Ok(S1));
    assert_eq!(bench.core.hold(), Some(HoldState::Held), "its data changed");
    bench.input(Input::Fired(RequestId(3)));
    let out = bench.seen("own", Err(Refusal::NoNode));
    assert_eq!(bench.lost(), Some(LossReason::NodeDeleted));
    assert!(!out.iter().any(|output| matches!(output, Output::Leave(_))));
}

#[test]
fn a_suspended_holder_is_suspect_until_its_node_is_confirmed() {
    let mut bench = Bench::held(options());
    bench.at(s(2)).input(Input::Suspended);
    assert_eq!(bench.core.hold(), Some(HoldState::Suspect { since: s(2), deadline: s(9) }));
    bench.at(s(4)).input(Input::Heard { until: s(14) });
    bench.input(Input::Connected);
    assert!(matches!(bench.core.hold(), Some(HoldState::Suspect { .. })));
    bench.seen("own", Ok(S1));
    assert_eq!(bench.core.hold(), Some(HoldState::Held));
    assert_eq!(bench.core.deadline(), Some(s(13)));
}

#[test]
fn a_confirmation_from_before_the_next_disconnect_confirms_nothing() {
    let mut bench = Bench::held(options());
    bench.at(s(2)).input(Input::Suspended);
    bench.input(Input::Connected);
    bench.input(Input::Suspended);
    bench.seen("own", Ok(S1));
    assert!(matches!(bench.core.hold(), Some(HoldState::Suspect { .. })));
}

#[test]
fn the_local_deadline_does_not_wait_for_the_server() {
    let mut bench = Bench::held(options());
    bench.at(s(2)).input(Input::Suspended);
    assert_eq!(bench.core.deadline(), Some(s(9)));
    let out = bench.at(s(9)).input(Input::Tick);
    assert_eq!(bench.lost(), Some(LossReason::DeadlineReached));
    assert_eq!(out.last(), Some(&named(&own(1, 5))), "deleted when the session turns out to live");
    assert_eq!(bench.core.deadline(), None);
    assert_eq!(bench.input(Input::Connected), [], "lost is lost");
    assert_eq!(bench.input(Input::Cancel), [], "handed over once");
}

#[test]
fn standard_holders_stop_at_the_disconnect_and_expired_ones_leave_nothing() {
    let mut bench = Bench::held(Options { loss: LossPolicy::Standard, ..options() });
    let out = bench.input(Input::Suspended);
    assert_eq!(out.last(), Some(&named(&own(1, 5))));
    assert_eq!(bench.lost(), Some(LossReason::Disconnected));
    for reason in [LossReason::SessionExpired, LossReason::ClientClosed, LossReason::AuthFailed] {
        let mut bench = Bench::held(options());
        let out = bench.input(Input::SessionOver(reason));
        assert_eq!(bench.lost(), Some(reason));
        assert!(!out.iter().any(|output| matches!(output, Output::Leave(_))));
    }
}

#[test]
fn a_watch_on_the_own_node_that_fails_for_now_is_tried_again() {
    let mut bench = Bench::begun(options());
    bench.created(Ok(5));
    bench.input(Input::Heard { until: s(10) });
    bench.listed(&[&own(1, 5)]);
    bench.a_while();
    bench.seen("own", Err(Refusal::NotNow));
    let at = bench.core.deadline().unwrap();
    assert!(at < s(1));
    bench.at(at).input(Input::Tick);
    assert_eq!(bench.asked(), ["own"]);
}

mod places;
