//! Places in line by scenario: two nodes for one place, places that are kept, and places that outlive their session.

use super::*;

fn both() -> Options {
    Options { prefixes: vec![curator_lock_prefix, kazoo_lock_prefix], ..options() }
}

fn kazoo(n: u128, sequence: i32) -> String {
    let prefix = format!("/locks/{}", kazoo_lock_prefix(Uuid::from_random(n)));
    zk_proto::path::sequential(&prefix, sequence)
}

fn grant_of(out: &[Output]) -> Option<&Grant> {
    out.iter().find_map(|output| match output {
        Output::Grant(grant) => Some(grant),
        _ => None,
    })
}

#[test]
fn two_nodes_stand_where_the_first_does_and_both_are_watched() {
    let mut bench = Bench::begun(both());
    bench.created(Ok(5));
    bench.listed(&["/locks/_c_a-lock-0000000003", &own(1, 5), &kazoo(1, 6), "/locks/bb__lock__0000000007"]);
    assert_eq!(bench.watched().1, "/locks/_c_a-lock-0000000003", "not our own other node");
    assert_eq!(bench.core.ahead(), Some(1));
    let mut bench = Bench::begun(both());
    bench.created(Ok(5));
    let out = bench.listed(&[&own(1, 5), &kazoo(1, 6)]);
    assert_eq!(grant_of(&out).unwrap().paths, [own(1, 5), kazoo(1, 6)]);
    bench.a_while();
    assert_eq!(bench.asked(), ["own", "own"]);
    let left = Leftover::Named { paths: vec![own(1, 5), kazoo(1, 6)], session: Some(S1) };
    assert_eq!(bench.input(Input::Cancel).last(), Some(&Output::Leave(left)), "deleted together");
}

#[test]
fn one_of_two_nodes_is_no_place() {
    let mut bench = Bench::begun(both());
    bench.created(Ok(5));
    let out = bench.listed(&[&own(1, 5)]);
    assert_eq!(out.last(), Some(&Output::Fail(Failure::NodeDeleted)));
    let mut bench = Bench::begun(both());
    bench.created(Err(Refusal::Unknown));
    bench.sent.remove(0);
    bench.answer("sync", Answer::Synced(Ok(())));
    let out = bench.listed(&[&kazoo(1, 6)]);
    let left = Leftover::Named { paths: vec![kazoo(1, 6)], session: Some(S1) };
    assert_eq!(out, [Output::Leave(left)]);
    assert_eq!(bench.asked(), ["create", "list"]);
}

#[test]
fn a_holder_by_two_nodes_loses_with_either_and_gives_the_other_up() {
    for (nth, gone, rest) in [(0, own(1, 5), kazoo(1, 6)), (1, kazoo(1, 6), own(1, 5))] {
        let mut bench = Bench::begun(both());
        bench.created(Ok(5));
        bench.listed(&[&own(1, 5), &kazoo(1, 6)]);
        bench.a_while();
        let watches: Vec<RequestId> = bench.sent.iter().map(|(id, _)| *id).collect();
        bench.seen("own", Ok(S1));
        assert_eq!(bench.core.hold(), Some(HoldState::Held));
        bench.seen("own", Ok(S1));
        bench.input(Input::Fired(watches[nth]));
        let Request::WatchOwn { path } = &bench.sent[0].1 else { unreachable!() };
        assert_eq!(*path, gone);
        let out = bench.seen("own", Err(Refusal::NoNode));
        assert_eq!(bench.lost(), Some(LossReason::NodeDeleted));
        let left = Leftover::Named { paths: vec![rest], session: Some(S1) };
        assert_eq!(out.last(), Some(&Output::Leave(left)));
    }
}

#[test]
fn a_suspect_by_two_nodes_is_confirmed_by_both() {
    let mut bench = Bench::begun(both());
    bench.created(Ok(5));
    bench.listed(&[&own(1, 5), &kazoo(1, 6)]);
    bench.input(Input::Suspended);
    bench.sent.clear();
    bench.input(Input::Connected);
    bench.seen("own", Ok(S1));
    assert!(matches!(bench.core.hold(), Some(HoldState::Suspect { .. })));
    bench.seen("own", Ok(S1));
    assert_eq!(bench.core.hold(), Some(HoldState::Held));
}

#[test]
fn a_kept_place_is_stood_on_again() {
    let latch = Options { loss: LossPolicy::Standard, keeps_place: true, ..options() };
    let mut bench = Bench::held(latch.clone());
    let out = bench.input(Input::Suspended);
    assert!(!out.iter().any(|output| matches!(output, Output::Leave(_))), "{out:?}");
    assert_eq!(bench.lost(), Some(LossReason::Disconnected));
    assert!(bench.core.keeps_place());
    bench.input(Input::Again);
    assert_eq!(bench.core.hold(), None);
    bench.input(Input::Connected);
    bench.answer("sync", Answer::Synced(Ok(())));
    bench.listed(&[&own(1, 5)]);
    let out = bench.seen("look", Ok(S1));
    assert_eq!(grant_of(&out).unwrap().paths, [own(1, 5)]);
    // Given up instead: the node goes.
    let mut bench = Bench::held(latch.clone());
    bench.input(Input::Suspended);
    assert_eq!(bench.input(Input::Cancel), [named(&own(1, 5))]);
    let mut bench = Bench::held(latch.clone());
    bench.input(Input::Suspended);
    bench.input(Input::Again);
    assert_eq!(bench.input(Input::Cancel), [unnamed()]);
    // With another reason nothing is kept.
    let mut bench = Bench::held(latch);
    bench.input(Input::SessionOver(LossReason::SessionExpired));
    assert!(!bench.core.keeps_place());
    bench.input(Input::Again);
    bench.session(S2, 2);
    assert_eq!(bench.asked(), ["create", "list"]);
}

