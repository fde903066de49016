//! P10, P11: an event arrives before any reply that shows its cause; a one-shot watch fires at most once, for the
//! first change behind the state it was set on, and is never missed, also across reconnects.

use std::collections::BTreeMap;

use zk_client::core::{OpId, Request};
use zk_client::{EventType, WatchedEvent, Zxid};

use super::exact::Replayed;
use super::{Verdict, violated};
use crate::sim::history::{End, Heard, History, Operation, Order, Who};
use crate::sim::report::Counters;

const NAME: &str = "watches";

/// What a watch was set on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    Absence,
    Children,
}

impl Kind {
    fn of(request: &Request, found: bool) -> Option<(Self, &str)> {
        match request {
            Request::GetData(r) => Some((Self::Data, &r.path)),
            Request::Exists(r) if found => Some((Self::Data, &r.path)),
            Request::Exists(r) => Some((Self::Absence, &r.path)),
            Request::GetChildren(r) | Request::GetChildren2(r) => Some((Self::Children, &r.path)),
            _ => None,
        }
    }

    fn hears(self, event: EventType) -> bool {
        match self {
            Self::Data => matches!(event, EventType::NodeDataChanged | EventType::NodeDeleted),
            Self::Absence => event == EventType::NodeCreated,
            Self::Children => matches!(event, EventType::NodeChildrenChanged | EventType::NodeDeleted),
        }
    }
}

/// A watch that was set.
struct Watch<'a> {
    who: Who,
    op: OpId,
    kind: Kind,
    path: &'a str,
    /// The state it was set on.
    since: Zxid,
    order: Order,
}

pub(super) fn check(history: &History, replayed: &Replayed, counters: &mut Counters) -> Verdict {
    on_the_wire(history, replayed)?;
    let mut fired: BTreeMap<(Who, OpId), (Order, &WatchedEvent)> = BTreeMap::new();
    let mut lost: BTreeMap<Who, Vec<Order>> = BTreeMap::new();
    for (order, who, heard) in &history.heard {
        match heard {
            Heard::Fired(watches, event) => {
                for op in watches {
                    if fired.insert((*who, *op), (*order, event)).is_some() {
                        return violated(NAME, format!("the watch of client {who} {op:?} fired twice"));
                    }
                }
            }
            Heard::Lost => lost.entry(*who).or_default().push(*order),
        }
    }
    let mut shown: BTreeMap<Who, Vec<(Order, Zxid)>> = BTreeMap::new();
    for operation in history.operations.values() {
        if let Some((end, zxid)) = operation.end.as_ref().and_then(|end| Some((end, end.zxid()?))) {
            shown.entry(operation.who).or_default().push((end.order, zxid));
        }
    }
    for replies in shown.values_mut() {
        replies.sort_unstable();
    }
    for ((who, op), operation) in &history.operations {
        let Some(watch) = watch_of(*who, *op, operation) else { continue };
        let forgotten = history.forgotten.get(&(*who, *op)).copied();
        let ended = lost.get(who).and_then(|all| all.iter().find(|order| **order > watch.order).copied());
        let ended = ended.into_iter().chain(forgotten).min();
        let replies = shown.get(who).map_or(&[][..], Vec::as_slice);
        one(history, replayed, &watch, fired.get(&(*who, *op)).copied(), ended, replies, counters)?;
    }
    Ok(())
}

fn watch_of(who: Who, op: OpId, operation: &Operation) -> Option<Watch<'_>> {
    let end: &End = operation.end.as_ref().filter(|end| end.watching)?;
    let (kind, path) = Kind::of(&operation.request, end.result.is_ok())?;
    Some(Watch { who, op, kind, path, since: end.zxid()?, order: end.order })
}

