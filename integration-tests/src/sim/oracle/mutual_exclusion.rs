//! The lock's promises (spec/recipes.md, c.8): at most one holder that has not been told otherwise and whose local
//! deadline has not passed, tokens and numbers that rise, one waiter woken by a release, and nothing left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use zk_client::{EventType, SessionId};
use zk_proto::txn::Txn;

use super::exact::Replayed;
use super::{Verdict, violated};
use crate::sim::contender::LOCK;
use crate::sim::history::{Heard, History, Holding, Who};

const NAME: &str = "mutual exclusion";

fn reaped_between(history: &History, before: &Holding, after: &Holding) -> bool {
    let reaped = |txn: &Txn| matches!(txn, Txn::DeleteContainer(t) if t.path == LOCK);
    history.log.range(before.czxid..after.czxid).any(|(_, entry)| reaped(&entry.txn))
}

pub(super) fn check(history: &History, replayed: &Replayed) -> Verdict {
    let mut before: Option<&Holding> = None;
    let mut free = Duration::ZERO;
    for holding in &history.holdings {
        let say = |what: String| format!("client {} with {}: {what}", holding.who, holding.path);
        if holding.from < free {
            let by = before.map_or(0, |before| before.who);
            return violated(
                NAME,
                say(format!("granted at {:?}, held by {by} until {free:?}", holding.from)),
            );
        }
        // Numbers begin anew when the server has removed the empty container; tokens never do.
        if let Some(before) = before
            && (holding.czxid <= before.czxid
                || (holding.sequence.0 <= before.sequence.0 && !reaped_between(history, before, holding)))
        {
            return violated(NAME, say(format!("granted after {} of client {}", before.path, before.who)));
        }
        free = free.max(holding.end.unwrap_or(Duration::MAX).min(holding.until));
        before = Some(holding);
    }
    one_wake(history)?;
    let left: Vec<&str> =
        replayed.reference.all().map(|(path, ..)| path).filter(|p| p.starts_with("/lock/")).collect();
    if left.is_empty() { Ok(()) } else { violated(NAME, format!("left behind: {left:?}")) }
}

/// The end of a contender wakes nobody but the one behind it. Its owner may hear of it as well.
fn one_wake(history: &History) -> Verdict {
    let who: BTreeMap<SessionId, Who> = history.calls.iter().map(|call| (call.session, call.who)).collect();
    let mut owners: BTreeMap<&str, Who> = BTreeMap::new();
    for entry in history.log.values() {
        if let (Txn::Create2(made), Some(who)) = (&entry.txn, who.get(&entry.header.client_id)) {
            owners.insert(&made.path, *who);
        }
    }
    let mut woken: BTreeMap<&str, BTreeSet<Who>> = BTreeMap::new();
    for (_, who, heard) in &history.heard {
        if let Heard::Fired(_, event) = heard
            && event.event_type == EventType::NodeDeleted
            && event.path.starts_with(LOCK)
            && owners.get(event.path.as_str()).is_some_and(|owner| owner != who)
        {
            woken.entry(&event.path).or_default().insert(*who);
        }
    }
    match woken.iter().find(|(_, who)| who.len() > 1) {
        Some((path, who)) => violated(NAME, format!("the end of {path} woke clients {who:?}")),
        None => Ok(()),
    }
}
