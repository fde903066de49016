//! P3, P14: what is asked after somebody was answered is answered from no earlier state, which holds for reads as
//! well while there is one server; and once a `sync` is answered, no write that its session sent before takes
//! effect later. Recipes stand on the second: it makes "not found" final after a lost reply.

use std::collections::BTreeMap;

use zk_client::core::Request;
use zk_client::{SessionId, Zxid};
use zk_proto::txn::Txn;

use super::durability::places;
use super::{Verdict, violated};
use crate::sim::history::{History, Order};
use crate::sim::report::Counters;

pub(super) fn check(history: &History, counters: &mut Counters) -> Verdict {
    // Every request and every answer, as things happened.
    let mut moments: BTreeMap<Order, (usize, bool)> = BTreeMap::new();
    for (index, call) in history.calls.iter().enumerate() {
        moments.insert(call.order, (index, false));
        if let Some(answer) = &call.answer {
            moments.insert(answer.order, (index, true));
        }
    }
    let places = places(history);
    let mut newest = Zxid::ZERO;
    let mut written: BTreeMap<SessionId, Zxid> = BTreeMap::new();
    let mut lost: BTreeMap<SessionId, u64> = BTreeMap::new();
    for (index, is_answer) in moments.into_values() {
        let Some(call) = history.calls.get(index) else { continue };
        if is_answer {
            newest = newest.max(call.answer.as_ref().map_or(newest, |answer| answer.zxid));
            continue;
        }
        let before = written.get(&call.session).copied().unwrap_or_default();
        if let Some(answer) = &call.answer {
            let say = |what: &str| {
                format!("session {} xid {} answered from {}, {what}", call.session, call.xid, answer.zxid)
            };
            if answer.zxid < newest || (call.is_write() && answer.zxid == newest) {
                return violated("real time", say(&format!("{newest} was shown before it was asked")));
            }
            if matches!(call.request, Request::Sync(_)) && answer.outcome.is_ok() {
                counters.barriers += u64::from(lost.contains_key(&call.session));
                if answer.zxid < before {
                    let why = say(&format!("but an earlier write of the session took effect at {before}"));
                    return violated("barrier", why);
                }
            }
        }
        if call.is_write() {
            if call.answer.is_none() {
                *lost.entry(call.session).or_default() += 1;
            }
            let place = places.get(&(call.session, call.xid)).copied().unwrap_or_default();
            let took_effect = history.log.get(&place).is_some_and(|e| !matches!(e.txn, Txn::Error(_)));
            if took_effect {
                written.insert(call.session, before.max(place));
            }
        }
    }
    Ok(())
}