fn one(
    history: &History,
    replayed: &Replayed,
    watch: &Watch<'_>,
    fired: Option<(Order, &WatchedEvent)>,
    ended: Option<Order>,
    replies: &[(Order, Zxid)],
    counters: &mut Counters,
) -> Verdict {
    let say = |what: String| {
        format!(
            "client {} {:?} watch {:?} on {} since {}: {what}",
            watch.who, watch.op, watch.kind, watch.path, watch.since
        )
    };
    let effects = replayed.effects.get(watch.path).map_or(&[][..], Vec::as_slice);
    let later: Vec<(Zxid, EventType)> =
        effects.iter().filter(|(zxid, e)| *zxid > watch.since && watch.kind.hears(*e)).copied().collect();
    let reconnected = |until: Order| {
        history
            .established
            .iter()
            .any(|e| e.who == watch.who && e.again && e.order > watch.order && e.order < until)
    };
    if let Some((order, event)) = fired {
        let Some((cause, _)) = later.first() else {
            return violated(NAME, say(format!("fired for nothing: {event:?}")));
        };
        match event.zxid {
            // A node that came and went while the client was away is not told of.
            Some(zxid) if zxid != *cause && !(watch.kind == Kind::Absence && reconnected(order)) => {
                return violated(NAME, say(format!("fired for {event:?}, not for {cause}")));
            }
            Some(zxid) if !later.contains(&(zxid, event.event_type)) => {
                return violated(NAME, say(format!("fired for {event:?}, which did not happen")));
            }
            None if !reconnected(order) => {
                return violated(NAME, say(format!("{event:?} has no zxid")));
            }
            _ => {}
        }
    }
    let Some((cause, _)) = later.first() else { return Ok(()) };
    let from = replies.partition_point(|(order, _)| *order <= watch.order);
    let due = replies[from..].iter().find(|(order, zxid)| {
        *zxid >= *cause && (watch.kind != Kind::Absence || !reconnected(*order) || is_there(effects, *zxid))
    });
    let Some((due, zxid)) = due else { return Ok(()) };
    if ended.is_some_and(|ended| ended < *due) {
        return Ok(());
    }
    if fired.is_none_or(|(order, _)| order > *due) {
        let why = say(format!("{cause} happened, a reply shows {zxid}, and no event came before it"));
        return violated(NAME, why);
    }
    counters.watches_due += 1;
    Ok(())
}

/// Whether a node exists at `zxid`, by what happened to its path.
fn is_there(effects: &[(Zxid, EventType)], zxid: Zxid) -> bool {
    let life = |e: EventType| matches!(e, EventType::NodeCreated | EventType::NodeDeleted);
    let last = effects.iter().rev().find(|(at, event)| *at <= zxid && life(*event));
    last.is_some_and(|(_, event)| *event == EventType::NodeCreated)
}

/// On each connection: events in the order of their causes, and none behind a reply that shows its cause.
fn on_the_wire(history: &History, replayed: &Replayed) -> Verdict {
    let mut links = BTreeMap::new();
    for call in &history.calls {
        if let Some(answer) = &call.answer {
            links.entry(call.link).or_insert_with(Vec::new).push((answer.order, answer.zxid, false));
        }
    }
    for notice in history.notices.iter().filter(|notice| notice.zxid > Zxid::ZERO) {
        let happened = replayed.effects.get(&notice.path);
        if !happened.is_some_and(|all| all.contains(&(notice.zxid, notice.event_type))) {
            return violated(NAME, format!("{notice:?} did not happen"));
        }
        links.entry(notice.link).or_insert_with(Vec::new).push((notice.order, notice.zxid, true));
    }
    for (link, mut seen) in links {
        seen.sort_unstable();
        let (mut shown, mut told) = (Zxid::ZERO, Zxid::ZERO);
        for (_, zxid, is_event) in seen {
            if is_event && (zxid <= shown || zxid < told) {
                let why = format!("on link {link} the event of {zxid} comes after {shown} was shown");
                return violated(NAME, why);
            }
            *(if is_event { &mut told } else { &mut shown }) = zxid;
        }
    }
    Ok(())
}