const OWNER: Durable = Durable { owner: Uuid::from_random(1), release_on_drop: false };

fn durable() -> Options {
    Options { durable: Some(OWNER), ..options() }
}

impl Bench {
    fn found(&mut self, paths: &[&str]) {
        self.answer("sync", Answer::Synced(Ok(())));
        self.listed(paths);
    }

    fn looked(&mut self, owner: SessionId, version: i32) -> Vec<Output> {
        let seen = Seen { czxid: Zxid(0x500), owner, version, revoked: false };
        let kind = if self.asked().contains(&"look") { "look" } else { "own" };
        self.answer(kind, Answer::Seen(Ok(seen)))
    }

    fn first_life(sequence: i32) -> Self {
        let mut bench = Self::new(durable());
        bench.session(S1, 9);
        assert_eq!(bench.asked(), ["sync", "list"], "there may be one from an earlier life");
        bench.found(&[]);
        bench.created(Ok(sequence));
        bench
    }

    fn held_for_good() -> Self {
        let mut bench = Self::first_life(5);
        bench.listed(&[&own(1, 5)]);
        bench.claimed(1, 0x600);
        bench.a_while();
        bench.looked(SessionId::NONE, 1);
        assert_eq!(bench.core.hold(), Some(HoldState::Held));
        bench
    }

    fn claimed(&mut self, version: i32, mzxid: i64) -> Vec<Output> {
        self.answer("claim", Answer::Claimed(Ok(Claimed { version, mzxid: Zxid(mzxid) })))
    }
}

#[test]
fn a_durable_place_is_named_after_its_owner_and_not_lost_by_clock_or_session() {
    let mut bench = Bench::held_for_good();
    bench.at(s(100)).input(Input::Check);
    assert_eq!(bench.core.hold(), Some(HoldState::Held));
    bench.input(Input::Suspended);
    assert!(matches!(bench.core.hold(), Some(HoldState::Suspect { .. })));
    bench.input(Input::SessionOver(LossReason::SessionExpired));
    bench.session(S2, 7);
    assert_eq!(bench.asked(), ["own"]);
    bench.looked(SessionId::NONE, 1);
    assert_eq!(bench.core.hold(), Some(HoldState::Held));
    let left = Leftover::Claimed { paths: vec![own(1, 5)], version: 1 };
    assert_eq!(bench.input(Input::Cancel).last(), Some(&Output::Leave(left)), "in whatever session");
}

#[test]
fn who_was_taken_over_has_lost_and_deletes_nothing() {
    let mut bench = Bench::held_for_good();
    let watch = RequestId(5);
    bench.input(Input::Fired(watch));
    let out = bench.looked(SessionId::NONE, 2);
    assert_eq!(bench.lost(), Some(LossReason::TakenOver));
    assert!(!out.iter().any(|output| matches!(output, Output::Leave(_))), "{out:?}");
}

/// Not even by a write that says something else: whoever has claimed it since may have been asked to give it up.
#[test]
fn whoever_writes_to_a_durable_node_takes_it_away() {
    let mut bench = Bench::held_for_good();
    bench.input(Input::Fired(RequestId(5)));
    let seen = Seen { czxid: Zxid(0x500), owner: SessionId::NONE, version: 3, revoked: true };
    bench.answer("own", Answer::Seen(Ok(seen)));
    assert_eq!(bench.lost(), Some(LossReason::TakenOver));
}

#[test]
fn a_life_that_was_replaced_while_it_waited_takes_nothing_back() {
    // Found by its claim.
    let mut bench = Bench::first_life(5);
    let out = bench.listed(&[&own(1, 5)]);
    assert!(grant_of(&out).is_none());
    let out = bench.answer("claim", Answer::Claimed(Err(Refusal::Changed)));
    assert_eq!(out, [Output::Fail(Failure::TakenOver)]);
    // Found in the next session.
    let mut bench = Bench::first_life(5);
    bench.listed(&["/locks/_c_b-lock-0000000004", &own(1, 5)]);
    bench.input(Input::SessionOver(LossReason::SessionExpired));
    bench.session(S2, 7);
    bench.found(&["/locks/_c_b-lock-0000000004", &own(1, 5)]);
    let out = bench.looked(SessionId::NONE, 1);
    assert_eq!(out, [Output::Fail(Failure::TakenOver)]);
    // What it may have done itself is no other life's: a claim whose answer was lost.
    let mut bench = Bench::first_life(5);
    bench.listed(&[&own(1, 5)]);
    bench.answer("claim", Answer::Claimed(Err(Refusal::Unknown)));
    bench.found(&[&own(1, 5)]);
    bench.looked(SessionId::NONE, 1);
    assert_eq!(bench.sent[0].1, Request::Claim { path: own(1, 5), version: 1 });
}

