//! P5, P7, P9: the final log is replayed into the reference, from what clients asked, and every result, of reads
//! and of writes, must be the reference's at exactly the reply's zxid.

use std::collections::BTreeMap;

use zk_client::{ErrorCode, EventType, Zxid};
use zk_proto::Request;
use zk_proto::txn::{Txn, TxnEntry};
use zk_server::core::node::Node;

use super::{Verdict, shown, violated};
use crate::sim::history::{Answer, Call, History};
use crate::sim::reference::{Moment, Reference, Shown};
use crate::sim::report::{Counters, Violation};

const NAME: &str = "exactness";

/// What the replay of the final log came to.
pub(super) struct Replayed {
    pub(super) reference: Reference,
    /// What happened to each path, in order.
    pub(super) effects: BTreeMap<String, Vec<(Zxid, EventType)>>,
}

pub(super) fn check(history: &History, counters: &mut Counters) -> Result<Replayed, Violation> {
    let mut reads: BTreeMap<Zxid, Vec<(&Call, &Answer)>> = BTreeMap::new();
    let mut writes = BTreeMap::new();
    for call in &history.calls {
        if call.is_write() {
            writes.insert((call.session, call.xid), call);
        } else if let Some(answer) = &call.answer {
            if matches!(call.request, Request::RemoveWatches(_)) {
                // Shows nothing of the tree; whether a watch was there is for `watch_order`.
                match answer.outcome {
                    Ok(()) | Err(ErrorCode::NoWatcher) => counters.watches_removed += 1,
                    Err(code) => return violated(NAME, format!("{:?} was refused: {code}", call.request)),
                }
                continue;
            }
            reads.entry(answer.zxid).or_default().push((call, answer));
        }
    }
    let mut replayed = Replayed { reference: Reference::new(), effects: BTreeMap::new() };
    for (zxid, entry) in &history.log {
        let call = writes.get(&(entry.header.client_id, entry.header.cxid)).copied();
        replay(&mut replayed.reference, history, entry, call, counters)?;
        for (event, path) in replayed.reference.take_effects() {
            replayed.effects.entry(path).or_default().push((*zxid, event));
        }
        for (call, answer) in reads.remove(zxid).unwrap_or_default() {
            compare(call, answer, &replayed.reference.read(&call.request))?;
            counters.exact_reads += 1;
        }
    }
    match reads.first_key_value() {
        Some((zxid, _)) => violated(NAME, format!("a read shows {zxid}, which is not in the log")),
        None => Ok(replayed),
    }
}

fn replay(
    reference: &mut Reference,
    history: &History,
    entry: &TxnEntry,
    call: Option<&Call>,
    counters: &mut Counters,
) -> Verdict {
    let header = &entry.header;
    let at = Moment { session: header.client_id, zxid: header.zxid, time_ms: header.time_ms };
    let Some(call) = call else {
        match &entry.txn {
            Txn::CreateSession(_) if reference.sessions.insert(header.client_id) => {}
            Txn::CloseSession(_) if reference.sessions.contains(&header.client_id) => {
                reference.end_session(at);
                counters.expiries += 1;
            }
            Txn::DeleteContainer(t) => {
                let made = |e: &TxnEntry| matches!(&e.txn, Txn::CreateContainer(c) if c.path == t.path);
                let was_container = history.log.range(..header.zxid).any(|(_, e)| made(e));
                if !was_container || reference.reap(at, &t.path).is_err() {
                    return violated(NAME, format!("{} was no empty container at {}", t.path, header.zxid));
                }
                counters.containers_reaped += 1;
            }
            other => {
                return violated(NAME, format!("nobody asked for {:?} at {}", other.opcode(), header.zxid));
            }
        }
        return Ok(());
    };
    if entry.txn == Txn::Error(Err(ErrorCode::SessionMoved)) {
        counters.moved += 1;
        let moved = history.claims.iter().any(|(link, s)| *s == call.session && *link > call.link);
        let refused = call.answer.is_none();
        return match moved && refused {
            true => Ok(()),
            false => violated(NAME, format!("{} moved, but its session did not", header.zxid)),
        };
    }
    let expected = reference.write(at, &call.request);
    let failed = match &entry.txn {
        Txn::Error(outcome) => outcome.err(),
        _ => None,
    };
    if failed != expected.as_ref().err().copied() {
        let why = format!("{} of {:?} is logged as {failed:?}, not {expected:?}", header.zxid, call.request);
        return violated(NAME, why);
    }
    if let Some(answer) = &call.answer {
        compare(call, answer, &expected)?;
        counters.exact_writes += 1;
    }
    Ok(())
}

fn compare(call: &Call, answer: &Answer, expected: &Result<Shown, ErrorCode>) -> Verdict {
    let got = match answer.outcome {
        Err(code) => Err(code),
        Ok(()) => match shown::decode(&call.request, answer.body.clone()) {
            Ok(shown) => Ok(shown),
            Err(why) => {
                return violated(NAME, format!("the reply to {:?} does not decode: {why}", call.request));
            }
        },
    };
    if got == *expected {
        return Ok(());
    }
    let why = format!(
        "session {} xid {} {:?} at {}: got {got:?}, the log says {expected:?}",
        call.session, call.xid, call.request, answer.zxid
    );
    violated(NAME, why)
}

/// The server's tree at the end is the reference's.
pub(super) fn final_tree(replayed: &Replayed, node: &Node) -> Verdict {
    let frozen = node.freeze();
    let nodes = frozen.tree.nodes();
    let have: Vec<_> = nodes.iter().map(|(path, n)| (*path, n.data.as_deref(), n.stat())).collect();
    let want: Vec<_> =
        replayed.reference.all().map(|(path, data, stat)| (path, data.map(AsRef::as_ref), *stat)).collect();
    match have.iter().zip(&want).find(|(have, want)| have != want) {
        Some((have, want)) => violated(NAME, format!("in the end there is {have:?}, the log says {want:?}")),
        None if have.len() != want.len() => {
            violated(NAME, format!("in the end there are {} nodes, not {}", have.len(), want.len()))
        }
        None => Ok(()),
    }
}
