//! P4: a session's replies come in the order of its requests, the zxids of its writes rise, and no reply shows an
//! earlier state than one before it, on whatever connection.

use std::collections::BTreeMap;

use zk_client::{SessionId, Zxid};

use super::{Verdict, violated};
use crate::sim::history::{Answer, Call, History, Order};

const NAME: &str = "fifo";

#[derive(Default)]
struct Last {
    xid: i32,
    zxid: Zxid,
    written: Zxid,
}

pub(super) fn check(history: &History) -> Verdict {
    let mut answered: Vec<(Order, &Call, &Answer)> =
        history.calls.iter().filter_map(|c| c.answer.as_ref().map(|a| (a.order, c, a))).collect();
    answered.sort_by_key(|(order, ..)| *order);
    let mut sessions: BTreeMap<SessionId, Last> = BTreeMap::new();
    for (_, call, answer) in answered {
        let last = sessions.entry(call.session).or_default();
        let say = |what: &str| format!("session {} xid {}: {what}", call.session, call.xid);
        if call.xid <= last.xid {
            return violated(NAME, say(&format!("answered after xid {}", last.xid)));
        }
        if answer.zxid < last.zxid {
            return violated(NAME, say(&format!("shows {} after {}", answer.zxid, last.zxid)));
        }
        if call.is_write() {
            if answer.zxid <= last.written {
                return violated(NAME, say(&format!("written at {} after {}", answer.zxid, last.written)));
            }
            last.written = answer.zxid;
        }
        (last.xid, last.zxid) = (call.xid, answer.zxid);
    }
    Ok(())
}