#[test]
fn what_is_given_up_in_the_midst_of_a_claim_is_deleted_as_it_was_claimed() {
    let mut bench = Bench::first_life(5);
    bench.listed(&[&own(1, 5)]);
    let left = Leftover::Claimed { paths: vec![own(1, 5)], version: 0 };
    assert_eq!(bench.input(Input::Cancel), [Output::Leave(left)], "the shell has the claim's answer to come");
}

#[test]
fn another_life_takes_over_by_a_write_and_a_greater_token() {
    let mut bench = Bench::new(durable());
    bench.session(S2, 9);
    bench.found(&[&own(1, 5), "/locks/_c_b-lock-0000000006"]);
    bench.looked(SessionId::NONE, 3);
    assert_eq!(bench.sent[0].1, Request::Claim { path: own(1, 5), version: 3 });
    let claimed = Claimed { version: 4, mzxid: Zxid(0x700) };
    let out = bench.answer("claim", Answer::Claimed(Ok(claimed)));
    let grant = grant_of(&out).unwrap();
    assert_eq!((grant.token, grant.version), (Zxid(0x700), Some(4)));
    // Somebody else of that name was faster, or the answer was lost: look again.
    for refusal in [Refusal::Changed, Refusal::Unknown, Refusal::NoNode] {
        let mut bench = Bench::new(durable());
        bench.session(S2, 9);
        bench.found(&[&own(1, 5)]);
        bench.looked(SessionId::NONE, 3);
        bench.answer("claim", Answer::Claimed(Err(refusal)));
        assert_eq!(bench.asked(), ["sync", "list"]);
    }
}

#[test]
fn whoever_waited_makes_its_token_when_nobody_is_in_front() {
    let before = "/locks/_c_a-lock-0000000003";
    for taken_over in [false, true] {
        let mut bench = Bench::new(durable());
        bench.session(S1, 9);
        if taken_over {
            bench.found(&[before, &own(1, 5)]);
            bench.looked(SessionId::NONE, 0);
            bench.claimed(1, 0x600);
        } else {
            bench.found(&[before]);
            bench.created(Ok(5));
            bench.listed(&[before, &own(1, 5)]);
        }
        // Whoever is in front comes back in another life, takes its place over as 0x650, and releases.
        let (watch, _) = bench.watched();
        bench.seen("watch", Ok(SessionId::NONE));
        bench.input(Input::Fired(watch));
        let out = bench.listed(&[&own(1, 5)]);
        assert_eq!(grant_of(&out), None);
        let version = i32::from(taken_over);
        assert_eq!(bench.sent[0].1, Request::Claim { path: own(1, 5), version });
        let out = bench.claimed(version + 1, 0x700);
        let grant = grant_of(&out).unwrap();
        assert_eq!((grant.token, grant.version), (Zxid(0x700), Some(version + 1)));
    }
}

#[test]
fn giving_up_waiting_leaves_what_an_earlier_life_left() {
    let predecessor = "/locks/_c_a-lock-0000000003";
    let mut bench = Bench::new(durable());
    bench.session(S2, 9);
    bench.found(&[predecessor, &own(1, 5)]);
    bench.looked(SessionId::NONE, 0);
    let claimed = Claimed { version: 1, mzxid: Zxid(0x700) };
    bench.answer("claim", Answer::Claimed(Ok(claimed)));
    bench.seen("watch", Ok(S1));
    let out = bench.input(Input::Cancel);
    assert!(!out.iter().any(|output| matches!(output, Output::Leave(_))), "{out:?}");
    // What this life has made goes, also when the session that made it is over.
    let mut bench = Bench::first_life(5);
    bench.listed(&[predecessor, &own(1, 5)]);
    bench.seen("watch", Ok(S1));
    bench.input(Input::SessionOver(LossReason::SessionExpired));
    let left = Leftover::Unnamed { prefixes: vec![prefix(1)], session: None };
    assert_eq!(bench.input(Input::Cancel), [Output::Leave(left)]);
    // Nothing was made: nothing is left.
    let mut bench = Bench::new(durable());
    bench.session(S1, 9);
    assert_eq!(bench.input(Input::Cancel), []);
}

#[test]
fn whoever_is_asked_to_give_up_keeps_it_and_knows() {
    let mut bench = Bench::held(options());
    bench.input(Input::Fired(RequestId(2)));
    let seen = Seen { czxid: Zxid(0x500), owner: S1, version: 1, revoked: true };
    bench.answer("own", Answer::Seen(Ok(seen)));
    assert!(bench.core.is_revoked());
    assert_eq!(bench.core.hold(), Some(HoldState::Held));
}
