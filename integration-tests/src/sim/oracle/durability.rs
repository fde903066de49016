//! P1, P2, P8: every acknowledged write is in the final log, under the zxid it was told, and nothing is in it
//! twice.

use std::collections::BTreeMap;

use zk_client::{SessionId, Zxid};

use super::{Verdict, violated};
use crate::sim::history::History;
use crate::sim::report::Counters;

const NAME: &str = "durability";

/// Where each request ended up in the final log.
pub(super) fn places(history: &History) -> BTreeMap<(SessionId, i32), Zxid> {
    let asked = history.log.values().filter(|entry| entry.header.cxid > 0);
    asked.map(|e| ((e.header.client_id, e.header.cxid), e.header.zxid)).collect()
}

pub(super) fn check(history: &History, counters: &mut Counters) -> Verdict {
    let places = places(history);
    let asked = history.log.values().filter(|entry| entry.header.cxid > 0).count();
    if places.len() != asked {
        return violated(NAME, "a request is in the log more than once".to_owned());
    }
    let mut last = Zxid::ZERO;
    for zxid in history.log.keys() {
        if *zxid != last.next() {
            return violated(NAME, format!("the log has {zxid} behind {last}"));
        }
        last = *zxid;
    }
    for call in history.calls.iter().filter(|call| call.is_write()) {
        let place = places.get(&(call.session, call.xid));
        match (&call.answer, place) {
            (Some(answer), Some(place)) if answer.zxid == *place => counters.durable_writes += 1,
            (Some(answer), place) => {
                let why = format!(
                    "session {} xid {} was acknowledged as {}, and the log has it at {place:?}",
                    call.session, call.xid, answer.zxid
                );
                return violated(NAME, why);
            }
            (None, Some(_)) => counters.lost_replies += 1,
            (None, None) => {}
        }
    }
    Ok(())
}
