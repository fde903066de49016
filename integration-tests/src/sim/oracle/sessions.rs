//! P13: nobody expires before the server has been silent-listening for a whole timeout, every session without a
//! client ends, with its ephemeral nodes, and no id is given twice.

use std::collections::BTreeSet;
use std::time::Duration;

use zk_client::SessionId;
use zk_proto::txn::Txn;

use super::exact::Replayed;
use super::{Verdict, violated};
use crate::sim::history::History;
use crate::sim::options::Options;
use crate::sim::server::wall_ms;

const NAME: &str = "sessions";

pub(super) fn check(
    history: &History,
    replayed: &Replayed,
    live: &[SessionId],
    options: &Options,
) -> Verdict {
    let mut given = BTreeSet::new();
    for entry in history.log.values() {
        let session = entry.header.client_id;
        match entry.txn {
            Txn::CreateSession(_) if !given.insert(session) => {
                return violated(NAME, format!("session {session} was given twice"));
            }
            Txn::CloseSession(_) if entry.header.cxid == 0 => {
                not_early(history, session, entry.header.time_ms, options.timeout)?;
            }
            _ => {}
        }
    }
    let live: BTreeSet<SessionId> = live.iter().copied().collect();
    let left: Vec<_> = replayed.reference.sessions.difference(&live).collect();
    if !left.is_empty() {
        return violated(NAME, format!("sessions without a client never ended: {left:?}"));
    }
    let gone: Vec<_> = live.difference(&replayed.reference.sessions).collect();
    if !gone.is_empty() {
        return violated(NAME, format!("clients hold sessions that have ended: {gone:?}"));
    }
    for (path, _, stat) in replayed.reference.all() {
        let owner = stat.ephemeral_owner;
        if owner != SessionId::NONE && !live.contains(&owner) {
            return violated(NAME, format!("{path} has outlived its session {owner}"));
        }
    }
    Ok(())
}

/// A contact in the very millisecond of the expiry may have come behind it.
fn not_early(history: &History, session: SessionId, expired_ms: i64, timeout: Duration) -> Verdict {
    let before = |at: &&Duration| wall_ms(**at) < expired_ms;
    let contact = history.contacts.get(&session).and_then(|all| all.iter().rfind(before));
    let start = history.starts.iter().rfind(before);
    let Some(last) = contact.max(start) else { return Ok(()) };
    let idle_ms = expired_ms + 1 - wall_ms(*last);
    if idle_ms < i64::try_from(timeout.as_millis()).unwrap_or(0) {
        return violated(NAME, format!("session {session} expired {idle_ms} ms after it was heard from"));
    }
    Ok(())
}
