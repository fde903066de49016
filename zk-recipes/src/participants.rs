//! Who holds and who waits: a listing of a line, for humans and for recipes that show their members.

use bytes::Bytes;
use std::collections::BTreeMap;
use zk_client::{Client, Error};
use zk_proto::{SessionId, Zxid, path};

use crate::contender::Rule;
use crate::fence::FencingToken;
use crate::limits::PARTICIPANTS_AT_ONCE;
use crate::sequence::{Contender, REVOKE, Sequence, WRITERS};

/// One who holds or waits, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Participant {
    /// Its nodes' paths: two of a contender in [`Dialect::Both`](crate::Dialect), one of any other.
    pub nodes: Vec<String>,
    /// What it says of itself.
    pub data: Bytes,
    /// The session that owns it; [`SessionId::NONE`] of a durable one.
    pub session: SessionId,
    /// The number of its first node.
    pub sequence: Sequence,
    /// What it would hold, or holds, by.
    pub token: FencingToken,
    /// When it came: milliseconds since 1970, by the server's clock.
    pub since_ms: i64,
    /// What stands before the number in its first node's name.
    pub marker: String,
    /// Whether it is admitted, by the place it stands at. A holder that has lost and does not know it yet looks
    /// the same.
    pub admitted: bool,
}

impl Participant {
    /// What it says of itself, as text.
    #[must_use]
    pub fn identifier(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }

    /// Of a read/write lock: whether it came to write.
    #[must_use]
    pub fn writes(&self) -> bool {
        WRITERS.contains(&self.marker.as_str())
    }

    /// Its first node.
    #[must_use]
    pub fn node(&self) -> &str {
        self.nodes.first().map_or("", String::as_str)
    }
}

/// Everybody in the line under `parent`, in its order. One request for the list, and one for each child, sent
/// together; whoever leaves meanwhile is left out. A missing parent is an empty line.
pub(crate) async fn list(client: &Client, parent: &str, rule: &Rule) -> Result<Vec<Participant>, Error> {
    let names = match client.get_children(parent).await {
        Ok(list) => list.names,
        Err(error) if error.is_no_node() => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut line: Vec<Contender<'_>> =
        names.iter().filter_map(|name| Contender::parse(name, &rule.counts)).collect();
    // By distance from the oldest: an order also where hand-made names lie so far apart that theirs is none.
    let oldest = line.iter().copied().reduce(
        |oldest, other| {
            if other.order(&oldest).is_lt() { other } else { oldest }
        },
    );
    if let Some(oldest) = oldest {
        let distance = |c: &Contender<'_>| c.sequence.0.wrapping_sub(oldest.sequence.0).cast_unsigned();
        line.sort_by_key(|contender| (distance(contender), contender.within_number()));
    }
    // What was created together is one participant's.
    let mut places: BTreeMap<(Zxid, SessionId), usize> = BTreeMap::new();
    let mut all: Vec<Participant> = Vec::with_capacity(line.len());
    for some in line.chunks(PARTICIPANTS_AT_ONCE) {
        let gets: Vec<_> =
            some.iter().map(|contender| client.get(path::join(parent, contender.name)).send()).collect();
        for (contender, get) in some.iter().zip(gets) {
            let node = match get.await {
                Ok(node) => node,
                Err(error) if error.is_no_node() => continue,
                Err(error) => return Err(error),
            };
            let place = (node.stat.czxid, node.stat.ephemeral_owner);
            let path = path::join(parent, contender.name);
            if let Some(known) = places.get(&place).and_then(|at| all.get_mut(*at)) {
                known.nodes.push(path);
                continue;
            }
            places.insert(place, all.len());
            all.push(Participant {
                nodes: vec![path],
                data: node.data,
                session: node.stat.ephemeral_owner,
                sequence: contender.sequence,
                token: FencingToken::from_zxid(node.stat.czxid),
                since_ms: node.stat.ctime,
                marker: contender.marker.to_owned(),
                admitted: false,
            });
        }
    }
    admit(&mut all, rule);
    Ok(all)
}

/// Asks a participant to give up what it holds or waits for. Returns whether it was still there. A durable one is not
/// asked: a write to its node would take the node away from it.
pub(crate) async fn revoke(client: &Client, participant: &Participant) -> Result<bool, Error> {
    if participant.session == SessionId::NONE {
        return Ok(false);
    }
    match client.set(participant.node(), REVOKE).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_no_node() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes a participant's nodes. Returns whether one was still there.
pub(crate) async fn evict(client: &Client, participant: &Participant) -> Result<bool, Error> {
    let deletes: Vec<_> = participant.nodes.iter().map(|node| client.delete(node.as_str()).send()).collect();
    let mut evicted = false;
    for delete in deletes {
        match delete.await {
            Ok(()) => evicted = true,
            Err(error) if error.is_no_node() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(evicted)
}

/// Marks those that are admitted, of a line in its order, by the one rule that all of them follow.
fn admit(line: &mut [Participant], rule: &Rule) {
    let mut before = 0;
    for participant in line {
        participant.admitted = before < rule.seats.max(1);
        before += usize::from(rule.blocks.contains(&participant.marker.as_str()));
    }
}
